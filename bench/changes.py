"""What a measurement changes in the database, and puts back."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from core.storage.database import Database
from core.storage.tables import Account, XtreamLine

BENCH_LINE = 2_000_000_000


def changed_names(database: Database, account_id: int, count: int) -> Iterator[str]:
    """Yields each name that the account has been given; the old one is put back at the end."""
    with database.read() as connection:
        old_name = connection.execute(sa.select(Account.full_name).where(Account.id == account_id)).scalar()
    try:
        for number in range(count):
            new_name = f"Bench {number}"
            _rename(database, account_id, new_name)
            yield new_name
    finally:
        _rename(database, account_id, old_name)


@contextmanager
def bench_line(database: Database) -> Iterator[None]:
    """A line among our own tables of the Xtream API, for so long."""
    with database.write() as connection:
        connection.execute(sa.delete(XtreamLine).where(XtreamLine.id == BENCH_LINE))
        connection.execute(sa.insert(XtreamLine).values(id=BENCH_LINE, username="bench", password=""))
    try:
        yield
    finally:
        with database.write() as connection:
            connection.execute(sa.delete(XtreamLine).where(XtreamLine.id == BENCH_LINE))


def _rename(database: Database, account_id: int, name: str | None) -> None:
    with database.write() as connection:
        connection.execute(sa.update(Account).where(Account.id == account_id).values(full_name=name))
