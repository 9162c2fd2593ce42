"""An answer stands although its session cannot be noted as used. Source: issue "Nothing lost", line 10."""

import time

import pytest
import sqlalchemy as sa

from core.storage.tables import Currency, StoredSession, User
from tests.conftest import MakeWorld
from tests.worlds.harness import Client, World, user_row


@pytest.fixture
def stored(make_world: MakeWorld, kind: str) -> World:
    world = make_world(kind, SHOWBOX_SESSION_STORE="sql")
    world.insert(User, [user_row(1, "admin", super_user=1)])
    return world


def _used_long_ago(world: World) -> Client:
    client = world.client("admin")
    assert client.get("/get_user_info.php").json()["error"] == 0
    world.execute("UPDATE _sbx_sessions SET touched_at = touched_at - 120")
    return client


@pytest.mark.every_kind
def test_a_read_is_answered_while_another_holds_the_row(stored: World) -> None:
    """On SQLite the whole database, to writers."""
    client = _used_long_ago(stored)
    with stored.panel.database.write() as holder:
        holder.execute(sa.select(StoredSession.id).with_for_update()).all()
        began = time.monotonic()
        answer = client.get("/get_user_info.php").json()
        assert time.monotonic() - began < 3
    assert answer["error"] == 0
    assert "admin" in str(answer)


REFUSING = {
    "sqlite": ["CREATE TRIGGER refuse BEFORE UPDATE ON _sbx_sessions BEGIN SELECT RAISE(ABORT, 'no'); END"],
    "mysql": ["CREATE TRIGGER refuse BEFORE UPDATE ON _sbx_sessions FOR EACH ROW SIGNAL SQLSTATE '45000'"],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS $$BEGIN RAISE 'no'; END$$ LANGUAGE plpgsql",
        "CREATE TRIGGER refuse BEFORE UPDATE ON _sbx_sessions FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}
NO_MORE = {"postgresql": "DROP TRIGGER refuse ON _sbx_sessions"}


@pytest.mark.every_kind
def test_a_write_is_answered_as_done_although_its_stamp_is_lost(stored: World) -> None:
    client = _used_long_ago(stored)
    dialect = stored.panel.database.dialect
    for statement in REFUSING[dialect]:
        stored.execute(statement)
    try:
        answer = client.post("/add_currency.php", {"name": "SEK"}).json()
        login = stored.client().post("/login.php", {"username": "admin", "password": "wrong"}).json()
    finally:
        stored.execute(NO_MORE.get(dialect, "DROP TRIGGER refuse"))
    assert answer["error"] == 0
    assert login["code"] == 2
    assert stored.rows(sa.select(Currency.name).where(Currency.name == "SEK"))
