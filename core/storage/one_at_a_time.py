"""Work that only one transaction may do at a time, in this process or another: checks of what must be unique."""

from sqlalchemy import Connection, bindparam, select

from core.storage.database import Database
from core.storage.tables import State
from core.storage.writing import insert_if_absent

_ROW = select(State.value).where(State.name == bindparam("name"))


def serialise(database: Database, connection: Connection, name: str) -> None:
    """Until the transaction ends, no other one that calls this with ``name`` runs.

    The first statement of its transaction, so that what is read after it is not older than the lock.
    """
    if database.dialect != "sqlite" and database.first(_ROW, name=name) is None:
        # in a transaction of its own: two that miss the row under a lock would wait for each other
        with database.write() as other:
            insert_if_absent(other, State, name=name, value="0")
    if connection.execute(_ROW.with_for_update(), {"name": name}).first() is None:
        insert_if_absent(connection, State, name=name, value="0")
