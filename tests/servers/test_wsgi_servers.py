"""``wsgi:app`` under the WSGI servers that Debian and PyPI have: each serves the demo's login, a page and a job."""

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from bench.processes import free_port
from tests.worlds.lacking import require_program
from tests.worlds.programs import CRON_KEY, debian_environment, demo_variables, running
from tests.worlds.waiting import until
from tests.worlds.web_servers import recipe

Command = Callable[[int, Path], list[str]]


def _gunicorn(*more: str) -> Command:
    def command(port: int, directory: Path) -> list[str]:
        gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
        return [*gunicorn, "--workers", "2", "--threads", "4", *more, "wsgi:app"]

    return command


def _uwsgi_of_the_recipe(port: int, directory: Path) -> list[str]:
    """``deploy/uwsgi/showbox.ini`` as it is, but for this machine's places."""
    program = require_program("uwsgi", "uwsgi-core uwsgi-plugin-python3")
    values = {
        "/opt/showbox": str(debian_environment(directory)),
        "/etc/showbox/config.ini": str(directory / "config.ini"),
        "/var/lib/showbox": str(directory),
        "127.0.0.1:8000": f"127.0.0.1:{port}",
    }
    (directory / "config.ini").touch(mode=0o600)
    (directory / "showbox.ini").write_text(recipe("uwsgi/showbox.ini", values))
    return [program, "--ini", str(directory / "showbox.ini")]


def _lazy_uwsgi(port: int, directory: Path) -> list[str]:
    """One process: uWSGI cannot end one that is loading still."""
    uwsgi = require_program("uwsgi", "uwsgi-core uwsgi-plugin-python3")
    options = ["--die-on-term", "--master", "--processes", "1", "--threads", "4", "--lazy-apps", "--module", "wsgi"]
    home = debian_environment(directory)
    return [uwsgi, "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}", *options, "--venv", str(home)]


def _waitress(port: int, directory: Path) -> list[str]:
    return [sys.executable, "-m", "waitress", "--listen", f"127.0.0.1:{port}", "wsgi:app"]


SERVERS: dict[str, Command] = {
    "gunicorn": _gunicorn(),
    "gunicorn --preload": _gunicorn("--preload"),
    "uWSGI --lazy-apps": _lazy_uwsgi,
    "uWSGI of the recipe": _uwsgi_of_the_recipe,
    "waitress-serve": _waitress,
}


class Served(NamedTuple):
    port: int
    log: Path


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    port, directory = free_port(), tmp_path_factory.mktemp("server")
    command = SERVERS[request.param](port, directory)
    with running(command, port, cwd=directory, environment=demo_variables("wsgi_servers", directory)):
        yield Served(port, directory / "log")


def test_each_wsgi_server_serves_the_demo_s_login_a_page_and_a_job(server: Served) -> None:
    serves_login_page_and_job(f"http://127.0.0.1:{server.port}", requests)


BROKEN_BODIES = {
    "no size": b"x\r\nhello\r\n0\r\n\r\n",
    "a size below none": b"-5\r\nhello\r\n0\r\n\r\n",
    "an extension with a line break": b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    "line breaks of one byte": b"5\nhello\n0\n\n",
}


@pytest.mark.parametrize("server", ["gunicorn"], indirect=True)
def test_11_a_body_that_is_none_is_the_clients_fault(server: Served) -> None:
    """Issue "no way in", line 11, where the server hands bodies on as they come."""
    head = b"POST /login.php HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    for path in (b"/login.php", b"/telegram/webhook.php"):
        for name, body in BROKEN_BODIES.items():
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
                client.sendall(head.replace(b"/login.php", path) + b"\r\n" + body)
                client.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
            assert answer.split(b" ")[1] in (b"400", b"200"), (path, name, answer[:200])
    assert "Unexpected" not in server.log.read_text()


def serves_login_page_and_job(url: str, http: Any) -> None:
    """``http``: requests, or a session of it."""
    cookies: dict[str, str] = {}

    # each on a connection of its own: uWSGI's socket closes one without a word of it
    def get(path: str) -> requests.Response:
        return http.get(url + path, cookies=cookies, timeout=60)

    login = http.post(f"{url}/login.php", {"username": "admin", "password": "admin123"}, timeout=60)
    assert login.json()["error"] == 0, login.text
    cookies.update(login.cookies)
    page = get("/dashboard.php")
    assert (page.status_code, page.text[:15]) == (200, "<!DOCTYPE html>")
    started = get(f"/cron/cleanup_old_reminders.php?cron_key={CRON_KEY}")
    assert started.status_code == 202, started.text
    assert _finished(get, started.json()["job_id"])["state"] == "done"


def _finished(get: Callable[[str], requests.Response], job_id: int) -> dict[str, object]:
    """The job, which runs in the background of whichever process was rung."""

    def closed() -> dict[str, object]:
        job: dict[str, object] = get(f"/get_job_status.php?id={job_id}").json()["job"]
        return {} if job["state"] in ("waiting", "running") else job

    return until(closed, "the job is closed")
