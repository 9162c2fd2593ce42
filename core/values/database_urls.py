"""Addresses of databases as people write them, read into SQLAlchemy's."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}
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
    backend = url.drivername.split("+", 1)[0]
    if backend not in _DRIVERS:
        raise ValueError(f"unknown kind of database '{backend}'; use sqlite, mysql or postgresql")
    url = url.set(drivername=_DRIVERS[backend])
    if backend in ("mysql", "mariadb"):
        url = _by_socket(url)
        if "charset" not in url.query:
            url = url.update_query_dict({"charset": "utf8mb4"})
    return url


def _by_socket(url: URL) -> URL:
    """``localhost`` without a port is the server's socket where there is one, as PHP has it: accounts that the server
    knows by who runs the program can log in there only. ``?unix_socket=/path`` names another."""
    if url.host not in ("localhost", "", None) or url.port is not None or "unix_socket" in url.query:
        return url
    found = next((path for path in _SOCKETS if Path(path).is_socket()), None)
    return url if found is None else url.update_query_dict({"unix_socket": found})
