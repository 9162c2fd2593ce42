"""Addresses of databases as people write them, read into SQLAlchemy's."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.util import asbool

_MYSQL = ("mysql", "mariadb")
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
# each reads values alike; whoever names one gets that one
_MYSQL_DRIVERS = {"mysqldb": "mysql+mysqldb", "pymysql": "mysql+pymysql"}
# what an address of MySQL may say of a server's certificate, by yes and no
SSL_SWITCHES = ("ssl_verify_cert", "ssl_check_hostname")
# the second by PyMySQL's name for it
_SSL_NAMES = {"ssl_verify_identity": "ssl_check_hostname"}
# where servers of MySQL and MariaDB listen on this machine: Debian's place first
_SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108


def normal_url(text: str) -> URL:
    """A plain ``sqlite:///…``, ``mysql://…`` or ``postgresql://…`` address with our driver filled in.

    ``localhost`` of MySQL is the server's socket, where there is one and no port is named.

    Raises ValueError with one clear sentence for anything else; the sentence never repeats the password.
    """
    try:
        url = make_url(text)
    except sa.exc.ArgumentError:
        raise ValueError("the database url cannot be read; expected e.g. sqlite:///var/panel.db") from None
    backend, _, driver = url.drivername.partition("+")
    if backend in _MYSQL:
        url = _by_socket(_switched(url.set(drivername=_MYSQL_DRIVERS.get(driver) or _best_mysql_driver())))
        return url if "charset" in url.query else url.update_query_dict({"charset": "utf8mb4"})
    if backend not in _DRIVERS:
        raise ValueError(f"unknown kind of database '{backend}'; use sqlite, mysql or postgresql")
    return url.set(drivername=_DRIVERS[backend])


def _switched(url: URL) -> URL:
    """Its switches by one name each. Raises ValueError, in a sentence, for what is neither yes nor no."""
    for name in (*SSL_SWITCHES, *_SSL_NAMES):
        if name not in url.query:
            continue
        value = str(url.query[name])
        try:
            asbool(value)
        except ValueError:
            raise ValueError(f"{name} in the database url must be yes or no") from None
        url = url.difference_update_query([name]).update_query_dict({_SSL_NAMES.get(name, name): value})
    return url


@cache
def _best_mysql_driver() -> str:
    """mysqlclient reads long lists fastest, but somebody must have compiled it; ours on PyMySQL is always there."""
    try:
        import MySQLdb  # noqa: F401
    except ImportError:
        return _MYSQL_DRIVERS["pymysql"]
    return _MYSQL_DRIVERS["mysqldb"]


def _by_socket(url: URL) -> URL:
    """``localhost`` without a port is the server's socket where there is one, as PHP has it: accounts that the server
    knows by who runs the program can log in there only. ``?unix_socket=/path`` names another."""
    if url.host not in ("localhost", "", None) or url.port is not None or "unix_socket" in url.query:
        return url
    found = next((path for path in _SOCKETS if Path(path).is_socket()), None)
    return url if found is None else url.update_query_dict({"unix_socket": found})
