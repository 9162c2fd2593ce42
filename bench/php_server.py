"""The second yardstick: PHP itself, a few short scripts of ours (``bench/php``) behind nginx and php-fpm.

They do what a panel in PHP cannot do without (session, connection, the same queries, ``json_encode``), and little else,
so that nothing in PHP that does the same work is faster.
"""

import grp
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Self

from sqlalchemy.engine import URL, make_url

from bench.processes import ROOT, NotStarted, Process, Server, free_port

_SCRIPTS = ROOT / "bench" / "php"
_FPM = """[global]
pid = {folder}/fpm.pid
error_log = {folder}/fpm.log
daemonize = no
[www]
{user}listen = {folder}/fpm.sock
{owner}pm = static
pm.max_children = {workers}
catch_workers_output = yes
"""
_NGINX = """daemon off;
{user}worker_processes auto;
error_log {folder}/nginx.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    {temporary}
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 8m;
        location ~ ^/(?:api/)?([a-z_]+\\.php)$ {{
            fastcgi_pass unix:{folder}/fpm.sock;
            fastcgi_buffers 64 64k;
            fastcgi_param SCRIPT_FILENAME {folder}/scripts/$1;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param BENCH_SESSIONS {folder}/sessions;
            fastcgi_param BENCH_DSN "mysql:host={host};port={database_port};dbname={database};charset=utf8mb4";
            fastcgi_param BENCH_USER "{username}";
            fastcgi_param BENCH_PASSWORD "{password}";
            fastcgi_param BENCH_ANY "{any_password}";
        }}
    }}
}}
"""
_START_SECONDS = 20
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@cache
def programs() -> tuple[str, str] | None:
    """nginx and php-fpm, or None where one is missing, or PHP's driver for MySQL."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    found = [shutil.which("php-fpm"), *map(str, sorted(Path("/usr/sbin").glob("php-fpm*"), reverse=True))]
    fpm = next((program for program in found if program), None)
    if not (nginx and fpm):
        return None
    modules = subprocess.run([fpm, "-m"], capture_output=True, text=True, check=False).stdout.split()
    return (nginx, fpm) if "pdo_mysql" in modules else None


class PhpServer(Server):
    """nginx; php-fpm is started and ended with it. ``password`` is everybody's."""

    def __init__(self, url: str, workers: int) -> None:
        found = programs()
        if found is None:
            raise NotStarted("nginx, php-fpm and PHP's pdo_mysql are needed")
        nginx, fpm = found
        self._stack = ExitStack()
        # beside the panel's own, which are nobody else's to read
        place = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="showbox-bench-php-")))
        port = free_port()
        self.password = secrets.token_hex(16)
        _write(place, make_url(url), workers=workers, port=port, password=self.password)
        root = ["-R"] if os.getuid() == 0 else []
        self._fpm = Process("php-fpm", [fpm, *root, "-F", "-y", place / "fpm.conf"], place)
        super().__init__("nginx", [nginx, "-c", place / "nginx.conf", "-e", place / "nginx.log"], place, port)

    def __enter__(self) -> Self:
        self._stack.enter_context(self._fpm)
        until = time.monotonic() + _START_SECONDS
        while not (self.log.parent / "fpm.sock").exists() and time.monotonic() < until:
            time.sleep(0.02)
        return super().__enter__()

    def __exit__(self, *failure: object) -> None:
        super().__exit__(*failure)
        self._stack.close()

    @property
    def roots(self) -> tuple[int, ...]:
        return *super().roots, self._fpm.child.pid


def _write(place: Path, url: URL, *, workers: int, port: int, password: str) -> None:
    """The configuration of both, whose workers may read it as well."""
    (place / "sessions").mkdir()
    place.chmod(0o755)
    (place / "sessions").chmod(0o777)
    shutil.copytree(_SCRIPTS, place / "scripts")
    is_root = os.getuid() == 0
    user, group = ("nobody", grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name) if is_root else ("", "")
    fpm = _FPM.format(
        folder=place,
        workers=workers,
        user=f"user = {user}\ngroup = {group}\n" if is_root else "",
        owner=f"listen.owner = {user}\nlisten.group = {group}\n" if is_root else "",
    )
    nginx = _NGINX.format(
        folder=place,
        port=port,
        user=f"user {user} {group};\n" if is_root else "",
        temporary="\n    ".join(f"{name}_temp_path {place}/{name};" for name in _TEMPORARY),
        host=url.host or "127.0.0.1",
        database_port=url.port or 3306,
        database=url.database,
        username=url.username or "",
        password=url.password or "",
        any_password=password,
    )
    (place / "fpm.conf").write_text(fpm, encoding="utf-8")
    (place / "nginx.conf").write_text(nginx, encoding="utf-8")
