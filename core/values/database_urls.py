"""Addresses of databases as people write them, read into SQLAlchemy's."""

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}


def normal_url(text: str) -> URL:
    """A plain ``sqlite:///…``, ``mysql://…`` or ``postgresql://…`` address with our driver filled in.

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
    if backend in ("mysql", "mariadb") and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url
