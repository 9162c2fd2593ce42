"""Telling a reseller by push that a payment was recorded. Source: contract chapter 70, "notify_payment"."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.push.push import TABLE, Audience, Message, Sender
from core.panel import Panel

_KIND = "push_payment"


def announce(
    panel: Panel, connection: Connection, *, actor_id: int, payment_id: int, reseller_id: int, amount: str, day: str
) -> None:
    """Store the job in the caller's transaction; ``amount`` as it is shown. Call :func:`core.jobs.jobs.ring`
    afterwards."""
    payload = {"payment_id": payment_id, "reseller_id": reseller_id, "amount": amount, "date": day}
    jobs.add(panel, connection, _KIND, payload, actor_id=actor_id)


def _message(payload: Mapping[str, Any]) -> Message:
    amount, day = payload["amount"], payload["date"]
    return Message(
        title="💰 Payment",
        body=f"💰 Your payment of {amount}, dated {day}, has been recorded",
        tag=f"payment-{payload['payment_id']}",
        data={"type": "payment", "amount": amount, "date": day, "url": "/dashboard.php?tab=accounting"},
        is_urgent=True,
    )


def _tell(work: Work) -> Mapping[str, Any] | None:
    """A second run after a crash replaces the first notification on the screen: it has the same tag."""
    panel = work.panel
    if not panel.layout.has_table(TABLE):
        return None
    audience = Audience.load(panel)
    devices = audience.devices_of({work.payload["reseller_id"]})
    if not devices:
        return None
    with Sender(panel) as sender:
        reached = sender.send(audience, devices, _message(work.payload), lambda: work.report(0, None))
    return {"sent": reached.sent, "failed": reached.failed}


KINDS = {_KIND: jobs.Kind(_tell)}
