"""Sending a text that a user has typed, to a number or to accounts. Source: contract chapter 60, ``send_sms``.

The sending itself is a job: it goes on when the browser hangs up, and after a crash without sending anything twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from core.access.actors import Actor, bare_actor
from core.access.audit import By, Origin
from core.access.permissions import MESSAGING, Scope, require, scope_of
from core.access.user_rows import read_user
from core.accounts.end_dates import stored_day
from core.errors import InvalidInput, NotFound, PanelError
from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.by_hand import NothingSent
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
    """``is_closed``: all was tried; else the job goes on. ``skipped``: accounts without a usable number."""

    job_id: int
    is_closed: bool
    sent: int
    failed: int
    skipped: int
    total: int
    bulk_id: str | None
    answer: Any


def send_sms(panel: Panel, by: By, wish: Wish) -> Sending:
    """Raises NotAllowed, InvalidInput, NotFound, and NothingSent when not one message went out."""
    require(by.actor, MESSAGING)
    require_sms(panel)
    with panel.database.read() as connection:
        if sender_of(panel, connection, by.actor.id, inherits=by.actor.is_reseller_admin) is None:
            raise InvalidInput(_NOT_CONFIGURED)
        recipients, skipped = _checked(panel, connection, by.actor, wish)
    payload = {
        "message": wish.message,
        "recipients": recipients,
        "skipped": skipped,
        "username": by.actor.username,
        "origin": by.origin.stored(),
    }
    record = jobs.run_and_wait(panel, KINDS, KIND, payload, by.actor.id, panel.config.jobs.wait_seconds)
    if record.state == jobs.FAILED:
        raise PanelError(record.error)
    result = record.result or {}
    sending = Sending(
        record.id,
        record.is_closed,
        result.get("sent", 0),
        result.get("failed", 0),
        skipped,
        len(recipients),
        result.get("bulk_id"),
        result.get("api_response"),
    )
    if sending.is_closed and not sending.sent:
        raise NothingSent(f"Failed to send: {result.get('error') or 'unknown error'}", sending)
    return sending


def _checked(panel: Panel, connection: Connection, actor: Actor, wish: Wish) -> tuple[list[Mapping[str, object]], int]:
    """The recipients as the job keeps them, and how many accounts have no usable number."""
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
    return [{"number": number}], 0


def _accounts(
    panel: Panel, connection: Connection, actor: Actor, account_ids: Sequence[int] | None
) -> tuple[list[Mapping[str, object]], int]:
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
    usable: list[Mapping[str, object]] = [
        {"account_id": account, "number": number} for account, number in numbers.items() if number
    ]
    if not usable:
        raise NotFound("None of the selected accounts has a valid phone number")
    return usable, len(rows) - len(usable)


def _run(work: Work) -> Mapping[str, Any]:
    """The job: what an earlier attempt has sent, or may have, is not sent again."""
    panel, payload = work.panel, work.payload
    actor_id = work.record.actor_id or 0
    with panel.database.read() as connection:
        actor = read_user(panel, connection, actor_id) or bare_actor(actor_id, payload["username"])
        sender = sender_of(panel, connection, actor.id, inherits=actor.is_reseller_admin)
        messages = _messages(panel, connection, work)
    if sender is None:
        raise InvalidInput(_NOT_CONFIGURED)
    tally = _deliver(work, sender, actor.id, messages)
    _audit(panel, By(actor, Origin.read(payload["origin"])), tally, payload["skipped"])
    return _result(tally)


def _deliver(work: Work, sender: Sender, sent_by: int, messages: Sequence[Message]) -> Tally:
    def report(tally: Tally) -> None:
        work.report(tally.done, len(messages), _result(tally))

    return deliver(work.panel, sender, sent_by, messages, _CALL_SECONDS, report)


def _messages(panel: Panel, connection: Connection, work: Work) -> list[Message]:
    text, recipients = work.payload["message"], work.payload["recipients"]
    ids = [item["account_id"] for item in recipients if "account_id" in item]
    accounts = _read_accounts(connection, ids)
    messages: list[Message] = []
    for item in recipients:
        claim = f"job:{work.record.id}:{item.get('account_id', 0)}"
        if "account_id" not in item:
            messages.append(Message(claim, item["number"], text, MANUAL))
        elif (account := accounts.get(item["account_id"])) is not None:
            values = recipient_values(account, panel.clock.today())
            messages.append(
                Message(
                    claim, item["number"], render(text, values), MANUAL, account.id, account.mac, account.name or None
                )
            )
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


def _audit(panel: Panel, by: By, tally: Tally, skipped: int) -> None:
    counts = {"sent": tally.sent, "failed": tally.failed, "skipped": skipped}

    def act(connection: Connection) -> None:
        by.write_audit(
            panel,
            connection,
            "send",
            "sms",
            new=counts,
            details=f"SMS sent: {tally.sent}, failed: {tally.failed}",
        )

    panel.database.transact(act)


def _result(tally: Tally) -> dict[str, Any]:
    return {
        "sent": tally.sent,
        "failed": tally.failed,
        "bulk_id": tally.bulk_id,
        "api_response": tally.answer,
        "error": tally.error,
    }


KINDS = {KIND: jobs.Kind(_run)}
