"""The databases that the suite stands on: an extract lacks nothing of its dump but volume, a copy has our tables."""

import csv
import re
from collections import defaultdict

import pytest
import sqlalchemy as sa

from core.storage import schema
from core.storage.database import Database
from core.storage.tables import Plan
from tests.conftest import MakeWorld
from tests.worlds.databases import (
    DUMPS,
    EXTRACT_ROWS,
    KINDS,
    drop_database,
    dump_statements,
    prepared_database,
    require,
)

# a column of fewer values is a choice, each of which must be there
FEW = 12
_INSERT = re.compile(r"INSERT INTO `(\w+)` \(([^)]*)\) VALUES ")

Values = dict[str, set[str]]


def _values(version: str, *, whole: bool) -> Values:
    """All values of each column of a dump, by ``table.column``."""
    found: Values = defaultdict(set)
    for statement in dump_statements(DUMPS[version], whole):
        head = _INSERT.match(statement)
        if head is None:
            continue
        columns = re.findall(r"`(\w+)`", head[2])
        lines = [line.rstrip(",")[1:-1] for line in statement[head.end() :].split("\n")]
        for row in csv.reader(lines, quotechar="'", escapechar="\\", doublequote=False, strict=True):
            for column, value in zip(columns, row, strict=True):
                found[f"{head[1]}.{column}"].add(value)
    return found


def _look(value: str) -> tuple[str, str]:
    """How a value begins, and what it looks like: NULL, a number, several words, another script, …"""
    return value[:3], re.sub(r"[0-9A-Za-z]+", "a", value)


@pytest.mark.parametrize("version", DUMPS)
def test_an_extract_has_every_kind_of_value_of_its_dump(version: str) -> None:
    whole, extract = _values(version, whole=True), _values(version, whole=False)
    assert len(whole["_accounts.id"]) == 5000
    assert len(extract["_accounts.id"]) == EXTRACT_ROWS
    assert set(extract) == set(whole)
    for column, values in whole.items():
        if len(values) <= FEW:
            assert extract[column] == values, column
        elif not column.endswith(".id"):
            assert {_look(value) for value in extract[column]} == {_look(value) for value in values}, column


@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_database_is_ours_and_empty(kind: str) -> None:
    require(kind)
    urls = [prepared_database(kind, f"copy{number}") for number in (1, 2)]
    for url in urls:
        database = Database(url)
        assert schema.prepare(database).origin == schema.OWN
        with database.write() as connection:
            # what is done in one is not seen in the other
            assert connection.execute(sa.text("SELECT COUNT(*) FROM _users")).scalar() == 0
            connection.execute(sa.text("INSERT INTO _users (username, password) VALUES ('one', 'x')"))
        database.dispose()
    for url in urls:
        drop_database(url)


def test_what_two_worlds_on_one_database_compiled_fits_texts_to_columns_that_changed(make_world: MakeWorld) -> None:
    require("mariadb")
    first = make_world("mariadb")
    second = make_world("mariadb", SHOWBOX_PANEL_TIMEZONE="Asia/Tehran")
    alter = "ALTER TABLE _plans MODIFY name VARCHAR(255) CHARACTER SET {}"
    first.execute(sa.insert(Plan).values(name="compiled"))
    try:
        second.execute(alter.format("utf8mb3"))
        second.panel.database.forget_columns()
        second.execute(sa.insert(Plan).values(name="TV 📺"))
    finally:
        second.execute(alter.format("utf8mb4"))
        second.panel.database.forget_columns()
    second.execute(sa.insert(Plan).values(name="TV 📺"))
    names = [row["name"] for row in second.rows(sa.select(Plan.name).order_by(Plan.id))]
    assert names == ["compiled", "TV \N{REPLACEMENT CHARACTER}", "TV 📺"]
