"""The processes that programs of ours start themselves (the bench, the drill), forked from a warm one as well."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, Any

import pytest

from tests.worlds.forked import forked
from tests.worlds.warm_server import run


def start_warm(patch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Where ``module`` starts Python as ``subprocess.Popen([sys.executable, …])``, without pipes, it gets a fork."""
    others = {name: getattr(subprocess, name) for name in subprocess.__all__}
    patch.setattr(module, "subprocess", SimpleNamespace(**(others | {"Popen": _popen})))


def _popen(arguments: Iterable[str | Path], **options: Any) -> "subprocess.Popen[Any] | _Started":
    command = [str(argument) for argument in arguments]
    if command[0] != sys.executable or options["stdin"] == subprocess.PIPE:
        return subprocess.Popen(command, **options)
    files = [_place(options[name]) for name in ("stdin", "stdout", "stderr")]
    return _Started(command, options["cwd"], options["env"], files)


def _place(file: int | IO[Any]) -> str:
    return os.devnull if isinstance(file, int) else str(file.name)


class _Started:
    """As much of :class:`subprocess.Popen` as is used."""

    def __init__(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], files: Sequence[str]) -> None:
        self._process = forked(_child, command[1:], str(cwd), json.dumps(dict(environment)), files)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("the forked process", timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[None, None]:
        self.wait(timeout)
        return None, None

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _child(arguments: Sequence[str], cwd: str, environment: str, files: Sequence[str]) -> None:
    flags = (os.O_RDONLY, *[os.O_WRONLY | os.O_APPEND] * 2)
    opened = [os.open(file, flag) for file, flag in zip(files, flags, strict=True)]
    sys.exit(run(list(arguments), cwd, json.loads(environment), opened))
