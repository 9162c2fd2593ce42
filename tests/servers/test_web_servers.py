"""nginx and Apache before the server, as ``deploy/`` says: HTTPS, addresses, cookies, compression, a sub-path, PHP."""

import gzip
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from core.storage.tables import User
from legacy_routes.app import all_endpoints
from tests.conftest import MakeWorld
from tests.servers.test_wsgi_servers import serves_login_page_and_job
from tests.worlds.harness import World, user_row
from tests.worlds.lacking import missing
from tests.worlds.places import FRONTENDS
from tests.worlds.programs import debian_environment, demo_variables, running
from tests.worlds.web_servers import CLIENT, DEPLOY, Front, apache, nginx, recipe

Start = Callable[..., AbstractContextManager[Front]]
LOGIN = {"username": "admin", "password": "admin123"}

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world(
        "sqlite",
        SHOWBOX_SESSION_STORE="sql",
        SHOWBOX_FRONTEND_ROOT=str(FRONTENDS / "modern"),
        SHOWBOX_SERVER_TRUSTED_PROXIES="127.0.0.1",
    )
    world.insert(User, [user_row(1, "admin", super_user=1)])
    return world


@pytest.fixture(params=[nginx, apache], ids=["nginx", "apache"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Front]]:
    """``start(recipe, backend, example=value)``: the web server, until the end of the test."""
    with ExitStack() as stack:

        def started(site: str, backend: str, **values: str) -> Front:
            return stack.enter_context(request.param(tmp_path, site, backend, **values))

        yield started


def test_the_whole_site_with_https_addresses_cookies_and_compression(start: Callable[..., Front], world: World) -> None:
    front = start("whole-site.conf", world.url)
    client = front.client()
    moved = client.get(f"{front.plain_url}/index.html", allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"].partition("://")[0]) == (301, "https")
    forged = {
        "X-Forwarded-For": "8.8.8.8",
        "X-Real-IP": "8.8.4.4",
        "Forwarded": "for=9.9.9.9",
        "X-Forwarded-Prefix": "/x",
    }
    login = client.post(f"{front.url}/api//login.php", json=LOGIN, headers=forged)
    assert login.json()["error"] == 0, login.text
    assert "Secure" in login.headers["Set-Cookie"]
    assert "Strict-Transport-Security" in login.headers
    history = client.get(f"{front.url}/get_login_history.php").json()
    assert [entry["ip_address"] for entry in history["history"]] == [CLIENT]
    page = client.get(f"{front.url}/dashboard.js", headers={"Accept-Encoding": "gzip"}, stream=True)
    assert page.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(page.raw.read()) == (FRONTENDS / "modern/dashboard.js").read_bytes()
    assert client.get(f"{front.url}/dashboard.php").text.startswith("<!DOCTYPE html>")
    own = {"Origin": front.url, "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"{front.url}/session_heartbeat.php", headers=own).json()["error"] == 0
    assert client.get(f"{front.url}/_health").text == "ok\n"
    assert client.get(f"{front.url}/_metrics").status_code == 404
    logout = client.get(f"{front.url}/logout.php", headers=forged, allow_redirects=False)
    assert logout.headers["Location"] in ("/index.html", f"{front.url}/index.html")


def test_below_a_path_of_another_site(start: Callable[..., Front], world: World) -> None:
    front = start("sub-path.conf", world.url)
    client = front.client()
    billing = f"{front.url}/billing"
    assert client.post(f"{billing}/api/login.php", json=LOGIN).json()["error"] == 0
    assert client.get(f"{billing}/dashboard.php").text.startswith("<!DOCTYPE html>")
    assert client.get(f"{billing}/_metrics").status_code == 404
    logout = client.get(f"{billing}/logout.php", allow_redirects=False)
    assert logout.headers["Location"] in ("/billing/index.html", f"{billing}/index.html")


@pytest.fixture
def php(tmp_path: Path) -> dict[str, str]:
    """A directory of PHP scripts that say "php", and the socket of a php-fpm that runs them."""
    root = tmp_path / "panel"
    (root / "api/telegram").mkdir(parents=True)
    for name in ("get_plans", "add_account", "of_the_panel", "telegram/get_logs"):
        script = "<?php header('X-Side: php'); echo 'php ', $_SERVER['REQUEST_METHOD'], ' ', $_POST['a'] ?? '';"
        (root / f"api/{name}.php").write_text(script)
        (root / f"{name.rpartition('/')[2]}.php").write_text(script)
    (root / "index.html").write_text("the panel's own")
    (root / "dump.sql").write_text("secret")
    return {"/srv/showbox-panel": str(root), "/run/php/php8.2-fpm.sock": str(tmp_path / "fpm.sock")}


@pytest.fixture
def fpm(php: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    found = sorted(Path("/usr/sbin").glob("php-fpm*"))
    if not found:
        missing("php-fpm is not installed (on Debian: apt-get install php-fpm)")
    socket = php["/run/php/php8.2-fpm.sock"]
    pool = f"[x]\nuser=root\ngroup=root\nlisten={socket}\nlisten.mode=0666\npm=static\npm.max_children=2\n"
    (tmp_path / "fpm.conf").write_text(f"[global]\nerror_log=/dev/stderr\npid={tmp_path}/fpm.pid\n{pool}")
    place = tmp_path / "fpm"
    place.mkdir()
    command = [str(found[-1]), "-F", "-R", "-n", "-y", str(tmp_path / "fpm.conf")]
    with running(command, Path(socket), cwd=place):
        yield php


@pytest.mark.parametrize("writing", ["php", "showbox"])
def test_beside_php_each_path_is_served_by_one_side_and_all_writing_by_the_same(
    start: Callable[..., Front], world: World, fpm: dict[str, str], writing: str
) -> None:
    front = start("beside-php.conf", world.url, writing=writing, **fpm)
    client = front.client()

    def side(method: str, path: str) -> str:
        return client.request(method, front.url + path, data={"a": "b"} if method == "POST" else None).headers.get(
            "X-Side", "showbox"
        )

    assert client.post(f"{front.url}/api/login.php", json=LOGIN).json()["error"] == 0
    assert side("GET", "/get_plans.php") == side("GET", "/api/get_plans.php") == "showbox"
    assert side("GET", "/api/telegram/get_logs.php") == "showbox"
    assert side("POST", "/add_account.php") == side("POST", "/api/add_account.php") == writing
    assert side("GET", "/api/of_the_panel.php") == "php"
    answer = client.post(f"{front.url}/add_account.php", data={"a": "b"})
    assert answer.text == "php POST b" if writing == "php" else answer.json()["error"] == 1
    history = client.get(f"{front.url}/api/get_login_history.php").json()
    assert [entry["ip_address"] for entry in history["history"]] == [CLIENT]


# who leads in is verified here before anything else; logins are shared
SESSIONS = {
    *("login", "logout", "session_heartbeat"),
    *("webauthn_authenticate", "webauthn_register", "webauthn_manage"),
}
EVERY = {endpoint.name for endpoint in all_endpoints()}
WRITING = {endpoint.name for endpoint in all_endpoints() if any(map(endpoint.is_write, endpoint.methods))} - SESSIONS


@pytest.mark.parametrize(
    ("name", "line", "together"),
    [
        ("nginx/showbox-paths.conf", r"^    ([a-z0-9_/]+) (\S+);$", "$showbox_writing"),
        ("apache/showbox-paths.txt", r"^([a-z0-9_/]+) (\S+)$", "writing"),
    ],
)
def test_every_endpoint_has_its_line_and_all_that_write_go_together(name: str, line: str, together: str) -> None:
    found = dict(re.findall(line, (DEPLOY / name).read_text(), re.MULTILINE))
    found.pop("default", None)
    assert set(found) == EVERY
    assert {endpoint for endpoint, side in found.items() if side == together} == WRITING
    assert {found[endpoint] for endpoint in EVERY - WRITING} == {"showbox"}


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that whoever is not root can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_mod_wsgi_under_debian_s_apache_serves_the_demo_s_login_a_page_and_a_job(
    tmp_path: Path, public_directory: Path
) -> None:
    if not Path("/usr/lib/apache2/modules/mod_wsgi.so").exists():
        missing("mod_wsgi is not installed (on Debian: apt-get install libapache2-mod-wsgi-py3)")
    home = debian_environment(public_directory)
    variables = demo_variables("mod_wsgi", tmp_path)
    settings = {name: value for name, value in variables.items() if name.startswith("SHOWBOX_")}
    script = recipe("apache/showbox.wsgi", {"import os\n": f"import os\n\nos.environ.update({settings!r})\n"})
    (tmp_path / "showbox.wsgi").write_text(script.replace('"/etc/showbox/config.ini"', '""'))
    values = {
        "/opt/showbox": str(home),
        # those of the Apache of these tests, who is not root
        "user=showbox group=showbox ": "",
        "/var/lib/showbox": str(tmp_path),
        "/etc/showbox/showbox.wsgi": str(tmp_path / "showbox.wsgi"),
        "<Directory /etc/showbox>": f"<Directory {tmp_path}>",
    }
    with apache(tmp_path, "mod_wsgi.conf", **values) as front:
        # a session keeps the cookie by itself
        serves_login_page_and_job(front.url, front.client())


def test_no_recipe_of_a_web_server_is_left_out_of_these_tests() -> None:
    tried = {"whole-site.conf", "sub-path.conf", "beside-php.conf"}
    assert {path.name for path in (DEPLOY / "nginx").iterdir()} == tried | {"showbox-proxy.conf", "showbox-paths.conf"}
    others = {"showbox-paths.txt", "mod_wsgi.conf", "showbox.wsgi"}
    assert {path.name for path in (DEPLOY / "apache").iterdir()} == tried | others
