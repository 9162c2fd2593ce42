"""An interpreter that starts at once, for lines of a shell: each call is forked from one that has imported our program.

For tests that start processes themselves there is :mod:`tests.worlds.forked`; a line of a document or of a crontab
names an interpreter instead, and waits a second and more for its imports.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.worlds.places import ROOT

_BYTES = 1 << 20
_CALLER = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(call).to_bytes(4, "big") + call], [0, 1, 2])
sys.exit(int(server.recv(16) or b"255"))
"""


@cache
def warm_python() -> Path:
    """A program to be called as ``python -m …`` or ``python wsgi.py …``; it serves this test process.

    What a fresh interpreter reads of its environment (the locale, ``PYTHON…``) is that of the tests.
    """
    directory = Path(tempfile.mkdtemp(prefix="sbx-warm-"))
    address = str(directory / "socket")
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, address], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with server.stdout:
        assert server.stdout.readline() == b"ready\n"
    caller = directory / "python"
    caller.write_text(_CALLER.format(python=sys.executable, address=address))
    caller.chmod(0o755)
    atexit.register(_end, server, directory)
    return caller


def _end(server: "subprocess.Popen[bytes]", directory: Path) -> None:
    server.kill()
    server.communicate()
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def _serve(address: str) -> None:
    for name in ("flask.cli", "wsgi"):
        import_module(name)
    # the forks that answer are nobody's to wait for
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            caller, _ = listener.accept()
            with caller:
                if os.fork() == 0:
                    _answer(caller)


def _answer(caller: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    call, files, _, _ = socket.recv_fds(caller, _BYTES, 3)
    while len(call) - 4 < int.from_bytes(call[:4], "big"):
        call += caller.recv(_BYTES)
    child = os.fork()
    if child == 0:
        caller.close()
        os._exit(_run(*json.loads(call[4:]), files))
    for file in files:
        os.close(file)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    caller.sendall(str(code % 256).encode())
    os._exit(0)


def _run(arguments: list[str], directory: str, environment: dict[str, str], files: Sequence[int]) -> int:
    """The exit code of ``python`` with these arguments."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        return _code(end)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


if __name__ == "__main__":
    _serve(sys.argv[1])
