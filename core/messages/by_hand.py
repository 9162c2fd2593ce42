"""What channels have in common that send what somebody has typed: how it went, and who is told in the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.access.user_rows import read_user
from core.errors import UpstreamFailed
from core.jobs.jobs import Work
from core.messages.delivery import Delivery, Outcome

Whom = TypeVar("Whom")
# for a whole request; the rest goes on in the background (contract chapter 80)
LONGEST_WAIT_SECONDS = 50


@dataclass(slots=True)
class Tally(Generic[Whom]):
    """What became of the messages. ``known``: sent, or perhaps sent, before. ``errors``: whom it did not reach, why."""

    sent: int = 0
    known: int = 0
    errors: list[tuple[Whom, str]] = field(default_factory=list)

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


def author(by: By) -> dict[str, Any]:
    """Of a job's payload: who wrote it, from where."""
    return {"username": by.actor.username, "origin": by.origin.stored()}


def audit_sending(work: Work, channel: str, what: str, tally: Tally[Any]) -> None:
    """One row with the counts, as the author of the job's payload (:func:`author`)."""
    panel, actor_id = work.panel, work.record.actor_id or 0
    payload: Mapping[str, Any] = work.payload

    def act(connection: Connection) -> None:
        actor = read_user(panel, connection, actor_id) or bare_actor(actor_id, payload["username"])
        By(actor, Origin.read(payload["origin"])).write_audit(
            panel,
            connection,
            "send",
            channel,
            new={"sent": tally.reached, "failed": tally.failed},
            details=f"{what} sent: {tally.reached}, failed: {tally.failed}",
        )

    panel.database.transact(act)
