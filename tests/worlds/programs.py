"""Servers of others, started for a test and ended with it: WSGI servers that load ours, and web servers before it."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from core.administration.demo import fill_demo
from core.config import load_config
from core.panel import Panel
from tests.worlds.databases import create_database, prepared_database
from tests.worlds.places import FRONTENDS, ROOT
from tests.worlds.waiting import until
from tests.worlds.warm import warmed

CRON_KEY = "a-key-for-the-crontab-of-a-test"


@contextmanager
def running(
    command: Sequence[str],
    port: int | Path,
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Iterator["subprocess.Popen[bytes]"]:
    """The command, from the moment something listens at the port or socket; it and its children are ended afterwards.

    What it prints stands in ``cwd/log`` and is shown where it does not begin. What Python runs is forked from a warm
    interpreter, unless it must be ``fresh`` since its imports look at the environment.
    """
    command = command if fresh else warmed(command)
    log = cwd / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait_for(process, port, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{command[0]} does not end: {log.read_text(errors='replace')}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int | Path, log: Path) -> None:
    def listens() -> bool:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} does not serve: {log.read_text(errors='replace')}")
        if isinstance(port, int):
            return is_listening(port)
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(port)) == 0

    until(listens, f"{process.args!r} serves")


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections at this port of the loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def demo_variables(name: str, directory: Path, **settings: str) -> dict[str, str]:
    """The environment of a server of the demo's data, with the frontend's pages, in a database of its own."""
    mould, data = _demo_mould()
    url = create_database("sqlite", name)
    shutil.copyfile(_path(mould), _path(url))
    shutil.copytree(data, directory / "data")
    chosen = {
        "SHOWBOX_DATABASE_URL": url,
        "SHOWBOX_FRONTEND_ROOT": str(FRONTENDS / "modern"),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(directory / "data"),
        "SHOWBOX_JOBS_QUEUE_FILE": str(directory / "queue"),
        "SHOWBOX_SECURITY_CRON_KEY": CRON_KEY,
        **settings,
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SHOWBOX_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), **chosen}


@cache
def _demo_mould() -> tuple[str, Path]:
    """A database that holds the demo's data, and the directory of the keys that its secrets are sealed with; filled
    once, for the passwords take long to hash."""
    url, data = prepared_database("sqlite", "demo_mould"), Path(tempfile.mkdtemp(prefix="sbx-demo-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_PANEL_DATA_DIRECTORY": str(data)}))
    fill_demo(panel, accounts=5)
    panel.close()
    return url, data


def _path(url: str) -> str:
    return str(make_url(url).database)


def debian_environment(directory: Path) -> Path:
    """A virtual environment of Debian's Python, for what is built for that one; it finds what this one has.

    What is compiled for another version cannot be loaded there: the test is skipped, and in CI run under Debian's own.
    """
    python = Path("/usr/bin/python3")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    told = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    if (
        not python.exists()
        or subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip() != version
    ):
        pytest.skip(f"Debian's Python is not {version}, for which the packages here are compiled")
    home = directory / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", home], check=True, timeout=60)
    [packages] = home.glob("lib/*/site-packages")
    paths = [path for path in sys.path if "site-packages" in path]
    (packages / "ours.pth").write_text("\n".join([*paths, str(ROOT)]))
    return home
