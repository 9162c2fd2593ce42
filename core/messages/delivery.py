"""The one outbox: a message is claimed and written down, sent, and marked as what became of it; each at most once.

``claim``   one transaction: a row of ``_sbx_claims`` under the message's name, and what the channel writes down
``send``    no transaction: the provider, mail server, portal or push service may take its time
``settle``  one transaction: the channel marks its rows, and the claim ends

What was certainly refused loses its claim, and may be sent again; what may have gone out keeps it. What became of a
message is known to nobody but who sent it, so that is written down with patience; what the database will never take of
it is said (:attr:`Outbox.is_recorded`), and is no failure of what was sent. The services cannot be asked whether they
have a message: so what a process that died left on its way counts as "may have arrived" (:func:`settle_interrupted`).
The moment in which that loses a message, between the claim's commit and the first byte, is some milliseconds; the other
choice would repeat messages whenever a process dies while a service answers.

A channel says what it writes down (:class:`Channel`), and calls its own client; channels do not know each other.
A sweep opens with :func:`settle_interrupted`, also when nothing is due. Source: contract chapters 60 S6 and S7, 70, 80.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, ClassVar, Generic, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, select, update

from core.errors import DatabaseFailed, DatabaseRefused
from core.jobs import claims
from core.panel import Panel
from core.storage import patience
from core.storage.tables import Claim
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

# longer than any call with all its tries: a push service may ask for ten minutes between two
LEASE_SECONDS = 1800
# how long it is tried to write down what became of a message; within the lease of any job
PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.5
# so many hopeless calls one after the other, and the rest is not tried
GIVE_UP_AFTER = 3
# longer than a reminder can be due before its account ends
_KEPT_SECONDS = 150 * 24 * 3600
_ERROR_CHARACTERS = 300


class Outcome(Enum):
    """What became of a message. ``REFUSED``: it certainly did not go out; ``UNKNOWN``: it may have."""

    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """``error``: for people, None when sent. ``is_hopeless``: the next call would fail alike."""

    outcome: Outcome
    error: str | None = None
    is_hopeless: bool = False

    def not_tried(self) -> Self:
        """What became of a message that was given up because of this failure."""
        return type(self)(Outcome.REFUSED, f"Not tried: {self.error}"[:_ERROR_CHARACTERS], is_hopeless=True)


AnyMessage = TypeVar("AnyMessage")
AnyDelivery = TypeVar("AnyDelivery", bound=Delivery)
# a message and the id of the channel's row of it
Claimed = tuple[AnyMessage, int]


class Channel(ABC, Generic[AnyMessage, AnyDelivery]):
    """What one way of sending keeps of its messages. A subclass is known from its definition on.

    ``made``: its kind of :class:`Delivery`. ``keeps_claims`` False: the channel's own rows remember what went out, and
    a claim ends with the sending.
    """

    name: ClassVar[str]
    made: ClassVar[type[Any]] = Delivery
    keeps_claims: ClassVar[bool] = True
    known: ClassVar[dict[str, type["Channel[Any, Any]"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Channel.known[cls.name] = cls

    @abstractmethod
    def claim_name(self, message: AnyMessage) -> str:
        """Under what the message is sent once, at most 150 characters: what it is about, or the job that asks."""

    def write_down(self, connection: Connection, message: AnyMessage) -> int | None:
        """In the claim's transaction: the id of the row that now says that it is on its way, 0 for none.

        None: somebody who knows no claims, such as the PHP panel, has sent it; nothing was written then.
        """
        return 0

    def settle(self, connection: Connection, claimed: Sequence[Claimed[AnyMessage]], delivery: AnyDelivery) -> None:
        """In one transaction: mark the rows; take back what else remembers messages that were refused."""

    @classmethod
    def interrupted(cls, panel: Panel, connection: Connection, row_ids: Sequence[int]) -> None:
        """Mark the rows of messages whose process died, as far as they are still on their way."""


class Outbox(Generic[AnyMessage, AnyDelivery]):
    """Sends a channel's messages, for one run: after three hopeless calls one after the other the rest is given up.

    ``is_recorded``: the database has taken what became of each.
    """

    def __init__(self, panel: Panel, channel: Channel[AnyMessage, AnyDelivery]) -> None:
        self._panel = panel
        self._channel = channel
        self._lease = claims.new_lease(panel.clock.stamp(), LEASE_SECONDS)
        self._hopeless = 0
        self._last: AnyDelivery | None = None
        self.is_recorded = True

    @property
    def is_given_up(self) -> bool:
        return self._hopeless >= GIVE_UP_AFTER

    def deliver(
        self, batch: Sequence[AnyMessage], call: Callable[[Sequence[AnyMessage]], AnyDelivery]
    ) -> tuple[int, AnyDelivery | None]:
        """Send those of ``batch`` that were not sent before, by one ``call``; how many, and what became of them.

        Raises only what the database raises and may pass; messages that were not tried by then have no claim. What can
        never be written down is not sent, and told as refused.
        """
        try:
            claimed = self._panel.database.transact(partial(self._claim, batch=batch))
        except DatabaseRefused as error:
            refused: AnyDelivery = self._channel.made(Outcome.REFUSED, error.text)
            return len(batch), refused
        if not claimed:
            return 0, None
        if self.is_given_up and self._last is not None:
            delivery = self._last.not_tried()
        else:
            delivery = self._last = call([message for message, _ in claimed])
        self._hopeless = self._hopeless + 1 if delivery.is_hopeless else 0
        self._record(claimed, delivery)
        return len(claimed), delivery

    def _record(self, claimed: Sequence[Claimed[AnyMessage]], delivery: AnyDelivery) -> None:
        database, names = self._panel.database, [self._channel.claim_name(message) for message, _ in claimed]
        settle = partial(self._settle, claimed=claimed, delivery=delivery)
        is_stored = partial(self._is_settled, names)
        try:
            patience.persist(database, settle, is_stored, seconds=PATIENCE_SECONDS, poll=_POLL_SECONDS)
        except DatabaseRefused:
            self.is_recorded = False
            log.error("what became of %d messages by %s cannot be recorded", len(claimed), self._channel.name)
            # each by itself, as far as it goes: a claim that cannot be ended ends with its lease
            for part in (
                partial(self._channel.settle, claimed=claimed, delivery=delivery),
                partial(self._end, names=names, delivery=delivery),
            ):
                with suppress(DatabaseFailed):
                    database.transact(part)

    def _is_settled(self, names: Sequence[str]) -> bool:
        """Whether none of our claims is left."""
        held = select(Claim.name).where(Claim.channel == self._channel.name, Claim.owner == self._lease["owner"])
        with self._panel.database.read() as connection:
            return connection.execute(held.where(Claim.name.in_(names))).first() is None

    def _claim(self, connection: Connection, batch: Sequence[AnyMessage]) -> list[Claimed[AnyMessage]]:
        claimed: list[Claimed[AnyMessage]] = []
        now = self._panel.clock.stamp()
        self._lease["lease_until"] = now + LEASE_SECONDS
        for message in batch:
            key = {"channel": self._channel.name, "name": self._channel.claim_name(message)}
            if not insert_if_absent(connection, Claim, **key, **self._lease, claimed_at=now):
                continue
            row_id = self._channel.write_down(connection, message)
            row = (Claim.channel == key["channel"]) & (Claim.name == key["name"])
            if row_id is None:
                connection.execute(delete(Claim).where(row))
                continue
            if row_id:
                connection.execute(update(Claim).where(row).values(row_id=row_id))
            claimed.append((message, row_id))
        return claimed

    def _settle(self, connection: Connection, claimed: Sequence[Claimed[AnyMessage]], delivery: AnyDelivery) -> None:
        self._channel.settle(connection, claimed, delivery)
        self._end(connection, [self._channel.claim_name(message) for message, _ in claimed], delivery)

    def _end(self, connection: Connection, names: Sequence[str], delivery: AnyDelivery) -> None:
        # of one that was taken for dead meanwhile the claim is nobody's, or already another one's
        ours = Claim.owner.is_(None) | (Claim.owner == self._lease["owner"])
        _end(connection, self._channel.name, names, ours, is_kept=delivery.outcome is not Outcome.REFUSED)


def settle_interrupted(panel: Panel) -> int:
    """Close what was on its way when its process died, in every channel; how many messages that were."""
    now = panel.clock.stamp()
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        held = connection.execute(select(*Claim.__table__.c).where(Claim.owner.is_not(None))).all()
    gone = [claim for claim in held if claim.channel in Channel.known and claims.is_free(claim, now)]
    for name in sorted({claim.channel for claim in gone}):
        for part in parts([claim for claim in gone if claim.channel == name]):
            panel.database.transact(partial(_interrupted, panel, Channel.known[name], part))
    return len(gone)


def _interrupted(panel: Panel, channel: type[Channel[Any, Any]], part: Sequence[Any], connection: Connection) -> None:
    channel.interrupted(panel, connection, [claim.row_id for claim in part])
    still = Claim.owner.in_({claim.owner for claim in part})
    _end(connection, channel.name, [claim.name for claim in part], still, is_kept=True)


def claimed_names(connection: Connection, channel: type[Channel[Any, Any]], names: Iterable[str]) -> set[str]:
    """Those of ``names`` under which something was sent, or is being sent."""
    found: set[str] = set()
    for part in parts(list(names)):
        found.update(connection.scalars(select(Claim.name).where(Claim.channel == channel.name, Claim.name.in_(part))))
    return found


def forget_old(panel: Panel) -> None:
    """Delete claims that nothing can ask for any more."""

    def act(connection: Connection) -> None:
        old = panel.clock.stamp() - _KEPT_SECONDS
        connection.execute(delete(Claim).where(Claim.owner.is_(None), Claim.claimed_at < old))

    panel.database.transact(act)


def parts(items: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    """``items`` in pieces that a statement, or a call, can take."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _end(
    connection: Connection, channel: str, names: Sequence[str], held: ColumnElement[bool], *, is_kept: bool
) -> None:
    """Let go of claims; only those that are kept, by a channel that keeps any, stay."""
    row = (Claim.channel == channel) & Claim.name.in_(names) & held
    if is_kept and Channel.known[channel].keeps_claims:
        connection.execute(update(Claim).where(row).values(owner=None, lease_until=0))
    else:
        connection.execute(delete(Claim).where(row))
