"""What holds for a session in any store: each test runs on every one of them, for real."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, Response, session
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from compat.sessions import SessionStore, SessionUnavailable
from compat.sessions.interface import hashed_id
from compat.sessions.php_files import PhpFileSessions
from compat.sessions.redis import RedisSessions
from compat.sessions.sql import PURGE_SECONDS, TOUCH_SECONDS, SqlSessions
from core.storage.database import Database
from tests.compat.session_browser import Browser, Moment, app_with
from tests.worlds.databases import create_database, require_redis
from tests.worlds.forked import forked
from tests.worlds.servers import REDIS_URL
from tests.worlds.waiting import until

PREFIX = f"sbx-test-{os.getpid()}:"
LIFETIME = 1440
UNKNOWN = "a" * 26
SQL = ["sqlite", "mariadb", "postgresql"]
TABLE = sa.Table(
    "sbx_sessions",
    sa.MetaData(),
    sa.Column("id", sa.String(256), primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("touched_at", sa.Integer, nullable=False, index=True),
)


@dataclass
class House:
    """One store: ``open()`` makes its settings anew, in another process as well."""

    kind: str
    moment: Moment
    open: Callable[[], SessionStore]

    def app(self, **options: Any) -> Flask:
        return app_with(self.open(), **options)


@pytest.fixture(scope="module")
def databases() -> Iterator[Callable[[str], Database]]:
    """One of each kind."""
    opened: dict[str, Database] = {}

    def database(kind: str) -> Database:
        if kind not in opened:
            opened[kind] = Database(create_database(kind, "sessions"))
        return opened[kind]

    yield database
    for one in opened.values():
        one.dispose()


def sql_house(kind: str, database: Database) -> House:
    TABLE.create(database.engine, checkfirst=True)
    with database.engine.begin() as connection:
        connection.execute(sa.delete(TABLE))
    moment = Moment()
    return House(kind, moment, lambda: SqlSessions(database.engine, TABLE, LIFETIME, moment))


def redis_house() -> Iterator[House]:
    require_redis()
    moment = Moment()
    client = Redis.from_url(REDIS_URL)
    yield House("redis", moment, lambda: RedisSessions(client, PREFIX, LIFETIME, moment))
    for key in client.scan_iter(f"{PREFIX}*"):
        client.delete(key)
    client.close()


@pytest.fixture(params=["php", "php_serialize", *SQL, "redis"])
def house(request: pytest.FixtureRequest, tmp_path: Path, databases: Callable[[str], Database]) -> Iterator[House]:
    kind = request.param
    if kind in SQL:
        yield sql_house(kind, databases(kind))
    elif kind == "redis":
        yield from redis_house()
    else:
        moment = Moment()
        yield House(kind, moment, lambda: PhpFileSessions(str(tmp_path), kind, LIFETIME, moment))


@pytest.fixture(params=SQL)
def sql(request: pytest.FixtureRequest, databases: Callable[[str], Database]) -> House:
    return sql_house(request.param, databases(request.param))


def logged_in(app: Flask, **more: Any) -> Browser:
    browser = Browser(app)
    with browser.request() as current:
        current.renew_id()
        current.update({"login": 1, "username": "admin", **more})
    return browser


def again(browser: Browser) -> Browser:
    """Another tab with the same cookie."""
    return Browser(browser.app, browser.cookie)


def test_a_session_lives_from_request_to_request(house: House) -> None:
    app = house.app()
    stored = {"login": 1, "username": "é|\"';", "list": [1, {"a": None, "b": [True, 0.5]}], "nul": "\0"}
    browser = logged_in(app, **stored)
    assert browser.read() == stored
    assert list(browser.read()) == ["login", "username", "list", "nul"]
    assert re.fullmatch("[0-9a-v]{26}", str(browser.cookie))
    assert browser.set_cookie is None
    with browser.request() as current:
        assert current.exists
        assert current.sid == browser.cookie
        assert "login" in current
        assert "nothing" not in current
        assert current.get("nothing", 5) == 5
        assert len(current) == 4


def test_cookie_attributes(house: House) -> None:
    app = house.app(secure=lambda request: request.scheme == "https")
    browser = logged_in(app)
    name, *attributes = str(browser.set_cookie).split("; ")
    assert name == f"PHPSESSID={browser.cookie}"
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Lax"]
    safe = Browser(app)
    with safe.request(base_url="https://billing.example.com") as current:
        current["login"] = 1
    assert sorted(str(safe.set_cookie).split("; ")[1:]) == ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]


def test_an_answer_has_no_further_headers(house: House) -> None:
    app = house.app()
    app.add_url_rule("/", view_func=lambda: Response(str(session.get("login"))))
    answer = app.test_client().get("/")
    assert sorted(answer.headers.keys()) == ["Content-Length", "Content-Type"]


def test_reading_anonymously_creates_nothing(house: House) -> None:
    browser = Browser(house.app())
    with browser.request() as current:
        assert not current.exists
        assert current.sid is None
        assert current.idle_seconds == 0
        assert dict(current) == {}
    assert browser.set_cookie is None


def test_an_anonymous_write_creates_a_session(house: House) -> None:
    browser = Browser(house.app())
    with browser.request() as current:
        current["webauthn_auth_username"] = "admin"
        assert current.sid is None
    assert browser.cookie is not None
    assert current.sid == browser.cookie
    assert browser.read() == {"webauthn_auth_username": "admin"}


def test_an_unknown_id_is_never_adopted(house: House) -> None:
    app = house.app()
    victim = Browser(app, UNKNOWN)
    assert victim.read() == {}
    assert victim.set_cookie is None
    with victim.request() as current:
        current["login"] = 1
    assert victim.cookie != UNKNOWN
    assert Browser(app, UNKNOWN).read() == {}


def test_login_changes_the_id_and_drops_all_old_data(house: House) -> None:
    browser = Browser(house.app())
    with browser.request() as current:
        current["planted"] = "by the attacker"
    before = again(browser)
    with browser.request() as current:
        current.renew_id()
        assert not current.exists
        current["login"] = 1
    assert browser.cookie != before.cookie
    assert browser.read() == {"login": 1}
    assert before.read() == {}


def test_a_new_id_with_the_old_data(house: House) -> None:
    browser = logged_in(house.app(), extra=[1])
    before = again(browser)
    with browser.request() as current:
        current["extra"].append(2)
        current.renew_id(keep=True)
        with before.request() as parallel:
            parallel["parallel"] = True
    assert browser.cookie != before.cookie
    assert browser.read() == {"login": 1, "username": "admin", "extra": [1, 2], "parallel": True}
    assert before.read() == {}


def test_a_new_id_does_not_carry_over_what_was_destroyed_meanwhile(house: House) -> None:
    browser = logged_in(house.app())
    other = again(browser)
    with browser.request() as current:
        current.renew_id(keep=True)
        with other.request() as parallel:
            parallel.destroy()
    assert browser.cookie is None
    assert not current.exists


@pytest.mark.parametrize("cookie", ["short", "a" * 257, "../../../etc/passwd..", "a" * 20 + "%00", "a b" * 9, ""])
def test_an_id_of_the_wrong_form_is_no_session(house: House, cookie: str) -> None:
    browser = Browser(house.app(), cookie)
    with browser.request() as current:
        assert current.cookie_id is None
        assert not current.exists
        current.destroy()
    assert browser.cookie is None


def test_the_id_is_found_among_other_cookies(house: House) -> None:
    app = house.app()
    sid = logged_in(app).cookie
    for header in (f"a=b; PHPSESSID={sid}", f"XPHPSESSID={UNKNOWN};PHPSESSID={sid}; c", f" PHPSESSID={sid} "):
        with app.test_request_context(headers={"Cookie": header}):
            assert session["login"] == 1


def test_logout(house: House) -> None:
    browser = logged_in(house.app())
    before = again(browser)
    with browser.request() as current:
        current.destroy()
        assert not current.exists
        assert dict(current) == {}
    assert "Expires=Thu, 01 Jan 1970" in str(browser.set_cookie)
    assert "Path=/" in str(browser.set_cookie)
    assert before.read() == {}
    with before.request() as current:
        current.destroy()
    assert before.cookie is None


def test_logout_without_cookie_sets_none(house: House) -> None:
    browser = Browser(house.app())
    with browser.request() as current:
        current.destroy()
    assert browser.set_cookie is None


def test_parallel_requests_keep_each_others_keys(house: House) -> None:
    browser = logged_in(house.app(), nested={"list": [1]}, gone=1, both=1)
    other = again(browser)
    with browser.request() as slow:
        slow["nested"]["list"].append(2)
        slow["slow"] = 1
        slow["both"] = "slow"
        with other.request() as quick:
            quick["quick"] = 1
            quick["both"] = "quick"
            del quick["gone"]
    assert browser.read() == {
        "login": 1,
        "username": "admin",
        "nested": {"list": [1, 2]},
        "both": "slow",
        "quick": 1,
        "slow": 1,
    }


def test_a_stale_request_does_not_undo_what_it_did_not_touch(house: House) -> None:
    browser = logged_in(house.app(), last_activity=1)
    other = again(browser)
    with browser.request() as stale:
        assert stale["last_activity"] == 1
        stale["own"] = 1
        with other.request() as quick:
            quick["last_activity"] = 2
    assert browser.read()["last_activity"] == 2


def test_a_value_of_equal_number_but_another_type_is_a_change(house: House) -> None:
    browser = logged_in(house.app(), flag=1)
    with browser.request() as current:
        current["flag"] = True
    assert browser.read()["flag"] is True


@pytest.mark.parametrize("renewing", [False, True])
def test_a_destroyed_session_is_not_resurrected(house: House, renewing: bool) -> None:
    browser = logged_in(house.app())
    stale, other = again(browser), again(browser)
    with stale.request() as current:
        current["last_activity"] = 5
        with other.request() as parallel:
            if renewing:
                parallel.renew_id()
                parallel["login"] = 1
            else:
                parallel.destroy()
    assert stale.set_cookie is None
    assert stale.read() == {}


def test_an_untouched_session_ends(house: House) -> None:
    browser = logged_in(house.app())
    house.moment.seconds += LIFETIME - 1
    assert browser.read()["login"] == 1
    house.moment.seconds += LIFETIME - 1
    assert browser.read()["login"] == 1
    house.moment.seconds += LIFETIME + TOUCH_SECONDS + 1
    assert browser.read() == {}
    assert browser.read() == {}


def test_idle_seconds(house: House) -> None:
    slack = TOUCH_SECONDS if house.kind in SQL else 0
    browser = logged_in(house.app())
    house.moment.seconds += 300
    with browser.request() as current:
        assert current.idle_seconds == 300 - slack
    with browser.request() as current:
        assert current.idle_seconds == 0
    house.moment.seconds += 300
    with again(browser).request():
        pass
    with browser.request() as current:
        assert current.idle_seconds == 300 - slack


def test_a_value_that_cannot_be_stored_is_an_error(house: House) -> None:
    browser = logged_in(house.app())
    with pytest.raises((TypeError, ValueError)), browser.request() as current:
        current["x"] = object()


def test_a_failed_save_is_an_error_and_not_repeated(house: House) -> None:
    app = house.app()

    def view() -> str:
        session["login"] = object()
        return "done"

    def failure(error: Exception) -> tuple[str, int]:
        session["login"] = 1
        return "failed", 500

    app.add_url_rule("/login", view_func=view)
    app.register_error_handler(500, failure)
    app.logger.disabled = True
    answer = app.test_client().get("/login")
    assert answer.status_code == 500
    assert "Set-Cookie" not in answer.headers


def hammer(app: Flask, cookie: str, worker: int, rounds: int) -> None:
    for turn in range(rounds):
        with Browser(app, cookie).request() as current:
            key = f"w{worker}_{turn % 10}"
            current[key] = current.get(key, 0) + 1


def counted(browser: Browser) -> int:
    return sum(value for key, value in browser.read().items() if key.startswith("w"))


def test_threads_lose_nothing(house: House) -> None:
    app = house.app()
    browser = logged_in(app)
    threads = [threading.Thread(target=hammer, args=(app, browser.cookie, n, 40)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(browser) == 160


def store_in_another_process(kind: str, place: str, moment: Moment) -> SessionStore:
    if kind in SQL:
        return SqlSessions(Database(place).engine, TABLE, LIFETIME, moment)
    if kind == "redis":
        return RedisSessions(Redis.from_url(REDIS_URL), place, LIFETIME, moment)
    return PhpFileSessions(place, kind, LIFETIME, moment)


def hammer_process(kind: str, place: str, moment: Moment, cookie: str, worker: int) -> None:
    hammer(app_with(store_in_another_process(kind, place, moment)), cookie, worker, 120)


def place_of(store: SessionStore) -> str:
    if isinstance(store, SqlSessions):
        return store.engine.url.render_as_string(hide_password=False)
    if isinstance(store, RedisSessions):
        return store.prefix
    assert isinstance(store, PhpFileSessions)
    return store.save_path


def test_processes_lose_nothing(house: House) -> None:
    browser = logged_in(house.app())
    arguments = (house.kind, place_of(house.open()), house.moment, browser.cookie)
    processes = [forked(hammer_process, *arguments, n) for n in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert counted(browser) == 240
    assert browser.read()["username"] == "admin"


# the SQL store by itself


class Traffic:
    """Counts what an engine is asked for, from now on."""

    def __init__(self, engine: sa.Engine) -> None:
        self.checkouts = 0
        self.statements: list[str] = []
        sa.event.listen(engine, "checkout", self._checkout)
        sa.event.listen(engine, "before_cursor_execute", self._statement)

    def _checkout(self, *_: object) -> None:
        self.checkouts += 1

    def _statement(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self.statements.append(statement.split()[0])

    @property
    def verbs(self) -> list[str]:
        return [verb for verb in self.statements if verb != "BEGIN"]


def test_sql_a_request_that_changes_nothing_writes_nothing(sql: House) -> None:
    store = sql.open()
    assert isinstance(store, SqlSessions)
    browser = logged_in(app_with(store), list=[1])
    traffic = Traffic(store.engine)
    with browser.request():
        pass
    assert traffic.checkouts == 0
    sql.moment.seconds += TOUCH_SECONDS - 1
    browser.read()
    assert (traffic.checkouts, traffic.verbs) == (1, ["SELECT"])
    sql.moment.seconds += 1
    browser.read()
    assert traffic.checkouts == 3
    # where rows are locked one by one, whoever else holds it is not waited for
    looked = [] if sql.kind == "sqlite" else ["SELECT"]
    assert traffic.verbs == ["SELECT", "SELECT", *looked, "UPDATE"]


def test_sql_expired_rows_are_purged_when_a_session_is_made(sql: House) -> None:
    store = sql.open()
    assert isinstance(store, SqlSessions)
    app = app_with(store)
    old = logged_in(app)
    sql.moment.seconds += max(LIFETIME + TOUCH_SECONDS, PURGE_SECONDS) + 1
    new = logged_in(app)
    with store.engine.connect() as connection:
        ids = connection.scalars(sa.select(TABLE.c.id)).all()
    assert hashed_id(str(new.cookie)) in ids
    assert hashed_id(str(old.cookie)) not in ids


def test_sql_garbage_reads_as_no_session_and_stays(sql: House) -> None:
    store = sql.open()
    assert isinstance(store, SqlSessions)
    browser = logged_in(app_with(store))
    stale = again(browser)
    with stale.request() as current:
        current["login"] = 2
        with store.engine.begin() as connection:
            connection.execute(sa.update(TABLE).values(data='{"login":1'))
    assert browser.read() == {}
    with store.engine.connect() as connection:
        assert connection.scalars(sa.select(TABLE.c.data)).all() == ['{"login":1']


def test_sql_ids_differ_by_case(sql: House) -> None:
    browser = logged_in(sql.app())
    assert Browser(browser.app, str(browser.cookie).upper()).read() == {}


def test_sql_failure_is_named(sql: House) -> None:
    store = sql.open()
    assert isinstance(store, SqlSessions)
    browser = logged_in(app_with(store))
    TABLE.drop(store.engine)
    with pytest.raises(SessionUnavailable, match="The session store is not available"):
        browser.read()
    with pytest.raises(SessionUnavailable), Browser(browser.app).request() as current:
        current["login"] = 1
    TABLE.create(store.engine)
    assert browser.read() == {}


@pytest.mark.parametrize("url", ["mysql://root@127.0.0.1:1/x", "postgresql://root@127.0.0.1:1/x"])
def test_sql_unreachable_server_is_named(url: str) -> None:
    database = Database(url)
    browser = Browser(app_with(SqlSessions(database.engine, TABLE, LIFETIME)), UNKNOWN)
    with pytest.raises(SessionUnavailable):
        browser.read()


def test_sql_a_lost_connection_is_not_used_again(sql: House) -> None:
    if sql.kind == "sqlite":
        pytest.skip("a file has no server that could end a connection")
    store = sql.open()
    assert isinstance(store, SqlSessions)
    browser = logged_in(app_with(store))
    end, others = {
        "mariadb": (
            "GROUP_CONCAT(CONCAT('KILL ', id) SEPARATOR ';')",
            "information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        ),
        "postgresql": (
            "pg_terminate_backend(pid)",
            "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        ),
    }[sql.kind]
    killer = Database(place_of(store))
    with killer.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        killed = connection.scalars(sa.text(f"SELECT {end} FROM {others}")).all()
        if sql.kind == "mariadb":
            for statement in str(killed[0]).split(";"):
                connection.execute(sa.text(statement))
        # the server ends them by and by
        left = sa.text(f"SELECT COUNT(*) FROM {others}")
        until(lambda: connection.scalar(left) == 0, "the connections are ended")
    killer.dispose()
    assert browser.read()["login"] == 1


# the Redis store by itself


def _redis_key(prefix: str, browser: Browser) -> str:
    """The id itself is nowhere in the store."""
    return prefix + hashed_id(str(browser.cookie))


def test_redis_unreachable_server_is_named() -> None:
    client = Redis(port=1, retry=Retry(NoBackoff(), 0))
    browser = Browser(app_with(RedisSessions(client, "x:", LIFETIME)), UNKNOWN)
    with pytest.raises(SessionUnavailable):
        browser.read()
    with pytest.raises(SessionUnavailable), Browser(browser.app).request() as current:
        current["login"] = 1
    with pytest.raises(SessionUnavailable), browser.request() as current:
        current.destroy()


@pytest.fixture
def redis() -> Iterator[House]:
    yield from redis_house()


@pytest.mark.parametrize("decoding", [False, True])
def test_redis_lets_go_by_itself_and_refreshes_on_reading(redis: House, decoding: bool) -> None:
    client = Redis.from_url(REDIS_URL, decode_responses=decoding)
    browser = logged_in(app_with(RedisSessions(client, PREFIX, LIFETIME, redis.moment)), text="é")
    key = _redis_key(PREFIX, browser)
    client.expire(key, 100)
    assert browser.read()["text"] == "é"
    assert LIFETIME - 5 < client.ttl(key) <= LIFETIME
    client.expire(key, 100)
    with browser.request() as current:
        current["text"] = "è"
    assert LIFETIME - 5 < client.ttl(key) <= LIFETIME
    assert browser.read()["text"] == "è"
    client.close()


def test_redis_garbage_reads_as_no_session_and_stays(redis: House) -> None:
    client = Redis.from_url(REDIS_URL)
    browser = logged_in(redis.app())
    key = _redis_key(PREFIX, browser)
    with again(browser).request() as stale:
        stale["login"] = 2
        # a pickle, which Flask-Session's own serializer would load
        client.hset(key, "data", b"\x80\x04}\x94\x8c\x05login\x94K\x01s.")
    assert browser.read() == {}
    assert client.hget(key, "data") == b"\x80\x04}\x94\x8c\x05login\x94K\x01s."
    client.close()
