"""The text messages that follow a new account and a renewal, as listeners to both.

Source: contract chapter 60, "SMS helper functions", and S9.
"""

import logging

from core.accounts.events import AccountCreated, AccountEvent, AccountRenewed, by_phone
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.messages.placeholders import render
from core.messages.sms.first_templates import RENEWAL, WELCOME
from core.messages.sms.numbers import provider_number
from core.messages.sms.outbox import Message, deliver
from core.messages.sms.recipients import Recipient, recipient_values
from core.messages.sms.settings import has_sms, sender_of
from core.messages.sms.templates import find_template
from core.panel import Panel

log = logging.getLogger(__name__)

_CALL_SECONDS = 10.0


@hears(AccountCreated, job="welcome_sms", only=by_phone)
def welcome_sms(work: Work, event: AccountCreated) -> None:
    """The owner's welcome, or the super admin's for an owner without settings of his own."""
    _notify(work, event, event.owner_id, WELCOME, "new_account")


@hears(AccountRenewed, job="renewal_sms", only=by_phone)
def renewal_sms(work: Work, event: AccountRenewed) -> None:
    """The owner's text, or that of who renewed an account without an owner."""
    _notify(work, event, event.owner_id or event.actor_id, RENEWAL, "renewal")


def _notify(work: Work, event: AccountEvent, owner_id: int | None, template: str, kind: str) -> None:
    """Nothing where nobody has settings, or their user no such template; never twice for one job."""
    panel = work.panel
    number = provider_number(event.phone, panel.config.country_code)
    if number is None or not has_sms(panel):
        return
    with panel.database.read() as connection:
        sender = sender_of(panel, connection, owner_id, inherits=True)
        text = find_template(connection, sender.user_id, template) if sender else None
    if sender is None or text is None:
        return
    message = _message(panel, work, event, number, text, kind)
    tally = deliver(panel, sender, sender.user_id, [message], _CALL_SECONDS)
    if tally.error:
        log.warning("%s message of account %d: not sent", kind, event.account_id)


def _message(panel: Panel, work: Work, event: AccountEvent, number: str, text: str, kind: str) -> Message:
    account = Recipient(event.account_id, event.username, event.full_name, event.mac, number, event.end_date)
    return Message(
        claim=f"job:{work.record.id}:{event.account_id}",
        number=number,
        text=render(text, recipient_values(account, panel.clock.today())),
        kind=kind,
        account_id=event.account_id,
        mac=event.mac,
        recipient=event.full_name or None,
    )
