"""Single account rows with our notes beside them: finding, inserting, changing, archiving, inside a transaction.

Who may do so is decided in :mod:`core.accounts.rules`; what the portals are told, in the operations.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select, update

from core.accounts.end_dates import known_day
from core.errors import AlreadyExists, NotFound
from core.panel import Panel
from core.portal import normal_mac
from core.storage.database import same_text
from core.storage.lookups import AnySelect
from core.storage.tables import Account, AccountNote, ArchivedAccount
from core.storage.tables.texts import compared_values
from core.storage.writing import insert_row
from core.values.escaping import LOOKALIKES, plain, quotable
from core.values.macs import mac_spellings

USERNAME_TAKEN = "Username already exists"
MAC_TAKEN = "MAC address already in use"
DELETED, VANISHED = "deleted", "vanished"
# with one of these a name is shown in another form than it is stored in
_UNSAFE_SIGNS = "\"'<>`&\\\t\n\r"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as stored. ``reseller`` None: not assigned; ``is_ambiguous``: another one has the same name."""

    id: int
    username: str
    mac: str
    email: str | None
    phone_number: str | None
    reseller: int | None
    plan: int | None
    timestamp: int | None
    full_name: str
    tariff_plan: str
    end_date: date | None
    status: int
    account_number: int | None
    comment: str | None
    changed_at: int
    is_ambiguous: bool = False

    @property
    def shown_name(self) -> str:
        return self.full_name or self.username


# of the legacy table, in its order; typed rows that hold more than these begin with them (a test compares)
ACCOUNT_COLUMNS = (
    Account.id,
    Account.username,
    Account.mac,
    Account.email,
    Account.phone_number,
    Account.reseller,
    Account.plan,
    Account.timestamp,
    Account.full_name,
    Account.tariff_plan,
    Account.end_date,
    Account.status,
)
ACCOUNT_FIELDS = tuple(column.key for column in ACCOUNT_COLUMNS)
_COLUMNS = (
    *ACCOUNT_COLUMNS,
    AccountNote.account_number,
    AccountNote.comment,
    AccountNote.changed_at,
)
# made once, as all that is asked within each write: making it takes longer than the answer
_FOUND = (
    select(*_COLUMNS)
    .outerjoin(AccountNote, AccountNote.account_id == Account.id)
    .order_by(Account.id)
    # of which the second tells that the name is ambiguous
    .limit(2)
)
_BY_ID = _FOUND.where(Account.id == sa.bindparam("account_id"))
_BY_MAC = _FOUND.where(Account.mac.in_(compared_values(Account.mac, "spellings")))
# under a column's name goes what the column becomes
_CHANGED = update(Account).where(Account.id == sa.bindparam("its_id"))
_NOTED = update(AccountNote).where(AccountNote.account_id == sa.bindparam("its_account"))


@cache
def _by_username(dialect: str) -> AnySelect:
    return _FOUND.where(same_text(Account.username, sa.bindparam("username"), dialect))


def find_by_username(panel: Panel, connection: Connection, username: str) -> AccountRow | None:
    """The account of that name, the oldest if there are several; compared as the collation does.

    A name that pages cannot show as it is stored is found by the form that they show as well.
    """
    found = _find_exactly(panel, connection, username)
    if found is not None and not LOOKALIKES.intersection(username):
        return found
    ids = ids_by_shown_name(connection, [username])
    if found is not None:
        ids.append(found.id)
    return find_by_id(connection, min(ids)) if ids else None


def ids_by_shown_name(connection: Connection, usernames: Collection[str]) -> list[int]:
    """The accounts whose names pages show as ``usernames``, but which are stored otherwise."""
    wanted = {form.casefold() for name in usernames for form in (quotable(name), plain(name))}
    unsafe = sa.or_(*(Account.username.contains(sign, autoescape=True) for sign in _UNSAFE_SIGNS))
    rows = connection.execute(select(Account.id, Account.username).where(unsafe).order_by(Account.id))
    return [row.id for row in rows if quotable(row.username).casefold() in wanted]


def _find_exactly(panel: Panel, connection: Connection, username: str) -> AccountRow | None:
    return _find(connection, _by_username(panel.database.dialect), username=username)


def find_by_mac(connection: Connection, mac: str) -> AccountRow | None:
    """The account of that MAC, in any of the spellings that a panel stored."""
    return _find(connection, _BY_MAC, spellings=mac_spellings(mac))


def owners_by_mac(connection: Connection, macs: Iterable[str]) -> dict[str, int | None]:
    """The resellers of the accounts of those MACs (None: not assigned), of the oldest account of each; in one query."""
    spellings = [spelling for mac in macs for spelling in mac_spellings(mac)]
    rows = connection.execute(
        select(Account.mac, Account.reseller).where(Account.mac.in_(spellings)).order_by(Account.id.desc())
    )
    return {normal_mac(row.mac) or row.mac: row.reseller or None for row in rows}


def find_by_id(connection: Connection, account_id: int) -> AccountRow | None:
    return _find(connection, _BY_ID, account_id=account_id)


def require_by_username(panel: Panel, connection: Connection, username: str) -> AccountRow:
    """As :func:`find_by_username`; raises NotFound."""
    found = find_by_username(panel, connection, username)
    if found is None:
        raise NotFound("Account not found")
    return found


def refuse_taken(panel: Panel, connection: Connection, *, username: str | None = None, mac: str | None = None) -> None:
    """Raises AlreadyExists when an account has that name or MAC."""
    if username is not None and _find_exactly(panel, connection, username) is not None:
        raise AlreadyExists(USERNAME_TAKEN)
    if mac is not None and find_by_mac(connection, mac) is not None:
        raise AlreadyExists(MAC_TAKEN)


def insert_account(panel: Panel, connection: Connection, values: Mapping[str, Any], **note: Any) -> int:
    """The new account's id."""
    account_id = insert_row(connection, Account, values)
    write_note(panel, connection, account_id, **note)
    return account_id


def change_account(
    panel: Panel, connection: Connection, account_id: int, values: Mapping[str, Any], note: Mapping[str, Any]
) -> None:
    if values:
        connection.execute(_CHANGED, {"its_id": account_id, **values})
    write_note(panel, connection, account_id, **note)


def write_note(panel: Panel, connection: Connection, account_id: int, **values: Any) -> None:
    """Change our notes of the account, and note that the panel changed it now."""
    values = {"changed_at": int(panel.clock.seconds() * 1000), **values}
    if connection.execute(_NOTED, {"its_account": account_id, **values}).rowcount == 0:
        connection.execute(insert(AccountNote), {"account_id": account_id, **values})


def archive_account(panel: Panel, connection: Connection, account_id: int, reason: str) -> None:
    """Move the account out of the live table; an older archived account of the same id is replaced."""
    kept = [column for column in ArchivedAccount.__table__.c if column.name not in ("reason", "archived_at")]
    source = {**Account.__table__.c, **AccountNote.__table__.c}
    known = sa.func.coalesce(AccountNote.portal_reseller_known, 0)
    columns = [known if column.name == "portal_reseller_known" else source[column.name] for column in kept]
    connection.execute(delete(ArchivedAccount).where(ArchivedAccount.id == account_id))
    connection.execute(
        insert(ArchivedAccount).from_select(
            [*(column.name for column in kept), "reason", "archived_at"],
            select(*columns, sa.literal(reason), sa.literal(int(panel.clock.seconds() * 1000), sa.BigInteger))
            .select_from(Account)
            .outerjoin(AccountNote, AccountNote.account_id == Account.id)
            .where(Account.id == account_id),
        )
    )
    connection.execute(delete(AccountNote).where(AccountNote.account_id == account_id))
    connection.execute(delete(Account).where(Account.id == account_id))


def _find(connection: Connection, statement: AnySelect, **parameters: Any) -> AccountRow | None:
    rows = connection.execute(statement, parameters).all()
    if not rows:
        return None
    values = dict(rows[0]._mapping)
    return AccountRow(
        **{
            **values,
            "mac": normal_mac(values["mac"]) or values["mac"],
            "reseller": values["reseller"] or None,
            "full_name": values["full_name"] or "",
            "tariff_plan": values["tariff_plan"] or "",
            # a zero date of the legacy database is a text
            "end_date": known_day(values["end_date"]),
            "status": int(values["status"] == 1),
            "changed_at": values["changed_at"] or 0,
        },
        is_ambiguous=len(rows) > 1,
    )
