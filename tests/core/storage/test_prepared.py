"""What is asked often is told to MariaDB once for each connection, and whatever comes in between, it is answered."""

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from core.storage.caching.freshness import SERVER_NOW, changed_at
from core.storage.database import Database
from core.storage.mysql.prepared import Prepared
from core.storage.tables import Account
from tests.worlds.databases import prepared_database, require
from tests.worlds.mysql_proxy import MysqlProxy

BY_NAME = sa.select(Account.id, Account.full_name).where(Account.username == sa.bindparam("username"))
LIMITED = sa.select(sa.literal("100%").label("text"), Account.id).limit(sa.bindparam("limit"))


@pytest.fixture(scope="module")
def proxy() -> Iterator[MysqlProxy]:
    require("mariadb")
    made = MysqlProxy(prepared_database("mariadb", "prepared"))
    yield made
    made.close()


@pytest.fixture
def database(proxy: MysqlProxy) -> Iterator[Database]:
    made = Database(proxy.url)
    with made.write() as connection:
        connection.execute(sa.delete(Account))
        rows = [
            {"id": id, "username": name, "mac": str(id), "full_name": name}
            for id, name in ((1, "a"), (2, "o'b\\c %s ?"), (3, "نام"))
        ]
        connection.execute(sa.insert(Account), rows)
    yield made
    made.dispose()


def test_a_statement_is_told_once_and_asked_by_its_name(database: Database, proxy: MysqlProxy) -> None:
    # connects
    database.first(LIMITED, limit=1)
    before = proxy.told
    with proxy.noting() as asked:
        for name, id in (("a", 1), ("o'b\\c %s ?", 2), ("نام", 3), ("a", 1)):
            assert tuple(database.first(BY_NAME, username=name)) == (id, name)
        assert database.first(BY_NAME, username="nobody") is None
    assert proxy.told == before + 1
    assert len(asked) == 5


def test_numbers_and_percent_signs_stay_what_they_are(database: Database) -> None:
    for limit in (1, 3, 0):
        assert [row.text for row in database.rows(LIMITED, limit=limit)] == ["100%"] * limit


def test_a_change_counts_what_it_found(database: Database) -> None:
    change = sa.update(Account).where(Account.id == sa.bindparam("which")).values(full_name=sa.bindparam("new"))
    assert [database.change(change, which=id, new="x") for id in (1, 1, 4)] == [1, 1, 0]
    assert database.first(BY_NAME, username="a").full_name == "x"


def test_a_table_that_was_altered_meanwhile_is_read_as_it_is(database: Database) -> None:
    assert database.first(BY_NAME, username="a") is not None
    for length in (190, 200):
        with database.write() as connection:
            connection.execute(sa.text(f"ALTER TABLE _accounts MODIFY full_name VARCHAR({length})"))
        assert tuple(database.first(BY_NAME, username="a")) == (1, "a")


def test_a_name_that_the_server_has_forgotten_is_no_failure(database: Database, proxy: MysqlProxy) -> None:
    database.first(BY_NAME, username="a")
    connection = database._readers.take()
    [name] = vars(connection)["sbx_told"]
    connection.cursor().execute(f"DEALLOCATE PREPARE {name}")
    database._readers.give_back(connection)
    before = proxy.told
    for _ in range(2):
        assert database.first(BY_NAME, username="a").id == 1
    # whoever loses names loses the next ones as well
    assert proxy.told == before


def test_a_refused_one_is_asked_as_it_is(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    execute = Prepared._tell

    def refuse(self: Prepared, cursor: Any, told: set[str]) -> bool:
        class Full:
            def execute(self, *statement: Any) -> None:
                asked.append(statement)
                raise pymysql.err.OperationalError(1461, "Can't create more than max_prepared_stmt_count statements")

        return execute(self, Full(), told)

    monkeypatch.setattr(Prepared, "_tell", refuse)
    for _ in range(3):
        assert database.first(BY_NAME, username="a").id == 1
    assert len(asked) == 1


def test_what_reads_the_information_schema_is_never_told(database: Database, proxy: MysqlProxy) -> None:
    """The server crashes on the second execution of some of it."""
    database.first(LIMITED, limit=1)
    before = proxy.told
    for _ in range(3):
        assert database.first(sa.select(changed_at("_accounts"), SERVER_NOW)) is not None
    assert proxy.told == before
