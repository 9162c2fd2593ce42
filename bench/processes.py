"""The processes of a measurement, the panel's server, the yardstick and the load client, and what they cost."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

from bench.client import Job, Sample

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOG_TAIL = 2000


class NotStarted(Exception):
    """A server did not come up; the text has the end of its log."""


class Process:
    """A child process that is ended with the block it is used in."""

    def __init__(self, name: str, arguments: Sequence[str | Path], folder: Path, *, piped: bool = False) -> None:
        self.log = folder / f"{name}.log"
        pipe = subprocess.PIPE if piped else subprocess.DEVNULL
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=_environment(),
                stdin=pipe,
                stdout=pipe,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.terminate()
        try:
            self.child.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()


class Server(Process):
    """A server on a free port of the loopback address, ready to answer once the block is entered."""

    def __init__(self, name: str, arguments: Sequence[str | Path], folder: Path, port: int) -> None:
        super().__init__(name, arguments, folder)
        self.port = port

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.child.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self.__exit__()
        raise NotStarted(self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:])

    def memory(self) -> dict[str, float]:
        """``rss`` and ``peak`` in MiB; nothing on systems without /proc."""
        try:
            status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return {}
        names = {"rss": "VmRSS", "peak": "VmHWM"}
        found = {key: re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE) for key, name in names.items()}
        return {key: int(match[1]) / 1024 for key, match in found.items() if match}

    def cpu_seconds(self) -> float | None:
        """Processor time used so far, user and system; None on systems without /proc."""
        try:
            stat = Path(f"/proc/{self.child.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        # the fields after the name, which may itself contain blanks and brackets
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class LoadClient(Process):
    def __init__(self, folder: Path) -> None:
        super().__init__("client", ["-m", "bench.client"], folder, piped=True)

    def run(self, job: Job) -> Sample:
        """Let the client do ``job``. Raises RuntimeError when the client itself has failed."""
        stdin, stdout = self.child.stdin, self.child.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asdict(job)) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the load client has failed: {self.log.read_text()[-_LOG_TAIL:]}")
        return Sample(**json.loads(line))


def panel_server(folder: Path, settings: Mapping[str, Mapping[str, object]]) -> Server:
    """The panel as in production, ``python wsgi.py --config FILE``; ``settings``: section → key → value."""
    port = _free_port()
    sections = {**settings, "server": {"host": "127.0.0.1", "port": port, **settings.get("server", {})}}
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    config = folder / "config.ini"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Server("panel", [ROOT / "wsgi.py", "--config", config], folder, port)


def hello_server(folder: Path, threads: int) -> Server:
    port = _free_port()
    return Server("hello", ["-m", "bench.hello", str(port), str(threads)], folder, port)


def _environment() -> dict[str, str]:
    """Ours without the panel's own variables: what is measured is what the options say."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SHOWBOX_")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
