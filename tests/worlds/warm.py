"""Interpreters that start at once, for lines of a shell and programs of others: each call is forked from one that has
imported our program (:mod:`tests.worlds.warm_server`).

For tests that start processes themselves, and kill them, there is :mod:`tests.worlds.forked`; a line of a document, of
a crontab or of a unit names an interpreter instead, and waits two seconds and more for its imports.
"""

import atexit
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from tests.worlds import warm_server
from tests.worlds.forked import forked
from tests.worlds.places import ROOT
from tests.worlds.waiting import until

# ends as the call does, and passes on what it is told
_CALLER = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(call).to_bytes(4, "big") + call], [0, 1, 2])
answers = server.makefile()
pid = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
sys.exit(int(answers.readline() or "255"))
"""
_HERE = Path(sys.executable)


@cache
def warm_python(python: Path = _HERE, checkout: Path = ROOT) -> Path:
    """A program to be called as ``python -m …``, ``python -c …`` or ``python wsgi.py …``; it serves this test process.

    ``python``: of an environment that has our packages; this process' own by default. ``checkout``: a copy whose
    packages it uses instead. What a fresh interpreter reads of its environment (the locale, ``PYTHON…``) is that of the
    tests.
    """
    if (python, checkout) == (_HERE, ROOT):
        return answered_by(warm_server.run)
    return _caller(python, partial(_started, python, checkout))


def answered_by(answer: warm_server.Answer) -> Path:
    """A program whose calls are answered by forks of the process that all of ours are forked from."""
    return _caller(_HERE, partial(_forked, answer))


def _caller(python: Path, start: Callable[[str], Callable[[], object]]) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="sbx-warm-"))
    address = str(directory / "socket")
    end = start(address)
    caller = directory / "python"
    caller.write_text(_CALLER.format(python=python, address=address))
    caller.chmod(0o755)
    atexit.register(_end, end, directory)
    return caller


def warmed(command: Sequence[str]) -> list[str]:
    """The command as a warm interpreter does it: ``python …``, or a program in Python, by their paths; other commands
    as they are."""
    if not Path(command[0]).is_absolute():
        return list(command)
    if Path(command[0]).name.startswith("python"):
        return [str(warm_python(Path(command[0]))), *command[1:]]
    with Path(command[0]).open("rb") as file:
        line = file.readline().strip()
    if line.startswith(b"#!") and b"python" in line:
        return [str(warm_python(Path(line[2:].decode()))), *command]
    return list(command)


def _forked(answer: warm_server.Answer, address: str) -> Callable[[], object]:
    server = forked(warm_server.serve_parent, address, answer)
    until(lambda: _listens(address), "the warm interpreter serves")

    def end() -> None:
        server.kill()
        server.join()

    return end


def _listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(address) == 0


def _started(python: Path, checkout: Path, address: str) -> Callable[[], object]:
    """It must not find this checkout: the file is run by itself."""
    command = [str(python), "-P", warm_server.__file__, address]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SHOWBOX_", "PYTHON"))}
    if checkout != ROOT:
        clean["PYTHONPATH"] = str(checkout)
    server = subprocess.Popen(command, cwd="/", env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    with server.stdout:
        assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.kill()
        server.communicate()

    return end


def _end(end: Callable[[], object], directory: Path) -> None:
    end()
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
