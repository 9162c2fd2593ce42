"""What a simulated node runs and holds: streams, encoded films and processes. Knows no HTTP.

Source: contract chapter 95 §8.2 and §11.
"""

import random
import threading
from dataclasses import dataclass, field

SERVICE_USER = "xtreamcodes"


@dataclass
class Stream:
    """A running stream: ``monitor_pid`` restarts the encoder ``pid`` when it dies."""

    monitor_pid: int
    pid: int
    restarts: int = 0


@dataclass
class Film:
    """``pid`` encodes it, None when nothing does; ``files`` are the names that were written."""

    pid: int | None = None
    files: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Process:
    user: str
    command: str


class NodeState:
    """Every change happens under ``lock``; process ids follow from ``seed``."""

    def __init__(self, seed: int = 1) -> None:
        self.lock = threading.RLock()
        self.streams: dict[int, Stream] = {}
        self.films: dict[int, Film] = {}
        self.processes: dict[int, Process] = {}
        self._random = random.Random(seed)  # noqa: S311 - process ids that a test can foresee

    def start_stream(self, id: int) -> None:
        """A running one is killed and started again."""
        with self.lock:
            running = self.streams.get(id)
            if running is not None:
                self._end(running.monitor_pid, running.pid)
            monitor, encoder = self._run(f"stream-monitor {id}"), self._run(f"ffmpeg stream {id}")
            self.streams[id] = Stream(monitor, encoder, running.restarts + 1 if running else 0)

    def stop_stream(self, id: int) -> None:
        with self.lock:
            running = self.streams.pop(id, None)
            if running is not None:
                self._end(running.monitor_pid, running.pid)

    def start_film(self, id: int, extension: str = "mp4") -> None:
        with self.lock:
            self.stop_film(id)
            self.films[id] = Film(self._run(f"ffmpeg film {id}"), {f"{id}.{extension}"})

    def stop_film(self, id: int) -> None:
        """Ends the encoding, and removes the files of exactly this id."""
        with self.lock:
            film = self.films.pop(id, None)
            if film is not None and film.pid is not None:
                self._end(film.pid)

    def hold_files(self, *names: str) -> None:
        """As if encoded long ago: ``6.mp4`` belongs to film 6."""
        with self.lock:
            for name in names:
                self.films.setdefault(int(name.partition(".")[0]), Film()).files.add(name)

    @property
    def files(self) -> set[str]:
        with self.lock:
            return {name for film in self.films.values() for name in film.files}

    def add_process(self, pid: int, user: str = SERVICE_USER, command: str = "php-fpm") -> None:
        with self.lock:
            self.processes[pid] = Process(user, command)

    def kill(self, pid: int) -> None:
        """A killed encoder comes back under a new id as long as its monitor lives."""
        with self.lock:
            self._end(pid)
            for id, stream in self.streams.items():
                if stream.pid == pid and stream.monitor_pid in self.processes:
                    stream.pid = self._run(f"ffmpeg stream {id}")
                    stream.restarts += 1

    def is_running(self, pid: int, program: str) -> bool:
        with self.lock:
            process = self.processes.get(pid)
            return process is not None and process.command.partition(" ")[0] == program

    def _run(self, command: str) -> int:
        pid = self._random.randrange(10_000, 4_000_000)
        while pid in self.processes:
            pid += 1
        self.processes[pid] = Process(SERVICE_USER, command)
        return pid

    def _end(self, *pids: int) -> None:
        for pid in pids:
            self.processes.pop(pid, None)
