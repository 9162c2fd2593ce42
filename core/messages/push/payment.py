"""Telling a reseller by push that a payment was recorded. Source: contract chapter 70, "notify_payment"."""

from collections.abc import Mapping
from typing import Any

from core.jobs.events import hears
from core.jobs.jobs import Work
from core.ledger.events import PaymentRecorded
from core.messages.push.push import TABLE, Audience, Message, Sender


def _message(event: PaymentRecorded) -> Message:
    return Message(
        title="💰 Payment",
        body=f"💰 Your payment of {event.amount}, dated {event.day}, has been recorded",
        tag=f"payment-{event.payment_id}",
        data={"type": "payment", "amount": event.amount, "date": event.day, "url": "/dashboard.php?tab=accounting"},
        is_urgent=True,
    )


@hears(PaymentRecorded, job="push_payment")
def push_payment(work: Work, event: PaymentRecorded) -> Mapping[str, Any] | None:
    """A second run after a crash replaces the first notification on the screen: it has the same tag."""
    panel = work.panel
    if not panel.layout.has_table(TABLE):
        return None
    audience = Audience.load(panel)
    devices = audience.devices_of({event.reseller_id})
    if not devices:
        return None
    with Sender(panel) as sender:
        reached = sender.send(audience, devices, _message(event), lambda: work.report(0, None))
    return {"sent": reached.sent, "failed": reached.failed}
