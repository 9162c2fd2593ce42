"""Sending a mail that a super admin has written, to an address or to accounts. Source: contract chapter 80,
``send_mail.php``.

The sending itself is a job: it goes on when the browser hangs up, and after a crash without sending anything twice.
Each mail is in the log, as pending, before the first goes out.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

from sqlalchemy import Connection, select

from core.access.audit import By
from core.access.began import Began
from core.access.permissions import USE_MAIL, require
from core.accounts.end_dates import stored_day
from core.errors import InvalidInput, NotFound, PanelError
from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.by_hand import LONGEST_WAIT_SECONDS, NothingSent, Result, Tally, audit_sending
from core.messages.mail.message import Mail, customer_values, filled, one_line
from core.messages.mail.outbox import About, Posting, write_log
from core.messages.mail.posting import post
from core.messages.mail.settings import MailBook, Template, usable_address
from core.messages.mail.settings_edit import require_mail
from core.messages.mail.templates import BODY_BYTES, SUBJECT_CHARACTERS
from core.messages.placeholders import days_left
from core.panel import Panel
from core.storage.tables import Account, Plan
from core.values.checks import refuse_longer

KIND = "send_mail"
MANUAL, ACCOUNTS = "manual", "accounts"
MOST_ACCOUNTS = 5000
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """What was sent. ``mode`` empty: accounts if there are ``account_ids``; these None: not sent."""

    mode: str
    subject: str
    message: str
    email: str
    name: str
    account_ids: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Addressee:
    """To whom one mail goes, and the values of its placeholders."""

    email: str
    name: str
    values: dict[str, str]
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What the job is to send, and for whom; each mail with its row of the log."""

    template: Template
    mails: Sequence[tuple[int, Addressee]]
    began: Began

    def stored(self) -> dict[str, Any]:
        mails = [{"log_id": log_id, "to": asdict(to)} for log_id, to in self.mails]
        return {"text": asdict(self.template), "mails": mails, **self.began.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any], actor_id: int) -> Self:
        """``actor_id``: see :meth:`Began.read`."""
        mails = [(item["log_id"], Addressee(**item["to"])) for item in stored["mails"]]
        return cls(Template(**stored["text"]), mails, Began.read(stored, actor_id))


@dataclass(frozen=True, slots=True)
class Sending:
    """``pending``: not tried yet; the job goes on. ``errors``: ``address: reason``. ``is_recorded``: the logs have all
    of it."""

    job_id: int
    sent: int
    failed: int
    pending: int
    errors: Sequence[str]
    is_recorded: bool = True


def send_mail(panel: Panel, by: By, wish: Wish) -> Sending:
    """Raises NotAllowed, InvalidInput, NotFound, and NothingSent when the one mail to an address did not go out."""
    require(by.actor, USE_MAIL)
    require_mail(panel)
    mode, template = _checked(wish)

    def act(connection: Connection) -> tuple[list[Addressee], jobs.Record]:
        mails = [_manual(wish)] if mode == MANUAL else _to_accounts(panel, connection, wish)
        logged = [(_log(panel, connection, by, template, to), to) for to in mails]
        order = Order(template, logged, Began.of(by))
        record = jobs.reserve(panel, connection, KIND, order.stored(), by.actor.id)
        return mails, record

    mails, record = panel.database.transact(act, is_stored=lambda made: jobs.is_stored(panel, made[1]))
    seconds = min(panel.config.jobs.wait_seconds, LONGEST_WAIT_SECONDS)
    record = jobs.run_reserved(panel, KINDS, record, seconds)
    if record.state == jobs.FAILED:
        raise PanelError(record.error)
    result: Result[str] = Result.read(record.result)
    errors, sent = result.errors, result.sent
    sending = Sending(record.id, sent, len(errors), len(mails) - sent - len(errors), errors, result.is_recorded)
    if mode == MANUAL and sending.failed:
        raise NothingSent(f"The mail was not sent: {errors[0].partition(': ')[2]}", sending)
    return sending


def _checked(wish: Wish) -> tuple[str, Template]:
    """The mode, and the text with its placeholders. Raises InvalidInput."""
    mode = wish.mode or (MANUAL if wish.account_ids is None else ACCOUNTS)
    if mode not in (MANUAL, ACCOUNTS):
        raise InvalidInput.of("mode", f"expected {MANUAL} or {ACCOUNTS}")
    subject, message = one_line(wish.subject), wish.message.strip()
    if not subject:
        raise InvalidInput.missing("subject")
    refuse_longer(subject, "subject", SUBJECT_CHARACTERS)
    if not message:
        raise InvalidInput.missing("message")
    if len(message.encode()) > BODY_BYTES:
        raise InvalidInput(f"The {{field}} is too long (more than {BODY_BYTES} bytes)", field="message")
    if "<" in message:
        # the admin's own HTML, as it is
        return mode, Template(subject, message, "")
    body = html.escape(message).replace("\r\n", "\n").replace("\n", "<br>")
    return mode, Template(subject, f'<div dir="rtl">{body}</div>', message)


def _manual(wish: Wish) -> Addressee:
    """Raises InvalidInput."""
    email = usable_address(wish.email)
    if email is None:
        raise InvalidInput(
            "Please enter a valid email address: the {field} is one such as name@example.com", field="email"
        )
    return Addressee(email, one_line(wish.name), {})


def _to_accounts(panel: Panel, connection: Connection, wish: Wish) -> list[Addressee]:
    """Those with a usable address. Raises InvalidInput, NotFound."""
    if not wish.account_ids:
        raise InvalidInput("No accounts selected: {field} is a list of account ids", field="account_ids")
    if len(wish.account_ids) > MOST_ACCOUNTS:
        raise InvalidInput.of("account_ids", f"at most {MOST_ACCOUNTS} accounts can be chosen at once")
    found = select(
        Account.id,
        Account.username,
        Account.full_name,
        Account.mac,
        Account.email,
        stored_day(Account.end_date).label("day"),
        Plan.name.label("plan_name"),
    ).join_from(Account, Plan, Plan.id == Account.plan, isouter=True)
    rows = connection.execute(found.where(Account.id.in_(wish.account_ids)).order_by(Account.id))
    today = panel.clock.today()
    addressees = [
        Addressee(email, one_line(row.full_name or ""), _values(row, today), row.id)
        for row in rows
        if (email := usable_address(row.email)) is not None
    ]
    if not addressees:
        raise NotFound("None of the selected accounts has a usable e-mail address")
    return addressees


def _values(row: Any, today: date) -> dict[str, str]:
    end = date.fromisoformat(row.day) if row.day else None
    return customer_values(
        name=row.full_name or "",
        username=row.username or "",
        mac=(row.mac or "").strip(),
        end_date=end,
        days=days_left(end, today) if end else 0,
        plan_name=row.plan_name or "",
    )


def _mail(template: Template, to: Addressee) -> Mail:
    made = filled(template, to.values)
    return Mail(to.email, to.name, made.subject, made.html, made.plain)


def _log(panel: Panel, connection: Connection, by: By, template: Template, to: Addressee) -> int:
    """The row of the log, which is pending."""
    return write_log(panel, connection, _mail(template, to), About(MANUAL, by.actor.id, to.account_id))


def _run(work: Work) -> Mapping[str, Any]:
    """The job: what an earlier attempt has sent, or may have, is not sent again."""
    panel, order = work.panel, Order.read(work.payload, work.actor_id)
    postings = [Posting(f"log:{log_id}", _mail(order.template, to), log_id) for log_id, to in order.mails]
    settings = MailBook.load(panel).settings_for(work.actor_id)

    def report(tally: Tally[str]) -> None:
        work.report(tally.done, len(postings), _result(tally).stored())

    tally = post(panel, settings, postings, pause=_PAUSE_SECONDS, report=report)
    audit_sending(work, order.began, "mail", "Mails", tally)
    return _result(tally).stored()


def _result(tally: Tally[str]) -> Result[str]:
    return Result(tally.reached, [f"{address}: {error}" for address, error in tally.errors], tally.is_recorded)


KINDS: dict[str, jobs.Kind] = {KIND: jobs.Kind(_run, carries_on=True)}
