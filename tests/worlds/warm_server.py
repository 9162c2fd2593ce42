"""The interpreter behind :mod:`tests.worlds.warm`: it imports our program once, and answers each call with a fork.

Also run by itself, as a file, by interpreters of other environments: it knows nothing of the tests.
"""

import atexit
import gc
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

_BYTES = 1 << 20
# what a fork does with its arguments, directory, environment, and files for 0, 1 and 2; it gives its exit code
Answer = Callable[[list[str], str, dict[str, str], Sequence[int]], int]


def serve_parent(address: str, answer: Answer) -> None:
    """Until the process that started this one has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    with socket.socket(socket.AF_UNIX) as listener:
        _listen(listener, address)
        _serve(listener, parent.sentinel, answer)


def serve_pipe(address: str) -> None:
    """Until the standard input ends; it says when it listens."""
    gc.disable()
    for name in ("flask.cli", "wsgi"):
        import_module(name)
    gc.freeze()
    gc.enable()
    with socket.socket(socket.AF_UNIX) as listener:
        _listen(listener, address)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        # nothing comes by the pipe; it ends with the process that holds the other end, however that ends
        _serve(listener, sys.stdin, run)


def _listen(listener: socket.socket, address: str) -> None:
    listener.bind(address)
    listener.listen()


def _serve(listener: socket.socket, until_readable: Any, answer: Answer) -> None:
    # the forks that answer are nobody's to wait for
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while select.select([listener, until_readable], [], [])[0] == [listener]:
        caller, _ = listener.accept()
        with caller:
            if os.fork() == 0:
                _answer(caller, answer)


def _answer(caller: socket.socket, answer: Answer) -> None:
    """Tell the caller the process, which ends with it, then its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    call, files, _, _ = socket.recv_fds(caller, _BYTES, 3)
    while call and len(call) - 4 < int.from_bytes(call[:4], "big"):
        call += caller.recv(_BYTES)
    if not call:
        os._exit(0)
    child = os.fork()
    if child == 0:
        caller.close()
        try:
            code = answer(*json.loads(call[4:]), files)
        finally:
            # as at the end of an interpreter, which a fork does not have
            atexit._run_exitfuncs()
        os._exit(code)
    for file in files:
        os.close(file)
    caller.sendall(f"{child}\n".encode())
    if caller in select.select([caller, os.pidfd_open(child)], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):
        caller.sendall(f"{code % 256}\n".encode())
    os._exit(0)


def run(arguments: list[str], directory: str, environment: dict[str, str], files: Sequence[int]) -> int:
    """The exit code of ``python`` with these arguments."""
    become(directory, environment, files)
    # the door is opened by each
    sys.modules.pop("wsgi", None)
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(arguments[1], {"__name__": "__main__"})
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


def become(directory: str, environment: dict[str, str], files: Sequence[int]) -> None:
    """This process is there, in that environment, with these files as its first."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - ends with the process
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


if __name__ == "__main__":
    serve_pipe(sys.argv[1])
