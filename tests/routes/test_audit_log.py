"""The audit log over HTTP: the golden cases of contract chapter 70 (audit), filters, what a page may hold."""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.schema import Layout
from core.storage.tables import AuditDigest, AuditEntry, User
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, accounts_world
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES, Client, World, legacy_hash
from tests.worlds.logged_in import logged_in

NOON = datetime.fromisoformat("2026-11-22 12:00:00")
PEOPLE = {
    "admin": (1, "Admin", "1|1|1|1|1|1|1", 1, 0),
    "rita": (5, "Rita RA", "1|1|1|1|1|1|1", 0, 0),
    "bob": (7, "Bob Reseller", "1|1|0|0|0|0|0", 0, 0),
    "sam": (8, None, "1|1|0|1|1", 0, 0),
    "olga": (9, "Olga", "1|1|0|1|1", 1, 1),
}
PASSWORD = "pass-word"


def fill_chapter_70(world: World) -> World:
    users = [
        {
            "id": id,
            "username": username,
            "password": legacy_hash(PASSWORD),
            "name": name,
            "permissions": permissions,
            "super_user": super_user,
            "is_observer": is_observer,
            "balance": 100,
            "currency_id": "GBP",
            "timestamp": 1700000000,
        }
        for username, (id, name, permissions, super_user, is_observer) in PEOPLE.items()
    ]
    world.insert(User, users)
    return world


@pytest.fixture
def books(make_world: MakeWorld, kind: str) -> World:
    """Chapter 70's users on each database."""
    return fill_chapter_70(make_world(kind))


@pytest.fixture
def light(make_world: MakeWorld) -> World:
    """The same on SQLite, for what no database can change."""
    return fill_chapter_70(make_world("sqlite"))


def entry(number: int, **values: Any) -> dict[str, Any]:
    """A row of bob's, ``number`` minutes after noon."""
    row = {
        "timestamp": NOON + timedelta(minutes=number),
        "user_id": 7,
        "username": "bob",
        "user_type": "reseller",
        "action": "create",
        "target_type": "account",
        "target_id": str(500 + number),
        "target_name": f"00:1A:79:00:00:{number:02X}",
        "old_value": None,
        "new_value": '{"mac":"00:1A:79:00:00:01","plan":"1 Month"}',
        "ip_address": "203.0.113.9",
        "user_agent": "curl",
        "details": "bob added an account",
    }
    return row | values


def write(world: World, rows: Iterable[dict[str, Any]]) -> None:
    world.insert(AuditEntry, rows)


def sign_in(world: World, username: str) -> Client:
    return logged_in(world, username)


def ask(client: Client, query: str = "", prefix: str = "/api/") -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{prefix}get_audit_log.php{query}").json()
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [row["target_id"] for row in answer["data"]]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_whole_answer(books: World, prefix: str) -> None:
    write(books, [entry(1)])
    [stored] = books.rows(sa.select(AuditEntry.id))
    row = {
        "id": stored["id"],
        "timestamp": "2026-11-22 12:01:00",
        "created_at": "2026-11-22 12:01:00",
        "user_id": 7,
        "username": "bob",
        "user_type": "reseller",
        "action": "create",
        "target_type": "account",
        "target_id": "501",
        "target_name": "00:1A:79:00:00:01",
        "old_value": None,
        "new_value": {"mac": "00:1A:79:00:00:01", "plan": "1 Month"},
        "ip_address": "203.0.113.9",
        "details": "bob added an account",
        "user_display_name": "Bob Reseller",
    }
    assert ask(sign_in(books, "admin"), "?per_page=10", prefix) == {
        "error": 0,
        "data": [row],
        "logs": [row],
        "pagination": {
            "current_page": 1,
            "per_page": 10,
            "total_records": 1,
            "total_pages": 1,
            "page": 1,
            "total": 1,
        },
        "filter_options": {
            "actions": ["create"],
            "target_types": ["account"],
            "users": [{"user_id": 7, "username": "bob", "name": "Bob Reseller"}],
        },
        "is_super_admin": True,
        "security_notice": "The entries of the audit log are permanent: they cannot be changed or deleted.",
    }


def test_1_others_see_what_they_did_themselves(books: World) -> None:
    write(books, [entry(1), entry(2, user_id=1, username="admin"), entry(3)])
    for query in ("?per_page=10", "?per_page=10&user_id=1", "?user_id=all", "?user_id=junk"):
        answer = ask(sign_in(books, "bob"), query)
        assert ids(answer) == ["503", "501"]
        assert (answer["filter_options"], answer["is_super_admin"]) == (None, False)
        assert answer["pagination"]["total_records"] == 2
    for username in ("rita", "sam"):
        assert ask(sign_in(books, username))["data"] == []
    # an observer who is a super admin too reads as one
    assert ids(ask(sign_in(books, "olga"))) == ["503", "502", "501"]
    assert ask(books.client()) == NOT_LOGGED_IN


@pytest.mark.every_kind
def test_2_filters(books: World) -> None:
    rows = [
        entry(1),
        entry(2, action="update"),
        entry(3, target_type="user"),
        entry(4, timestamp=NOON - timedelta(days=1)),
        entry(5, timestamp=NOON + timedelta(days=1)),
        entry(6, timestamp=NOON.replace(hour=0)),
        entry(7, timestamp=NOON.replace(hour=23, minute=59, second=59)),
        entry(8, target_name="another", details="", username="nobody"),
        entry(9, user_id=5, username="rita"),
    ]
    write(books, rows)
    client = sign_in(books, "admin")
    query = "?action=create&target_type=account&date_from=2026-11-22&date_to=2026-11-22&search=00:1A"
    answer = ask(client, query)
    assert ids(answer) == ["507", "509", "501", "506"]
    assert answer["pagination"]["total_records"] == 4
    assert all(type(value) is int for value in answer["pagination"].values())
    assert ids(ask(client, "?user_id=5")) == ["509"]
    assert ids(ask(client, "?user_id=all&action=update")) == ["502"]
    assert ids(ask(client, "?target_type=user&user_id=")) == ["503"]
    assert ids(ask(client, "?date_from=2026-11-23")) == ["505"]
    assert ids(ask(client, "?date_to=2026-11-21")) == ["504"]
    assert ids(ask(client, "?search=NOBODY")) == ["508"]
    assert ids(ask(client, "?search=ADDED AN&user_id=5")) == ["509"]
    assert ids(ask(client, "?action=creat")) == []


@pytest.mark.parametrize(("text", "found"), [("100%", ["501"]), ("a_b", ["502"]), ("/", ["503"]), ("\\", ["504"])])
def test_2_what_is_searched_for_is_text_and_no_pattern(books: World, text: str, found: list[str]) -> None:
    names = ("100% sure", "a_b", "x/y", "x\\y", "axb 1000")
    write(books, [entry(n, target_name=name, details=None) for n, name in enumerate(names, 1)])
    assert ids(sign_in(books, "admin").get("/get_audit_log.php", params={"search": text}).json()) == found


@pytest.mark.every_kind
def test_3_pages_keep_within_bounds(books: World) -> None:
    # several of one second: the id decides
    write(books, [entry(n, timestamp=NOON) for n in range(1, 8)])
    client = sign_in(books, "admin")
    bounded = ask(client, "?page=0&per_page=1000")
    assert (bounded["pagination"]["current_page"], bounded["pagination"]["per_page"]) == (1, 100)
    assert ask(client, "?page=9999")["data"] == []
    assert ask(client, "?page=9999")["pagination"]["total_records"] == 7
    assert ask(client, f"?page={2**62}")["data"] == []
    assert (ask(client)["pagination"]["per_page"], ask(client, "?per_page=0")["pagination"]["per_page"]) == (50, 1)
    pages = [ids(ask(client, f"?per_page=3&page={page}")) for page in (1, 2, 3, 4)]
    assert pages == [["507", "506", "505"], ["504", "503", "502"], ["501"], []]
    one_by_one = [ids(ask(client, f"?per_page=1&page={page}")) for page in range(1, 8)]
    assert one_by_one == [[str(508 - page)] for page in range(1, 8)]


def test_4_markup_in_a_row_of_a_panel_reaches_no_page(light: World) -> None:
    evil = '<img src=x onerror=alert(1)>"'
    names = ("username", "user_type", "action", "target_type", "target_id", "target_name", "ip_address", "details")
    row = entry(1, **dict.fromkeys(names, evil), new_value='{"name":"<img>"}', old_value="<b>no JSON")
    row["user_type"], row["ip_address"] = "<b>", '"<i>'
    write(light, [row])
    light.execute(sa.update(User).where(User.id == 7).values(name=evil))
    answer = ask(sign_in(light, "admin"))
    [shown] = answer["data"]
    safe = "&lt;img src=x onerror=alert(1)&gt;&quot;"
    assert {shown[name] for name in names if name not in ("user_type", "ip_address")} == {safe}
    assert (shown["user_type"], shown["ip_address"], shown["user_display_name"]) == (
        "&lt;b&gt;",
        "&quot;&lt;i&gt;",
        safe,
    )
    # these the page shows as plain text, or not at all
    assert (shown["new_value"], shown["old_value"]) == ({"name": "<img>"}, "<b>no JSON")
    assert answer["filter_options"] == {
        "actions": [evil],
        "target_types": [evil],
        "users": [{"user_id": 7, "username": evil, "name": evil}],
    }


def test_4_an_account_with_markup_is_recorded_folded(make_world: MakeWorld) -> None:
    evil = "<img src=x onerror=alert(1)>"
    with accounts_world(make_world, "sqlite") as accounts:
        fields = {"username": "eve", "password": "p", "mac": MAC("77"), "name": evil, "plan": 1, "status": 1}
        assert accounts.post("admin", "add_account", **fields)["error"] == 0
        [shown] = ask(accounts.client("admin"), "?action=create&target_type=account")["data"]
    assert not set('<>"') & set(f"{shown['target_name']}{shown['details']}{shown['new_value']['name']}")
    assert "onerror=alert(1)" in shown["new_value"]["name"]


def test_5_a_forged_address_is_not_stored(light: World) -> None:
    admin = sign_in(light, "admin")
    headers = {"X-Forwarded-For": "<script>", "User-Agent": "x" * 600}
    response = admin.request("POST", "/api/auto_logout_settings.php", json={"timeout": 7}, headers=headers)
    assert response.json()["error"] == 0
    [row] = light.rows(sa.select(AuditEntry.ip_address, AuditEntry.user_agent))
    assert row == {"ip_address": "127.0.0.1", "user_agent": "x" * 500}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_6_nothing_changes_the_log(light: World, method: str) -> None:
    write(light, [entry(1)])
    response = sign_in(light, "admin").request(method, "/api/get_audit_log.php", json={"id": 1})
    assert (response.status_code, response.json()["error"], response.json()["code"]) == (405, 1, 6)
    assert "read-only" in response.json()["message"]
    assert len(light.rows(sa.select(AuditEntry.id))) == 1


def test_7_a_reseller_admin_is_recorded_as_one_and_credit_with_its_balances(books: World) -> None:
    fields = {"reseller_id": 7, "amount": 50, "action": "add"}
    assert sign_in(books, "rita").post("/adjust_credit.php", fields).json()["error"] == 0
    [row] = ask(sign_in(books, "admin"), "?target_type=credit")["data"]
    assert (row["user_type"], row["action"], row["target_id"], row["target_name"]) == (
        "reseller_admin",
        "update",
        "7",
        "bob",
    )
    assert row["old_value"] == {"balance": 100}
    assert {"balance": 150, "action": "add", "amount": 50}.items() <= row["new_value"].items()


def test_8_a_new_password_leaves_no_trace(light: World) -> None:
    admin = sign_in(light, "admin")
    before = light.user("bob")
    fields = {
        "id": 7,
        "username": "bob",
        "password": "brand-new-pass",
        "name": "Bob Reseller",
        "permissions": "1|1|0|0|1",
    }
    assert admin.post("/update_reseller.php", fields).json()["error"] == 0
    assert light.user("bob")["password"] != before["password"]
    text = str(light.rows(sa.select(AuditEntry.__table__)))
    assert "brand-new-pass" not in text
    assert '"password":' not in text
    kinds = {(row["action"], row["target_type"]) for row in ask(admin)["data"]}
    assert {("update", "user"), ("update", "permissions"), ("update", "password")} <= kinds


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("date_from=22.11.2026", "date_from"),
        ("date_to=2026-13-01", "date_to"),
        ("date_to=x", "date_to"),
        ("date_from=2026-11-23&date_to=2026-11-22", "date_from"),
        ("user_id=x", "user_id"),
        ("user_id=-1", "user_id"),
        ("user_id=99999999999", "user_id"),
        ("search=" + "x" * 201, "search"),
        ("search[]=x", "search"),
        ("action[a]=x", "action"),
    ],
)
def test_bad_filters_are_told_which(light: World, query: str, field: str) -> None:
    answer = ask(sign_in(light, "admin"), f"?{query}")
    assert (answer["error"], answer["code"]) == (1, 6)
    assert field in answer["message"]


def test_without_the_table_the_log_is_empty_and_says_why(light: World, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = sign_in(light, "admin")
    layout = light.panel.layout
    columns = {name: known for name, known in layout.columns.items() if name != "_audit_log"}
    monkeypatch.setattr(light.panel, "_layout", Layout(columns, layout.origin))
    answer = ask(admin)
    assert (answer["error"], answer["data"], answer["pagination"]["total_records"]) == (0, [], 0)
    assert "upgrade" in answer["message"]
    assert answer["filter_options"] == {"actions": [], "target_types": [], "users": []}


def test_kinds_that_a_panel_left_empty_are_no_choice(light: World) -> None:
    write(light, [entry(1, target_type="", action=""), entry(2)])
    options = ask(sign_in(light, "admin"))["filter_options"]
    assert (options["actions"], options["target_types"]) == (["create"], ["account"])


def test_a_user_who_was_renamed_is_a_choice_under_both_names(light: World) -> None:
    write(light, [entry(1, username="robert"), entry(2), entry(3, user_id=0, username="system_cron")])
    assert ask(sign_in(light, "admin"))["filter_options"]["users"] == [
        {"user_id": 7, "username": "bob", "name": "Bob Reseller"},
        {"user_id": 7, "username": "robert", "name": "Bob Reseller"},
        {"user_id": 0, "username": "system_cron", "name": None},
    ]


def test_pages_are_true_while_others_write(books: World) -> None:
    write(books, [entry(n) for n in range(20)])
    admin = sign_in(books, "admin")
    done = threading.Event()

    def keep_writing() -> None:
        for n in range(15):
            write(books, [entry(n, action="update") for _ in range(100)])
        done.set()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    totals = []
    while not done.is_set():
        answer = ask(admin, "?per_page=10")
        totals.append(answer["pagination"]["total_records"])
        assert len(answer["data"]) == 10
    writer.join()
    assert totals == sorted(totals)
    assert ask(admin)["pagination"]["total_records"] == 1520
    assert ask(admin, "?action=update")["pagination"]["total_records"] == 1500


@pytest.mark.every_kind
def test_a_digest_counts_like_the_log(books: World) -> None:
    old = NOON - timedelta(days=900)
    rows = [
        entry(n % 50, timestamp=old + timedelta(minutes=n), action=("create", "update")[n % 2]) for n in range(1200)
    ]
    write(books, rows)
    admin = sign_in(books, "admin")
    first = ask(admin)
    wait_for(lambda: books.rows(sa.select(AuditDigest.entries)))
    assert sorted(row["entries"] for row in books.rows(sa.select(AuditDigest.entries))) == [600, 600]
    write(books, [entry(1, action="delete", user_id=5, username="rita")])
    second = ask(admin)
    assert (first["pagination"]["total_records"], second["pagination"]["total_records"]) == (1200, 1201)
    assert second["filter_options"]["actions"] == ["create", "delete", "update"]
    assert ask(admin, "?action=update")["pagination"]["total_records"] == 600
    assert ask(admin, "?user_id=5")["pagination"]["total_records"] == 1
    # another log in the place of this one
    books.execute(sa.delete(AuditEntry))
    write(books, [entry(1)])
    assert ask(admin)["pagination"]["total_records"] == 1


def wait_for(holds: Any) -> None:
    ended = threading.Event()
    for _ in range(200):
        if holds():
            return
        ended.wait(0.02)
    raise AssertionError("not within four seconds")
