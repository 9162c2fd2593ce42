"""Texts that the tables of an old server cannot hold (issue "nothing lost", line 2; contract chapter 60 S8).

Tables in utf8mb3 and in latin1, and panels of which only the logs are in latin1; a strict server, which refuses what
does not fit, and a lenient one, which stores something else without a word.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import PANEL_TABLES, AuditEntry, LoginHistory, ReminderSettings, Transaction
from core.storage.tables.base import Choice
from core.storage.tables.texts import HeldText, Manner, UnstorableText
from tests.routes.conftest import fill_chapter_10
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account
from tests.worlds.databases import require
from tests.worlds.fuzzing import SETTINGS, fuzz
from tests.worlds.harness import World
from tests.worlds.old_texts import KINDS, LENIENT, STRICT, OldWorlds
from tests.worlds.reminders import reminders_world

PERSIAN, EMOJI = "علی", "علی \N{GRINNING FACE}"
# what is kept of EMOJI in a name, and in a log
NAMES = {"utf8mb3": "علی \N{REPLACEMENT CHARACTER}", "latin1": "??? ?", "latin1 logs": EMOJI}
LOGS = {**NAMES, "latin1 logs": "??? ?"}
TEXT = f"x{EMOJI}"
# the text columns of a table
Texts = dict[str, HeldText]
REQUESTS = 300


@pytest.fixture(scope="module")
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldWorlds]:
    require("mariadb")
    worlds = OldWorlds(tmp_path_factory.mktemp, request.param)
    yield worlds
    worlds.close()


@pytest.fixture
def old(tables: OldWorlds, request: pytest.FixtureRequest) -> OldWorlds:
    """``make_world`` of panels on the tables; the server's mode is the parameter's."""
    tables.mode = request.param
    return tables


@pytest.fixture
def accounts(old: OldWorlds) -> Iterator[Accounts]:
    with accounts_world(old, "mariadb") as accounts:
        yield accounts


each_set = pytest.mark.parametrize("tables", ["utf8mb3", "latin1"], indirect=True)
every_kind = pytest.mark.parametrize("tables", KINDS, indirect=True)
strict = pytest.mark.parametrize("old", [pytest.param(STRICT, id="strict")], indirect=True)
both_modes = pytest.mark.parametrize(
    "old", [pytest.param(STRICT, id="strict"), pytest.param(LENIENT, id="lenient")], indirect=True
)


def text_columns() -> dict[sa.Table, Texts]:
    found = {
        table: {column.name: column.type for column in table.columns if isinstance(column.type, HeldText)}
        for table in PANEL_TABLES
    }
    return {table: texts for table, texts in found.items() if texts}


def a_row(table: sa.Table, texts: Texts, name: str, text: str) -> dict[str, Any]:
    """Values for what may not be missing, something for each text, and ``text`` for one of them."""
    instead = {str: "a", int: 1, date: date(2025, 1, 1), datetime: datetime.fromisoformat("2025-01-01")}
    words = {column.name: column.type.words[0] for column in table.columns if isinstance(column.type, Choice)}
    missing = [column for column in table.columns if not column.nullable and column.server_default is None]
    needed = {
        column.name: words.get(column.name, instead.get(column.type.python_type, 0))
        for column in missing
        if column.name != "id"
    }
    return needed | dict.fromkeys(texts, "a") | {name: text}


def told(tables: OldWorlds) -> str | None:
    """What an answer says where the name is kept in another form."""
    kept = NAMES[tables.old]
    return None if kept == EMOJI else f"This database lacks some characters of the full name and keeps it as {kept}"


@each_set
@strict
def test_2_every_text_column_of_every_table_fits_or_refuses_and_no_statement_fails(old: OldWorlds) -> None:
    """In both modes of the server: what is refused is refused before it is asked, and the rest must fit in either."""
    world, columns = old("mariadb"), text_columns()
    assert sum(map(len, columns.values())) > 100
    for table, texts in columns.items():
        with world.panel.database.read() as connection:
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            refuses_what_it_must_keep(connection, table, texts)
            for mode in (STRICT, LENIENT):
                connection.exec_driver_sql(f"SET SESSION sql_mode = '{mode}'")
                for name in texts:
                    fits_or_is_cut(connection, table, texts, name, NAMES[old.old])
                compares(connection, table, texts)
            connection.rollback()


# all texts are named by each statement, so that a table has one of each kind, which is compiled once


def refuses_what_it_must_keep(connection: sa.Connection, table: sa.Table, texts: Texts) -> None:
    for name in (name for name, kept in texts.items() if kept.manner is Manner.EXACT):
        with pytest.raises(UnstorableText, match="This database cannot keep"):
            connection.execute(sa.insert(table), a_row(table, texts, name, TEXT))
        with pytest.raises(UnstorableText, match="is too long"):
            connection.execute(sa.insert(table), a_row(table, texts, name, "x" * 70_000))


def fits_or_is_cut(connection: sa.Connection, table: sa.Table, texts: Texts, name: str, kept_as: str) -> None:
    manner = texts[name].manner
    if manner is Manner.EXACT:
        return
    connection.execute(sa.delete(table))
    connection.execute(sa.insert(table), a_row(table, texts, name, TEXT))
    stored = getattr(connection.execute(sa.select(*(table.c[text] for text in texts))).one(), name)
    assert stored in ("x" + kept_as, ("x" + kept_as)[: len(stored)]), (table.name, name)
    if manner is Manner.LOG:
        connection.execute(sa.update(table).values({name: TEXT * 12_000}))


def compares(connection: sa.Connection, table: sa.Table, texts: Texts) -> None:
    """Nor does a statement fail that only compares."""
    conditions = [
        condition
        for name in texts
        for condition in (
            table.c[name] == TEXT,
            table.c[name] != TEXT,
            table.c[name].in_([TEXT, "a"]),
            table.c[name].contains(TEXT, autoescape=True),
        )
    ]
    connection.execute(sa.select(*conditions).where(sa.or_(*conditions))).all()


@every_kind
@both_modes
def test_2_a_renewal_with_a_name_that_the_table_lacks_is_booked_once(accounts: Accounts, tables: OldWorlds) -> None:
    answer = accounts.post("reseller1", "edit_account", username="user001", name=EMOJI, plan="78-GBP")
    assert answer["error"] == 0, answer
    assert answer.get("warning_text") == told(tables)
    row = accounts.row("user001")
    assert row is not None
    assert row["full_name"] == NAMES[tables.old]
    assert (str(accounts.balance("reseller1")), accounts.open_operations()) == ("89.50", [])
    assert len(accounts.transactions) == 1
    [audited] = accounts.world.rows(sa.select(AuditEntry.new_value).where(AuditEntry.target_type == "account"))
    assert f'"{LOGS[tables.old]}"' in audited["new_value"]
    assert [user.full_name for user in accounts.portal.users if user.login == "user001"] == [EMOJI]


@each_set
@both_modes
def test_2_an_addition_with_such_a_name_and_comment_is_booked_once(accounts: Accounts, tables: OldWorlds) -> None:
    fields = new_account(name=EMOJI, plan="78-GBP", comment=EMOJI)
    answer = accounts.post("reseller1", "add_account", **fields)
    assert answer["error"] == 0, answer
    assert answer["warning_text"] == told(tables)
    row = accounts.row("new10")
    assert row is not None
    assert row["full_name"] == NAMES[tables.old]
    assert (str(accounts.balance("reseller1")), len(accounts.transactions)) == ("89.50", 1)


@each_set
@strict
def test_2_what_would_be_wrong_in_another_form_is_refused_before_money_and_portal_move(
    accounts: Accounts, tables: OldWorlds
) -> None:
    address = "a\N{GRINNING FACE}@example.com"
    before = accounts.row("user001")
    accounts.forget()
    for endpoint, fields in {
        "edit_account": {"username": "user001", "plan": "78-GBP", "email": address},
        "update_account": {"username": "user001", "plan": "78-GBP", "email": address},
        "add_account": new_account(plan="78-GBP", email=address),
    }.items():
        answer = accounts.post("reseller1", endpoint, **fields)
        assert (answer["error"], answer["code"]) == (1, 6), answer
        assert answer["message"] == "This database cannot keep \N{GRINNING FACE} in the email"
    assert (str(accounts.balance("reseller1")), accounts.transactions) == ("100.00", [])
    assert (accounts.row("user001"), accounts.open_operations()) == (before, [])
    assert accounts.calls("POST", "PUT", "DELETE") == []


@each_set
@strict
def test_2_nobody_has_a_name_that_the_table_lacks(old: OldWorlds) -> None:
    world = fill_chapter_10(old("mariadb"))
    for name in (EMOJI, PERSIAN, "admin\N{GRINNING FACE}", "\ud83d"):
        response = world.client().post("/login.php", {"username": name, "password": "x"}, "json")
        answer = response.json()
        assert (response.status_code, answer["error"], answer["code"]) == (200, 1, answer["code"]), answer
        assert answer["code"] == (6 if "\ud83d" in name else 2), answer
    # nor is anybody found who has question marks or replacement characters where they were
    assert all(row["user_id"] == 0 for row in world.rows(sa.select(LoginHistory.user_id)))
    client = world.client("admin")
    for path in ("get_audit_log", "get_transactions", "get_sms_logs"):
        assert client.get(f"/{path}.php?search={EMOJI}").json()["error"] == 0, path
    answer = client.post("/change_status.php", {"username": EMOJI, "status": "0"}).json()
    assert answer["code"] == 4, answer


@each_set
@both_modes
def test_2_a_reminder_template_with_an_emoji_is_stored(old: OldWorlds) -> None:
    with reminders_world(old, "mariadb") as panel:
        answer = panel.post("admin", "update_reminder_settings", message_template=f"{EMOJI} {{name}}")
        assert answer["error"] == 0, answer
        [row] = panel.world.rows(sa.select(ReminderSettings.message_template))
        assert row["message_template"] == f"{NAMES[old.old]} {{name}}"


@pytest.mark.parametrize("tables", ["latin1 logs"], indirect=True)
@both_modes
def test_2_one_persian_name_does_not_stop_a_run_of_reminders(old: OldWorlds) -> None:
    with reminders_world(old, "mariadb") as panel:
        panel.settings(1, message_template="{name}")
        panel.change(11, full_name=EMOJI)
        answer = panel.sweep()
        assert (answer["sent"], answer["failed"]) == (1, 1), answer
        # what goes out is whole, what is logged is what the log can keep
        assert [text for _, text in panel.texts] == [EMOJI, "Bob Example"]
        assert {(row["full_name"], row["message"]) for row in panel.reminders} == {
            ("??? ?", "??? ?"),
            ("Bob Example", "Bob Example"),
        }
        assert panel.sweep()["skipped"] == 1


@each_set
@both_modes
def test_2_a_portals_texts_do_not_stop_a_sync(accounts: Accounts, tables: OldWorlds) -> None:
    accounts.portal.change_user("user001", full_name=EMOJI)
    accounts.portal.add_user("new\N{GRINNING FACE}", MAC("21"), full_name="New", status=1)
    accounts.portal.add_user("plain", MAC("22"), full_name=EMOJI, status=1)
    answer = accounts.post("admin", "sync_accounts")
    assert (answer["error"], answer["synced"], answer["skipped"]) == (0, 4, 1), answer
    assert answer["unstorable"] == ["new\N{GRINNING FACE}"]
    for username in ("user001", "plain"):
        row = accounts.row(username)
        assert row is not None
        assert row["full_name"] == NAMES[tables.old]
    # and what is stored is what it is compared with
    stamp = accounts.world.rows(sa.select(sa.func.max(AuditEntry.id)))
    assert accounts.post("admin", "sync_accounts")["synced"] == 4
    assert accounts.world.rows(sa.select(sa.func.max(AuditEntry.id))) == stamp


@each_set
@strict
def test_2_no_request_meets_the_database_with_what_it_cannot_hold(old: OldWorlds) -> None:
    world = old("mariadb", **SETTINGS)
    faults = fuzz(world, REQUESTS, 7)
    assert not faults, "\n".join(faults)
    assert world.rows(sa.select(sa.func.count()).select_from(Transaction))


@each_set
@strict
def test_2_a_dump_whose_texts_the_tables_lack_is_refused_as_a_whole(old: OldWorlds) -> None:
    world = fill_chapter_10(old("mariadb"))
    before = world.rows(sa.select(Transaction.details))
    dump = (
        "INSERT INTO `_transactions` (`id`,`details`) VALUES (1,'plain');\n"
        f"INSERT INTO `_transactions` (`id`,`details`) VALUES (2,'{EMOJI}');\n"
    )
    response = world.client("admin").request(
        "POST", "/api/import_database.php", files={"sql_file": ("x.sql", dump.encode())}
    )
    assert "refused row 2 of _transactions; nothing was changed" in response.json()["message"]
    assert world.rows(sa.select(Transaction.details)) == before


def test_field_10_and_16_emoji_on_an_untouched_dump(live: World) -> None:
    client = live.client("admin", "admin123")
    answer = client.post("/update_reminder_settings.php", {"message_template": f"{EMOJI} {{name}}"}).json()
    assert answer["error"] == 0, answer
    stored = live.rows(sa.select(ReminderSettings.message_template).where(ReminderSettings.user_id == 1))
    assert stored in ([{"message_template": f"{text} {{name}}"}] for text in (EMOJI, NAMES["utf8mb3"]))
    answer = live.client().post("/login.php", {"username": EMOJI, "password": "x"}).json()
    assert (answer["error"], answer["code"]) == (1, 2), answer
