"""Our program in processes of its own, forked from one that has imported everything already: two seconds less each."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from functools import cache
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any

from flask import cli

import showbox
import wsgi
from tests.worlds.places import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
_WARMED = "tests.worlds.warmed"
_CONTEXT.set_forkserver_preload([__name__, _WARMED])


def prepare(module: str) -> None:
    """The process that all are forked from imports this module before anything else, now."""
    _CONTEXT.set_forkserver_preload([module, __name__, _WARMED])
    with _silent():
        resource_tracker.ensure_running()
    _begin()


@contextmanager
def _silent() -> Iterator[None]:
    """For a process that tells at its end what others left to it, as those do that tests kill."""
    said = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(said, 2)
            os.close(said)


def share() -> None:
    """This process, which was forked itself, has its own forked from the same. :mod:`multiprocessing` promises that but
    starts another, for it does not know the first one's process; where it also keeps a key for each, let it."""
    server = forkserver._forkserver
    if server._forkserver_address and not hasattr(server, "_forkserver_authkey"):
        server.ensure_running = lambda: None


def forked(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process that does this, begun."""
    _begin()
    process = _CONTEXT.Process(target=_warm, args=(target, *arguments))
    process.start()
    return process


@cache
def _begin() -> None:
    """Where it begins, it finds what it shall import."""
    with chdir(ROOT):
        forkserver.ensure_running()


def _warm(target: Callable[..., None], *arguments: Any) -> None:
    assert _WARMED in sys.modules, "the process that all are forked from could not import it, without a word"
    target(*arguments)


class Forked:
    """``flask --app wsgi …``, ``showbox …``, ``python wsgi.py …`` or ``python -c …`` under way; what it prints can be
    read while it runs."""

    def __init__(
        self, program: str, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], stdin: str = ""
    ) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._path = Path(self._directory.name)
        (self._path / "in").write_text(stdin)
        os.mkfifo(self._path / "out")
        self.process = forked(
            _child, program, list(arguments), str(cwd), json.dumps(dict(environment)), str(self._path)
        )
        assert self.process.pid is not None
        self.pid: int = self.process.pid
        # opens when the child has opened its end
        self.stdout: IO[str] = (self._path / "out").open(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return (self._path / "err").read_text()

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.is_alive():
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(60)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone, as it may be already; another thread may wait for the exit code."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        connection.wait([self.process.sentinel], 20)

    def wait(self, seconds: float) -> int:
        """The exit code."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("the forked process", seconds)
        return self.process.exitcode

    def close(self) -> None:
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.stdout.close()
        self._directory.cleanup()


def run(
    program: str,
    *arguments: str,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: str = "",
    seconds: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """As :func:`subprocess.run` would give it."""
    forked = Forked(program, arguments, cwd=cwd, environment=environment, stdin=stdin)
    try:
        out = forked.stdout.read()
        return subprocess.CompletedProcess([program, *arguments], forked.wait(seconds), out, forked.stderr)
    finally:
        forked.close()


def _child(program: str, arguments: list[str], cwd: str, environment: str, directory: str) -> None:
    os.environ.clear()
    os.environ.update(json.loads(environment))
    os.chdir(cwd)
    for number, name in enumerate(("in", "out", "err")):
        flags = os.O_RDONLY if name == "in" else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(f"{directory}/{name}", flags, 0o600), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - ends with the process
    if program == "wsgi.py":
        wsgi.main(arguments)
    elif program == "-c":
        sys.argv = ["-c", *arguments[1:]]
        exec(arguments[0], {"__name__": "__main__"})
    elif program == "showbox":
        sys.argv = ["showbox", *arguments]
        showbox.main()
    else:
        sys.argv = ["flask", "--app", "wsgi", *arguments]
        cli.main()
