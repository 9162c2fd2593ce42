"""``wsgi:app`` under the WSGI servers that Debian and PyPI have: each serves the demo's login, a page and a job."""

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
from tests.worlds.waiting import PATIENCE_SECONDS, until
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


def serves_login_page_and_job(url: str, http: Any) -> None:
    """``http``: requests, or a session of it."""
    cookies: dict[str, str] = {}

    # each on a connection of its own: uWSGI's socket closes one without a word of it
    def get(path: str) -> requests.Response:
        return http.get(url + path, cookies=cookies, timeout=PATIENCE_SECONDS)

    login = http.post(f"{url}/login.php", {"username": "admin", "password": "admin123"}, timeout=PATIENCE_SECONDS)
    assert login.json()["error"] == 0, login.text
    cookies.update(login.cookies)
    page = get("/dashboard.php")
    assert (page.status_code, page.text[:15]) == (200, "<!DOCTYPE html>")
    started = get(f"/cron/cleanup_old_reminders.php?cron_key={CRON_KEY}")
    assert started.status_code == 202, started.text
    job: dict[str, object] = {}

    def is_over() -> bool:
        """In the background of whichever process was rung."""
        job.update(get(f"/get_job_status.php?id={started.json()['job_id']}").json()["job"])
        return job["state"] not in ("waiting", "running")

    until(is_over, "the job is run")
    assert job["state"] == "done"
