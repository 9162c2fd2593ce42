"""What happened to accounts, announced in the transaction that made it so, and who hears of it.

Each listener is a job of its own (:mod:`core.jobs.jobs`): it never delays or fails the request, runs after the
commit, and is not lost when the process ends. Source: contract chapter 20 §1.10.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

from sqlalchemy import Connection

from core.accounts.on_portals import servers
from core.jobs import jobs
from core.jobs.jobs import Work
from core.panel import Panel
from core.portal import PortalError

log = logging.getLogger(__name__)

CREATED, RENEWED, REMOVED, STATUS_CHANGED = "created", "renewed", "removed", "status_changed"


@dataclass(frozen=True, slots=True)
class Event:
    """``kind`` is one of the four above; ``owner_id`` the account's reseller, ``actor_id`` who did it; ``phone`` what
    the request gave, None for nothing."""

    kind: str
    account_id: int
    username: str
    mac: str
    full_name: str
    owner_id: int | None
    actor_id: int
    actor_name: str
    plan_name: str | None = None
    end_date: date | None = None
    phone: str | None = None

    def stored(self) -> dict[str, Any]:
        """As plain data, for an operation's record or a job."""
        return {**asdict(self), "end_date": self.end_date and self.end_date.isoformat()}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        end = stored["end_date"]
        return cls(**{**stored, "end_date": date.fromisoformat(end) if end else None})


Listener = Callable[[Panel, Event], None]


def announce(panel: Panel, connection: Connection, event: Event) -> None:
    """One job for each listener, in the caller's transaction. Call :func:`core.jobs.jobs.ring` after the commit."""
    for name in LISTENERS.get(event.kind, ()):
        if event.phone or name not in _BY_PHONE:
            jobs.add(panel, connection, name, event.stored(), actor_id=event.actor_id)


def welcome_device(panel: Panel, event: Event) -> None:
    """The configured welcome text on the set-top box, by server 1 and 2; failures are ignored."""
    text = panel.config.panel.welcome_message
    if not text:
        return
    for server in servers(panel):
        try:
            server.send_message(event.mac, text)
        except PortalError as error:
            log.warning("welcome message by %s: %s", server.name, type(error).__name__)


def _kind(listener: Listener) -> jobs.Kind:
    def handle(work: Work) -> None:
        listener(work.panel, Event.read(work.payload))

    return jobs.Kind(handle)


KINDS: dict[str, jobs.Kind] = {"welcome_device": _kind(welcome_device)}
# event → the jobs that hear of it
LISTENERS: dict[str, tuple[str, ...]] = {CREATED: ("welcome_device", "welcome_sms"), RENEWED: ("renewal_sms",)}
# these hear only of accounts that a phone number was given for
_BY_PHONE = frozenset({"welcome_sms", "renewal_sms"})
