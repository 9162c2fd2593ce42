"""The mails that follow a new account and a renewal, as listeners to both.

Source: contract chapter 80, "Mail helper".
"""

import logging
from dataclasses import dataclass

from sqlalchemy import select

from core.accounts.events import AccountCreated, AccountEvent, AccountRenewed
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.messages.mail.message import Mail, customer_values, filled
from core.messages.mail.outbox import About, Posting, copies
from core.messages.mail.posting import post
from core.messages.mail.settings import RENEWAL, WELCOME, MailBook, Settings, has_mail, usable_address
from core.messages.placeholders import days_left
from core.panel import Panel
from core.storage.tables import Account

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kind:
    """``type``: the log's ``message_type``; ``flag``: the switch of :class:`Settings`."""

    type: str
    template: str
    flag: str


_NEW = _Kind("new_account", WELCOME, "sends_new_account")
_RENEWED = _Kind("renewal", RENEWAL, "sends_renewal")


@hears(AccountCreated, job="welcome_mail")
def welcome_mail(work: Work, event: AccountCreated) -> None:
    """To a new customer who has an address."""
    _notify(work, event, _NEW)


@hears(AccountRenewed, job="renewal_mail")
def renewal_mail(work: Work, event: AccountRenewed) -> None:
    """To a customer with an address whose account was renewed by a plan."""
    _notify(work, event, _RENEWED)


def _notify(work: Work, event: AccountEvent, kind: _Kind) -> None:
    """Nothing where the settings that apply want none, or there is no template; never twice for one job."""
    panel = work.panel
    email = _address(panel, event) if has_mail(panel) else None
    if email is None:
        return
    book = MailBook.load(panel)
    sender_id = book.sender_for(event.owner_id or event.actor_id)
    settings = None if sender_id is None else book.settings_for(sender_id)
    if sender_id is None or (settings is not None and not getattr(settings, kind.flag)):
        return
    mail = _mail(panel, book, settings, sender_id, event, email, kind)
    if mail is None:
        return
    posting = Posting(f"job:{work.record.id}", mail, about=About(kind.type, sender_id, event.account_id))
    tally = post(panel, settings, [posting])
    if tally.failed:
        log.warning("%s mail of account %d: not sent", kind.type, event.account_id)


def _address(panel: Panel, event: AccountEvent) -> str | None:
    """The account's present one; a sync may have given the account another id meanwhile."""
    found = select(Account.email).where((Account.id == event.account_id) | (Account.username == event.username))
    with panel.database.read() as connection:
        return usable_address(connection.scalar(found.order_by(Account.id != event.account_id).limit(1)))


def _mail(
    panel: Panel,
    book: MailBook,
    settings: Settings | None,
    sender_id: int,
    event: AccountEvent,
    email: str,
    kind: _Kind,
) -> Mail | None:
    template = book.template_for(sender_id, kind.template)
    if template is None:
        return None
    days = days_left(event.end_date, panel.clock.today()) if event.end_date else 0
    text = filled(
        template,
        customer_values(
            name=event.full_name,
            username=event.username,
            mac=event.mac,
            end_date=event.end_date,
            days=days,
            plan_name=event.plan_name or "",
        ),
    )
    others = book.super_addresses() if settings is not None and settings.notifies_admin else []
    if settings is not None and settings.notifies_reseller:
        others = [*others, book.address_of(sender_id)]
    return Mail(
        recipient=email,
        recipient_name=event.full_name,
        subject=text.subject,
        html=text.html,
        plain=text.plain,
        copies=copies(others, email),
        are_copies_hidden=panel.config.mail.copy_mode == "bcc",
    )
