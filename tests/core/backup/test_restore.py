"""What a restore replaces, what it leaves, and whom it logs out; on each kind of database."""

import re
from collections.abc import Iterator
from datetime import datetime

import pytest
import sqlalchemy as sa

from core.accounts import operations
from core.accounts.operations import Draft
from core.accounts.records import Creation
from core.backup.restore import WorkUnderWay
from core.config import load_config
from core.panel import Panel
from core.storage.tables import (
    Account,
    AccountNote,
    ArchivedAccount,
    AuditEntry,
    DeletedPlan,
    LedgerNote,
    LoginHistory,
    Plan,
    PushSubscription,
    SmsLog,
    StalkerSetting,
    Transaction,
    User,
    WebauthnCredential,
)
from core.storage.undoable import NotUndoable
from tests.conftest import MakeWorld
from tests.worlds.backups import PASSWORD, dump_text, fill_chapter_70, fixture_text, held, import_text
from tests.worlds.databases import DUMPS, EXTRACT_ROWS, KINDS, create_database, drop_database, load_dump, require
from tests.worlds.harness import World, legacy_hash

HASH = legacy_hash(PASSWORD)
ADMIN = f"(1,'admin','{HASH}','1|1|1|1|1|1|1',1)"
MADE = {"created_at": datetime.fromisoformat("2026-01-01 00:00:00")}
TIMES = {**MADE, "updated_at": None}
MOMENT = datetime.fromisoformat("2026-01-01 00:00:00")
USER_COLUMNS = "`id`,`username`,`password`,`permissions`,`super_user`"


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_70(make_world(kind))


def _users(*rows: str) -> str:
    return f"INSERT INTO `_users` ({USER_COLUMNS}) VALUES {','.join(rows)};\n"


def _names(world: World) -> dict[int, str]:
    return {row["id"]: row["username"] for row in world.rows(sa.select(User.id, User.username))}


# moments


SETTING = (
    "INSERT INTO `_stalker_settings` (`id`,`setting_key`,`setting_value`,`updated_at`) VALUES "
    "(1,'server_address','x','2026-11-22 {}');\n"
    "INSERT INTO `_login_history` (`id`,`user_id`,`username`,`login_time`) VALUES "
    "(1,1,'admin','2026-11-22 10:30:00');\n"
)


# a file's zone is gone before a database is asked; the dump that is read again names one on each kind
@pytest.mark.kinds_in_turn
@pytest.mark.parametrize(
    ("zone", "time"),
    [
        ("/*!40103 SET TIME_ZONE='+00:00' */;\n", "07:00:00"),
        ('SET time_zone = "+03:30";\n', "10:30:00"),
        ("SET time_zone = 'SYSTEM';\n", "10:30:00"),
        ("", "10:30:00"),
        ("SET TIME_ZONE='+00:00';\nSET TIME_ZONE=@OLD_TIME_ZONE;\n", "10:30:00"),
    ],
)
def test_moments_come_back_to_the_second(panel: World, zone: str, time: str) -> None:
    import_text(panel.panel, zone + SETTING.format(time))
    moment = datetime.fromisoformat("2026-11-22 10:30:00")
    assert panel.rows(sa.select(StalkerSetting.updated_at)) == [{"updated_at": moment}]
    # a DATETIME is what it says in every zone
    assert panel.rows(sa.select(LoginHistory.login_time)) == [{"login_time": moment}]
    again = dump_text(panel.panel)
    assert "'2026-11-22 07:00:00'" in again
    panel.execute(sa.delete(StalkerSetting))
    import_text(panel.panel, again)
    assert panel.rows(sa.select(StalkerSetting.updated_at)) == [{"updated_at": moment}]


def test_a_zone_that_nobody_knows_is_refused(make_world: MakeWorld) -> None:
    world = fill_chapter_70(make_world("sqlite"))
    with pytest.raises(Exception, match="unknown time zone"):
        import_text(world.panel, "SET TIME_ZONE='Nowhere/Land';\n" + SETTING.format("10:30:00"))


# users, and what hangs on them


def test_users_change_places_and_keep_what_is_theirs(panel: World) -> None:
    """bob and sam exchange their names, olaf is gone, nina is new; their messages are not in the file."""
    logs = [
        {"id": n, "recipient_number": "+44", "message": "m", "sent_by": user, "sent_at": MOMENT}
        for n, user in enumerate((1, 7, 9), start=1)
    ]
    panel.insert(SmsLog, logs)
    rows = (
        ADMIN,
        f"(7,'sam','{HASH}','1|1|0|0|0|0|0',0)",
        f"(8,'bob','{HASH}','1|1|0|1|1',0)",
        f"(20,'nina','{HASH}','1|1',0)",
    )
    done = import_text(panel.panel, _users(*rows))
    assert done.tables == {"_users": 4}
    assert _names(panel) == {1: "admin", 7: "sam", 8: "bob", 20: "nina"}
    # what was olaf's went with him, as the panel's own foreign keys have it
    assert panel.rows(sa.select(SmsLog.id).order_by(SmsLog.id)) == [{"id": 1}, {"id": 2}]
    assert len(panel.rows(sa.select(Account.id))) == 3
    # columns that the file lacks have their defaults
    assert str(panel.user("bob")["balance"]) in ("0.00", "0")
    assert panel.user("nina")["currency_id"] == "GBP"


def test_rows_whose_user_is_gone_stay_behind(panel: World) -> None:
    text = (
        "INSERT INTO `_sms_settings` (`id`,`user_id`,`api_token`) VALUES (1,1,'mine'),(2,99,'lost'),(3,98,'lost');\n"
        + _users(ADMIN)
    )
    done = import_text(panel.panel, text)
    assert done.tables == {"_users": 1, "_sms_settings": 1}
    assert done.skipped == ["_sms_settings: 2 rows whose user is gone"]


def test_names_that_differ_by_case_only_are_refused(panel: World) -> None:
    before = held(panel.panel.database)
    with pytest.raises(Exception, match=r"cannot be beside each other; nothing was changed$"):
        import_text(panel.panel, _users(ADMIN, f"(7,'bob','{HASH}','1',0)", f"(8,'BOB','{HASH}','1',0)"))
    assert held(panel.panel.database) == before


def test_ids_of_rows_that_are_gone_do_not_return(panel: World) -> None:
    panel.insert(Plan, [{"id": 500, "name": "Gone"}])
    panel.execute(sa.delete(Plan))
    import_text(
        panel.panel,
        "CREATE TABLE `_plans` (`id` int, `name` text) AUTO_INCREMENT=901;\nINSERT INTO `_plans` VALUES (3,'Old');\n",
    )
    with panel.panel.database.write() as connection:
        made = connection.execute(sa.insert(Plan).values(name="New")).inserted_primary_key
    assert made is not None
    # MariaDB counts on from what it has given itself, the others from what the file tells as well
    assert made[0] > 500
    if panel.panel.database.dialect != "mysql":
        assert made[0] == 901


# what stays


def test_what_is_not_in_the_file_stays(panel: World) -> None:
    before = held(panel.panel.database)
    done = import_text(
        panel.panel,
        "INSERT INTO `_plans` (`id`,`name`,`price`) VALUES (3,'Old',9.99);\n"
        "INSERT INTO `_old_table` VALUES (1);\nINSERT INTO `_sbx_sessions` VALUES ('x','{}',1);\n"
        "INSERT INTO `_sbx_state` VALUES ('origin','own');\n",
    )
    assert done.tables == {"_plans": 1}
    assert done.skipped == ["_old_table", "_sbx_sessions", "_sbx_state"]
    after = held(panel.panel.database)
    differing = {name for name in after if after[name] != before[name]}
    assert differing == {"_plans", "_audit_log"}


def test_a_table_that_is_empty_in_the_file_is_empty_afterwards(panel: World) -> None:
    done = import_text(panel.panel, "CREATE TABLE `_accounts` (`id` int);\nINSERT INTO `_plans` (`id`) VALUES (1);\n")
    assert done.tables == {"_accounts": 0, "_plans": 1}
    assert panel.rows(sa.select(Account.id)) == []


def test_unknown_columns_are_told(panel: World) -> None:
    done = import_text(panel.panel, "INSERT INTO `_plans` (`id`,`colour`,`name`) VALUES (1,'red','x');\n")
    assert (done.tables, done.skipped) == ({"_plans": 1}, ["_plans.colour"])


LOG = (
    "INSERT INTO `_audit_log` (`id`,`timestamp`,`user_id`,`username`,`action`,`target_type`) VALUES "
    "(40,'2026-01-01 00:00:00',1,'admin','create','account');\n"
)


def test_the_log_is_never_wiped(panel: World) -> None:
    assert import_text(panel.panel, LOG).tables == {"_audit_log": 1}
    actions = sa.select(AuditEntry.id, AuditEntry.action).order_by(AuditEntry.id)
    assert panel.rows(actions)[0] == {"id": 40, "action": "create"}
    again = LOG.replace("(40,", "(50,") + "INSERT INTO `_plans` (`id`) VALUES (1);\n"
    done = import_text(panel.panel, again)
    assert (done.tables, done.skipped) == ({"_plans": 1}, ["_audit_log"])
    assert [row["action"] for row in panel.rows(actions)] == ["create", "import", "import"]
    assert [row["id"] > 40 for row in panel.rows(actions)] == [False, True, True]


def test_notes_of_ours_come_with_the_rows_that_they_are_about_and_go_with_them(panel: World) -> None:
    panel.insert_all(
        [
            (Transaction, [{"id": 1, "for_user": 7, "amount": -5}]),
            (LedgerNote, [{"transaction_id": 1, "kind": "sale", "amount": -5, "effect": -5}]),
            (AccountNote, [{"account_id": 1, "changed_at": 2**40}]),
            (DeletedPlan, [{"id": 9, "name": "Gone", "deleted_at": 1}]),
            (ArchivedAccount, [{"id": 55, "username": "old", "mac": "m", "reason": "deleted", "archived_at": 1}]),
        ]
    )
    mine = dump_text(panel.panel)
    before = held(panel.panel.database)
    foreign = (
        "INSERT INTO `_transactions` (`id`,`amount`) VALUES (1,7);\nINSERT INTO `_plans` (`id`) VALUES (1);\n"
        "INSERT INTO `_accounts` (`id`,`username`,`mac`) VALUES (55,'back','m');\n"
    )
    import_text(panel.panel, foreign)
    for model in (LedgerNote, AccountNote, DeletedPlan, ArchivedAccount):
        assert panel.rows(sa.select(*model.__table__.c)) == []
    import_text(panel.panel, mine)
    after = held(panel.panel.database)
    assert {name: rows for name, rows in after.items() if name != "_audit_log"} == {
        name: rows for name, rows in before.items() if name != "_audit_log"
    }


# sessions


@pytest.mark.parametrize(("kind", "store"), [*((kind, "sql") for kind in KINDS), ("sqlite", "php-files")])
def test_sessions_of_whom_it_changes_end(make_world: MakeWorld, kind: str, store: str) -> None:
    require(kind)
    world = fill_chapter_70(make_world(kind, SHOWBOX_SESSION_STORE=store))
    clients = {name: world.client(name, PASSWORD) for name in ("admin", "rita", "bob", "sam", "olaf")}
    for client in clients.values():
        assert client.get("/get_user_info.php").json()["error"] == 0
    other = legacy_hash("another")
    rows = (
        ADMIN,
        # no reseller admin any more, another password, gone, another name
        f"(5,'rita','{HASH}','1|1|0|1|1|1|1',0)",
        f"(7,'bob','{other}','1|1|0|0|0|0|0',0)",
        f"(9,'oleg','{HASH}',NULL,0)",
    )
    import_text(world.panel, _users(*rows))
    errors = {name: client.get("/get_user_info.php").json()["error"] for name, client in clients.items()}
    assert errors == {"admin": 0, "rita": 1, "bob": 1, "sam": 1, "olaf": 1}
    assert world.client("bob", "another").get("/get_user_info.php").json()["error"] == 0


# work that is under way


def _begin(world: World) -> operations.Record:
    creation = Creation("New", None, None, 7, None, None, "", None, 1, "", None, None)

    def plan(_connection: sa.Connection) -> Draft[Creation]:
        return Draft("add", "new", "00:1A:79:00:00:99", None, creation, payer_id=7, amount=operations.Decimal(30))

    record = operations.begin(world.panel, 1, plan, "begun")
    assert record is not None
    return record


def test_changes_of_accounts_that_are_being_made_are_waited_for(panel: World) -> None:
    text = dump_text(panel.panel)
    record = _begin(panel)
    before = held(panel.panel.database)
    with pytest.raises(WorkUnderWay):
        import_text(panel.panel, text)
    assert held(panel.panel.database) == before
    operations.leave(panel.panel, record, "the portal is silent")
    import_text(panel.panel, text)
    # what it took is there again, and nobody pays it back a second time
    assert str(panel.user("bob")["balance"]) in ("100.00", "100")
    with panel.panel.database.read() as connection:
        assert operations.read_open(connection) == []


def test_an_operation_is_no_obstacle_to_a_file_without_users(panel: World) -> None:
    _begin(panel)
    assert import_text(panel.panel, "INSERT INTO `_plans` (`id`) VALUES (1);\n").tables == {"_plans": 1}
    with panel.panel.database.read() as connection:
        assert len(operations.read_open(connection)) == 1


# databases of panels


@pytest.fixture(scope="module", params=sorted(DUMPS))
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A panel's own database, which nobody has upgraded."""
    require("mariadb")
    url = create_database("mariadb", "restored")
    load_dump(url, DUMPS[request.param])
    environment = {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path_factory.mktemp("live"))}
    panel = Panel(load_config(None, environment))
    panel.layout  # noqa: B018 - adds our own tables beside the panel's
    yield panel
    panel.close()
    drop_database(url)


@pytest.mark.parametrize("version", sorted(DUMPS))
def test_either_panel_takes_the_dump_of_the_other(live: Panel, version: str) -> None:
    before = held(live.database)
    done = import_text(live, fixture_text(version))
    assert done.tables["_accounts"] == EXTRACT_ROWS
    lacking = {table for table in ("_telegram_templates", "_mail_settings") if not live.layout.has_table(table)}
    told = {what for what in done.skipped if what in ("_telegram_templates",)}
    assert told == (lacking & {"_telegram_templates"} if version == "1.18.2" else set())
    assert held(live.database)["_users"] == before["_users"]


@pytest.mark.parametrize("live", ["1.18.2"], indirect=True)
def test_a_table_that_cannot_undo_is_not_touched(live: Panel) -> None:
    with live.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE _accounts ENGINE=MyISAM"))
    before = held(live.database)
    with pytest.raises(NotUndoable, match="_accounts: MyISAM"):
        import_text(live, fixture_text("1.18.2"))
    assert held(live.database) == before
    with live.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE _accounts ENGINE=InnoDB"))


def test_keys_and_devices_come_back(panel: World) -> None:
    """What logs people in and reaches them is a part of a whole dump."""
    panel.insert_all(
        [
            (
                WebauthnCredential,
                [{"id": 1, "user_id": 1, "credential_id": "c", "public_key": "k", "counter": 5, "created_at": MOMENT}],
            ),
            (
                PushSubscription,
                [{"id": 1, "user_id": 1, "endpoint": "https://push.example.com/1", "p256dh": "p", "auth": "a"} | TIMES],
            ),
        ]
    )
    text = dump_text(panel.panel)
    before = held(panel.panel.database)
    panel.execute(sa.delete(WebauthnCredential))
    panel.execute(sa.delete(PushSubscription))
    import_text(panel.panel, text)
    after = held(panel.panel.database)
    for table in ("_webauthn_credentials", "_push_subscriptions"):
        assert after[table] == before[table]
        assert re.search(rf"INSERT INTO `{table}`", text)
