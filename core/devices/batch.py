"""One event or message to a batch of set-top boxes, as a job: it goes on when the browser hangs up, and after a crash.

Each box is claimed before the portal is asked (``_sbx_claims``), together with its row of the log, so that a job which
is taken up again sends nothing twice: what was on its way when its process died may have arrived. Who may send what to
whom: :mod:`.send_many`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Self

from sqlalchemy import Connection, select, update

from core.access.audit import By
from core.access.began import Began
from core.devices.log import read_outcome
from core.devices.rules import Content, Event, Message
from core.devices.send import Delivery, audit_sent, deliver, note, note_server2, on_its_way
from core.errors import DatabaseRefused
from core.jobs import jobs
from core.jobs.claims import INTERRUPTED, first_time
from core.jobs.jobs import Work
from core.panel import Panel
from core.portal import PortalTimeout
from core.storage.tables import Claim

KIND = "stb_batch"
_CHANNEL = "stb"
# a portal that never answers would else hold the job for hours
_PATIENCE_TIMEOUTS = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """What the job is to send, and where; ``refused``: targets that it does not ask the portal for, for the audit
    row."""

    content: Content
    macs: Sequence[str]
    refused: Sequence[str]
    began: Began

    def stored(self) -> dict[str, Any]:
        content = {"kind": self.content.kind, "content": asdict(self.content)}
        return {**content, "macs": list(self.macs), "refused": list(self.refused), **self.began.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any], actor_id: int) -> Self:
        """``actor_id``: see :meth:`Began.read`."""
        kind: type[Content] = Event if stored["kind"] == Event.kind else Message
        return cls(kind(**stored["content"]), stored["macs"], stored["refused"], Began.read(stored, actor_id))


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the boxes that were tried so far; ``server2``: of the first that server 2 did not take;
    ``is_recorded``: the logs have all of it."""

    deliveries: Sequence[Delivery] = ()
    server2: str | None = None
    is_recorded: bool = True

    def stored(self) -> dict[str, Any]:
        """``done``: MAC, error of server 1 and of server 2 of each box."""
        done = [[item.mac, item.error, item.server2] for item in self.deliveries]
        stored = {"done": done, "server2": self.server2}
        return stored if self.is_recorded else {**stored, "is_recorded": False}

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self:
        """``stored`` None: nothing was told yet."""
        if stored is None:
            return cls()
        done = [Delivery(mac, error, server2=server2) for mac, error, server2 in stored["done"]]
        return cls(done, stored["server2"], stored.get("is_recorded", True))


def _run(work: Work) -> Mapping[str, Any]:
    panel, batch = work.panel, Batch.read(work.payload, work.actor_id)
    content = batch.content
    with panel.database.read() as connection:
        by = batch.began.by(panel, connection)
    before = Result.read(work.record.result)
    known = {delivery.mac: delivery for delivery in before.deliveries}
    deliveries: list[Delivery] = []
    timeouts, is_recorded = 0, before.is_recorded
    for mac in batch.macs:
        delivery = known.get(mac) or _once(work, by, mac, content, is_tried=timeouts < _PATIENCE_TIMEOUTS)
        timeouts = timeouts + 1 if delivery.is_timeout else 0
        is_recorded &= delivery.is_recorded
        deliveries.append(delivery)
        work.report(len(deliveries), len(batch.macs), Result(deliveries, is_recorded=is_recorded).stored())
    once = f"job:{work.record.id}"
    is_recorded &= _audit(panel, by, batch, deliveries, once)
    server2 = note_server2(panel, by, content.kind, deliveries, once=f"{once}:2")
    return Result(deliveries, server2, is_recorded).stored()


def _once(work: Work, by: By, mac: str, content: Content, *, is_tried: bool) -> Delivery:
    """What became of one box, which the portal is asked for unless an earlier attempt of the job did, or, with
    ``is_tried`` False, it is given up."""
    panel = work.panel
    try:
        claim = _claimed(work, by, mac, content)
    except DatabaseRefused as error:
        # what cannot be claimed is not sent
        return Delivery(mac, error.text, is_recorded=False)
    if claim.is_ours and is_tried:
        return deliver(panel, by.actor, mac, content, row_id=claim.row_id)
    if not claim.is_ours and (found := read_outcome(panel, claim.row_id)) is not None:
        was_sent, error_text = found
        return Delivery(mac, None if was_sent else error_text or INTERRUPTED)
    # one that was given up counts as a timeout, so that the next one is given up too
    delivery = Delivery(mac, PortalTimeout.default_text if claim.is_ours else INTERRUPTED, is_timeout=claim.is_ours)
    row_id = claim.row_id if claim.is_ours else 0
    return replace(delivery, is_recorded=note(panel, by.actor, delivery, content, row_id=row_id))


@dataclass(frozen=True, slots=True)
class _Claimed:
    """``is_ours``: no earlier attempt has asked the portal. ``row_id``: the log's row of it, 0 for none."""

    is_ours: bool
    row_id: int


def _claimed(work: Work, by: By, mac: str, content: Content) -> _Claimed:
    panel, name = work.panel, f"job:{work.record.id}:{mac}"
    row = (Claim.channel == _CHANNEL) & (Claim.name == name)

    def act(connection: Connection, *, is_logged: bool = True) -> _Claimed:
        if not first_time(connection, _CHANNEL, name, panel.clock.stamp()):
            return _Claimed(False, connection.scalar(select(Claim.row_id).where(row)) or 0)
        row_id = on_its_way(panel, connection, by.actor, mac, content) if is_logged else 0
        if row_id:
            connection.execute(update(Claim).where(row).values(row_id=row_id))
        return _Claimed(True, row_id)

    try:
        return panel.database.transact(act)
    except DatabaseRefused:
        # a log that cannot be written keeps nothing from being sent
        return panel.database.transact(partial(act, is_logged=False))


def _audit(panel: Panel, by: By, batch: Batch, deliveries: Sequence[Delivery], once: str) -> bool:
    """One row of the job, unless no box was reached; whether it was stored."""
    content = batch.content
    sent = [delivery.mac for delivery in deliveries if delivery.error is None]
    failed = [*batch.refused, *(delivery.mac for delivery in deliveries if delivery.error is not None)]
    total = len(sent) + len(failed)
    if not sent:
        return True
    if not failed:
        target, new = f"Bulk: {total} devices", {**content.facts, "devices": sent}
    else:
        target = f"Bulk: {len(sent)}/{total} devices"
        new = {**content.facts, "success_count": len(sent), "failed_count": len(failed), "failed_devices": failed}
    details = f"{content.kind.title()} sent to {len(sent)} of {total} STBs"
    return audit_sent(panel, by, content, target, new, details, once=once)


KINDS = {KIND: jobs.Kind(_run, carries_on=True)}
