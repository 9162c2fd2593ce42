"""Text columns that know what they can hold: each text is fitted to its column, or refused, before a statement runs.

A panel's tables may be in utf8mb3 or latin1, and shorter than ours. A server in strict mode fails on what does not fit,
a lenient one stores something else without a word; neither is let come to that. What is compared with a column that
cannot hold it is changed to something that is equal to nothing, instead of MySQL's "illegal mix of collations".
Source: contract chapter 60 S8.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator

from core.errors import InvalidInput
from core.storage.tables.holding import Holding, codec_of, of_model

_SHOWN_CHARACTERS = 5
_COLUMNS = (
    "SELECT table_name, column_name, character_set_name, character_maximum_length, character_octet_length"
    " FROM information_schema.columns WHERE table_schema = DATABASE() AND character_set_name IS NOT NULL"
)


class Manner(Enum):
    """What becomes of a text that its column cannot hold."""

    #: refused: keys, addresses, secrets, whatever another text would make wrong
    EXACT = "exact"
    #: its foreign characters are replaced; one that is too long is refused
    NAME = "name"
    #: replaced and cut: nothing that is done may fail on its log
    LOG = "log"


_LOG_TABLES = frozenset(
    {
        "_audit_log",
        "_expiry_reminders",
        "_login_history",
        "_mail_logs",
        "_sms_logs",
        "_stb_action_logs",
        "_telegram_logs",
    }
)
_LOGS: Mapping[str, str] = {
    "_accounts": "tariff_plan",
    "_mail_reminder_tracking": "mac",
    "_push_expiry_tracking": "mac",
    "_push_subscriptions": "user_agent",
    "_reseller_payments": "recorded_by_username",
    "_sms_reminder_tracking": "mac",
    "_transactions": "creator details corrected_by_username",
    "_webauthn_credentials": "device_name",
}
_NAMES: Mapping[str, str] = {
    "_accounts": "full_name",
    "_currencies": "name",
    "_iranian_banks": "name_fa name_en",
    "_mail_settings": "from_name",
    "_mail_templates": "name subject body_html body_plain description",
    "_plans": "name category",
    "_reminder_settings": "message_template",
    "_reseller_payments": "bank_name reference_number description cancellation_reason",
    "_sms_settings": "expiry_template",
    "_sms_templates": "name template description",
    "_telegram_templates": "name template description",
    "_transactions": "correction_note",
    "_users": "name",
}


def manner_of(table: str, column: str) -> Manner:
    if table in _LOG_TABLES or column in _LOGS.get(table, "").split():
        return Manner.LOG
    return Manner.NAME if column in _NAMES.get(table, "").split() else Manner.EXACT


class UnstorableText(DontWrapMixin, InvalidInput):
    """A text that its column cannot hold, and that would be wrong in any other form."""


Columns = Mapping[tuple[str, str], Holding]
_known: WeakKeyDictionary[Dialect, Columns] = WeakKeyDictionary()


def learn_once(dialect: Dialect, dbapi_connection: Any) -> None:
    """Read what the columns of this database can hold, on a connection that has no transaction open.

    Nothing is to be read where it is known, and of a kind of database that is as our models say."""
    if dialect in _known or dialect.name not in ("mysql", "mariadb"):
        return
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(_COLUMNS)
        rows = cursor.fetchall()
    finally:
        cursor.close()
        dbapi_connection.rollback()
    _known[dialect] = {
        (table, column): Holding(codec_of(charset), characters, octets)
        for table, column, charset, characters, octets in rows
    }


def forget(dialect: Dialect) -> None:
    """The structure changed, or was found to be another: it is read again."""
    _known.pop(dialect, None)


class HeldText(TypeDecorator[str]):
    """The type of a text column of ours or of the panel, which fits each value to the column as it is here."""

    impl = sa.String
    cache_ok = True

    def __init__(self, inner: sa.String, table: str, column: str, manner: Manner) -> None:
        super().__init__()
        self.impl = inner  # type: ignore[assignment]
        self.inner = inner
        self.table = table
        self.column = column
        self.manner = manner

    @property
    def python_type(self) -> type[str]:
        return str

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return self.fitting(value, dialect) if isinstance(value, str) else value

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return ComparedText(self)

    def copied(self) -> "CopiedText":
        return CopiedText(self.inner, self.table, self.column, Manner.EXACT)

    def fitting(self, text: str, dialect: Dialect) -> str:
        """``text`` as the column keeps it. Raises UnstorableText."""
        holding = self._holding(dialect)
        foreign = holding.foreign(text)
        if foreign and self.manner is Manner.EXACT:
            raise UnstorableText(f"This database cannot keep {_shown(foreign)} in the {self._label}")
        text = holding.replaced(text, foreign)
        if not holding.is_too_long(text):
            return text
        if self.manner is not Manner.LOG:
            limit = f" (more than {holding.characters} characters)" if holding.characters else ""
            raise UnstorableText(f"The {self._label} is too long{limit}")
        return holding.cut(text)

    def comparable(self, text: str, dialect: Dialect) -> str:
        """``text`` in a form that the column can be compared with, equal to nothing where the column cannot hold it."""
        return self._holding(dialect).comparable(text)

    def _holding(self, dialect: Dialect) -> Holding:
        known = _known.get(dialect)
        holding = known.get((self.table, self.column)) if known else None
        if holding is not None:
            return holding
        return of_model(getattr(self.impl, "length", None), nul=dialect.name != "postgresql")

    @property
    def _label(self) -> str:
        return self.column.replace("_", " ").replace("setting value", "value")


class ComparedText(TypeDecorator[str]):
    """A value that is compared with a text column."""

    impl = sa.String
    cache_ok = True

    def __init__(self, held: HeldText) -> None:
        super().__init__()
        self.held = held

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return self.held.comparable(value, dialect) if isinstance(value, str) else value


def compared(column: Any, value: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """``value``, an expression, as something to be compared with ``column``."""
    held = column.type
    return sa.type_coerce(value, ComparedText(held)) if isinstance(held, HeldText) else value


def compared_values(column: Any, name: str) -> sa.BindParameter[Any]:
    """The parameter ``name``, a list of texts, as something that ``column`` is looked for in."""
    held = column.type
    kind = ComparedText(held) if isinstance(held, HeldText) else held
    return sa.bindparam(name, expanding=True, type_=kind)


def fitting(dialect: Dialect, model: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` as the columns of ``model`` keep them. Raises UnstorableText."""
    columns = model.__table__.c
    return {
        name: columns[name].type.fitting(value, dialect) if isinstance(value, str) else value
        for name, value in values.items()
    }


class CopiedText(HeldText):
    """The same for copies of rows, whose texts arrive whole or not at all."""

    cache_ok = True

    def _holding(self, dialect: Dialect) -> Holding:
        # SQLite's columns hold texts of any length
        return of_model(None, nul=True) if dialect.name == "sqlite" else super()._holding(dialect)


def as_it_stands(table: sa.Table) -> sa.TableClause:
    """``table``, for copying rows into it."""
    columns = (
        sa.column(column.name, column.type.copied() if isinstance(column.type, HeldText) else column.type)
        for column in table.columns
    )
    return sa.table(table.name, *columns)


def held_by(kind: object) -> HeldText | None:
    """The column that a value of this type is compared with."""
    return kind if isinstance(kind, HeldText) else kind.held if isinstance(kind, ComparedText) else None


def hold(table: sa.Table, kinds: type[sa.String], *, manner: Manner | None = None) -> None:
    """Give the text columns of ``table`` their types, but for those of ``kinds``; ``manner`` None: by their names."""
    for column in table.columns:
        if isinstance(column.type, sa.String) and not isinstance(column.type, kinds):
            column.type = HeldText(column.type, table.name, column.name, manner or manner_of(table.name, column.name))


def _shown(signs: str) -> str:
    shown = signs[:_SHOWN_CHARACTERS]
    return " ".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in shown)
