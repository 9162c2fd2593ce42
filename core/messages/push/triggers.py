"""What is told by push as it happens: new accounts, renewals, payments; each as a job, never inside a request.

Accounts that have expired: :mod:`core.messages.push.expired`. A device whose service asks to be tried later is a
further job, so that no worker waits for it. Source: contract chapter 70, "Push helper" and "Triggers".
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Self

from sqlalchemy import Connection

from core.accounts.events import AccountCreated, AccountEvent, AccountRenewed
from core.jobs import jobs
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.ledger.events import PaymentRecorded
from core.messages.delivery import Channel, Claimed, Delivery, Outbox, Outcome
from core.messages.push.audience import TABLE, Audience, devices_by_id
from core.messages.push.client import Device
from core.messages.push.message import Message, shown_value
from core.messages.push.sending import Reached, Sender
from core.panel import Panel

_AGAIN = "push_again"
_ACCOUNTS_URL, _BOOKS_URL = "/dashboard.php?tab=accounts", "/dashboard.php?tab=accounting"
_NO_PLAN = "Unlimited"


@hears(AccountCreated, job="push_created")
def tell_created(work: Work, event: AccountCreated) -> Mapping[str, Any] | None:
    return _tell_of_account(work, event, created_message(event))


@hears(AccountRenewed, job="push_renewed")
def tell_renewed(work: Work, event: AccountRenewed) -> Mapping[str, Any] | None:
    return _tell_of_account(work, event, renewed_message(event))


@hears(PaymentRecorded, job="push_payment")
def tell_payment(work: Work, event: PaymentRecorded) -> Mapping[str, Any] | None:
    """That reseller alone."""
    audience = Audience.load(work.panel)
    return _tell(work, audience.devices_of({event.reseller_id}), payment_message(event))


def _tell_of_account(work: Work, event: AccountEvent, message: Message) -> Mapping[str, Any] | None:
    """Super admins, reseller admins, and who did it; not the owner for being the owner."""
    audience = Audience.load(work.panel)
    users = audience.super_admins | audience.reseller_admins | {event.actor_id}
    return _tell(work, audience.devices_of(users), message)


def created_message(event: AccountEvent) -> Message:
    data = _account_data("new_account", event)
    return Message(
        title="📱 New account",
        body=f"📱 {data['actor']} added: {data['account']} ({data['plan']})",
        tag=f"new_account-{event.mac or event.account_id}",
        data=data,
    )


def renewed_message(event: AccountEvent) -> Message:
    end = event.end_date.isoformat() if event.end_date else ""
    data = {**_account_data("renewal", event), "expiry": end}
    until = f" until {end}" if end else ""
    return Message(
        title="🔄 Account renewed",
        body=f"🔄 {data['actor']} renewed: {data['account']} ({data['plan']}){until}",
        tag=f"renewal-{event.mac or event.account_id}-{end}",
        data=data,
    )


def payment_message(event: PaymentRecorded) -> Message:
    amount = f"{event.amount.quantize(Decimal(1), ROUND_HALF_UP):,} {event.currency}"
    day = event.day.isoformat()
    return Message(
        title="💰 Payment",
        body=f"💰 Your payment of {amount}, dated {day}, has been recorded",
        tag=f"payment-{event.payment_id}",
        data={"type": "payment", "amount": amount, "date": day, "url": _BOOKS_URL},
    )


def _account_data(kind: str, event: AccountEvent) -> dict[str, str]:
    return {
        "type": kind,
        "actor": shown_value(event.actor_name),
        "account": shown_value(event.full_name) or shown_value(event.username),
        "plan": shown_value(event.plan_name or "") or _NO_PLAN,
        "url": _ACCOUNTS_URL,
    }


@dataclass(frozen=True, slots=True)
class _Notice:
    """A message on its way to ``devices``, as the job ``job_id`` asks for it, for the ``tries``-th time."""

    job_id: int
    message: Message
    devices: Sequence[Device]
    tries: int


@dataclass(frozen=True, slots=True)
class _Again:
    """What the job of a further try keeps: the ids of the ``devices``, and which try it is."""

    message: Message
    devices: Sequence[int]
    tries: int

    def stored(self) -> dict[str, Any]:
        return {"message": self.message.stored(), "devices": list(self.devices), "tries": self.tries}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(Message.read(stored["message"]), stored["devices"], stored["tries"])


@dataclass(frozen=True, slots=True)
class _Told(Delivery):
    reached: Reached | None = None


class _Notices(Channel[_Notice, _Told]):
    """Nothing is written down of a notice but the jobs that try devices again."""

    name = "push"
    made = _Told

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def claim_name(self, message: _Notice) -> str:
        return f"job:{message.job_id}"

    def settle(self, connection: Connection, claimed: Sequence[Claimed[_Notice]], delivery: _Told) -> None:
        usual = self._panel.config.push.retry_seconds
        for notice, _ in claimed:
            if delivery.reached is None or notice.tries > len(usual):
                continue
            waits: dict[int, list[int]] = {}
            for later in delivery.reached.later:
                wait = usual[notice.tries - 1] if later.wait is None else later.wait
                waits.setdefault(math.ceil(wait), []).append(later.device.id)
            for wait, ids in waits.items():
                again = _Again(notice.message, ids, notice.tries + 1)
                jobs.add(self._panel, connection, _AGAIN, again.stored(), due_in=wait)
                jobs.ring(self._panel, wait)


def _tell(work: Work, devices: Iterable[Device], message: Message, tries: int = 1) -> Mapping[str, Any] | None:
    """None: nobody has a device, or an attempt of this job that was cut short may have told them."""
    notice = _Notice(work.record.id, message, list(devices), tries)
    if not notice.devices:
        return None

    outbox: Outbox[_Notice, _Told] = Outbox(work.panel, _Notices(work.panel))
    with Sender(work.panel) as sender:

        def call(_: Sequence[_Notice]) -> _Told:
            reached = sender.send(notice.devices, message, lambda: work.report(0, None), patiently=False)
            return _Told(Outcome.SENT if reached.sent else Outcome.UNKNOWN, reached=reached)

        _, told = outbox.deliver([notice], call)
    if told is None or told.reached is None:
        return None
    return {"sent": told.reached.sent, "failed": told.reached.failed}


def _again(work: Work) -> Mapping[str, Any] | None:
    """The devices that were not reached, as they are stored by now."""
    if not work.panel.layout.has_table(TABLE):
        return None
    again = _Again.read(work.payload)
    return _tell(work, devices_by_id(work.panel, set(again.devices)), again.message, again.tries)


KINDS = {_AGAIN: jobs.Kind(_again)}
