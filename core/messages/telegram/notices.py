"""What the bot tells by itself after something happened: listeners to accounts and payments.

Source: contract chapter 80, "Who is told". What it tells by the clock: :mod:`core.messages.telegram.sweeps`.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from core.access.actors import RESELLER_ADMIN_FIELD, has_field
from core.accounts.events import AccountCreated, AccountEvent, AccountRenewed
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.ledger.events import PaymentRecorded
from core.messages.telegram import templates
from core.messages.telegram.audience import DASH, Notice, is_in_use, tell
from core.storage.tables import Plan, ResellerPayment, User
from core.values import money
from core.values.currencies import shown_currency


@hears(AccountCreated, job="telegram_new_account")
def new_account(work: Work, event: AccountCreated) -> None:
    """Admins, the account's owner and who added it; who paid, when little is left."""
    _about_account(work, event, templates.NEW_ACCOUNT, "notify_new_account")
    _low_balance(work, event)


@hears(AccountRenewed, job="telegram_renewal")
def renewal(work: Work, event: AccountRenewed) -> None:
    """Admins, the account's owner and who renewed it; who paid, when little is left."""
    _about_account(work, event, templates.RENEWAL, "notify_renewal")
    _low_balance(work, event)


def _about_account(work: Work, event: AccountEvent, template: str, switch: str) -> None:
    panel = work.panel
    if is_in_use(panel) is None:
        return
    with panel.database.read() as connection:
        owner = _username(connection, event.owner_id)
    values = {
        "name": event.full_name or event.username,
        "mac": event.mac,
        "expiry_date": event.end_date.isoformat() if event.end_date else DASH,
        "plan_name": event.plan_name or DASH,
        "reseller_name": owner or event.actor_name,
    }
    notice = Notice(
        claim=f"job:{work.record.id}",
        kind=template,
        template=template,
        switch=switch,
        values=values,
        user_ids=frozenset({event.actor_id, event.owner_id or event.actor_id}),
        to_admins=True,
        account_id=event.account_id,
        mac=event.mac,
    )
    tell(panel, notice)


@hears(PaymentRecorded, job="telegram_payment")
def payment(work: Work, event: PaymentRecorded) -> None:
    """Admins."""
    panel = work.panel
    if is_in_use(panel) is None:
        return
    with panel.database.read() as connection:
        row = connection.execute(_PAYMENT.where(ResellerPayment.id == event.payment_id)).first()
    if row is None:
        return
    currency = shown_currency(row.currency) or ""
    values = {
        "reseller_name": row.name or row.username or DASH,
        "amount": money.shown(Decimal(str(row.amount)), currency),
        "currency": currency,
        "bank_name": row.bank_name or DASH,
        "description": row.description or DASH,
        "new_balance": money.shown(Decimal(str(row.balance or 0)), currency),
    }
    tell(
        panel,
        Notice(
            claim=f"job:{work.record.id}",
            kind=templates.NEW_PAYMENT,
            template=templates.NEW_PAYMENT,
            switch="notify_new_payment",
            values=values,
            user_ids=frozenset(),
            to_admins=True,
        ),
    )


_PAYMENT = select(
    ResellerPayment.amount,
    ResellerPayment.currency,
    ResellerPayment.bank_name,
    ResellerPayment.description,
    User.username,
    User.name,
    User.balance,
).outerjoin(User, User.id == ResellerPayment.reseller_id)


def _low_balance(work: Work, event: AccountEvent) -> None:
    """Told when what is left pays for fewer more accounts of that plan than configured."""
    panel, few = work.panel, work.panel.config.telegram.low_balance_accounts
    if not few or event.plan_name is None or is_in_use(panel) is None:
        return
    with panel.database.read() as connection:
        payer = _payer(connection, event)
        price = None if payer is None else _price(connection, event.plan_name, payer.currency_id)
    if payer is None or price is None:
        return
    balance, currency = Decimal(str(payer.balance or 0)), shown_currency(payer.currency_id) or ""
    possible = int(max(balance, Decimal(0)) // price)
    if possible >= few:
        return
    values = {
        "balance": money.shown(balance, currency),
        "currency": currency,
        "accounts_possible": str(possible),
    }
    tell(
        panel,
        Notice(
            claim=f"job:{work.record.id}:low",
            kind=templates.LOW_BALANCE,
            template=templates.LOW_BALANCE,
            switch="notify_low_balance",
            values=values,
            user_ids=frozenset({payer.id}),
        ),
    )


def _payer(connection: Connection, event: AccountEvent) -> Any:
    """The row of who acted; None for those who buy without balance, and where nobody is known."""
    columns = (User.id, User.balance, User.currency_id, User.permissions, User.super_user)
    row = connection.execute(select(*columns).where(User.id == event.actor_id)).first()
    if row is None or row.super_user == 1 or has_field(row.permissions, RESELLER_ADMIN_FIELD):
        return None
    return row


def _price(connection: Connection, plan_name: str, currency: str | None) -> Decimal | None:
    """What one more of the plan costs; None when that is unknown, or nothing."""
    found = select(Plan.price).where(Plan.name == plan_name, Plan.currency_id == currency).order_by(Plan.id)
    price = connection.scalar(found.limit(1))
    return Decimal(str(price)) if price is not None and price > 0 else None


def _username(connection: Connection, user_id: int | None) -> str | None:
    return None if user_id is None else connection.scalar(select(User.username).where(User.id == user_id))
