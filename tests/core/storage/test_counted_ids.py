"""Ids that the database counts, of tables whose key is called ``id`` and of those where it is not."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.database import Database
from core.storage.tables import Base, Plan, XtreamMag
from core.storage.writing import continue_ids, insert_row, last_id
from tests.worlds.databases import KINDS, drop_database, prepared_database

COUNTED: dict[str, tuple[type[Base], dict[str, Any]]] = {
    "id": (Plan, {"name": "a"}),
    "mag_id": (XtreamMag, {"user_id": 1, "mac": "m"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_counting_goes_on_after_rows_that_came_with_their_ids(kind: str) -> None:
    url = prepared_database(kind, "counted")
    database = Database(url)
    try:
        for key, (model, values) in COUNTED.items():
            table = Base.metadata.tables[model.__tablename__]
            with database.write() as connection:
                insert_row(connection, model, {key: 41, **values})
                continue_ids(connection, table, 41)
            with database.write() as connection:
                assert insert_row(connection, model, values) == 42
                connection.execute(sa.delete(model))
            with database.read() as connection:
                assert last_id(connection, table) == 42
    finally:
        database.dispose()
        drop_database(url)
