"""The bell between who adds jobs and who runs them: Huey, over a SQLite file or Redis.

Only rings travel through it, as JSON, for unpickling what others wrote would run it; the jobs themselves are rows
(:mod:`core.jobs.jobs`). What a ring makes a worker do is set by :mod:`core.workers.workers`.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from huey import Huey, RedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

from core.config import Config
from core.errors import PanelError
from core.outbound.redis_servers import RedisServers
from core.panel import Panel
from core.storage.private_files import private_file

log = logging.getLogger(__name__)

_NAME = "showbox"
# a worker that finds nothing looks again after 0.05 s, then ever later up to this
_LONGEST_PAUSE_SECONDS = 0.5
_CLOSING_SECONDS = 5.0

Action = Callable[[], object]


class QueueUnusable(PanelError):
    default_text = "The queue of jobs cannot be kept: its file ([jobs] queue_file) cannot be made or written."


class Queue:
    """``ring()`` wakes a worker, here or in another process; ``start()`` begins to work in this one.

    ``attach`` says what workers of this process do; without it the queue can only ring.
    """

    def __init__(self, config: Config, servers: RedisServers) -> None:
        self._config = config.jobs
        self._place = _file(config)
        address = config.jobs.redis_url.get_secret_value()
        self._redis = servers.at(address) if address else None
        self._made: Huey | None = None
        self._ring: Any = None
        self._periodic: list[tuple[str, Callable[[], bool], Action]] = []
        self._consumer: _Consumer | None = None
        self._lock = threading.Lock()
        self._making = threading.RLock()
        self._action: Action | None = None
        self._started_in = os.getpid()
        self._is_closed = False

    @property
    def _huey(self) -> Huey:
        """Made when it is needed: a command that rings nobody makes no file."""
        with self._making:
            if self._made is None:
                self._made = self._make()
                self._ring = self._made.task(name="ring")(self._on_ring)
            return self._made

    def _make(self) -> Huey:
        if self._redis is not None:
            pool = self._redis.ringing_pool
            huey = RedisHuey(_NAME, connection_pool=pool, results=False, read_timeout=1, serializer=_JsonRings())
        else:
            private_file(self._place)
            huey = SqliteHuey(_NAME, filename=str(self._place), results=False, serializer=_JsonRings())
        for name, is_time, action in self._periodic:
            huey.periodic_task(partial(_asked, is_time), name=name)(action)
        return huey

    def open(self) -> None:
        """For a server that starts. Raises QueueUnusable where the queue's file cannot be used."""
        try:
            self._huey  # noqa: B018 - made now
        except (OSError, sqlite3.Error):
            raise QueueUnusable from None

    def attach(self, on_ring: Action) -> None:
        self._action = on_ring

    def every(self, name: str, is_time: Callable[[], bool], action: Action) -> None:
        """Run ``action`` on a worker whenever ``is_time`` says so; it is asked once a minute. Before ``start``."""
        self._periodic.append((name, is_time, action))

    def ring(self, delay: float = 0.0) -> None:
        """Wake a worker, in ``delay`` seconds. Where workers run in this process, the first ring starts them."""
        try:
            if self._config.in_process and self._action is not None:
                self.start()
            with self._redis.asked() if self._redis is not None else nullcontext():
                self._huey  # noqa: B018 - made at the first ring
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
                self._close_made()
            if self._consumer is None and not self._is_closed:
                self.open()
                self._consumer = _Consumer(
                    self._huey,
                    workers=self._config.workers,
                    initial_delay=0.05,
                    max_delay=_LONGEST_PAUSE_SECONDS,
                )
                self._consumer.start()

    def work(self) -> None:
        """Work until this process is told to end (SIGTERM, Ctrl-C)."""
        self.open()
        Consumer(self._huey, workers=self._config.workers, initial_delay=0.05, max_delay=_LONGEST_PAUSE_SECONDS).run()

    def close(self) -> None:
        """:meth:`rest` for ever."""
        self._is_closed = True
        self.rest()

    def rest(self) -> None:
        """End the workers of this process until the next ring; one that is in the middle of a job is not waited for for
        long."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.end(_CLOSING_SECONDS)
        self._close_made()

    def _close_made(self) -> None:
        """The connection to its file; the next ring opens another."""
        if self._made is not None and self._redis is None:
            self._made.storage.close()

    def _on_ring(self) -> None:
        if self._action is not None:
            self._action()


def bell(panel: Panel) -> Queue:
    """The panel's own."""
    return panel.own(_make, stops_work=True)


def _make(panel: Panel) -> Queue:
    return Queue(panel.config, panel.redis)


def _asked(is_time: Callable[[], bool], now: datetime) -> bool:
    # Huey's own clock knows no zone
    return is_time()


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


def _file(config: Config) -> Path:
    return Path(config.jobs.queue_file) if config.jobs.queue_file else _beside(config)


def _beside(config: Config) -> Path:
    """Next to a database that is a file, else in var/."""
    kind, _, path = config.database.url.get_secret_value().partition(":///")
    return Path(f"{path}.jobs") if kind.startswith("sqlite") and path else Path("var/showbox.jobs")
