"""``wsgi:app`` under the WSGI servers that Debian and PyPI have: each serves the demo's login, a page and a job."""

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.worlds.programs import (
    CRON_KEY,
    debian_environment,
    demo_variables,
    free_port,
    require_program,
    running,
)
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


def _uwsgi(*more: str) -> Command:
    def command(port: int, directory: Path) -> list[str]:
        uwsgi = require_program("uwsgi", "uwsgi-core uwsgi-plugin-python3")
        home = debian_environment(directory)
        options = ["--die-on-term", "--master", "--processes", "2", "--threads", "4", "--venv", str(home)]
        return [uwsgi, "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}", *options, *more]

    return command


def _waitress(port: int, directory: Path) -> list[str]:
    return [sys.executable, "-m", "waitress", "--listen", f"127.0.0.1:{port}", "wsgi:app"]


SERVERS: dict[str, Command] = {
    "gunicorn": _gunicorn(),
    "gunicorn --preload": _gunicorn("--preload"),
    "uWSGI": _uwsgi("--module", "wsgi:app"),
    # one process: uWSGI cannot end one that is loading still
    "uWSGI --lazy-apps": _uwsgi("--module", "wsgi", "--lazy-apps", "--processes", "1"),
    "uWSGI of the recipe": _uwsgi_of_the_recipe,
    "waitress-serve": _waitress,
}


@pytest.fixture(params=SERVERS.values(), ids=SERVERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    command = request.param(port, tmp_path)
    with running(command, port, cwd=tmp_path, environment=demo_variables("wsgi_servers", tmp_path)):
        yield f"http://127.0.0.1:{port}"


def test_each_wsgi_server_serves_the_demo_s_login_a_page_and_a_job(url: str) -> None:
    serves_login_page_and_job(url, requests)


BROKEN_BODIES = {
    "no size": b"x\r\nhello\r\n0\r\n\r\n",
    "a size below none": b"-5\r\nhello\r\n0\r\n\r\n",
    "an extension with a line break": b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    "line breaks of one byte": b"5\nhello\n0\n\n",
}


def test_11_a_body_that_is_none_is_the_clients_fault(tmp_path: Path) -> None:
    """Issue "no way in", line 11, where the server hands bodies on as they come."""
    port = free_port()
    command = _gunicorn()(port, tmp_path)
    head = b"POST /login.php HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    with running(command, port, cwd=tmp_path, environment=demo_variables("broken_bodies", tmp_path)):
        for path in (b"/login.php", b"/telegram/webhook.php"):
            for name, body in BROKEN_BODIES.items():
                with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                    client.sendall(head.replace(b"/login.php", path) + b"\r\n" + body)
                    client.shutdown(socket.SHUT_WR)
                    answer = b"".join(iter(lambda: client.recv(65536), b""))
                assert answer.split(b" ")[1] in (b"400", b"200"), (path, name, answer[:200])
    assert "Unexpected" not in (tmp_path / "log").read_text()


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
