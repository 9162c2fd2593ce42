"""The texts of automatic messages: found by key, and those that a panel starts with, in our own words.

Source: contract chapter 80, "Templates". How values come into them: :mod:`core.messages.telegram.markdown`.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, insert, select

from core.panel import Panel
from core.storage.schema import Layout
from core.storage.tables import TelegramTemplate

NEW_ACCOUNT, RENEWAL, EXPIRED = "new_account", "renewal", "expired"
EXPIRY_7, EXPIRY_3, EXPIRY_1 = "expiry_7days", "expiry_3days", "expiry_1day"
LOW_BALANCE, NEW_PAYMENT = "low_balance", "new_payment"
DAILY_REPORT, LOGIN_ALERT, BROADCAST = "daily_report", "login_alert", "broadcast"


class Template(NamedTuple):
    key: str
    name: str
    text: str
    description: str


_ABOUT_ACCOUNT = "نام: {name}\nدستگاه: `{mac}`\nتاریخ پایان: {expiry_date}\n"
_RESELLER = "نماینده: {reseller_name}"
_PLAN = "طرح: {plan_name}\n"


def _ending(emoji: str, title: str) -> str:
    return f"{emoji} *{title}*\n{_ABOUT_ACCOUNT}روزهای مانده: {{days}}\n{_RESELLER}"


FIRST = (
    Template(
        NEW_ACCOUNT,
        "New Account Created",
        f"\U0001f195 *اشتراک تازه*\n{_ABOUT_ACCOUNT}{_PLAN}{_RESELLER}",
        "After an account was created",
    ),
    Template(
        RENEWAL,
        "Account Renewed",
        f"\U0001f504 *تمدید اشتراک*\n{_ABOUT_ACCOUNT}{_PLAN}{_RESELLER}",
        "After an account was renewed",
    ),
    Template(
        EXPIRY_7,
        "Expires in 7 Days",
        _ending("\u26a0\ufe0f", "اشتراک رو به پایان است"),
        "Some days before an account ends",
    ),
    Template(
        EXPIRY_3,
        "Expires in 3 Days",
        _ending("\U0001f514", "چند روز تا پایان اشتراک"),
        "Three days or fewer before an account ends",
    ),
    Template(
        EXPIRY_1,
        "Expires in 1 Day",
        _ending("\U0001f6a8", "اشتراک فردا به پایان می‌رسد"),
        "On the last day but one of an account",
    ),
    Template(
        EXPIRED,
        "Account Expired",
        f"\u274c *اشتراک به پایان رسید*\n{_ABOUT_ACCOUNT}{_RESELLER}",
        "After an account has ended",
    ),
    Template(
        LOW_BALANCE,
        "Low Balance",
        "\u26a0\ufe0f *موجودی کم است*\nموجودی: {balance} {currency}\nبرای این تعداد اشتراک دیگر: {accounts_possible}",
        "When the balance pays for few more accounts",
    ),
    Template(
        NEW_PAYMENT,
        "New Payment",
        "\U0001f4b0 *پرداخت تازه*\nنماینده: {reseller_name}\nمبلغ: {amount} {currency}\nبانک: {bank_name}\n"
        "شرح: {description}\nموجودی تازه: {new_balance}",
        "After a payment of a reseller was recorded",
    ),
    Template(
        DAILY_REPORT,
        "Daily Report",
        "\U0001f4ca *گزارش روز {date}*\nاشتراک‌های فعال: {active_accounts}\nرو به پایان: {expiring_soon}\n"
        "پایان‌یافته امروز: {expired_today}\nتازه امروز: {new_today}\nموجودی: {balance} {currency}",
        "Once a day",
    ),
    Template(
        LOGIN_ALERT,
        "Login Alert",
        "\U0001f510 *ورود به پنل*\nکاربر: {username}\nنشانی: `{ip_address}`\nدستگاه: {device}\nزمان: {login_time}",
        "After a login",
    ),
    Template(BROADCAST, "Broadcast", "\U0001f4e2 *پیام*\n{message}", "A message to all"),
)


class StoredTemplate(NamedTuple):
    """``is_system``: automatic messages use it."""

    id: int
    name: str
    key: str
    text: str
    description: str | None
    is_system: bool


def find_template(connection: Connection, key: str) -> str | None:
    """Its text; None when there is none, or it is blank: then nothing is sent."""
    text = connection.scalar(select(TelegramTemplate.template).where(TelegramTemplate.template_key == key))
    return text if (text or "").strip() else None


def list_templates(connection: Connection) -> list[StoredTemplate]:
    model = TelegramTemplate
    is_system = sa.func.coalesce(model.is_system, 0) == 1
    rows = connection.execute(
        select(model.id, model.name, model.template_key, model.template, model.description, is_system).order_by(
            model.is_system.desc(), model.name, model.id
        )
    )
    return [StoredTemplate._make(row) for row in rows]


def lacking(connection: Connection, layout: Layout) -> list[Template]:
    """Those of ``FIRST`` that :func:`seed` would add, also in a database that has yet to be upgraded."""
    if not layout.has_table(TelegramTemplate.__tablename__):
        return list(FIRST)
    present = set(connection.scalars(select(TelegramTemplate.template_key)))
    return [item for item in FIRST if item.key not in present]


def seed(panel: Panel, connection: Connection) -> int:
    """Add those of ``FIRST`` whose keys are missing, and return how many; what is there is never changed."""
    missing = lacking(connection, panel.layout)
    now = panel.clock.now()
    for item in missing:
        values = {
            "name": item.name,
            "template_key": item.key,
            "template": item.text,
            "description": item.description,
            "is_system": 1,
            "created_at": now,
            "updated_at": now,
        }
        connection.execute(insert(TelegramTemplate).values(**values))
    return len(missing)


def give_missing(panel: Panel) -> int:
    """As :func:`seed`; for the upgrade of a panel's database."""
    if not panel.layout.has_table(TelegramTemplate.__tablename__):
        return 0

    def act(connection: Connection) -> int:
        return seed(panel, connection)

    return panel.database.transact(act)
