"""The bell between who adds jobs and who runs them: Huey, over a SQLite file or Redis.

Only rings travel through it, as JSON, for unpickling what others wrote would run it; the jobs themselves are rows
(:mod:`core.jobs.jobs`). What a ring makes a worker do is set by :mod:`core.workers.workers`.
"""

import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import orjson
from huey import Huey, RedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

from core.config import Config
from core.panel import Panel
from core.storage.private_files import private_file

log = logging.getLogger(__name__)

_NAME = "showbox"
# a worker that finds nothing looks again after 0.05 s, then ever later up to this
_LONGEST_PAUSE_SECONDS = 0.5
_CLOSING_SECONDS = 5.0

Action = Callable[[], object]


class Queue:
    """``ring()`` wakes a worker, here or in another process; ``start()`` begins to work in this one.

    ``attach`` says what workers of this process do; without it the queue can only ring.
    """

    def __init__(self, config: Config) -> None:
        self._config = config.jobs
        self._huey = _storage(config)
        self._ring = self._huey.task(name="ring")(self._on_ring)
        self._consumer: _Consumer | None = None
        self._lock = threading.Lock()
        self._action: Action | None = None
        self._started_in = os.getpid()
        self._is_closed = False

    def attach(self, on_ring: Action) -> None:
        self._action = on_ring

    def every(self, name: str, is_time: Callable[[], bool], action: Action) -> None:
        """Run ``action`` on a worker whenever ``is_time`` says so; it is asked once a minute. Before ``start``."""

        def asked(now: datetime) -> bool:
            # Huey's own clock knows no zone
            return is_time()

        self._huey.periodic_task(asked, name=name)(action)

    def ring(self, delay: float = 0.0) -> None:
        """Wake a worker, in ``delay`` seconds. Where workers run in this process, the first ring starts them."""
        if self._config.in_process and self._action is not None:
            self.start()
        try:
            if delay:
                self._ring.schedule(delay=delay)
            else:
                self._ring()
        except Exception as error:
            # whatever the storage raises: the job is stored, and found at the next minute
            log.warning("the queue of jobs cannot be reached: %s", type(error).__name__)

    def start(self) -> None:
        """Begin to work in this process, on threads that end with it."""
        with self._lock:
            if self._started_in != os.getpid():
                # a server that forks after loading us leaves our threads behind
                self._consumer, self._started_in = None, os.getpid()
                self._huey.storage.close()
            if self._consumer is None and not self._is_closed:
                self._consumer = _Consumer(
                    self._huey,
                    workers=self._config.workers,
                    initial_delay=0.05,
                    max_delay=_LONGEST_PAUSE_SECONDS,
                )
                self._consumer.start()

    def work(self) -> None:
        """Work until this process is told to end (SIGTERM, Ctrl-C)."""
        Consumer(self._huey, workers=self._config.workers, initial_delay=0.05, max_delay=_LONGEST_PAUSE_SECONDS).run()

    def close(self) -> None:
        """End the workers of this process; one that is in the middle of a job is not waited for for long."""
        with self._lock:
            self._is_closed = True
            consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.end(_CLOSING_SECONDS)

    def _on_ring(self) -> None:
        if self._action is not None:
            self._action()


def bell(panel: Panel) -> Queue:
    """The panel's own."""
    return panel.own(_make, stops_work=True)


def _make(panel: Panel) -> Queue:
    return Queue(panel.config)


class _Consumer(Consumer):  # type: ignore[misc]
    """A consumer inside a server: signals are the server's business."""

    def _set_signal_handlers(self) -> None: ...

    def end(self, seconds: float) -> None:
        self.shutdown_timeout = seconds
        self.stop(graceful=True)


class _JsonRings(Serializer):  # type: ignore[misc]
    """Rings as JSON: who can write into the queue wakes a worker, and makes it run nothing else.

    A ring has no arguments, and its task must be registered here.
    """

    def _serialize(self, data: Message) -> bytes:
        eta = data.eta and data.eta.isoformat()
        return orjson.dumps({"id": data.id, "name": data.name, "eta": eta})

    def _deserialize(self, data: bytes) -> Message:
        told = orjson.loads(data)
        eta = told["eta"] and datetime.fromisoformat(told["eta"])
        return Message(str(told["id"]), str(told["name"]), eta, args=(), kwargs={})


def _storage(config: Config) -> Huey:
    if config.jobs.redis_url.get_secret_value():
        url = config.jobs.redis_url.get_secret_value()
        return RedisHuey(_NAME, url=url, results=False, read_timeout=1, serializer=_JsonRings())
    path = Path(config.jobs.queue_file) if config.jobs.queue_file else _beside(config)
    private_file(path)
    return SqliteHuey(_NAME, filename=str(path), results=False, serializer=_JsonRings())


def _beside(config: Config) -> Path:
    """Next to a database that is a file, else in var/."""
    kind, _, path = config.database.url.get_secret_value().partition(":///")
    return Path(f"{path}.jobs") if kind.startswith("sqlite") and path else Path("var/showbox.jobs")
