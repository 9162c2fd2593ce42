"""A live panel's database (the dumps of two versions) behind this server: logins, lists, nothing changed, copies."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.moving import copying
from core.storage import schema
from core.storage.database import Database
from core.storage.tables import Account, Transaction, User
from tests.conftest import MakeWorld
from tests.worlds.databases import DUMPS, EXTRACT_ROWS, create_database, load_dump, require
from tests.worlds.harness import World
from tests.worlds.live_panels import LivePanel
from tests.worlds.strangers import strange_engine

LOGINS = {"admin": "admin123", "reseller1": "pw1", "readmin": "pw2", "watcher": "pw3", "limited": "pw4"}
SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "1000"}


# the volume of a live panel once, since it is the same
ACCOUNTS = {"1.11.66": EXTRACT_ROWS, "1.18.2": 5000}


@pytest.fixture(scope="module", params=DUMPS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def legacy_url(version: str) -> str:
    require("mariadb")
    url = create_database("mariadb", f"live{version.replace('.', '_')}")
    load_dump(url, DUMPS[version], whole=ACCOUNTS[version] > EXTRACT_ROWS)
    return url


@pytest.fixture(scope="module")
def live(legacy_url: str) -> Iterator[World]:
    world = World(legacy_url, SETTINGS)
    yield world
    world.close()


def _structure(url: str) -> dict[str, Any]:
    """Of every table of the panel: its definition and a checksum of its rows."""
    engine = strange_engine(url)
    with engine.connect() as connection:
        names = [name for name in sa.inspect(connection).get_table_names() if not name.startswith("_sbx_")]
        found = {
            name: (
                connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1],
                connection.exec_driver_sql(f"CHECKSUM TABLE `{name}`").one()[1],
            )
            for name in names
        }
    engine.dispose()
    return found


def test_merely_running_changes_nothing(legacy_url: str) -> None:
    before = _structure(legacy_url)
    world = World(legacy_url, SETTINGS)
    try:
        # reading, without a login: a login rightly writes its history
        assert world.client().get("/api/auto_logout_settings.php").json() == {
            "error": 0,
            "err_msg": "",
            "auto_logout_timeout": 15,
            "timeout_seconds": 900,
        }
        assert world.panel.layout.origin == "legacy"
    finally:
        world.close()
    assert _structure(legacy_url) == before


@pytest.mark.parametrize("username", LOGINS)
def test_everybody_logs_in_with_the_old_password(live: World, username: str) -> None:
    before = live.user(username)
    client = live.client(username, LOGINS[username])
    answer = client.get("/get_user_info.php").json()
    assert answer["user"]["username"] == username
    assert answer["user"]["balance"] == float(before["balance"])
    # the PHP panel must still be able to verify it
    assert live.user(username) == before


def test_the_accounts_of_each_role(live: World, version: str) -> None:
    def ids(username: str, query: str = "") -> list[int]:
        answer = live.client(username, LOGINS[username]).get(f"/get_accounts.php{query}").json()
        assert answer["error"] == 0
        return [account["id"] for account in answer["accounts"]]

    everything = ids("admin")
    assert everything == sorted(everything, reverse=True)
    assert len(everything) == ACCOUNTS[version]
    assert ids("watcher") == everything
    assert ids("readmin", "?viewAllAccounts=true") == everything
    for username in ("reseller1", "readmin", "limited"):
        user_id = live.user(username)["id"]
        own = sa.select(Account.id).where(Account.reseller == user_id).order_by(Account.id.desc())
        assert ids(username) == [row["id"] for row in live.rows(own)]


def test_the_oddities_of_the_dump(live: World) -> None:
    accounts = live.client("admin", "admin123").get("/get_accounts.php").json()["accounts"]
    by_id = {account["id"]: account for account in accounts}
    assert [by_id[id_]["end_date"] for id_ in (10, 11, 12)] == [None] * 3
    assert [by_id[id_]["reseller"] for id_ in (20, 21)] == [None] * 2
    assert by_id[30]["full_name"] == "علی رضایی"
    assert by_id[31]["mac"] == "10:27:BE:00:00:31"
    assert {account["status"] for account in accounts} == {0, 1}


def test_a_login_is_recorded_where_the_panel_has_a_history(live: World) -> None:
    answer = live.client("admin", "admin123").get("/api/get_login_history.php").json()
    assert answer["error"] == 0
    assert bool(answer["data"]) == live.panel.layout.has_table("_login_history")


def test_password_change_is_one_that_php_can_verify(live: World) -> None:
    client = live.client("limited", "pw4")
    for old, new in (("pw4", "new-pw"), ("new-pw", "pw4-again")):
        fields = {"old_pass": old, "new_pass": new, "renew_pass": new}
        assert client.post("/api/update_password.php", fields).json()["error"] == 0
        assert len(live.user("limited")["password"]) == 32
    live.execute("UPDATE _users SET password = md5('pw4') WHERE username = 'limited'")


def test_a_setting_whose_table_is_missing_is_a_clear_error(live: World) -> None:
    live.execute("RENAME TABLE _app_settings TO away_app_settings")
    world = World(live.config.database.url.get_secret_value(), SETTINGS)
    try:
        client = world.client("admin", "admin123")
        assert client.get("/auto_logout_settings.php").json()["auto_logout_timeout"] == 5
        answer = client.post("/auto_logout_settings.php", {"timeout": 10}).json()
        assert (answer["error"], answer["code"]) == (1, 7)
        assert "upgrade" in answer["message"]
        assert client.get("/session_heartbeat.php").json()["timeout_minutes"] == 5
    finally:
        world.close()
        live.execute("RENAME TABLE away_app_settings TO _app_settings")


@pytest.fixture(scope="module")
def extract(version: str, _live_panels: dict[str, LivePanel]) -> Iterator[World]:
    """``live`` without its volume, which tests/core/moving/test_copying.py copies."""
    require("mariadb")
    with _live_panels[version].lent() as world:
        yield world


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_copy_gives_the_same_bytes(extract: World, make_world: MakeWorld, kind: str) -> None:
    require(kind)
    copied = make_world(kind)
    # a world is not empty of other tests' marks
    counts = copying.copy_from(extract.panel.database, copied.panel.database, replace=True)
    assert counts["_accounts"] == EXTRACT_ROWS
    for username, password in LOGINS.items():
        there, here = extract.client(username, password), copied.client(username, password)
        for query in ("", "?viewAllAccounts=true"):
            path = f"/get_accounts.php{query}"
            assert here.get(path).content == there.get(path).content
    assert copied.rows(sa.select(sa.func.sum(Transaction.amount))) == extract.rows(
        sa.select(sa.func.sum(Transaction.amount))
    )
    assert [user["username"] for user in copied.rows(sa.select(User.username).order_by(User.id))] == list(LOGINS)


def test_an_upgrade_adds_and_everything_still_works(legacy_url: str, version: str) -> None:
    before = _structure(legacy_url)
    database = Database(legacy_url)
    done = schema.upgrade(database)
    again = schema.upgrade(database)
    database.dispose()
    assert done
    assert again == []
    after = _structure(legacy_url)
    assert set(before) <= set(after)
    world = World(legacy_url, SETTINGS)
    try:
        client = world.client("admin", "admin123")
        assert len(client.get("/get_accounts.php").json()["accounts"]) == ACCOUNTS[version]
        assert client.get("/api/get_login_history.php").json()["data"]
    finally:
        world.close()


def test_mysql_zero_dates_are_no_end_date(make_world: MakeWorld) -> None:
    require("mariadb")
    world = make_world("mariadb")
    world.execute("SET SESSION sql_mode = ''")
    with world.panel.database.write() as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = ''")
        connection.exec_driver_sql(
            "INSERT INTO _accounts (username, mac, end_date) VALUES ('zero', '00:1A:79:00:00:01', '0000-00-00')"
        )
        connection.exec_driver_sql(
            "INSERT INTO _users (username, password, super_user) VALUES ('admin', md5('admin123'), 1)"
        )
        connection.exec_driver_sql("SET SESSION sql_mode = DEFAULT")
    [account] = world.client("admin").get("/get_accounts.php").json()["accounts"]
    assert (account["end_date"], account["end_datetime"]) == (None, None)
