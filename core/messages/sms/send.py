"""Sending a text that a user has typed, to a number or to accounts. Source: contract chapter 60, ``send_sms``.

The sending itself is a job: it goes on when the browser hangs up, and after a crash without sending anything twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.began import Began
from core.access.permissions import MESSAGING, Scope, require, scope_of
from core.accounts.end_dates import stored_day
from core.errors import InvalidInput, NotFound, PanelError
from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.by_hand import NothingSent, audit_sending, stored_lack
from core.messages.placeholders import render
from core.messages.sms.numbers import provider_number
from core.messages.sms.outbox import Message, Tally, deliver
from core.messages.sms.recipients import Recipient, recipient_values
from core.messages.sms.settings import Sender, require_sms, sender_of
from core.panel import Panel
from core.storage.tables import Account
from core.values.checks import refuse_longer
from core.values.phones import normal_phone

KIND = "send_sms"
MANUAL, ACCOUNTS = "manual", "accounts"
MESSAGE_CHARACTERS = 1000
MOST_ACCOUNTS = 1000
_CALL_SECONDS = 30.0
_NOT_CONFIGURED = "Please configure SMS first: an API token and a sender number are needed"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was sent. ``account_ids`` None: not readable."""

    send_type: str
    message: str
    number: str
    account_ids: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Sending:
    """``is_closed``: all was tried; else the job goes on. ``skipped``: accounts without a usable number.
    ``is_recorded``: the logs have all of it."""

    job_id: int
    is_closed: bool
    sent: int
    failed: int
    skipped: int
    total: int
    bulk_id: str | None
    answer: Any
    is_recorded: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """One recipient as the job keeps it; ``account_id`` None: a number that was typed."""

    number: str
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What the job is to send, and for whom; ``skipped``: accounts without a usable number."""

    message: str
    targets: Sequence[Target]
    skipped: int
    began: Began

    def stored(self) -> dict[str, Any]:
        targets = [asdict(target) for target in self.targets]
        return {"message": self.message, "recipients": targets, "skipped": self.skipped, **self.began.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any], actor_id: int) -> Self:
        """``actor_id``: see :meth:`Began.read`. Older versions left out the account of a number that was typed."""
        targets = [Target(item["number"], item.get("account_id")) for item in stored["recipients"]]
        return cls(stored["message"], targets, stored["skipped"], Began.read(stored, actor_id))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it so far, as the job keeps it; see :class:`core.messages.sms.outbox.Tally`."""

    sent: int = 0
    failed: int = 0
    bulk_id: str | None = None
    answer: Any = None
    error: str | None = None
    is_recorded: bool = True

    @classmethod
    def of(cls, tally: Tally) -> Self:
        return cls(tally.reached, tally.failed, tally.bulk_id, tally.answer, tally.error, tally.is_recorded)

    def stored(self) -> dict[str, Any]:
        """As ``get_job_status`` shows it."""
        return {
            "sent": self.sent,
            "failed": self.failed,
            "bulk_id": self.bulk_id,
            "api_response": self.answer,
            "error": self.error,
            **stored_lack(self.is_recorded),
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self:
        """``stored`` None: nothing was told yet."""
        values = dict(stored or {})
        return cls(answer=values.pop("api_response", None), **values)


def send_sms(panel: Panel, by: By, wish: Wish) -> Sending:
    """Raises NotAllowed, InvalidInput, NotFound, and NothingSent when not one message went out."""
    require(by.actor, MESSAGING)
    require_sms(panel)
    with panel.database.read() as connection:
        if sender_of(panel, connection, by.actor.id, inherits=by.actor.is_reseller_admin) is None:
            raise InvalidInput(_NOT_CONFIGURED)
        targets, skipped = _checked(panel, connection, by.actor, wish)
    order = Order(wish.message, targets, skipped, Began.of(by))
    record = jobs.run_and_wait(panel, KINDS, KIND, order.stored(), by.actor.id, panel.config.jobs.wait_seconds)
    if record.state == jobs.FAILED:
        raise PanelError(record.error)
    result = Result.read(record.result)
    sending = Sending(
        record.id,
        record.is_closed,
        result.sent,
        result.failed,
        skipped,
        len(targets),
        result.bulk_id,
        result.answer,
        result.is_recorded,
    )
    if sending.is_closed and not sending.sent:
        raise NothingSent(f"Failed to send: {result.error or 'unknown error'}", sending)
    return sending


def _checked(panel: Panel, connection: Connection, actor: Actor, wish: Wish) -> tuple[list[Target], int]:
    """The recipients, and how many accounts have no usable number."""
    if not wish.message:
        raise InvalidInput.missing("message")
    refuse_longer(wish.message, "message", MESSAGE_CHARACTERS)
    if wish.send_type == ACCOUNTS:
        return _accounts(panel, connection, actor, wish.account_ids)
    if wish.send_type != MANUAL:
        raise InvalidInput.of("send_type", f"expected {MANUAL} or {ACCOUNTS}")
    number = normal_phone(wish.number, panel.config.country_code, field="recipient_number")
    if number is None:
        raise InvalidInput.missing("recipient_number")
    return [Target(number)], 0


def _accounts(
    panel: Panel, connection: Connection, actor: Actor, account_ids: Sequence[int] | None
) -> tuple[list[Target], int]:
    wanted = list(dict.fromkeys(account_ids or ()))
    if not wanted:
        raise InvalidInput("No accounts selected: {field} is a list of account ids", field="account_ids")
    if len(wanted) > MOST_ACCOUNTS:
        raise InvalidInput.of("account_ids", f"at most {MOST_ACCOUNTS} accounts can be chosen at once")
    found = select(Account.id, Account.phone_number).where(Account.id.in_(wanted)).order_by(Account.id)
    if scope_of(actor, MESSAGING) is not Scope.ALL:
        found = found.where(Account.reseller == actor.id)
    rows = connection.execute(found).all()
    numbers = {row.id: provider_number(row.phone_number, panel.config.country_code) for row in rows}
    usable = [Target(number, account) for account, number in numbers.items() if number]
    if not usable:
        raise NotFound("None of the selected accounts has a valid phone number")
    return usable, len(rows) - len(usable)


def _run(work: Work) -> Mapping[str, Any]:
    """The job: what an earlier attempt has sent, or may have, is not sent again."""
    panel, order = work.panel, Order.read(work.payload, work.actor_id)
    with panel.database.read() as connection:
        by = order.began.by(panel, connection)
        sender = sender_of(panel, connection, by.actor.id, inherits=by.actor.is_reseller_admin)
        messages = _messages(panel, connection, order, work.record.id)
    if sender is None:
        raise InvalidInput(_NOT_CONFIGURED)
    tally = _deliver(work, sender, by.actor.id, messages)
    audit_sending(work, order.began, "sms", "SMS", tally, skipped=order.skipped)
    return Result.of(tally).stored()


def _deliver(work: Work, sender: Sender, sent_by: int, messages: Sequence[Message]) -> Tally:
    def report(tally: Tally) -> None:
        work.report(tally.done, len(messages), Result.of(tally).stored())

    return deliver(work.panel, sender, sent_by, messages, _CALL_SECONDS, report)


def _messages(panel: Panel, connection: Connection, order: Order, job_id: int) -> list[Message]:
    accounts = _read_accounts(connection, [item.account_id for item in order.targets if item.account_id is not None])
    today = panel.clock.today()
    messages: list[Message] = []
    for item in order.targets:
        claim = f"job:{job_id}:{item.account_id or 0}"
        if item.account_id is None:
            messages.append(Message(claim, item.number, order.message, MANUAL))
        elif (account := accounts.get(item.account_id)) is not None:
            text = render(order.message, recipient_values(account, today))
            about = (account.id, account.mac, account.name or None)
            messages.append(Message(claim, item.number, text, MANUAL, *about))
    return messages


def _read_accounts(connection: Connection, ids: Sequence[int]) -> dict[int, Recipient]:
    rows = connection.execute(
        select(
            Account.id,
            Account.username,
            Account.full_name,
            Account.mac,
            Account.phone_number,
            stored_day(Account.end_date).label("day"),
        ).where(Account.id.in_(ids))
    )
    return {row.id: Recipient.of(row) for row in rows}


KINDS = {KIND: jobs.Kind(_run, carries_on=True)}
