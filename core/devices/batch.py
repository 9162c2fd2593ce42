"""One event or message to a batch of set-top boxes, as a job: it goes on when the browser hangs up, and after a crash.

Each box is claimed before the portal is asked (``_sbx_claims``), so that a job which is taken up again sends nothing
twice: what was on its way when its process died may have arrived. Who may send what to whom: :mod:`.send_many`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from core.access.actors import Actor, bare_actor
from core.access.audit import By, Origin
from core.access.user_rows import read_user
from core.devices.rules import Content, Event, Message
from core.devices.send import Delivery, audit_sent, deliver, note, note_server2
from core.jobs import jobs
from core.jobs.claims import INTERRUPTED
from core.jobs.jobs import Work
from core.panel import Panel
from core.portal import PortalTimeout
from core.storage.tables import Claim
from core.storage.writing import insert_if_absent

KIND = "stb_batch"
_CHANNEL = "stb"
# a portal that never answers would else hold the job for hours
_PATIENCE_TIMEOUTS = 3


def payload_of(by: By, macs: Sequence[str], refused: Sequence[str], content: Content) -> dict[str, Any]:
    """What the job keeps; ``refused``: targets that it does not ask the portal for, for the audit row."""
    return {
        "kind": content.kind,
        "content": asdict(content),
        "macs": list(macs),
        "refused": list(refused),
        "username": by.actor.username,
        "origin": by.origin.stored(),
    }


def _run(work: Work) -> Mapping[str, Any]:
    panel, payload = work.panel, work.payload
    content: Content = Event(**payload["content"]) if payload["kind"] == Event.kind else Message(**payload["content"])
    by = By(_actor(panel, work), Origin.read(payload["origin"]))
    known = _outcomes(work.record.result)
    deliveries: list[Delivery] = []
    timeouts = 0
    for mac in payload["macs"]:
        if mac in known:
            delivery = known[mac]
        elif not _claim(panel, work, mac):
            delivery = Delivery(mac, INTERRUPTED)
            note(panel, by.actor, delivery, content)
        elif timeouts < _PATIENCE_TIMEOUTS:
            delivery = deliver(panel, by.actor, mac, content)
            timeouts = timeouts + 1 if delivery.is_timeout else 0
        else:
            delivery = Delivery(mac, PortalTimeout.default_text)
            note(panel, by.actor, delivery, content)
        deliveries.append(delivery)
        work.report(len(deliveries), len(payload["macs"]), _result(deliveries, None))
    _audit(panel, by, payload, deliveries, content)
    return _result(deliveries, note_server2(panel, by, content.kind, deliveries))


def _actor(panel: Panel, work: Work) -> Actor:
    actor_id = work.record.actor_id or 0
    with panel.database.read() as connection:
        return read_user(panel, connection, actor_id) or bare_actor(actor_id, work.payload["username"])


def _claim(panel: Panel, work: Work, mac: str) -> bool:
    claim = {"channel": _CHANNEL, "name": f"job:{work.record.id}:{mac}", "claimed_at": panel.clock.stamp()}

    def act(connection: Connection) -> bool:
        return insert_if_absent(connection, Claim, **claim)

    return panel.database.transact(act)


def _result(deliveries: Sequence[Delivery], server2: str | None) -> dict[str, Any]:
    """``done``: MAC, error of server 1 and of server 2 of each box that was tried."""
    return {"done": [[item.mac, item.error, item.server2] for item in deliveries], "server2": server2}


def _outcomes(result: Mapping[str, Any] | None) -> dict[str, Delivery]:
    """Of an earlier attempt, as far as it had told of them."""
    return {mac: Delivery(mac, error, server2=server2) for mac, error, server2 in (result or {}).get("done", ())}


def _audit(panel: Panel, by: By, payload: Mapping[str, Any], deliveries: Sequence[Delivery], content: Content) -> None:
    """One row, unless no box was reached."""
    sent = [delivery.mac for delivery in deliveries if delivery.error is None]
    failed = [*payload["refused"], *(delivery.mac for delivery in deliveries if delivery.error is not None)]
    total = len(sent) + len(failed)
    if not sent:
        return
    if not failed:
        target, new = f"Bulk: {total} devices", {**content.facts, "devices": sent}
    else:
        target = f"Bulk: {len(sent)}/{total} devices"
        new = {**content.facts, "success_count": len(sent), "failed_count": len(failed), "failed_devices": failed}
    audit_sent(panel, by, content, target, new, f"{content.kind.title()} sent to {len(sent)} of {total} STBs")


KINDS = {KIND: jobs.Kind(_run)}
