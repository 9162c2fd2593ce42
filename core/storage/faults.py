"""What a database's refusal means where it does not pass by itself: each a named failure with its cause in a sentence.

Only the drivers' numbers and codes of mistakes in the set-up stand here; what passes by itself (deadlocks, a lost
connection) is told apart in :mod:`core.storage.database`. The sentences reach pages as well as consoles, and hold no
host, user, path or SQL.
"""

import re
import socket
import sqlite3
import ssl
from collections.abc import Iterator

from core.errors import DatabaseFailed, DatabaseRefused, DatabaseUnavailable


class DatabaseSetUp(DatabaseUnavailable):
    """Somebody has to put the database or its address right; trying again does not help. The text says what."""

    default_text = "The database cannot be used as it is set up"


class NoDatabaseServer(DatabaseUnavailable):
    """Nobody answers at the address: wrong, or a server that is being started."""

    default_text = "The database is not available: no server answers at the configured address"


class LacksTable(DatabaseRefused):
    """A table or column is missing that was there, or that an upgrade adds."""

    default_text = "The database lacks a table or column that this needs; the command db upgrade adds it"


LASTING = (DatabaseSetUp, LacksTable, NoDatabaseServer)

UNKNOWN_OPTION = (
    "The database cannot be used: its address has an option, or a value of one, that its driver does not know"
)
_CERTIFICATE = (
    "The database cannot be used: its server's certificate is not of an authority that the address trusts,"
    " or is for another name"
)
_NOT_ENCRYPTED = "The database cannot be used: its server offers no encryption, which the address asks for"
_CREDENTIALS = "The database cannot be used: its server refuses the configured user name or password"
_NO_RIGHT = "The database cannot be used: the configured user has no right to it"
_NOT_ADMITTED = (
    "The database cannot be used: its server does not admit this user from here, or not by this kind of login"
)
_NO_DATABASE = "The database cannot be used: its server has none of the configured name"
_LACKS_RIGHT = "The database refuses this: the configured user lacks a right, such as to change or create tables"
_READ_ONLY = "The database takes no changes: it is read-only, for this user or altogether"
_FULL = "The database takes no changes: the disk or table is full"
_DAMAGED = "A table of the database is damaged and has to be repaired"
_COLLATIONS = (
    "Tables of the database compare text in different ways (mixed collations); the command db check names them"
)
_NO_HOST = "The database is not available: the name of its server is not known here"
_NOT_A_FILE = "The database cannot be used: the configured file is no SQLite database"
_NOT_OPENED = "The database cannot be used: its file or directory is not there, or not open to the user of this server"

_MYSQL = {
    2019: UNKNOWN_OPTION,
    1044: _NO_RIGHT,
    1045: _CREDENTIALS,
    1049: _NO_DATABASE,
    1130: _NOT_ADMITTED,
    1251: _NOT_ADMITTED,
    1524: _NOT_ADMITTED,
    1698: _CREDENTIALS,
    2059: _NOT_ADMITTED,
    2061: _NOT_ADMITTED,
    1142: _LACKS_RIGHT,
    1143: _LACKS_RIGHT,
    1227: _LACKS_RIGHT,
    1370: _LACKS_RIGHT,
    1419: _LACKS_RIGHT,
    1290: _READ_ONLY,
    1036: _READ_ONLY,
    1836: _READ_ONLY,
    1021: _FULL,
    1114: _FULL,
    126: _DAMAGED,
    127: _DAMAGED,
    144: _DAMAGED,
    145: _DAMAGED,
    1034: _DAMAGED,
    1194: _DAMAGED,
    1195: _DAMAGED,
    1267: _COLLATIONS,
    1270: _COLLATIONS,
    1271: _COLLATIONS,
}
_COLLATION_CODES = (1267, 1270, 1271)
_LACKS = (1054, 1146, "42P01", "42703")
_SQLITE_LACKS = ("no such table", "no such column")
_MYSQL_NO_SERVER = (2002, 2003, 2005)
# of encryption; PyMySQL tells what it has from Python as no connection at all
_MYSQL_ENCRYPTION = 2026
_POSTGRESQL = {
    "28P01": _CREDENTIALS,
    "28000": _NOT_ADMITTED,
    "3D000": _NO_DATABASE,
    "42501": _LACKS_RIGHT,
    "25006": _READ_ONLY,
    "53100": _FULL,
    "42P22": _COLLATIONS,
}
# while connecting, the driver has a text and no code
_POSTGRESQL_TEXTS = (
    (r"password authentication failed|no password supplied|role \".*\" does not exist", _CREDENTIALS),
    (
        r"(peer|ident|gssapi|certificate) authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects",
        _NOT_ADMITTED,
    ),
    (r"database \".*\" does not exist", _NO_DATABASE),
    (r"permission denied for database", _NO_RIGHT),
    (r"server does not support ssl", _NOT_ENCRYPTED),
    (r"certificate verify failed|server certificate for \"|root certificate file", _CERTIFICATE),
    (r"invalid connection option|invalid sslmode value", UNKNOWN_OPTION),
    (r"failed to resolve host|could not translate host name", _NO_HOST),
)
_POSTGRESQL_NO_SERVER = r"connection refused|no such file or directory|no route to host|timeout expired|timed out"
_SQLITE = {
    sqlite3.SQLITE_CANTOPEN: _NOT_OPENED,
    sqlite3.SQLITE_PERM: _NOT_OPENED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _NOT_A_FILE,
}


def set_up_fault(error: BaseException | None) -> DatabaseFailed | None:
    """What a driver's error says of the set-up: a mistake in it, or that no server is there; None for all else."""
    if isinstance(error, sqlite3.Error):
        if str(error).startswith(_SQLITE_LACKS):
            return LacksTable()
        # the lower byte; above it stands the exact reason
        return _told(_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF))
    if isinstance(error, OSError):
        return DatabaseSetUp(_NOT_OPENED)
    for code in _codes(error):
        # a text beside a column that cannot hold it says the same of two collations
        if code in _COLLATION_CODES and "COERCIBLE" in str(error):
            return None
        if code in _LACKS:
            return LacksTable()
        if code in _MYSQL_NO_SERVER:
            return _unreached(code, getattr(error, "original_exception", None))
        if code == _MYSQL_ENCRYPTION:
            return _unencrypted(str(error))
        if sentence := _MYSQL.get(code) if isinstance(code, int) else _POSTGRESQL.get(code):
            return DatabaseSetUp(sentence)
    return _by_text(error) if _is_connecting_to_postgresql(error) else None


def _unreached(code: int | str, cause: Exception | None) -> DatabaseUnavailable:
    """``cause``: what PyMySQL met."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return DatabaseSetUp(_CERTIFICATE)
    return DatabaseSetUp(_NO_HOST) if code == 2005 or isinstance(cause, socket.gaierror) else NoDatabaseServer()


def _unencrypted(text: str) -> DatabaseUnavailable | None:
    """None where the connection only broke meanwhile."""
    if "certificate" in text:
        return DatabaseSetUp(_CERTIFICATE)
    return DatabaseSetUp(_NOT_ENCRYPTED) if "SSL is required" in text else None


def _codes(error: BaseException | None) -> Iterator[int | str]:
    """Some drivers report the server's own number beside a sqlstate that says nothing (HY000)."""
    for code in (getattr(error, "errno", None), *getattr(error, "args", ())[:1], getattr(error, "sqlstate", None)):
        if isinstance(code, int) or (isinstance(code, str) and len(code) == 5):
            yield code


def _is_connecting_to_postgresql(error: BaseException | None) -> bool:
    return type(error).__module__.startswith("psycopg") and not getattr(error, "sqlstate", None)


def _by_text(error: BaseException | None) -> DatabaseUnavailable | None:
    text = str(error).lower()
    for pattern, sentence in _POSTGRESQL_TEXTS:
        if re.search(pattern, text):
            return DatabaseSetUp(sentence)
    return NoDatabaseServer() if re.search(_POSTGRESQL_NO_SERVER, text) else None


def _told(sentence: str | None) -> DatabaseUnavailable | None:
    return None if sentence is None else DatabaseSetUp(sentence)


def not_connected(error: Exception) -> DatabaseFailed:
    """As what a connection that could not be had is told."""
    return set_up_fault(getattr(error, "orig", None) or error) or DatabaseUnavailable()
