"""The recipes of ``deploy/`` under their real servers: nginx and Apache on free ports, with a passing certificate."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bench.processes import free_port
from tests.worlds.certificates import make_certificate
from tests.worlds.lacking import require_program
from tests.worlds.places import ROOT
from tests.worlds.programs import running

DEPLOY = ROOT / "deploy"
# what people write who read no recipe: not a header is set
PLAIN_NGINX = """
location / {
    proxy_pass http://127.0.0.1:8000;
}
"""
PLAIN_APACHE = """
ProxyPass / http://127.0.0.1:8000/
"""
# the address that a client of these tests has, which no proxy has
CLIENT = "127.0.0.2"
_NGINX = """
daemon off;
user root;
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    include {directory}/site.conf;
}}
"""
_APACHE_MODULES = (
    *("mpm_event", "authz_core", "alias", "mime", "dir", "env", "setenvif", "rewrite", "headers", "ssl"),
    *("socache_shmcb", "deflate", "filter", "proxy", "proxy_http", "proxy_fcgi"),
)
# mod_wsgi runs nothing as root: somebody else, who may read a checkout that is root's
_NOT_ROOT = [
    *("setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"),
    *("--inh-caps=+dac_override,+fowner", "--ambient-caps=+dac_override,+fowner"),
]
_APACHE = """
ServerRoot {directory}
ServerName localhost
PidFile {directory}/pid
ErrorLog {directory}/log
DefaultRuntimeDir {directory}
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https}
TypesConfig /etc/mime.types
{modules}
Include {directory}/site.conf
"""
_APACHE_SITE = """
<VirtualHost *:{https}>
    SSLEngine on
    SSLCertificateFile {directory}/fullchain.pem
    SSLCertificateKeyFile {directory}/privkey.pem
    DocumentRoot {root}
    <Directory {root}>
        Require all granted
    </Directory>
    <FilesMatch "\\.php$">
        SetHandler "proxy:unix:{socket}|fcgi://localhost"
    </FilesMatch>
    {recipe}
</VirtualHost>
"""


@dataclass(frozen=True)
class Front:
    """A web server with HTTPS at ``url`` and the plain port at ``plain_url``."""

    url: str
    plain_url: str

    def client(self) -> requests.Session:
        """Somebody at another address, whose browser takes the certificate."""
        session = requests.Session()
        session.trust_env = False
        session.verify = False
        session.mount("https://", _From())
        session.mount("http://", _From())
        return session


class _From(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(CLIENT, 0), **options)


def certify(directory: Path) -> None:
    """A certificate for localhost and its key, where the recipes are made to look for them."""
    make_certificate(directory, "fullchain.pem", "privkey.pem")


def recipe(name: str, values: Mapping[str, str]) -> str:
    """A recipe with this machine's values in the place of its examples; what has several lines is one itself."""
    text = name if "\n" in name else (DEPLOY / name).read_text()
    for example, value in values.items():
        text = text.replace(example, value)
    return text


@contextmanager
def nginx(directory: Path, site: str, backend: str, **values: str) -> Iterator[Front]:
    """``deploy/nginx/SITE``, or the lines that ``site`` is, before the server at ``backend``.

    ``values`` replace further examples.
    """
    program = require_program("nginx", "nginx")
    http, https = free_port(), free_port()
    certify(directory)
    examples = {
        "127.0.0.1:8000": backend.removeprefix("http://"),
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https} ssl http2;",
        "billing.example.com;": "localhost;",
        "/etc/letsencrypt/live/billing.example.com": str(directory),
        "/etc/nginx/showbox-": f"{directory}/showbox-",
        **{name: value for name, value in values.items() if "/" in name},
    }
    for name in ("showbox-proxy.conf", "showbox-paths.conf"):
        (directory / name).write_text(recipe(f"nginx/{name}", examples | _options(values)))
    text = recipe(_named("nginx", site), examples | _options(values))
    if not re.search("^server {", text, re.MULTILINE):
        tls = f"ssl_certificate {directory}/fullchain.pem; ssl_certificate_key {directory}/privkey.pem;"
        text = f"server {{ listen 127.0.0.1:{https} ssl http2; server_name localhost; {tls}\n{text}\n}}"
    (directory / "site.conf").write_text(text)
    (directory / "nginx.conf").write_text(_NGINX.format(directory=directory))
    command = [program, "-p", str(directory), "-c", str(directory / "nginx.conf")]
    with running(command, https, cwd=directory):
        yield Front(f"https://localhost:{https}", f"http://localhost:{http}")


def _named(server: str, site: str) -> str:
    return site if "\n" in site else f"{server}/{site}"


def _options(values: Mapping[str, str]) -> dict[str, str]:
    return (
        {"default php;\n}\n\nmap $showbox_endpoint": "default showbox;\n}\n\nmap $showbox_endpoint"}
        if values.get("writing") == "showbox"
        else {}
    )


@contextmanager
def apache(directory: Path, site: str, backend: str = "", **values: str) -> Iterator[Front]:
    """As :func:`nginx`, for ``deploy/apache/SITE``; what is made to be included gets a virtual host around it."""
    program = require_program("apache2", "apache2")
    modules = Path("/usr/lib/apache2/modules")
    http, https = free_port(), free_port()
    certify(directory)
    examples = {
        "127.0.0.1:8000": backend.removeprefix("http://"),
        "*:80>": f"*:{http}>",
        "*:443>": f"*:{https}>",
        "https://billing.example.com/": f"https://localhost:{https}/",
        "ServerName billing.example.com": "ServerName localhost",
        "/etc/letsencrypt/live/billing.example.com": str(directory),
        "/etc/apache2/showbox-": f"{directory}/showbox-",
        **{name: value for name, value in values.items() if "/" in name or " " in name},
    }
    if values.get("writing") == "showbox":
        examples["Define SHOWBOX_WRITING php"] = "Define SHOWBOX_WRITING showbox"
    text = recipe(_named("apache", site), examples)
    (directory / "showbox-paths.txt").write_text(recipe("apache/showbox-paths.txt", {}))
    if not re.search("^<VirtualHost", text, re.MULTILINE):
        root, socket = values.get("/srv/showbox-panel", str(directory)), values.get("/run/php/php8.2-fpm.sock", "none")
        text = _APACHE_SITE.format(https=https, directory=directory, root=root, socket=socket, recipe=text)
    (directory / "site.conf").write_text(text)
    loaded = [f"LoadModule {name}_module {modules}/mod_{name}.so" for name in _APACHE_MODULES]
    if "WSGI" in text:
        loaded.append(f"LoadModule wsgi_module {modules}/mod_wsgi.so")
    main = _APACHE.format(directory=directory, http=http, https=https, modules="\n".join(loaded))
    (directory / "apache.conf").write_text(main)
    command = [program, "-DFOREGROUND", "-f", str(directory / "apache.conf")]
    with running([*(_NOT_ROOT if os.geteuid() == 0 else []), *command], https, cwd=directory):
        yield Front(f"https://localhost:{https}", f"http://localhost:{http}")
