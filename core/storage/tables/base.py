"""What all tables share: column types, defaults, options, and the base class of the models."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import ForeignKey, SmallInteger, String, Text, text
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.compiler import SQLCompiler, TypeCompiler

OWN_PREFIX = "_sbx_"
_MYSQL = ("mysql", "mariadb")


class Choice(String):
    """One of a few words: ENUM on MySQL, plain text elsewhere.

    Not ``sa.Enum``, because that refuses to read a word that it does not know, and a legacy ENUM may hold
    ``''`` (MySQL's mark for a refused value) or a word of a newer panel.
    """

    def __init__(self, *words: str, length: int = 32) -> None:
        super().__init__(length)
        self.words = words


@compiles(Choice, *_MYSQL)
def _enum(type_: Choice, _compiler: TypeCompiler, **_: Any) -> str:
    return "ENUM({})".format(",".join(f"'{word}'" for word in type_.words))


class _Renewed(sa.ColumnElement[datetime]):
    """A column default which MySQL's server also sets to the current time on each update of the row."""

    inherit_cache = False

    def __init__(self, first: str) -> None:
        self.first = first


@compiles(_Renewed)
def _first_only(element: _Renewed, _compiler: SQLCompiler, **_: Any) -> str:
    return element.first


@compiles(_Renewed, *_MYSQL)
def _first_and_renewed(element: _Renewed, _compiler: SQLCompiler, **_: Any) -> str:
    return f"{element.first} ON UPDATE CURRENT_TIMESTAMP"


NOW = text("CURRENT_TIMESTAMP")
NOW_RENEWED = _Renewed("CURRENT_TIMESTAMP")
NULL_RENEWED = _Renewed("NULL")
ZERO, ONE, SEVEN = text("0"), text("1"), text("7")
Flag = SmallInteger().with_variant(mysql.TINYINT(1), *_MYSQL)
Small = SmallInteger().with_variant(mysql.TINYINT(4), *_MYSQL)


# what the driver hands out as text is MySQL's 0000-00-00, or another date that is none: nothing, in every answer
def _none_for_text(value: Any) -> Any:
    return None if isinstance(value, str) else value


class _MysqlDateTime(mysql.DATETIME):
    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        return _none_for_text


class _MysqlTimestamp(mysql.TIMESTAMP):
    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        return _none_for_text


class _MysqlDate(sa.DATE):
    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        return _none_for_text


def _none_for_unreadable(read: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def read_or_none(value: Any) -> Any:
        try:
            return value if read is None else read(value)
        except (TypeError, ValueError):
            return None

    return read_or_none


class _SqliteDateTime(sqlite.DATETIME):
    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        return _none_for_unreadable(super().result_processor(dialect, coltype))


class _SqliteDate(sqlite.DATE):
    """A date; a day that no calendar has (2024-02-31) is none."""

    def adapt(self, cls: Any, **kw: Any) -> Any:
        # the driver's own class would take this one's place, and fails on such a day
        return self

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        return _none_for_unreadable(super().result_processor(dialect, coltype))


Money = sa.Numeric(15, 2)
# the same text form on SQLite as the panel's answers have, so that plain SQL on any database reads alike
_PLAIN_SECONDS = _SqliteDateTime(truncate_microseconds=True)  # type: ignore[no-untyped-call]
DateTime = sa.DateTime().with_variant(_PLAIN_SECONDS, "sqlite").with_variant(_MysqlDateTime(), *_MYSQL)
Timestamp = sa.TIMESTAMP().with_variant(_PLAIN_SECONDS, "sqlite").with_variant(_MysqlTimestamp(), *_MYSQL)
_SQLITE_DATE = _SqliteDate()  # type: ignore[no-untyped-call]
Date = sa.Date().with_variant(_SQLITE_DATE, "sqlite").with_variant(_MysqlDate(), *_MYSQL)
MediumText = Text().with_variant(mysql.MEDIUMTEXT(), *_MYSQL)
Blob = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), *_MYSQL)
LongText = Text().with_variant(mysql.LONGTEXT(), *_MYSQL)
# user names compare regardless of case, as under the legacy database's collation
Username = String(100).with_variant(String(100, collation="NOCASE"), "sqlite")
# ids of sessions and the like, where case matters
ExactId = String(256).with_variant(mysql.VARCHAR(256, charset="ascii", collation="ascii_bin"), *_MYSQL)


def _table(*items: SchemaItem) -> tuple[Any, ...]:
    """``__table_args__``: the constraints and indexes of a table, and how each kind of database stores it."""
    return (
        *items,
        {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mysql_collate": "utf8mb4_unicode_ci",
            "mariadb_engine": "InnoDB",
            "mariadb_charset": "utf8mb4",
            "mariadb_collate": "utf8mb4_unicode_ci",
        },
    )


def _counted(*items: SchemaItem) -> tuple[Any, ...]:
    """As :func:`_table`, with ids that SQLite never gives twice: a deleted user's id must not return."""
    *constraints, options = _table(*items)
    return (*constraints, {**options, "sqlite_autoincrement": True})


def _user_reference() -> ForeignKey:
    return ForeignKey("_users.id", ondelete="CASCADE")


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {date: Date}
    metadata = sa.MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        }
    )
