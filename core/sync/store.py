"""The database's side of a sync: reading what is here, and writing changes in statements for many rows at once.

What is to be changed is decided in :mod:`core.sync.merge`, and how much of it is written at once in
:mod:`core.sync.batches`. Source: contract chapter 20 §1.11 and §9.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from core.access.audit import By, write_audit_rows
from core.accounts.operations import OPEN, UNDONE
from core.accounts.rows import ACCOUNT_FIELDS, VANISHED
from core.panel import Panel
from core.storage.database import same_text_in
from core.storage.tables import Account, AccountNote, ArchivedAccount, Base, Operation, User
from core.sync.fields import LocalAccount
from core.sync.merge import Busy, LocalState

_NOTED = ("account_number", "portal_reseller_seen", "portal_reseller_known")


def read_state(connection: Connection, started: int) -> LocalState:
    """Everything that a comparison needs. ``started``: when the fetch began, Unix milliseconds."""
    return replace(
        read_surroundings(connection, started),
        accounts=_accounts(connection, _ACCOUNTS),
        gone=_known_as(connection.execute(_gone(started)).all()),
        archived=lambda: _vanished(connection, started),
    )


def read_surroundings(connection: Connection, started: int) -> LocalState:
    """As :func:`read_state`, without any accounts: what is read again for each batch must not grow with their
    number."""
    return LocalState([], set(connection.scalars(select(User.id))), _busy(connection, started))


def prefer_indexes(connection: Connection) -> None:
    """For the rest of the transaction: PostgreSQL takes a table for small that has grown within minutes, and would
    compare all of its rows with each of many values."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")


def hold_accounts(connection: Connection, ids: Collection[int | None]) -> list[LocalAccount]:
    """The accounts with these ids, as they are now, and stay until the end of the transaction: the PHP panel, which
    knows none of our locks, changes no row meanwhile. (What is at work on them here, is known as busy.)"""
    # what a locking read finds is the newest, whatever moment the transaction sees otherwise
    return _accounts(connection, _ACCOUNTS.where(Account.id.in_(ids)).with_for_update(of=Account))


def read_same(connection: Connection, accounts: Collection[LocalAccount]) -> Busy:
    """What is there already of accounts that are to come: those with the same id, MAC or user name."""
    ids = [account.id for account in accounts if account.id is not None]
    same = sa.or_(Account.id.in_(ids), _is_like(connection, Account, accounts))
    return _known_as(connection.execute(select(Account.id, Account.username, Account.mac).where(same)).all())


def read_gone(connection: Connection, started: int, accounts: Collection[LocalAccount]) -> Busy:
    """Of what went since the fetch began (see :class:`LocalState`), those with the MAC or user name of one of
    these."""
    return _known_as(connection.execute(_gone(started).where(_is_like(connection, ArchivedAccount, accounts))).all())


def _is_like(
    connection: Connection, model: type[Account] | type[ArchivedAccount], accounts: Collection[LocalAccount]
) -> sa.ColumnElement[bool]:
    names = same_text_in(model.username, [account.username for account in accounts], connection.dialect.name)
    return sa.or_(model.mac.in_([account.mac for account in accounts]), names)


def _accounts(connection: Connection, wanted: Any) -> list[LocalAccount]:
    return list(map(LocalAccount._make, connection.execute(wanted).all()))


def _end_date(model: type[Account] | type[ArchivedAccount]) -> Any:
    text = sa.func.substr(sa.cast(model.end_date, sa.String(20)), 1, 10)
    return sa.func.nullif(text, "0000-00-00")


def _columns(model: type[Account] | type[ArchivedAccount]) -> list[Any]:
    return [_end_date(model) if name == "end_date" else getattr(model, name) for name in ACCOUNT_FIELDS]


_ACCOUNTS = (
    select(
        *_columns(Account),
        AccountNote.account_number,
        AccountNote.portal_reseller_seen,
        sa.func.coalesce(AccountNote.portal_reseller_known, 0),
        AccountNote.changed_at,
    )
    .outerjoin(AccountNote, AccountNote.account_id == Account.id)
    .order_by(Account.id)
)


def _busy(connection: Connection, started: int) -> Busy:
    """Operations under way, and those that were undone since the fetch began."""
    undone = sa.and_(Operation.state == UNDONE, Operation.updated_at >= started // 1000)
    return _known_as(
        connection.execute(
            select(Operation.account_id, Operation.username, Operation.mac).where(
                sa.or_(Operation.state.in_(OPEN), undone)
            )
        ).all()
    )


def _gone(started: int) -> Any:
    known = select(ArchivedAccount.id, ArchivedAccount.username, ArchivedAccount.mac)
    return known.where(ArchivedAccount.archived_at >= started)


def _known_as(rows: Sequence[Any]) -> Busy:
    return Busy(
        ids={row[0] for row in rows if row[0] is not None},
        usernames={row[1].casefold() for row in rows},
        macs={row[2] for row in rows},
    )


def _vanished(connection: Connection, started: int) -> list[LocalAccount]:
    """The accounts that earlier syncs took away, the latest first."""
    rows = connection.execute(
        select(
            *_columns(ArchivedAccount),
            ArchivedAccount.account_number,
            ArchivedAccount.portal_reseller_seen,
            ArchivedAccount.portal_reseller_known,
            sa.literal(0),
        )
        .where(ArchivedAccount.reason == VANISHED, ArchivedAccount.archived_at < started)
        .order_by(ArchivedAccount.archived_at.desc(), ArchivedAccount.id.desc())
    )
    return [LocalAccount._make(row) for row in rows]


def remove(panel: Panel, connection: Connection, accounts: Sequence[LocalAccount], by: By) -> None:
    """Into the archive. The notes stay: they hold the comment, should the account come back."""
    now = int(panel.clock.seconds() * 1000)
    rows = [
        {
            **_account_row(account),
            "account_number": account.account_number,
            "portal_reseller_seen": account.seen,
            "portal_reseller_known": account.known,
            "reason": VANISHED,
            "archived_at": now,
        }
        for account in accounts
    ]
    _upsert(connection, ArchivedAccount, rows, [name for name in rows[0] if name != "id"])
    connection.execute(delete(Account).where(Account.id.in_([account.id for account in accounts])))
    write_audit_rows(panel, connection, [_audit_row(panel, account, by) for account in accounts])


def _audit_row(panel: Panel, account: LocalAccount, by: By) -> dict[str, Any]:
    return by.audit_row(
        panel,
        "delete",
        "account",
        target_id=account.id,
        target_name=account.mac,
        old=_account_row(account),
        new={"note": "Transactions are kept"},
        details=f"Sync found that account {account.username} ({account.mac}) is no longer on the portal",
    )


def restore(connection: Connection, accounts: Sequence[LocalAccount]) -> None:
    _execute(connection, insert(Account), [_account_row(account) for account in accounts])
    connection.execute(delete(ArchivedAccount).where(ArchivedAccount.id.in_([account.id for account in accounts])))
    note(connection, accounts)


def insert_new(connection: Connection, accounts: Sequence[LocalAccount]) -> None:
    rows = [_account_row(account) for account in accounts]
    for row in rows:
        del row["id"]
    _execute(connection, insert(Account), rows)
    # nobody else has these, or they were not new
    added = select(Account.mac, Account.id).where(Account.mac.in_([account.mac for account in accounts]))
    ids = {row.mac: row.id for row in connection.execute(added)}
    note(connection, [account._replace(id=ids[account.mac]) for account in accounts])


def change(connection: Connection, accounts: Sequence[LocalAccount], fields: Collection[str]) -> None:
    # naming a column costs the work on its index, even if its value stays; the first three may not be missing
    names = tuple(dict.fromkeys(("id", "username", "mac", *sorted(fields))))
    values = attrgetter(*names)
    rows = [dict(zip(names, values(account), strict=True)) for account in accounts]
    _upsert(connection, Account, rows, sorted(fields))


def note(connection: Connection, accounts: Sequence[LocalAccount]) -> None:
    rows = [
        {
            "account_id": account.id,
            "account_number": account.account_number,
            "portal_reseller_seen": account.seen,
            "portal_reseller_known": account.known,
            "changed_at": account.changed_at or 0,
        }
        for account in accounts
    ]
    _upsert(connection, AccountNote, rows, _NOTED)


def _account_row(account: LocalAccount) -> dict[str, Any]:
    return dict(zip(ACCOUNT_FIELDS, account, strict=False))


def _upsert(
    connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]], changing: Sequence[str]
) -> None:
    """Insert ``rows``, or give those whose key is there the new values of ``changing``: one statement for many rows.

    An update of many rows would be one round trip each with MySQL's driver.
    """
    made = _INSERTS[connection.dialect.name](table)
    if connection.dialect.name in ("sqlite", "postgresql"):
        keys = list(sa.inspect(table).primary_key)
        statement = made.on_conflict_do_update(
            index_elements=keys, set_={name: made.excluded[name] for name in changing}
        )
    else:
        columns = table.__table__.c
        # the newer spelling with an alias would keep the driver from sending many rows at once
        statement = made.on_duplicate_key_update({name: sa.func.values(columns[name]) for name in changing})
    _execute(connection, statement, rows)


_INSERTS: dict[str, Callable[[type[Base]], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}


def _execute(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """As ``connection.execute``, but the values (dates as texts, too) go to the driver as they are: for many rows
    that takes half the time."""
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    names = compiled.positiontup
    values: Any = rows if names is None else list(map(itemgetter(*names), rows))
    connection.exec_driver_sql(str(compiled), list(values))
