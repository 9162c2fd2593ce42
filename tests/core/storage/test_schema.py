"""The structure: made on an empty database, recognised and left alone or completed on a panel's, refused elsewhere."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core.errors import CommitUncertain
from core.storage import schema
from core.storage.database import Database
from core.storage.revisions import alembic_config, oldest_first
from core.storage.schema import LacksColumns, Layout, Shape, UnknownDatabase
from core.storage.tables import OWN_PREFIX, PANEL_TABLES, Account, Base, Currency, Plan, State, StoredSession, User
from tests.worlds.databases import DUMPS, KINDS, create_database, drop_database, load_dump, prepared_database
from tests.worlds.forked import Forked
from tests.worlds.places import ROOT

VERSIONS = sorted(DUMPS)

INSTALLER_TABLES = (
    "CREATE TABLE _accounts (id int PRIMARY KEY, username varchar(100), phone varchar(50), notes text, "
    "plan_id int, stb_type varchar(20), server int, created_at datetime, updated_at datetime)",
    "CREATE TABLE _plans (id int PRIMARY KEY, tariff_id int, name varchar(50), duration_days int, "
    "price_gbp decimal(10,2), is_active int)",
    "CREATE TABLE _users (id int PRIMARY KEY, username varchar(100), full_name varchar(100), currency varchar(5))",
    "CREATE TABLE _transactions (id int PRIMARY KEY, user_id int, type varchar(9), description text, "
    "created_at datetime)",
    "CREATE TABLE _currencies (id int PRIMARY KEY, code varchar(5), symbol varchar(5), name varchar(50))",
)
OTHER_TABLES = ("CREATE TABLE wp_posts (id int PRIMARY KEY, title text)",)
# _transactions.correction_amount after the upgrade, as MariaDB shows it
WIDENED = ("decimal(15,2)", "YES", "NULL", "")
PART_OF_A_PANEL = ("CREATE TABLE _accounts (id int PRIMARY KEY, username varchar(100))",)


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest) -> Iterator[Database]:
    yield from _opened(create_database(request.param, "schema"))


@pytest.fixture(scope="module", params=KINDS)
def prepared(request: pytest.FixtureRequest) -> Iterator[Database]:
    """One database of ours for all tests that do not look at its structure."""
    yield from _opened(prepared_database(request.param, "prepared"))


@pytest.fixture
def sqlite() -> Iterator[Database]:
    yield from _opened(create_database("sqlite", "schema"))


@pytest.fixture
def fresh() -> Iterator[Database]:
    """A SQLite of ours with nothing in it."""
    yield from _opened(prepared_database("sqlite", "fresh"))


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> Iterator[Database]:
    yield from _opened(prepared_database(request.param, "ours"))


@pytest.fixture(params=VERSIONS)
def legacy(request: pytest.FixtureRequest) -> Iterator[Database]:
    url = create_database("mariadb", "legacy")
    load_dump(url, DUMPS[request.param])
    yield from _opened(url)


class Upgraded(NamedTuple):
    """A panel's database after its first upgrade, and what was found and told of it."""

    database: Database
    columns: dict[tuple[str, str], tuple[object, ...]]
    rows: dict[str, list[object]]
    found: schema.Findings
    done: list[str]
    told: list[str]


@pytest.fixture(scope="module", params=VERSIONS)
def upgraded(request: pytest.FixtureRequest) -> Iterator[Upgraded]:
    url = create_database("mariadb", "upgraded")
    load_dump(url, DUMPS[request.param])
    for database in _opened(url):
        columns = _catalogue(database)
        rows = _rows(database, columns)
        told: list[str] = []
        found = schema.check(database)
        yield Upgraded(database, columns, rows, found, schema.upgrade(database, told.append), told)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.dispose()
    drop_database(url)


def _execute(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def _tables(connection: Connection, *, own: bool = False) -> list[str]:
    names = sa.inspect(connection).get_table_names()
    return sorted(name for name in names if own or not name.startswith(OWN_PREFIX))


def _definitions(database: Database) -> dict[str, tuple[str, int]]:
    """MariaDB's own account of each table of the panel: its definition, and a checksum of its rows."""
    with database.read() as connection:
        return {
            name: (
                connection.execute(sa.text(f"SHOW CREATE TABLE `{name}`")).one()[1],
                connection.execute(sa.text(f"CHECKSUM TABLE `{name}`")).one()[1],
            )
            for name in _tables(connection)
        }


def _catalogue(database: Database) -> dict[tuple[str, str], tuple[object, ...]]:
    """(table, column) → type, nullability, default, extra, as MariaDB shows them."""
    statement = sa.text(
        "SELECT table_name, column_name, column_type, is_nullable, column_default, extra "
        "FROM information_schema.columns WHERE table_schema = database() AND table_name NOT LIKE '\\_sbx%'"
    )
    with database.read() as connection:
        return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(statement)}


def _keys(connection: Connection, table: str) -> set[tuple[bool, tuple[str | None, ...]]]:
    """(unique, columns) of each index and unique constraint that is on columns alone."""
    inspector = sa.inspect(connection)
    found = {(bool(index["unique"]), tuple(index["column_names"])) for index in inspector.get_indexes(table)}
    found |= {(True, tuple(unique["column_names"])) for unique in inspector.get_unique_constraints(table)}
    return {key for key in found if None not in key[1]}


def _model_keys(table: sa.Table) -> set[tuple[bool, tuple[str, ...]]]:
    indexes = {
        (bool(index.unique), tuple(index.columns.keys()))
        for index in table.indexes
        if all(isinstance(key, sa.Column) for key in index.expressions)
    }
    constraints = {
        (True, tuple(constraint.columns.keys()))
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    }
    return indexes | constraints


class TestFresh:
    def test_an_empty_database_becomes_what_the_models_say(self, empty: Database) -> None:
        assert schema.check(empty).shape is Shape.EMPTY
        layout = schema.prepare(empty)

        assert layout.origin == "own"
        with empty.read() as connection:
            assert schema.recognise(connection) is Shape.OURS
            assert set(_tables(connection, own=True)) == {*Base.metadata.tables, "_sbx_alembic"}
            inspector = sa.inspect(connection)
            for table in Base.metadata.sorted_tables:
                found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
                assert found == {column.name: column.nullable for column in table.columns}
                assert _keys(connection, table.name) == _model_keys(table)
                assert len(inspector.get_foreign_keys(table.name)) == len(table.foreign_keys)
            assert set(connection.scalars(sa.select(Currency.id))) == {"GBP", "USD", "EUR", "IRR"}
        assert schema.check(empty) == schema.Findings(Shape.OURS, [])
        assert schema.upgrade(empty) == []

    def test_a_second_start_changes_nothing(self, sqlite: Database) -> None:
        schema.prepare(sqlite)
        _execute(sqlite, "DELETE FROM _currencies WHERE id = 'USD'")

        schema.prepare(sqlite)

        with sqlite.read() as connection:
            assert set(connection.scalars(sa.select(Currency.id))) == {"GBP", "EUR", "IRR"}

    @pytest.mark.parametrize("empty", ["mariadb"], indirect=True)
    @pytest.mark.parametrize("legacy", ["1.18.2"], indirect=True)
    def test_on_mariadb_the_columns_are_those_of_the_panel(self, empty: Database, legacy: Database) -> None:
        schema.prepare(empty)

        expected = _catalogue(legacy)
        expected["_transactions", "correction_amount"] = WIDENED
        expected["_mail_settings", "smtp_host"] = ("varchar(255)", "YES", "NULL", "")
        # ours, since sealed secrets are longer
        expected["_mail_settings", "smtp_password"] = ("varchar(512)", "YES", "NULL", "")
        expected["_telegram_settings", "bot_token"] = ("varchar(512)", "YES", "NULL", "")
        expected["_telegram_settings", "webhook_secret"] = ("varchar(512)", "YES", "NULL", "")
        expected["_sms_settings", "api_token"] = ("varchar(1024)", "YES", "NULL", "")
        # ours, since a sync of the panel gives accounts new ids
        expected["_push_expiry_tracking", "mac"] = expected["_mail_reminder_tracking", "mac"] = (
            "varchar(50)",
            "YES",
            "NULL",
            "",
        )
        expected["_mail_reminder_tracking", "end_date"] = ("date", "YES", "NULL", "")
        assert _catalogue(empty) == expected
        with empty.read() as ours, legacy.read() as panel:
            for name in _tables(panel):
                assert _keys(panel, name) <= _keys(ours, name)

    # only MySQL keeps the first steps of a creation that fails later
    @pytest.mark.parametrize("empty", ["mariadb"], indirect=True)
    def test_a_creation_that_was_cut_short_is_completed(self, empty: Database) -> None:
        with empty.write() as connection:
            State.metadata.tables["_sbx_state"].create(connection)
            connection.execute(sa.insert(State).values(name="origin", value="own"))
            Base.metadata.tables["_plans"].create(connection)

        assert schema.prepare(empty).origin == "own"
        assert schema.check(empty).lines == []

    def test_user_names_differ_by_more_than_case(self, prepared: Database) -> None:
        with prepared.write() as connection:
            connection.execute(sa.insert(User).values(username="Admin", password="x"))
            with pytest.raises(IntegrityError), connection.begin_nested():
                connection.execute(sa.insert(User).values(username="ADMIN", password="x"))

    def test_session_ids_differ_by_case(self, prepared: Database) -> None:
        with prepared.write() as connection:
            for name in ("abc", "ABC"):
                connection.execute(sa.insert(StoredSession).values(id=name, data=name, touched_at=1))
            assert connection.scalars(sa.select(StoredSession.data).where(StoredSession.id == "ABC")).all() == ["ABC"]

    def test_an_id_is_never_given_twice(self, prepared: Database) -> None:
        with prepared.write() as connection:
            first = connection.execute(sa.insert(Plan).values(name="a")).inserted_primary_key
            connection.execute(sa.delete(Plan))
            second = connection.execute(sa.insert(Plan).values(name="b")).inserted_primary_key
        assert first is not None
        assert second is not None
        assert second[0] > first[0]

    def test_the_revisions_are_those_that_alembic_runs(self) -> None:
        walked = ScriptDirectory.from_config(alembic_config()).walk_revisions()
        assert [module.revision for module in oldest_first()] == [script.revision for script in walked][::-1]

    def test_every_column_is_promised_by_a_revision(self) -> None:
        promised: dict[str, set[str]] = {}
        for revision in oldest_first():
            for table, columns in revision.PROMISED.items():
                promised.setdefault(table, set()).update(columns.split())
        assert promised == {name: set(table.columns.keys()) for name, table in Base.metadata.tables.items()}


class TestOlderColumns:
    """What an older panel lacks is read as nothing, and what would be lost is refused."""

    LAYOUT = Layout({"_users": frozenset(("id", "username", "email"))}, schema.LEGACY)

    def test_a_column_that_is_there_is_itself(self) -> None:
        assert self.LAYOUT.column(User.email) is User.email

    def test_a_column_that_is_not_there_is_null_under_its_name(self, prepared: Database) -> None:
        theme, observer = (self.LAYOUT.column(column) for column in (User.theme, User.is_observer))
        with prepared.read() as connection:
            row = connection.execute(sa.select(theme, sa.func.coalesce(observer, 0).label("is_observer"))).one()
        assert row._asdict() == {"theme": None, "is_observer": 0}

    def test_what_is_empty_is_left_out(self) -> None:
        values = {"email": "", "theme": "", "is_observer": 0}
        assert self.LAYOUT.writable(User, values) == {"email": ""}

    def test_what_would_be_lost_is_refused(self) -> None:
        with pytest.raises(LacksColumns):
            self.LAYOUT.writable(User, {"email": "", "theme": "HenSoft-TV Realistic-Dark"})

    def test_statements_are_kept_by_what_a_layout_says(self) -> None:
        same = Layout(dict(self.LAYOUT.columns), schema.LEGACY)
        assert (same, hash(same)) == (self.LAYOUT, hash(self.LAYOUT))
        assert hash(Layout({}, schema.LEGACY)) != hash(self.LAYOUT)


class TestLegacy:
    def test_a_start_leaves_the_panels_tables_alone(self, legacy: Database) -> None:
        before = _definitions(legacy)
        with legacy.read() as connection:
            assert schema.recognise(connection) is Shape.LEGACY

        layout = schema.prepare(legacy)

        assert layout.origin == "legacy"
        assert layout.has_table("_sbx_sessions")
        assert _definitions(legacy) == before
        assert schema.prepare(legacy) == layout

    @pytest.mark.parametrize("legacy", ["1.11.66"], indirect=True)
    def test_the_layout_tells_what_an_older_panel_lacks(self, legacy: Database) -> None:
        layout = schema.prepare(legacy)

        assert not layout.has_table("_audit_log")
        assert not layout.has_column("_audit_log", "id")
        assert layout.has_column("_users", "theme")
        assert not layout.has_column("_users", "telegram_chat_id")
        schema.upgrade(legacy)
        assert schema.read_layout(legacy).has_column("_users", "telegram_chat_id")
        assert schema.read_layout(legacy).origin == "legacy"

    def test_the_upgrade_only_adds(self, upgraded: Upgraded) -> None:
        columns = upgraded.columns
        assert upgraded.found.shape is Shape.LEGACY
        assert sorted(upgraded.done) == sorted(upgraded.found.lines) == sorted(upgraded.told)

        after = _catalogue(upgraded.database)
        tables = {table for table, _ in columns}
        changed = {name for name, old in columns.items() if after.get(name) != old}
        added = [column for (table, name), column in after.items() if table in tables and (table, name) not in columns]
        assert changed <= {("_transactions", "correction_amount")}
        assert after["_transactions", "correction_amount"] == WIDENED
        assert all(nullable == "YES" for _, nullable, *_ in added)
        assert _rows(upgraded.database, columns) == upgraded.rows

    def test_the_upgraded_panel_has_all_of_the_newest_and_needs_no_second_upgrade(self, upgraded: Upgraded) -> None:
        panel = upgraded.database
        with panel.read() as connection:
            for table in PANEL_TABLES:
                assert {column["name"] for column in sa.inspect(connection).get_columns(table.name)} == set(
                    table.columns.keys()
                )
                assert _model_keys(table) <= _keys(connection, table.name)
        before = _definitions(panel)
        assert schema.check(panel).lines == []
        assert schema.upgrade(panel) == []
        assert _definitions(panel) == before

    @pytest.mark.parametrize("upgraded", ["1.18.2"], indirect=True)
    def test_a_widened_column_keeps_its_comment(self, upgraded: Upgraded) -> None:
        with upgraded.database.read() as connection:
            columns = sa.inspect(connection).get_columns("_transactions")
        comment = next(column["comment"] for column in columns if column["name"] == "correction_amount")
        assert comment == "Correction amount (positive=increase, negative=decrease)"

    @pytest.mark.parametrize("legacy", ["1.18.2"], indirect=True)
    def test_columns_of_secrets_are_left_in_a_panels_database(self, legacy: Database) -> None:
        found = schema.check(legacy)
        assert found.shape is Shape.LEGACY
        assert not [line for line in found.lines if "bot_token" in line or "smtp_password" in line]

    @pytest.mark.parametrize("ours", ["mariadb", "postgresql"], indirect=True)
    def test_columns_of_secrets_are_widened_in_a_database_of_ours(self, ours: Database) -> None:
        narrow = "ALTER TABLE _telegram_settings " + (
            "ALTER bot_token TYPE varchar(100)" if ours.dialect == "postgresql" else "MODIFY bot_token varchar(100)"
        )
        _execute(ours, narrow)
        assert schema.check(ours).lines == ["widen _telegram_settings.bot_token to VARCHAR(512)"]

    @pytest.mark.parametrize("legacy", ["1.18.2"], indirect=True)
    def test_a_restored_old_backup_is_upgraded_again(self, legacy: Database) -> None:
        schema.upgrade(legacy)
        load_dump(legacy.url.render_as_string(hide_password=False), DUMPS["1.11.66"])

        assert "add column _users.telegram_chat_id" in schema.check(legacy).lines
        assert "add column _users.telegram_chat_id" in schema.upgrade(legacy)
        assert schema.check(legacy).lines == []

    @pytest.mark.parametrize("legacy", ["1.11.66"], indirect=True)
    def test_a_second_index_is_not_added_where_one_serves(self, legacy: Database) -> None:
        _execute(legacy, "CREATE INDEX admins_own ON _accounts (mac, status)")
        assert "add index on _accounts (mac)" not in schema.check(legacy).lines

    @pytest.mark.parametrize("legacy", ["1.18.2"], indirect=True)
    def test_equal_names_in_the_panels_data_are_no_obstacle(self, legacy: Database) -> None:
        _execute(
            legacy, "UPDATE _accounts SET username = 'same', mac = 'same', end_date = '0000-00-00' WHERE id < 9000"
        )
        schema.upgrade(legacy)
        with legacy.read() as connection:
            assert (True, ("username",)) not in _keys(connection, "_accounts")

    @pytest.mark.parametrize("legacy", ["1.11.66"], indirect=True)
    def test_other_tables_beside_the_panels_are_tolerated(self, legacy: Database) -> None:
        _execute(legacy, *OTHER_TABLES)
        assert schema.prepare(legacy).origin == "legacy"


class TestRefused:
    @pytest.mark.parametrize(
        ("tables", "shape"),
        [
            pytest.param(INSTALLER_TABLES, Shape.INSTALLER, id="installer"),
            pytest.param(OTHER_TABLES, Shape.UNKNOWN, id="other application"),
            pytest.param(PART_OF_A_PANEL, Shape.UNKNOWN, id="part of a panel"),
        ],
    )
    def test_refused_in_one_sentence_and_left_alone(
        self, empty: Database, tables: tuple[str, ...], shape: Shape
    ) -> None:
        dialect = empty.dialect
        _execute(empty, *(t.replace("datetime", "timestamp") if dialect == "postgresql" else t for t in tables))
        before = _everything(empty)

        for refused in (schema.prepare, schema.upgrade):
            with pytest.raises(UnknownDatabase, match=r"^[^.]*nothing was changed\.$"):
                refused(empty)
        findings = schema.check(empty)

        assert findings.shape is shape
        assert len(findings.lines) == 1
        assert _everything(empty) == before

    def test_not_a_byte_of_a_foreign_sqlite_file_changes(self, sqlite: Database) -> None:
        _execute(sqlite, *OTHER_TABLES)
        file = Path(str(sqlite.url.database))
        before = file.read_bytes()

        with pytest.raises(UnknownDatabase):
            schema.prepare(sqlite)
        sqlite.dispose()

        assert file.read_bytes() == before


class TestTogether:
    _PREPARE = (
        "import os, sys, time\n"
        "from core.storage.database import Database\n"
        "from core.storage import schema\n"
        "database = Database(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while not os.path.exists(sys.argv[2]):\n"
        "    time.sleep(0.001)\n"
        "layout = schema.prepare(database)\n"
        "print(layout.origin, len(layout.columns), schema.secret(database, 'key'))\n"
    )

    def test_processes_that_start_at_once(self, empty: Database, tmp_path: Path) -> None:
        url = empty.url.render_as_string(hide_password=False)
        begin = tmp_path / "begin"
        arguments = [self._PREPARE, url, str(begin)]
        processes = [Forked("-c", arguments, cwd=ROOT, environment=os.environ) for _ in range(2)]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
        begin.touch()
        answers = {process.stdout.read() for process in processes}

        assert [process.wait(60) for process in processes] == [0, 0]
        for process in processes:
            process.close()
        (answer,) = answers
        assert answer.startswith(f"own {len(Base.metadata.tables)} ")
        assert schema.check(empty) == schema.Findings(Shape.OURS, [])

    def test_sqlite_readers_are_not_held_up_by_a_writer(self, fresh: Database) -> None:
        with fresh.write() as writer, fresh.read() as reader:
            writer.execute(sa.insert(Plan).values(name="new"))
            assert reader.execute(sa.select(Plan.id)).all() == []


class TestSecret:
    def test_stays_and_is_of_its_name_alone(self, prepared: Database) -> None:
        key, other = schema.secret(prepared, "key"), schema.secret(prepared, "other")
        assert schema.secret(prepared, "key") == key
        assert len(key) == 64
        assert key != other

    def test_all_who_ask_first_get_the_same(self, prepared: Database) -> None:
        def ask(_: int) -> str:
            return schema.secret(prepared, "asked at once")

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(ask, range(12)))) == 1

    def test_it_is_there_although_its_commit_was_not_answered(
        self, prepared: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @contextmanager
        def write() -> Iterator[Connection]:
            monkeypatch.undo()
            with prepared.write() as connection:
                yield connection
            raise CommitUncertain

        monkeypatch.setattr(prepared, "write", write)
        assert schema.secret(prepared, "unanswered") == schema.secret(prepared, "unanswered")


class TestVersions:
    def test_each_change_counts(self, fresh: Database) -> None:
        counted = {"accounts": 0, "plans": 0, "users": 0, "transactions": 0}
        assert _versions(fresh) == counted
        for statement, name in (
            ("INSERT INTO _accounts (username, mac) VALUES ('a', 'm')", "accounts"),
            ("UPDATE _accounts SET status = 0", "accounts"),
            ("DELETE FROM _accounts", "accounts"),
            ("INSERT INTO _plans (name) VALUES ('a')", "plans"),
            ("DELETE FROM _plans", "plans"),
            ("INSERT INTO _sbx_deleted_plans (id, deleted_at) VALUES (1, 1)", "plans"),
            ("INSERT INTO _users (username, password) VALUES ('a', 'p')", "users"),
            ("UPDATE _users SET balance = 5", "users"),
            ("INSERT INTO _transactions (creator, for_user, amount) VALUES ('a', 1, 5)", "transactions"),
            ("UPDATE _transactions SET amount = 6", "transactions"),
            ("DELETE FROM _transactions", "transactions"),
        ):
            _execute(fresh, statement)
            counted[name] += 1
            assert _versions(fresh) == counted

    def test_what_is_rolled_back_does_not_count(self, fresh: Database) -> None:
        with fresh.write() as connection, connection.begin_nested() as savepoint:
            connection.execute(sa.insert(Account).values(username="a", mac="m"))
            savepoint.rollback()
        assert _versions(fresh)["accounts"] == 0

    @pytest.mark.parametrize("prepared", ["mariadb", "postgresql"], indirect=True)
    def test_no_count_is_claimed_where_nothing_counts(self, prepared: Database) -> None:
        assert _versions(prepared) == {}


def _versions(database: Database) -> dict[str, int]:
    with database.read() as connection:
        rows = connection.execute(sa.text("SELECT name, version FROM _sbx_versions"))
        return {row.name: row.version for row in rows}


def _rows(database: Database, columns: dict[tuple[str, str], tuple[object, ...]]) -> dict[str, list[object]]:
    """All rows of the named columns, by table."""
    with database.read() as connection:
        return {
            table: [
                tuple(row)
                for row in connection.execute(
                    sa.text(
                        "SELECT {} FROM `{}` ORDER BY id".format(
                            ",".join(f"`{column}`" for name, column in columns if name == table), table
                        )
                    )
                )
            ]
            for table in {name for name, _ in columns}
        }


def _everything(database: Database) -> dict[str, list[str]]:
    with database.read() as connection:
        inspector = sa.inspect(connection)
        return {
            name: [f"{column['name']} {column['type']}" for column in inspector.get_columns(name)]
            for name in _tables(connection, own=True)
        }
