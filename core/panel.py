"""What the business works with: configuration, clock, database and what is known of its layout, passwords, throttle.

One :class:`Panel` per process; every core function that does more than arithmetic takes it as its first argument.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakSet

from core.config import Config, Portal
from core.errors import DatabaseFailed
from core.outbound.redis_servers import RedisServers
from core.portal import settings_in_force
from core.portal.portals import Portals
from core.security.counters import DatabaseCounters
from core.security.hash_kinds import HashKinds
from core.security.key_files import kept_key
from core.security.passwords import Passwords
from core.security.redis_counters import RedisCounters
from core.security.sealing import Sealer, Unreadable
from core.security.throttle import Allowance, LoginThrottle
from core.storage import schema
from core.storage.caching.answer_cache import AnswerCache
from core.storage.database import Database
from core.storage.schema import Layout
from core.values.clock import Clock

log = logging.getLogger(__name__)

LAYOUT_SECONDS = 30
# of one user: who may test where a server stands could look around the network with it
CONNECTION_TESTS_PER_MINUTE = 10
APPLICATION_KEY_FILE = "application.key"
_CLOSING_SECONDS = 5.0


class Closable(Protocol):
    def close(self) -> None: ...


Owned = TypeVar("Owned", bound=Closable)


def _redis(config: Config) -> str:
    """The address of the Redis server that is used anyhow, for sessions or jobs; empty: none."""
    session = config.session
    url = session.redis_url if session.store == "redis" else config.jobs.redis_url
    return url.get_secret_value()


class Panel:
    """Nothing here touches the database before it is needed, so that a panel starts while its database is down."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock(config.panel.timezone)
        self.database = Database(
            config.database.url.get_secret_value(),
            pool_size=config.server.threads,
            longest_transaction=config.database.longest_transaction_seconds,
        )
        self.redis = RedisServers()
        # of attempts, for all processes
        self.counters: RedisCounters | DatabaseCounters = (
            RedisCounters(address, self.redis.at(address))
            if (address := _redis(config))
            else DatabaseCounters(self.database, lambda: self.layout)
        )
        self.throttle = LoginThrottle(config.security.login_attempts_per_minute, self.counters)
        self.connection_tests = Allowance(CONNECTION_TESTS_PER_MINUTE, self.counters)
        self.answer_cache = AnswerCache()
        # the auto-logout setting as last seen, for judging a session while the database is away
        self.last_timeout: int | None = None
        # what threads of their own wait on between two tries
        self.is_closing = threading.Event()
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._layout: Layout | None = None
        self._layout_read_at = 0.0
        self._layout_lock = threading.Lock()
        self._portals: Portals | None = None
        self._portals_lock = threading.Lock()
        self._portal_rows: settings_in_force.Rows | None = None
        self._owned: dict[Callable[[Panel], Any], Any] = {}
        self._stopping: list[Callable[[Panel], Any]] = []
        # making one thing may ask for another
        self._owned_lock = threading.RLock()

    @property
    def layout(self) -> Layout:
        """What tables and columns exist; the first look prepares the database (see
        :func:`core.storage.schema.prepare`).

        A panel's database may be upgraded, or changed by the panel, while we run: it is looked at again now and then.
        """
        layout = self._layout
        if layout is not None and (layout.origin == schema.OWN or monotonic() < self._layout_read_at + LAYOUT_SECONDS):
            return layout
        with self._layout_lock:
            if self._layout is layout:
                found = schema.prepare(self.database) if layout is None else schema.read_layout(self.database)
                # the same object while it is the same: statements that are kept by layout are found at once
                self._layout = layout if found == layout else found
                self._layout_read_at = monotonic()
            assert self._layout is not None  # noqa: S101 - set above, by us or by who held the lock
            return self._layout

    @cached_property
    def passwords(self) -> Passwords:
        """Strong by default in a database of our own; MD5 while the PHP panel may share it."""
        wish = self.config.security.upgrade_passwords
        strong = wish == "yes" or (wish == "auto" and self.layout.origin == "own")
        return Passwords(strong=strong, kinds=HashKinds(self.database))

    @cached_property
    def fingerprint_key(self) -> str:
        """The stored random key of :func:`core.security.passwords.fingerprint`."""
        self.layout  # noqa: B018 - the table that it is stored in
        return schema.secret(self.database, "credential_fingerprint")

    @property
    def portal_settings(self) -> Portal:
        """What is set of the portal servers, looked at anew each time: another process may have saved it just now.

        While the database is away, what was seen last must do: an operation under way still has to be undone.
        """
        try:
            has_rows = self.layout.has_table(settings_in_force.TABLE)
            self._portal_rows = settings_in_force.read_rows(self.database) if has_rows else {}
        except DatabaseFailed:
            if self._portal_rows is None:
                raise
        return settings_in_force.in_force(self.config.portal, self._portal_rows, self.unsealed)

    def unsealed(self, stored: str | None, place: str) -> str:
        """What was sealed for that ``place``, empty where this server's key cannot read it: then it must be entered
        again."""
        try:
            return self.sealer.unsealed(stored, place)
        except Unreadable:
            log.error("%s", Unreadable.default_text)
            return ""

    @property
    def portals(self) -> Portals:
        """The portal servers of the settings in force, with new connections when these have changed.

        Ask once for what belongs together. Raises PortalInvalidInput when an address is malformed.
        """
        settings = self.portal_settings
        with self._portals_lock:
            if self._portals is None or self._portals.settings != settings:
                known = settings_in_force.destinations(self.config.portal)
                new = Portals(settings, zone=self.clock.zone, theme_servers=known)
                self._close_portals()
                self._portals = new
            return self._portals

    def _close_portals(self) -> None:
        if self._portals is not None:
            self._portals.close()

    @cached_property
    def sealer(self) -> Sealer:
        """Seals passwords that must be read again, with the configured key or the one of the data directory."""
        configured = self.config.security.application_key.get_secret_value().encode()
        directory = self.config.panel.data_directory

        def read_key() -> bytes:
            return configured or kept_key(directory, APPLICATION_KEY_FILE, lambda: secrets.token_hex(32).encode())

        return Sealer(read_key, is_ours=self.layout.origin == schema.OWN)

    def own(self, make: Callable[["Panel"], Owned], *, stops_work: bool = False) -> Owned:
        """What ``make`` made of this panel at the first call; closed with the panel.

        ``stops_work``: it is closed first, since threads of the panel end only then.
        """
        with self._owned_lock:
            if make not in self._owned:
                self._owned[make] = make(self)
                if stops_work:
                    self._stopping.append(make)
            return cast(Owned, self._owned[make])

    @contextmanager
    def lend(self, make: Callable[["Panel"], Owned], thing: Owned) -> Iterator[None]:
        """For tests: ``thing`` stands in for what ``make`` made, and is the lender's to close."""
        with self._owned_lock:
            previous = self._owned.get(make)
            self._owned[make] = thing
        try:
            yield
        finally:
            with self._owned_lock:
                del self._owned[make]
                if previous is not None:
                    self._owned[make] = previous

    def start_thread(self, target: Callable[[], object], name: str) -> threading.Thread:
        """A thread that ends with the process, and is waited for a moment when the panel closes."""
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()
        return thread

    def close(self) -> None:
        self.is_closing.set()
        for make in self._stopping:
            self._owned.pop(make).close()
        self._stopping.clear()
        for thread in list(self._threads):
            thread.join(_CLOSING_SECONDS)
        self._close_portals()
        while self._owned:
            self._owned.popitem()[1].close()
        self.redis.close()
        self.database.dispose()
