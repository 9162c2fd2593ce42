"""Copying: a panel's MariaDB into SQLite and PostgreSQL, whole or not at all, as often as one likes."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from core.errors import AlreadyExists, InvalidInput, PanelError
from core.moving import copying
from core.moving.copying import copy_from
from core.storage import schema
from core.storage.database import Database
from core.storage.schema import UnknownDatabase
from core.storage.tables import Account, Base, ExpiryReminder, Plan, SmsLog, Transaction, User
from tests.worlds.databases import (
    DUMPS,
    EXTRACT_ROWS,
    KINDS,
    create_database,
    drop_database,
    load_dump,
    prepared_database,
)

TARGETS = ("sqlite", "postgresql")

Content = dict[str, list[tuple[object, ...]]]


def _panel(version: str, name: str, *, whole: bool = False) -> Iterator[Database]:
    url = create_database("mariadb", name)
    load_dump(url, DUMPS[version], whole=whole)
    yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.dispose()
    drop_database(url)


@pytest.fixture(scope="module")
def panels() -> Iterator[Callable[[str], Database]]:
    """``panels(version)``: a panel's database that no test may change."""
    made: dict[str, Iterator[Database]] = {}
    found: dict[str, Database] = {}

    def panel(version: str) -> Database:
        if version not in found:
            made[version] = _panel(version, f"copied_{version.replace('.', '_')}")
            found[version] = next(made[version])
        return found[version]

    yield panel
    for ending in made.values():
        next(ending, None)


@pytest.fixture
def panel(panels: Callable[[str], Database]) -> Database:
    return panels("1.18.2")


@pytest.fixture
def large_panel() -> Iterator[Database]:
    """The same with the volume of a live panel."""
    yield from _panel("1.18.2", "large", whole=True)


@pytest.fixture
def living_panel() -> Iterator[Database]:
    """A panel's database that the test changes."""
    yield from _panel("1.18.2", "living")


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[Database]:
    """With our tables and nothing in them."""
    yield from _opened(prepared_database(request.param, "target"))


@pytest.fixture
def empty_target(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Without a table."""
    yield from _opened(create_database(request.param, "target"))


@pytest.fixture
def empty_sqlite() -> Iterator[Database]:
    yield from _opened(create_database("sqlite", "source"))


@pytest.fixture
def sqlite() -> Iterator[Database]:
    """A database of ours with nothing in it."""
    yield from _opened(prepared_database("sqlite", "source"))


class Copy(NamedTuple):
    """A copy, what its source held and which checksums it had before, and what was told of the copying."""

    source: Database
    target: Database
    columns: dict[str, list[str]]
    content: Content
    checksums: list[object]
    copied: dict[str, int]
    told: list[tuple[str, int, int]]


# the newest panel into databases without a table, the oldest into those that have them
_COPIES = [(version, kind) for version in sorted(DUMPS) for kind in KINDS]
between_servers = pytest.mark.parametrize(
    "copy", [case for case in _COPIES if case[1] in TARGETS], ids="-".join, indirect=True
)
from_the_oldest = pytest.mark.parametrize(
    "copy", [case for case in _COPIES if case[0] == "1.11.66" and case[1] in TARGETS], ids="-".join, indirect=True
)


@pytest.fixture(scope="module", params=_COPIES, ids="-".join)
def copy(request: pytest.FixtureRequest, panels: Callable[[str], Database]) -> Iterator[Copy]:
    """The first copy of each panel, a few rows at a time."""
    version, kind = request.param
    make = create_database if version == "1.18.2" else prepared_database
    source = panels(version)
    columns = _columns(source)
    content, checksums = _content(source, columns), _checksums(source)
    told: list[tuple[str, int, int]] = []
    for target in _opened(make(kind, "copy")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(copying, "BATCH", 25)
            copied = copy_from(source, target, lambda *step: told.append(step))
        yield Copy(source, target, columns, content, checksums, copied, told)


@pytest.fixture(scope="module", params=TARGETS)
def odd_copy(request: pytest.FixtureRequest, odd_panel: Database) -> Iterator[Database]:
    """The copy of ``odd_panel``."""
    for target in _opened(prepared_database(request.param, "odd_copy")):
        assert copy_from(odd_panel, target)["_sms_logs"] == 1
        yield target


@pytest.fixture(scope="module")
def odd_panel() -> Iterator[Database]:
    """A panel's database with values that only MySQL can hold, with rows whose user is gone, and whose last accounts
    are gone."""
    row = "(account_id, recipient_number, message, sent_by, sent_at) VALUES (1, '1', 'm', {}, '2026-01-01')"
    for database in _panel("1.18.2", "odd"):
        _execute(
            database,
            "UPDATE _accounts SET end_date = '0000-00-00', full_name = 'a\\0b' WHERE id = 1",
            "UPDATE _users SET telegram_linked_at = '0000-00-00 00:00:00' WHERE id = 1",
            "UPDATE _expiry_reminders SET end_date = '0000-00-00' ORDER BY id LIMIT 1",
            "SET FOREIGN_KEY_CHECKS = 0",
            "INSERT INTO _sms_logs " + row.format(4711),
            "INSERT INTO _sms_logs " + row.format(1),
            "SET FOREIGN_KEY_CHECKS = 1",
            "DELETE FROM _accounts WHERE id > 50",
        )
        yield database


def _execute(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _content(database: Database, columns: dict[str, list[str]]) -> Content:
    """All rows by plain SQL, as one reads them without our models."""
    quote = database.engine.dialect.identifier_preparer.quote
    with database.read() as connection:
        return {
            table: [
                tuple(map(_plain, row))
                for row in connection.exec_driver_sql(
                    "SELECT {} FROM {} ORDER BY id".format(",".join(map(quote, names)), quote(table))
                )
            ]
            for table, names in columns.items()
        }


def _plain(value: object) -> object:
    """Dates as they are written, numbers to the penny: SQLite has no types for either."""
    if isinstance(value, date | datetime):
        return str(value)
    if isinstance(value, int | float | Decimal):
        return round(Decimal(str(value)), 2)
    return value


def _columns(database: Database) -> dict[str, list[str]]:
    layout = schema.read_layout(database)
    return {table: sorted(names) for table, names in layout.columns.items() if not table.startswith("_sbx_")}


def _checksums(database: Database) -> list[object]:
    with database.read() as connection:
        names = sa.inspect(connection).get_table_names()
        return [connection.exec_driver_sql(f"CHECKSUM TABLE `{name}`").one() for name in names]


class TestContent:
    def test_it_reads_as_the_source_and_tells_how_far_it_is(self, copy: Copy) -> None:
        assert _content(copy.target, copy.columns) == copy.content
        assert copy.copied == {table: len(rows) for table, rows in copy.content.items()}
        accounts = [(done, total) for table, done, total in copy.told if table == "_accounts"]
        assert accounts == [(done, EXTRACT_ROWS) for done in (0, 25, 50, EXTRACT_ROWS)]
        assert {table for table, _, _ in copy.told} == set(copy.copied)

    # of a kind that takes fewer values in one statement than the others
    @pytest.mark.parametrize("empty_target", ["postgresql"], indirect=True)
    def test_five_thousand_accounts(self, large_panel: Database, empty_target: Database) -> None:
        columns = _columns(large_panel)
        source_content = _content(large_panel, columns)
        told: list[tuple[str, int, int]] = []
        copy_from(large_panel, empty_target, lambda *step: told.append(step))
        assert _content(empty_target, columns) == source_content
        accounts = [(done, total) for table, done, total in told if table == "_accounts"]
        assert accounts == [(done, 5000) for done in range(0, 5001, 1000)]

    def test_it_may_be_made_again_and_leaves_the_source_alone(self, copy: Copy) -> None:
        assert copy_from(copy.source, copy.target) == copy.copied
        assert _content(copy.target, copy.columns) == copy.content
        assert _checksums(copy.source) == copy.checksums

    @between_servers
    def test_the_models_give_the_same_answers(self, copy: Copy) -> None:
        layout = schema.read_layout(copy.source)
        for table in (Account, User, Plan, Transaction):
            known = [
                column for column in table.__table__.columns if layout.has_column(table.__tablename__, column.name)
            ]
            statement = sa.select(*known).order_by(table.id)
            with copy.source.read() as source, copy.target.read() as target:
                assert target.execute(statement).all() == source.execute(statement).all()

    @from_the_oldest
    def test_columns_that_the_source_lacks_get_their_default(self, copy: Copy) -> None:
        with copy.target.read() as connection:
            assert set(connection.scalars(sa.select(Transaction.status))) == {"active"}
            assert set(connection.scalars(sa.select(User.telegram_chat_id))) == {None}

    def test_values_that_only_mysql_can_hold(self, odd_copy: Database) -> None:
        with odd_copy.read() as connection:
            account = connection.execute(sa.select(Account.end_date, Account.full_name).where(Account.id == 1)).one()
            assert account.end_date is None
            assert account.full_name == ("ab" if odd_copy.dialect == "postgresql" else "a\0b")
            assert connection.scalar(sa.select(User.telegram_linked_at).where(User.id == 1)) is None
            assert connection.scalar(sa.select(sa.func.min(ExpiryReminder.end_date))) == date(1970, 1, 1)

    def test_rows_of_a_user_who_is_gone_stay_behind(self, odd_copy: Database) -> None:
        with odd_copy.read() as connection:
            assert connection.scalars(sa.select(SmsLog.sent_by)).all() == [1]

    def test_new_rows_count_on_from_the_source(self, odd_copy: Database) -> None:
        with odd_copy.write() as connection:
            key = connection.execute(sa.insert(Account).values(username="new", mac="m")).inserted_primary_key
        assert key is not None
        # ids above 50 were given once, to accounts that are gone
        assert key[0] == 5001

    def test_what_changed_in_the_source_changes_in_the_copy(self, living_panel: Database, target: Database) -> None:
        copy_from(living_panel, target)
        _execute(
            living_panel,
            "DELETE FROM _accounts WHERE MOD(id, 2) = 0",
            "UPDATE _accounts SET status = 0 WHERE id = 1",
            # two names change places
            "SELECT username FROM _users WHERE id = 2 INTO @second",
            "SELECT username FROM _users WHERE id = 3 INTO @third",
            "UPDATE _users SET username = '' WHERE id = 2",
            "UPDATE _users SET username = @second WHERE id = 3",
            "UPDATE _users SET username = @third WHERE id = 2",
        )
        copy_from(living_panel, target)

        columns = _columns(living_panel)
        assert _content(target, columns) == _content(living_panel, columns)

    def test_from_a_database_of_ours(self, sqlite: Database, target: Database) -> None:
        with sqlite.write() as connection:
            connection.execute(sa.insert(User).values(id=3, username="admin", password="x", balance=Decimal("0.10")))
            connection.execute(sa.insert(Account).values(id=7, username="a", mac="m", end_date=date(2026, 1, 2)))
            connection.execute(sa.delete(Account))
            connection.execute(sa.insert(Base.metadata.tables["_sbx_deleted_plans"]).values(id=9, deleted_at=1))
        copied = copy_from(sqlite, target)
        assert (copied["_users"], copied["_accounts"], copied["_sbx_deleted_plans"]) == (1, 0, 1)
        assert schema.read_layout(target).origin == "own"
        with target.write() as connection:
            assert connection.scalar(sa.select(User.balance)) == Decimal("0.10")
            key = connection.execute(sa.insert(Account).values(username="b", mac="m")).inserted_primary_key
        assert key is not None
        assert key[0] == 8


class TestFailure:
    def test_an_interrupted_copy_leaves_the_target_as_it_was(self, panel: Database, target: Database) -> None:
        columns = _columns(target)
        before = _content(target, columns)

        def stop(table: str, done: int, _total: int) -> None:
            if table == "_transactions" and done:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copy_from(panel, target, stop)
        assert _content(target, columns) == before

        copy_from(panel, target)
        whole = _content(target, columns)
        with pytest.raises(KeyboardInterrupt):
            copy_from(panel, target, stop)
        assert _content(target, columns) == whole

    @pytest.mark.parametrize("target", ["postgresql"], indirect=True)
    def test_a_value_that_does_not_fit_fails_as_a_whole(self, living_panel: Database, target: Database) -> None:
        _execute(
            living_panel,
            "ALTER TABLE _users MODIFY theme varchar(80)",
            "UPDATE _users SET theme = REPEAT('x', 80) WHERE id = 1",
        )
        with pytest.raises(PanelError) as failure:
            copy_from(living_panel, target)
        assert "xxx" not in failure.value.text
        with target.read() as connection:
            assert connection.execute(sa.select(User.id)).all() == []


class TestRefused:
    def test_a_target_with_data_of_its_own(self, panel: Database, target: Database) -> None:
        with target.write() as connection:
            connection.execute(sa.insert(User).values(username="mine", password="x"))
        with pytest.raises(AlreadyExists):
            copy_from(panel, target)
        with target.read() as connection:
            assert connection.scalars(sa.select(User.username)).all() == ["mine"]

    def test_the_source_itself_by_another_name(self, panel: Database) -> None:
        before = _checksums(panel)
        again = Database(panel.url.set(host="localhost").render_as_string(hide_password=False))
        with pytest.raises(InvalidInput):
            copy_from(panel, again)
        again.dispose()
        assert _checksums(panel) == before

    def test_the_source_itself_on_sqlite(self, sqlite: Database) -> None:
        with pytest.raises(InvalidInput):
            copy_from(sqlite, sqlite)

    def test_a_panels_database_as_target(self, panel: Database, sqlite: Database) -> None:
        before = _checksums(panel)
        with pytest.raises(UnknownDatabase):
            copy_from(sqlite, panel)
        assert _checksums(panel) == before

    def test_another_applications_database_as_target(self, panel: Database, empty_sqlite: Database) -> None:
        _execute(empty_sqlite, "CREATE TABLE wp_posts (id int)")
        with pytest.raises(UnknownDatabase):
            copy_from(panel, empty_sqlite)
        with empty_sqlite.read() as connection:
            assert sa.inspect(connection).get_table_names() == ["wp_posts"]

    @pytest.mark.parametrize("tables", [[], ["CREATE TABLE wp_posts (id int)"]], ids=["empty", "other application"])
    @pytest.mark.parametrize("empty_target", TARGETS, indirect=True)
    def test_a_source_that_is_no_panel(self, empty_sqlite: Database, empty_target: Database, tables: list[str]) -> None:
        _execute(empty_sqlite, *tables)
        with pytest.raises(UnknownDatabase):
            copy_from(empty_sqlite, empty_target)
        with empty_target.read() as connection:
            assert sa.inspect(connection).get_table_names() == []
