"""The table of currencies: adding a code, removing one that nothing uses. Source: contract chapter 40 §3.13, §3.14."""

import re

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from core.access.audit import By
from core.errors import AlreadyExists, InvalidInput, NotFound, PanelError
from core.panel import Panel
from core.storage.one_at_a_time import serialise
from core.storage.tables import Currency, Plan, Transaction, User
from core.values.currencies import PLAN_CURRENCIES, currency_code

_LOCK = "currencies_lock"
_LEGACY_RIAL = "IRT"
_CODE = re.compile(r"[A-Z]{3,10}")


class CurrencyInUse(PanelError):
    """Something still counts in the currency, or it belongs to the panel itself."""

    default_text = "This currency is in use"


def lock_currencies(panel: Panel, connection: Connection) -> None:
    """Until the transaction ends, nobody else of ours changes the currencies or begins to count in another one; before
    anything is read in it."""
    serialise(panel.database, connection, _LOCK)


def add_currency(panel: Panel, by: By, name: str) -> str:
    """Add a currency under its code in capitals, which is returned. Raises InvalidInput, AlreadyExists."""
    code = name.upper()
    if not _CODE.fullmatch(code):
        raise InvalidInput.of("name", "expected the code of a currency, 3 to 10 letters")
    if code == _LEGACY_RIAL:
        raise InvalidInput.of("name", "IRT is an old name of IRR")

    def act(connection: Connection) -> None:
        lock_currencies(panel, connection)
        if _stored(connection, code):
            raise AlreadyExists("This currency exists already")
        connection.execute(insert(Currency).values(id=code, name=code))
        by.write_audit(panel, connection, "create", "currency", target_id=code, target_name=code)

    panel.database.transact(act)
    return code


def remove_currency(panel: Panel, by: By, name: str) -> None:
    """Remove a currency that no user, plan or ledger row uses. Raises InvalidInput, NotFound, CurrencyInUse."""
    if not name:
        raise InvalidInput.missing("id", "the code of a currency")
    code = name.upper()
    if currency_code(code) in PLAN_CURRENCIES:
        raise CurrencyInUse("This currency is in use: the panel's own currencies stay")

    def act(connection: Connection) -> None:
        lock_currencies(panel, connection)
        stored = _stored(connection, code)
        if not stored:
            raise NotFound("Currency not found")
        if _is_used(connection, code):
            raise CurrencyInUse
        connection.execute(delete(Currency).where(Currency.id.in_(stored)))
        by.write_audit(panel, connection, "delete", "currency", target_id=code, target_name=code)

    panel.database.transact(act)


def _stored(connection: Connection, code: str) -> list[str]:
    """The ids of ``code``, in whatever case a panel wrote it."""
    return [id for id in connection.scalars(select(Currency.id)) if id.upper() == code]


def _is_used(connection: Connection, code: str) -> bool:
    holders: tuple[ColumnElement[bool], ...] = tuple(
        select(table.id).where(func.upper(column) == code).exists()
        for table, column in ((User, User.currency_id), (Plan, Plan.currency_id), (Transaction, Transaction.currency))
    )
    return any(connection.scalar(select(held)) for held in holders)
