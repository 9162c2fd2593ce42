"""Deleting a reseller who has no accounts; records of money stay, the payments in an archive of ours.

Source: contract chapter 30 D, ``remove_reseller.php``.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.user_rows import require_reseller
from core.accounts import operations
from core.errors import InvalidInput, NotAllowed
from core.panel import Panel
from core.storage.tables import (
    Account,
    ArchivedPayment,
    Base,
    Credential,
    MailSettings,
    MailTemplate,
    Passkey,
    PasskeyChallenge,
    PushSubscription,
    ReminderSettings,
    ResellerPayment,
    SmsSettings,
    SmsTemplate,
    TelegramNotificationSettings,
    Transaction,
    User,
    WebauthnCredential,
)

_HAS_ACCOUNTS = "This reseller still has accounts; delete them or assign them to somebody else first"
# what is the user's own, and of no use to anybody else
_PERSONAL: tuple[type[Base], ...] = (
    WebauthnCredential,
    Passkey,
    PasskeyChallenge,
    PushSubscription,
    ReminderSettings,
    SmsSettings,
    SmsTemplate,
    MailSettings,
    MailTemplate,
    TelegramNotificationSettings,
    Credential,
)


def remove_reseller(panel: Panel, by: By, reseller_id: int) -> None:
    """Raises NotAllowed, NotFound, InvalidInput. The user's sessions end with the user."""
    if reseller_id == by.actor.id and not by.actor.super_user:
        raise NotAllowed("You cannot delete yourself")

    def act(connection: Connection) -> None:
        # no account is on its way to this reseller, and none comes until this is done
        operations.lock_accounts(panel, connection)
        reseller = require_reseller(panel, connection, reseller_id, lock=True)
        _refuse_owner(connection, reseller.id)
        payments = _archive_payments(panel, connection, reseller)
        _audit(panel, connection, by, reseller, payments)
        for model in _PERSONAL:
            if panel.layout.has_table(model.__tablename__):
                connection.execute(delete(model).where(model.__table__.c.user_id == reseller.id))
        connection.execute(delete(User).where(User.id == reseller.id))

    panel.database.transact(act)


def _refuse_owner(connection: Connection, user_id: int) -> None:
    # in this order: what arrives between the two is seen as an account
    waiting = operations.read_open(connection)
    owned = connection.execute(select(Account.id).where(Account.reseller == user_id).limit(1)).first()
    coming = any(user_id in (record.payer_id, record.reseller) for record in waiting)
    if owned is not None or coming:
        raise InvalidInput(_HAS_ACCOUNTS)


def _archive_payments(panel: Panel, connection: Connection, reseller: Actor) -> int:
    """Move the payments into our archive, which no foreign key empties; how many there were."""
    if not panel.layout.has_table("_reseller_payments"):
        return 0
    own = ResellerPayment.reseller_id == reseller.id
    columns = [column.name for column in ResellerPayment.__table__.c]
    more: dict[str, sa.ColumnElement[Any]] = {
        "reseller_name": sa.literal(reseller.name, sa.String(255)),
        "reseller_username": sa.literal(reseller.username, sa.String(100)),
        "archived_at": sa.literal(panel.clock.stamp(), sa.Integer),
    }
    # as they stay: one that is being cancelled is waited for
    connection.execute(select(ResellerPayment.id).where(own).with_for_update())
    source = select(*(ResellerPayment.__table__.c[name] for name in columns), *more.values()).where(own)
    connection.execute(insert(ArchivedPayment).from_select([*columns, *more], source))
    return connection.execute(delete(ResellerPayment).where(own)).rowcount


def _audit(panel: Panel, connection: Connection, by: By, reseller: Actor, payments: int) -> None:
    counted = select(sa.func.count()).select_from(Transaction).where(Transaction.for_user == reseller.id)
    by.write_audit(
        panel,
        connection,
        "delete",
        "user",
        target_id=reseller.id,
        target_name=reseller.username,
        old={
            "name": reseller.name,
            "email": reseller.email,
            "balance": reseller.balance,
            "currency_id": reseller.currency_id,
            "permissions": reseller.permissions,
            "payments": payments,
            "transactions": connection.scalar(counted) or 0,
        },
        details=f"{by.actor.username} deleted {reseller.username}; payments are archived, transactions are kept",
    )
