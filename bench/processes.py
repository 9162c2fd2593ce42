"""The processes of a measurement, the panel's server, the yardstick and the load client, and what they cost."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from secrets import randbelow
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
                [*arguments],
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

    @property
    def roots(self) -> tuple[int, ...]:
        """Whose children, and theirs, are the server as well."""
        return (self.child.pid,)

    def memory(self) -> dict[str, float]:
        """``rss`` and ``peak`` of its largest process in MiB; nothing on systems without /proc."""
        names = {"rss": "VmRSS", "peak": "VmHWM"}
        largest: dict[str, float] = {}
        for pid in family(self.roots):
            try:
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            except OSError:
                continue
            for key, name in names.items():
                if match := re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE):
                    largest[key] = max(largest.get(key, 0.0), int(match[1]) / 1024)
        return largest

    def cpu_seconds(self) -> float | None:
        """Processor time used so far by all of its processes; None on systems without /proc."""
        return cpu_seconds(family(self.roots))


def family(roots: Iterable[int]) -> list[int]:
    """``roots`` and the processes that they, and those, have started."""
    parents = {pid: int(fields[1]) for pid, fields in _processes()}
    found = set(roots)
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def database_processes() -> list[int]:
    """The database servers of this machine, which are others' as well."""
    names = {"mariadbd", "mysqld", "postgres"}
    found = []
    for pid, _ in _processes():
        try:
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii", errors="replace").strip() in names:
                found.append(pid)
        except OSError:
            continue
    return found


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """Processor time, user and system; None where none of them is known."""
    used = [int(fields[11]) + int(fields[12]) for pid in set(pids) if (fields := _stat(Path(f"/proc/{pid}/stat")))]
    return sum(used) / os.sysconf("SC_CLK_TCK") if used else None


def _processes() -> Iterator[tuple[int, list[str]]]:
    """All that there are."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        if fields := _stat(path):
            yield int(path.parent.name), fields


def _stat(path: Path) -> list[str]:
    """What /proc tells of a process, after its name, which may itself contain blanks and brackets; empty for none."""
    try:
        return path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


class LoadClient(Process):
    def __init__(self, folder: Path) -> None:
        super().__init__("client", [sys.executable, "-m", "bench.client"], folder, piped=True)

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
    port = free_port()
    sections = {**settings, "server": {"host": "127.0.0.1", "port": port, **settings.get("server", {})}}
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    config = folder / "config.ini"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Server("panel", [sys.executable, ROOT / "wsgi.py", "--config", config], folder, port)


def hello_server(folder: Path, threads: int, processes: int, engine: str) -> Server:
    port = free_port()
    options = [str(port), str(threads), str(processes), engine]
    return Server("hello", [sys.executable, "-m", "bench.hello", *options], folder, port)


def _environment() -> dict[str, str]:
    """Ours without the panel's own variables: what is measured is what the options say."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SHOWBOX_")}


def free_port() -> int:
    """One below those that systems give to whoever asks for any: a server that is about to start finds it free. Above
    10080, the last of those that browsers refuse to go to."""
    while True:
        port = 10_081 + randbelow(19_919)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
