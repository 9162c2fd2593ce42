"""The ways in which a write endpoint's world can fail: each is a case, which does a deed while something does not work.

By default a sample (:meth:`Cases._some`): each endpoint meets each way that it can meet, and so does each kind of
database. What moves money or accounts is looked at more closely: each way of its database on each kind, at two steps on
SQLite, those of its portal and of being killed on SQLite and on one server. The rest meets each way on one kind, in
turn. ``SHOWBOX_TEST_MATRIX=all`` takes every step on every kind of database.
"""

import gc
import os
import select
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

import requests
from flask import Flask
from flask.testing import FlaskClient

from core.accounts import recovery
from core.portal.wire import deadline, transport
from simulators.faults import Answer, Cut, Delay, Exchange, Fault, Refuse, Respond
from simulators.wire import Response
from tests.worlds.breaking import Steps, busy_places, changes, commits, effects, ends
from tests.worlds.deeds import Deed
from tests.worlds.harness import Client
from tests.worlds.strangers import strange_engine
from tests.worlds.truth import LOGS, Ground, Healthy

EVERYTHING = os.environ.get("SHOWBOX_TEST_MATRIX") == "all"
# what moves one of these is looked at more closely
_DEAR = {"_accounts", "_sbx_operations", "_transactions", "_reseller_payments"}
# how long a call is waited for that is not to be answered in time
_HASTY_SECONDS = 0.05
_PATIENT_SECONDS = 60
_SERVERS = ("mysql", "postgresql")
_DIALECTS = ("sqlite", *_SERVERS)
# of a database that a connection leads to
_OF_SERVERS = ("lost", "unanswered")
_JSON = partial(Response, content_type="application/json")


@dataclass(frozen=True)
class Case:
    """``do``: the deed, by a session, while something fails; no answer where who would give it is killed.

    ``must_work``: what fails here is no reason for anything but success. ``believes``: the portal's word is all that is
    known, also where it lies. ``kept``: tables that also keep what failed.
    """

    name: str
    do: Callable[[Client], requests.Response | None]
    must_work: bool = False
    believes: bool = False
    kept: frozenset[str] = frozenset()


class NeverCame(Exception):
    """The deed was done without the step at which its database should have failed, or not at all."""


class Cases:
    """All cases of one deed on its ground."""

    def __init__(self, ground: Ground, deed: Deed, healthy: Healthy) -> None:
        self._ground = ground
        self._deed = deed
        self._healthy = healthy
        self._steps = ground.steps
        self._dialect = ground.deeds.panel.database.dialect
        self._is_file = ground.steps.driver.says_begin
        self._is_dear = not _DEAR.isdisjoint(healthy.tables)

    def __iter__(self) -> Iterator[Case]:
        yield from self._database()
        yield from self._portal()
        yield from self._locked()
        yield from self._killed()

    def _some(self, places: Sequence[Any], way: str, *, most: int | None = None) -> Sequence[Any]:
        """So many of the ``places``, spread, from one on that the names decide; None: as many as where each endpoint
        meets each way once, and what is dear on SQLite and on a server."""
        if EVERYTHING:
            return places
        if most is None:
            most = int(self._is_in_turn(way, _DIALECTS))
            if self._is_dear:
                most = int(self._is_file or self._is_in_turn(way, _SERVERS))
        if len(places) <= most:
            return places
        # another one on each kind
        number = self._number(way) + _DIALECTS.index(self._dialect)
        chosen = {(number + turn * len(places) // most) % len(places) for turn in range(most)}
        return [places[place] for place in sorted(chosen)]

    def _is_in_turn(self, way: str, dialects: Sequence[str]) -> bool:
        """Whether it is this kind of these on which the deed meets that way."""
        return dialects[self._number(way) % len(dialects)] == self._dialect

    def _number(self, way: str) -> int:
        return crc32(f"{self._deed.name} {way}".encode())

    # the database

    def _database(self) -> Iterator[Case]:
        ways: dict[str, tuple[Sequence[int], Callable[[Steps, int], None]]] = {
            "busy": (busy_places(self._healthy.seen, says_begin=self._is_file), Steps.busy_once),
            "gone": (ends(self._healthy.seen), Steps.gone_from),
            "refused": (changes(self._healthy.seen), Steps.never_takes),
        }
        if not self._is_file:
            ways["lost"] = (ends(self._healthy.seen), Steps.lost_once)
            ways["unanswered"] = (commits(self._healthy.seen), Steps.unanswered)
        for way, (places, fail) in ways.items():
            kinds = _SERVERS if way in _OF_SERVERS else _DIALECTS
            most = (2 if self._is_file else 1) if self._is_dear else int(self._is_in_turn(way, kinds))
            for at in self._some(places, way, most=most):
                name = f"the database {way} at {at} ({self._healthy.seen[at][:60]})"
                # what a job could not send is told there
                kept = _UNSENT if way == "refused" and at in self._healthy.of_jobs else frozenset[str]()
                yield Case(name, partial(self._do_broken, fail, at), kept=kept)

    def _do_broken(self, fail: Callable[[Steps, int], None], at: int, session: Client) -> requests.Response:
        fail(self._steps, at)
        try:
            response = self._ground.deeds.do(self._deed, session)
            if self._steps.at is not None:
                raise NeverCame(f"{self._deed.name} never came to step {at}")
            return response
        finally:
            self._steps.forget()

    # the portal

    def _portal(self) -> Iterator[Case]:
        for way, make in PORTAL.items():
            places = [at for at, call in enumerate(self._healthy.calls) if way in _ANYTIME or _can_be_looked_up(call)]
            if way in _LYING:
                places = [at for at in places if not self._healthy.calls[at].startswith("GET")]
            for at in self._some(places, way):
                name = f"the portal {way} at {at} ({self._healthy.calls[at]})"
                do = partial(self._do_with_portal, make, at)
                yield Case(name, do, way == "slow", way in _LYING, _LOGGED)

    def _do_with_portal(self, make: Callable[[], Fault], at: int, session: Client) -> requests.Response:
        fault, portal = make(), self._ground.deeds.portal
        portal.fail("*", fault, after=at, times=None if isinstance(fault, Refuse) else 1)
        try:
            with hasty_at(at if isinstance(fault, Late) else None):
                return self._ground.deeds.do(self._deed, session)
        finally:
            portal.clear_faults()
            if isinstance(fault, Late):
                fault.end()

    # somebody else's locks

    def _locked(self) -> Iterator[Case]:
        if self._dialect != "mysql":
            return
        tables = sorted(self._healthy.tables - {"_sbx_sessions"})
        chosen = [tables] if tables else []
        if EVERYTHING:
            chosen += [[name] for name in tables]
        locks = [(names, briefly) for names in chosen for briefly in (True, False)]
        if self._is_dear or EVERYTHING:
            locks.append((["_sbx_sessions"], False))
        for names, briefly in self._some(locks, "locked", most=2 if self._is_dear else 1):
            do = partial(self._do_locked, names, briefly=briefly)
            if briefly:
                yield Case(f"{names} locked for a moment", do, must_work=True)
            else:
                yield Case(f"{names} locked", do, kept=_GIVEN_UP)

    def _do_locked(self, names: Sequence[str], session: Client, *, briefly: bool) -> requests.Response:
        database = self._ground.deeds.panel.database
        engine = strange_engine(database.url)
        self._steps.prepared = "SET SESSION innodb_lock_wait_timeout = 0"
        database.dispose()
        try:
            with engine.connect() as other:
                for name in names:
                    other.exec_driver_sql(f"SELECT 1 FROM {name} FOR UPDATE")
                met: list[bool] = []

                def meet() -> None:
                    met.append(True)
                    if briefly:
                        other.rollback()

                self._steps.at_failure = meet
                response = self._ground.deeds.do(self._deed, session)
                is_change = self._healthy.done.come or self._healthy.done.gone
                assert met or not is_change or len(names) == 1, (self._deed, "no statement met a lock")
                return response
        finally:
            self._steps.forget()
            self._steps.prepared = None
            database.dispose()

    # who works on it is killed

    def _killed(self) -> Iterator[Case]:
        most = 2 if self._is_file and self._is_dear else None
        after = [at + 1 for at in effects(self._healthy.seen) if at + 1 < len(self._healthy.seen)]
        for at in self._some(after, "killed", most=most):
            name = f"killed at {at} ({self._healthy.seen[at][:60]})"
            yield Case(name, partial(self._do_killed, at, None))
        calls = [
            (number, way)
            for number, call in enumerate(self._healthy.calls)
            for way in ("before", "done", "later")
            if _can_be_looked_up(call) and (way == "before" or not call.startswith("GET"))
        ]
        for number, way in self._some(calls, "killed there", most=most):
            name = f"killed at the portal's {self._healthy.calls[number]}, {way}"
            yield Case(name, partial(self._do_killed, None, (number, way)))

    def _do_killed(self, at: int | None, call: tuple[int, str] | None, session: Client) -> None:
        deeds, steps = self._ground.deeds, self._steps
        deeds.panel.database.dispose()
        deeds.panel.portals.close()
        child = Child()
        fault = None if call is None else Kills(child, call[1])
        if call is not None and fault is not None:
            deeds.portal.fail("*", fault, after=call[0], times=1)

        def act() -> None:
            if at is not None:
                steps.call_at(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
            deeds.do(self._deed, InProcess(deeds.world.app, session))

        steps.forget()
        try:
            child.run(act)
        finally:
            deeds.portal.clear_faults()
        # it has told us nothing of what it changed
        steps.changed |= self._healthy.tables
        if fault is not None:
            # as a server does that starts: what the portal does after that is seen by nobody but a second look
            recovery.finish_open_operations(deeds.panel)
            fault.end()


# faults of a portal


class Late(Fault):
    """The answer comes when its client has given up; the effect before that or, ``after``, when all seems over."""

    def __init__(self, *, after: bool) -> None:
        self._after = after
        self._is_over, self._is_done = threading.Event(), threading.Event()

    def act(self, exchange: Exchange, respond: Respond) -> None:
        response = None if self._after else respond()
        try:
            self._is_over.wait(_PATIENT_SECONDS)
            response = response or respond()
        finally:
            self._is_done.set()
        exchange.send(response)

    def end(self) -> None:
        """Call when the panel has answered; returns when the effect is there."""
        self._is_over.set()
        assert self._is_done.wait(_PATIENT_SECONDS), "it was asked for nothing"


_ERROR = _JSON(b'{"status":"ERROR","results":"","error":"Out of order"}')
_SQL = _JSON(b'{"status":"ERROR","results":"","error":"Query failed by reason : server has gone away"}')
_HTML = Response(b"<html><body>Fatal error</body></html>")
PORTAL: dict[str, Callable[[], Fault]] = {
    "down": Refuse,
    "half": Cut,
    "slow": lambda: Delay(0.01),
    "late": lambda: Late(after=False),
    "later": lambda: Late(after=True),
    "broken, done": lambda: Answer(_HTML, effect=True),
    "broken, not done": lambda: Answer(_HTML),
    "failing half way": lambda: Answer(_SQL, effect=True),
    "refusing": lambda: Answer(_ERROR),
    "says yes, did nothing": lambda: Answer(_JSON(b'{"status":"OK","results":true}')),
    "says no, did it": lambda: Answer(_ERROR, effect=True),
}
_LYING = ("says yes, did nothing", "says no, did it")
# what a box was sent cannot be looked up: then the portal's word is all that is known
_ANYTIME = ("down", "slow", "refusing", "broken, not done")
# what could not be sent is logged, and its job is done
_LOGGED = frozenset({"_stb_action_logs", "_sbx_jobs"})
_UNSENT = frozenset({"_audit_log", "_sbx_jobs", *LOGS})
# a job that could do nothing stays as one that failed
_GIVEN_UP = frozenset({"_sbx_jobs"})


def _can_be_looked_up(call: str) -> bool:
    return any(resource in call for resource in ("accounts", "users/"))


@contextmanager
def hasty_at(at: int | None) -> Iterator[None]:
    """The panel does not wait for the answer to its ``at``-th call of a portal (from 0)."""
    original, count = transport.within_deadline, iter(range(1 << 20))

    def limit(seconds: float) -> float:
        left = deadline.within_deadline(seconds)
        return min(left, _HASTY_SECONDS) if next(count) == at else left

    transport.within_deadline = limit
    try:
        yield
    finally:
        transport.within_deadline = original


# processes that are killed


class Child:
    """A process of our own, forked from this one, that shares nothing with it but what it is served."""

    pid = 0

    def run(self, act: Callable[[], None]) -> None:
        """Returns when it is gone, be it that it was killed. Raises NeverCame where it waits for ever: for a lock of a
        library, which another thread held when this one was copied without it."""
        with warnings.catch_warnings():
            # threads that wait for requests hold no lock
            warnings.simplefilter("ignore", DeprecationWarning)
            # what is left alone need not be copied
            gc.freeze()
            self.pid = os.fork()
        if self.pid == 0:
            try:
                gc.disable()
                threading.current_thread().name = "waitress-forked"
                act()
            finally:
                os._exit(0)
        gc.unfreeze()
        with open(os.pidfd_open(self.pid), "rb") as end:
            poll = select.poll()
            poll.register(end, select.POLLIN)
            has_ended = bool(poll.poll(_PATIENT_SECONDS * 1000))
        if not has_ended:
            self.kill()
        os.waitpid(self.pid, 0)
        if not has_ended:
            raise NeverCame("the copied process waits for ever")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Kills(Fault):
    """Who asks is killed ``before`` it is done, when it is ``done``, or before that and it is done ``later``."""

    def __init__(self, child: Child, when: str) -> None:
        self._child = child
        self._when = when
        self._is_over = threading.Event()
        self._is_done = threading.Event()

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self._when == "done":
            respond()
        self._child.kill()
        if self._when == "later":
            self._is_over.wait(_PATIENT_SECONDS)
            respond()
        self._is_done.set()
        exchange.hang_up()

    def end(self) -> None:
        self._is_over.set()
        assert self._is_done.wait(_PATIENT_SECONDS), "nobody was killed"


class InProcess(Client):
    """The session of another client, whose requests are answered in this thread."""

    def __init__(self, app: Flask, client: Client) -> None:
        super().__init__(client.url, client.cookies, {"User-Agent": requests.utils.default_user_agent()})
        self._app = app

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        client = FlaskClient(self._app, self._app.response_class)
        for name, value in self.cookies.items():
            client.set_cookie(name, value)
        client.open(
            path, method=method, headers=self.headers, query_string=options.get("params"), data=options.get("data")
        )
        return requests.Response()
