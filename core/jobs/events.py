"""What happened, announced in the transaction that made it so; each listener hears of it as a job of its own.

The source of an event knows no listener: a listener stands beside what it does, and says by :func:`hears` of which
class of events. As a job (:mod:`core.jobs.jobs`) it never delays or fails the request, runs after the commit, and is
not lost when the process ends. The modules with listeners are imported by :mod:`core.workers.workers`. Which events
there are: ``events`` of each room.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from core.jobs import jobs
from core.jobs.jobs import Kind, Work
from core.panel import Panel


class Event(ABC):
    """Something that happened; the class says what. ``actor_id``: who did it."""

    __slots__ = ()

    actor_id: int

    @abstractmethod
    def stored(self) -> dict[str, Any]:
        """As plain data, for a job or another record."""

    @classmethod
    @abstractmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """What :meth:`stored` gave, also in older versions."""


AnyEvent = TypeVar("AnyEvent", bound=Event)
Listener = Callable[[Work, AnyEvent], Mapping[str, Any] | None]
_Filter = Callable[[Any], bool]

# every listener's kind of job, by the name that its rows bear
KINDS: dict[str, Kind] = {}
_LISTENERS: dict[type[Event], list[tuple[str, _Filter]]] = {}


def hears(
    event: type[AnyEvent], job: str, *, attempts: int = 1, only: Callable[[AnyEvent], bool] = lambda event: True
) -> Callable[[Listener[AnyEvent]], Listener[AnyEvent]]:
    """Declare a listener. ``job``: the name of its jobs; ``attempts``: how often at most when it fails by a named
    error; ``only``: which events are worth a job. What its claims say that it has done it does not do again, so it
    carries on where the database fails."""

    def declare(listener: Listener[AnyEvent]) -> Listener[AnyEvent]:
        if job in KINDS:
            raise ValueError(f"there is a listener {job} already")
        KINDS[job] = Kind(lambda work: listener(work, event.read(work.payload)), attempts, carries_on=True)
        _LISTENERS.setdefault(event, []).append((job, only))
        return listener

    return declare


def announce(panel: Panel, connection: Connection, event: Event) -> None:
    """One job for each listener, in the caller's transaction. Call :func:`core.jobs.jobs.ring` after the commit."""
    for job, only in _LISTENERS.get(type(event), ()):
        if only(event):
            jobs.add(panel, connection, job, event.stored(), actor_id=event.actor_id)
