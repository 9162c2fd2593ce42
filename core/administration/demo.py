"""Example data for trying the panel out: the API document's users, plans, some hundred accounts and their sales."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select, update

from core.administration.users import ALL_PERMISSIONS, RESELLER_PERMISSIONS, add_user, set_password
from core.messages.mail.first_templates import give_first
from core.messages.telegram.templates import seed
from core.panel import Panel
from core.storage.tables import Account, MailSettings, Plan, TelegramSettings, Transaction, User
from core.storage.tables.secret_columns import BOT, MAIL
from core.storage.writing import insert_and_lock

ACCOUNTS = 300
_DEMO_CHAT = 100200300
_NO_PERMISSIONS = "0|0|0|0|0|0|0|0"


@dataclass(frozen=True)
class DemoUser:
    username: str
    password: str = field(repr=False)
    name: str
    shown: str
    permissions: str
    super_user: bool = False
    is_observer: bool = False
    balance: Decimal = Decimal(0)


USERS = (
    DemoUser("admin", "admin123", "Administrator", "super admin", ALL_PERMISSIONS, True, balance=Decimal(1000)),
    DemoUser("reseller1", "password123", "Reseller One", "reseller", RESELLER_PERMISSIONS, balance=Decimal(500)),
    DemoUser("readmin", "readmin123", "Reseller Admin", "reseller admin", ALL_PERMISSIONS),
    DemoUser("watcher", "watcher123", "Observer", "observer", _NO_PERMISSIONS, is_observer=True),
)
_PLANS = (
    (1, "1", "1 Month", Decimal(10), 30, "new_device"),
    (2, "2", "3 Months", Decimal(25), 90, "renew_device"),
    (3, "3", "1 Year", Decimal(80), 365, "new_device"),
)
_FIRST = ("Alice", "Bob", "Chiara", "Darius", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jamal", "Katya", "Leila")
_LAST = ("Adams", "Brown", "Conti", "Darvish", "Evans", "Farsi", "Green", "Hosseini", "Ivanova", "Jones", "Khan")


def demo_users(*, only_here: bool) -> tuple[DemoUser, ...]:
    """The users of the demo: with the passwords of the API document where ``only_here`` can reach it, else with new
    ones that only who reads the greeting knows."""
    return USERS if only_here else tuple(replace(user, password=secrets.token_urlsafe(12)) for user in USERS)


def fill_demo(panel: Panel, users: Iterable[DemoUser] = USERS, accounts: int = ACCOUNTS) -> None:
    """Fill the database as far as it is empty, and see that the passwords are those of ``users``."""
    _fill(panel, users, accounts)
    for user in users:
        with panel.database.read() as connection:
            stored = connection.scalar(select(User.password).where(User.username == user.username))
        if stored is not None and not panel.passwords.verify(stored, user.password):
            set_password(panel, user.username, user.password, is_example=True)


def _fill(panel: Panel, users: Iterable[DemoUser], accounts: int) -> bool:
    """False (and nothing done) when it holds a plan already.

    The plans come last, together with the accounts: a start that was cut short is completed by the next.
    """
    panel.layout  # noqa: B018 - creates the tables
    with panel.database.read() as connection:
        if connection.execute(select(Plan.id).limit(1)).first():
            return False
        known = set(connection.execute(select(User.username)).scalars())
    for user in users:
        if user.username not in known:
            _add(panel, user)

    def act(connection: Connection) -> None:
        owners = list(connection.execute(select(User.id).where(User.is_observer == 0).order_by(User.id)).scalars())
        rows = list(_accounts(panel, owners, accounts))
        keys = ("id", "external_id", "name", "price", "days", "category")
        plans = [dict(zip(keys, plan, strict=True)) for plan in _PLANS]
        connection.execute(insert(Plan), [{**plan, "currency_id": "GBP"} for plan in plans])
        connection.execute(insert(Account), rows)
        connection.execute(insert(Transaction), [_sale(row) for row in rows if row["reseller"]])

    panel.database.transact(act)
    return True


def use_catchers(panel: Panel, mail_host: str, mail_port: int, bot_token: str, bot_username: str) -> None:
    """Mail and Telegram of the first user, who is linked, by what catches them for this start of the demo."""
    now = panel.clock.now()
    mail: dict[str, object] = {
        "smtp_host": mail_host,
        "smtp_port": mail_port,
        "smtp_secure": "none",
        "smtp_username": "demo@example.com",
        "from_name": panel.config.panel.name,
    }
    mail["smtp_password"] = panel.sealer.sealed("demo", MAIL.place(mail))
    bot = {"bot_token": panel.sealer.sealed(bot_token, BOT.place({})), "bot_username": bot_username, "updated_at": now}

    def act(connection: Connection) -> None:
        first = connection.scalar(select(User.id).where(User.username == USERS[0].username))
        if first is None:
            return
        insert_and_lock(connection, MailSettings, {"user_id": first}, **mail)
        connection.execute(update(MailSettings).where(MailSettings.user_id == first).values(**mail))
        give_first(panel, connection, first)
        if connection.execute(update(TelegramSettings).values(**bot)).rowcount == 0:
            connection.execute(insert(TelegramSettings).values(created_at=now, **bot))
        seed(panel, connection)
        unlinked = update(User).where(User.id == first, User.telegram_chat_id.is_(None))
        connection.execute(unlinked.values(telegram_chat_id=_DEMO_CHAT, telegram_linked_at=now))

    panel.database.transact(act)


def _add(panel: Panel, user: DemoUser) -> None:
    add_user(
        panel,
        user.username,
        user.password,
        name=user.name,
        email=f"{user.username}@example.com",
        super_user=user.super_user,
        is_observer=user.is_observer,
        permissions=user.permissions,
        balance=user.balance,
        is_example=True,
    )


def _accounts(panel: Panel, owners: list[int], count: int) -> Iterator[dict[str, Any]]:
    today, now = panel.clock.today(), panel.clock.stamp()
    for number in range(1, count + 1):
        plan = _PLANS[number % len(_PLANS)]
        name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number % len(_LAST)]}"
        yield {
            "username": f"user{number:03}",
            "mac": "00:1A:79:{:02X}:{:02X}:{:02X}".format(*number.to_bytes(3, "big")),
            "email": f"user{number:03}@example.com",
            "phone_number": f"+44770090{number:04}",
            "reseller": owners[number % len(owners)] if number % 25 else None,
            "plan": plan[0],
            "timestamp": now - 86_400 * (number % 400),
            "full_name": name,
            "tariff_plan": plan[1],
            # some long over, some about to end, some without end
            "end_date": None if number % 40 == 0 else today + timedelta(days=(number * 7) % 400 - 40),
            "status": 0 if number % 9 == 0 else 1,
        }


def _sale(row: dict[str, Any]) -> dict[str, Any]:
    plan = _PLANS[row["plan"] - 1]
    return {
        "creator": "system",
        "for_user": row["reseller"],
        "amount": -plan[3],
        "currency": "GBP",
        "type": 0,
        "details": f'Plan "{plan[2]}" assigned for {row["username"]} ,{row["full_name"]} , {row["mac"]}',
        "timestamp": row["timestamp"],
        "status": "active",
    }
