"""What channels have in common that send what somebody has typed: how it went, and who is told in the audit log."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from sqlalchemy import Connection

from core.access.began import Began
from core.errors import DatabaseRefused, UpstreamFailed
from core.jobs.claims import AUDITED, first_time
from core.jobs.jobs import Work
from core.messages.delivery import Delivery, Outcome
from core.panel import Panel

log = logging.getLogger(__name__)

Whom = TypeVar("Whom")
Told = TypeVar("Told")
# for a whole request; the rest goes on in the background (contract chapter 80)
LONGEST_WAIT_SECONDS = 50


@dataclass(slots=True)
class Tally(Generic[Whom]):
    """What became of the messages. ``known``: sent, or perhaps sent, before. ``errors``: whom it did not reach, why.
    ``is_recorded``: the logs have all of it."""

    sent: int = 0
    known: int = 0
    errors: list[tuple[Whom, str]] = field(default_factory=list)
    is_recorded: bool = True

    @property
    def failed(self) -> int:
        return len(self.errors)

    @property
    def reached(self) -> int:
        """Of what an earlier attempt sent, or may have, this one knows no more."""
        return self.sent + self.known

    @property
    def done(self) -> int:
        return self.reached + self.failed

    def count(self, whom: Whom, delivery: Delivery | None) -> None:
        """``delivery`` None: the message was known."""
        if delivery is None:
            self.known += 1
        elif delivery.outcome is Outcome.SENT:
            self.sent += 1
        else:
            self.errors.append((whom, delivery.error or "not sent"))


class NothingSent(UpstreamFailed):
    """Of what was typed nothing went out; ``sending``: how it went, as the channel tells it."""

    def __init__(self, text: str, sending: Any) -> None:
        super().__init__(text)
        self.sending = sending


@dataclass(frozen=True, slots=True)
class Result(Generic[Told]):
    """What came of it so far, as the job keeps it. ``errors``: whom it did not reach and why, in the channel's form;
    ``is_recorded``: the logs have all of it."""

    sent: int = 0
    errors: Sequence[Told] = ()
    is_recorded: bool = True

    def stored(self) -> dict[str, Any]:
        return {"sent": self.sent, "errors": list(self.errors), **stored_lack(self.is_recorded)}

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self:
        """``stored`` None: nothing was told yet."""
        stored = stored or {}
        return cls(stored.get("sent", 0), stored.get("errors", ()), stored.get("is_recorded", True))


def stored_lack(is_recorded: bool) -> dict[str, bool]:
    """What a job's result says where the logs have not all of it."""
    return {} if is_recorded else {"is_recorded": False}


class Counted(Protocol):
    """What became of the messages, however the channel counts them."""

    is_recorded: bool

    @property
    def reached(self) -> int: ...

    @property
    def failed(self) -> int: ...


def audit_sending(work: Work, began: Began, channel: str, what: str, tally: Counted, **counts: int) -> None:
    """One row of the job with the counts, as who had it sent; ``tally`` is told where the database will never take
    it."""
    panel = work.panel

    def act(connection: Connection) -> None:
        if not first_time(connection, AUDITED, f"job:{work.record.id}", panel.clock.stamp()):
            return
        began.by(panel, connection).write_audit(
            panel,
            connection,
            "send",
            channel,
            new={"sent": tally.reached, "failed": tally.failed, **counts},
            details=f"{what} sent: {tally.reached}, failed: {tally.failed}",
        )

    tally.is_recorded &= recorded(panel, act)


def recorded(panel: Panel, act: Callable[[Connection], object]) -> bool:
    """Whether the database takes what is written of messages that went out: that it refuses it is no failure of theirs.

    Raises what may pass: then it is written by another attempt.
    """
    try:
        panel.database.transact(act)
    except DatabaseRefused:
        log.error("What was sent cannot be recorded: the database refuses it")
        return False
    return True
