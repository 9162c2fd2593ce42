"""The golden cases of contract chapter 20 §2 (A1 to A5) and the rules of the list, on every database."""

import datetime
import gzip
import threading
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from core.storage.tables import Account, Currency, DeletedPlan, Plan, User
from tests.conftest import MakeWorld
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES, World, user_row
from tests.worlds.logged_in import logged_in
from tests.worlds.strangers import strange_engine

FIELDS = [
    *("id", "username", "mac", "email", "phone_number", "reseller", "plan", "timestamp", "full_name", "tariff_plan"),
    *("end_date", "status", "plan_name", "reseller_name", "currency_name", "created", "end_datetime"),
]


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    """The fixture of chapter 20 §11."""
    world = make_world(kind)
    world.insert(
        User,
        [
            user_row(1, "admin", super_user=1),
            user_row(2, "reseller1", name="Reseller One", balance=100, permissions="1|1|0|1|1|1|0"),
            user_row(3, "radmin", permissions="0|0|1|0|0|0|0"),
            user_row(4, "reseller2", currency_id="IRT", balance=5),
            user_row(5, "obs", is_observer=1, permissions="1|1|0|1|1|1|1"),
        ],
    )
    world.insert(
        Plan, [{"id": 1, "external_id": "78", "name": "Premium Monthly", "currency_id": "GBP", "price": "10.50"}]
    )
    mac = "00:1A:79:00:00:0{}".format
    world.insert(
        Account,
        [
            {
                "id": 10,
                "username": "user001",
                "mac": mac(1),
                "email": "user@example.com",
                "phone_number": "+440000000000",
                "reseller": 2,
                "plan": 1,
                "timestamp": 1705449600,
                "full_name": "John Doe",
                "tariff_plan": "78",
                "end_date": datetime.date(2025, 2, 15),
                "status": 1,
            },
            {"id": 11, "username": "user002", "mac": mac(2), "reseller": 4, "end_date": datetime.date(2025, 1, 1)},
            {"id": 12, "username": "user003", "mac": mac(3), "reseller": None, "full_name": "", "end_date": None},
        ],
    )
    return world


def _list(world: World, username: str, path: str = "/get_accounts.php") -> list[dict[str, Any]]:
    answer = logged_in(world, username).get(path).json()
    assert answer["error"] == 0
    accounts: list[dict[str, Any]] = answer["accounts"]
    return accounts


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a1_a_super_admin_sees_all_newest_first(world: World, prefix: str) -> None:
    accounts = _list(world, "admin", f"{prefix}get_accounts.php")
    assert [account["id"] for account in accounts] == [12, 11, 10]
    assert list(accounts[2]) == FIELDS
    assert accounts[2] == {
        "id": 10,
        "username": "user001",
        "mac": "00:1A:79:00:00:01",
        "email": "user@example.com",
        "phone_number": "+440000000000",
        "reseller": 2,
        "plan": 1,
        "timestamp": 1705449600,
        "full_name": "John Doe",
        "tariff_plan": "78",
        "end_date": "2025-02-15",
        "status": 1,
        "plan_name": "Premium Monthly",
        "reseller_name": "Reseller One",
        "currency_name": "GBP",
        "created": "2024-01-17",
        "end_datetime": "2025-02-15 23:59:59",
    }
    for field in ("reseller", "reseller_name", "end_date", "end_datetime"):
        assert accounts[0][field] is None
    assert accounts[1]["currency_name"] == "IRR"


def test_a2_a_reseller_sees_only_own(world: World) -> None:
    assert [account["id"] for account in _list(world, "reseller1", "/get_accounts.php?viewAllAccounts=true")] == [10]


def test_a3_a_reseller_admin_chooses(world: World) -> None:
    counts = {
        query: len(_list(world, "radmin", f"/get_accounts.php{query}"))
        for query in ("?viewAllAccounts=false", "?viewAllAccounts=true", "?viewAllAccounts=1", "")
    }
    assert counts == {"?viewAllAccounts=false": 0, "?viewAllAccounts=true": 3, "?viewAllAccounts=1": 3, "": 0}


def test_a4_an_observer_sees_all(world: World) -> None:
    assert len(_list(world, "obs")) == 3


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a5_nobody(world: World, prefix: str, method: str) -> None:
    response = world.client().request(method, f"{prefix}get_accounts.php")
    assert (response.status_code, response.json()) == (200, NOT_LOGGED_IN)


def test_post_answers_as_get(world: World) -> None:
    client = logged_in(world, "admin")
    assert client.request("POST", "/get_accounts.php").content == client.get("/get_accounts.php").content


def test_numbers_stay_text_and_legacy_emptiness_is_smoothed(world: World) -> None:
    world.execute(sa.update(Account).where(Account.id == 11).values(username="12345", reseller=0, status=None))
    account = _list(world, "admin")[1]
    assert (account["username"], account["reseller"], account["status"]) == ("12345", None, 0)


def test_the_name_of_a_deleted_plan_is_remembered(world: World) -> None:
    world.execute(sa.delete(Plan))
    assert _list(world, "admin")[2]["plan_name"] is None
    world.insert(DeletedPlan, [{"id": 1, "name": "Premium Monthly", "deleted_at": 1}])
    assert _list(world, "admin")[2]["plan_name"] == "Premium Monthly"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "‹img src=x onerror=alert(1)›"),
        ("&lt;img src=x&gt;", "‹img src=x›"),
        ("&l<t;b&#60;c&#x3C;d&#0062;e", "&l‹t;b‹c‹d›e"),
        ("Ann & Bob", "Ann & Bob"),
        ('O\'Neill "Q" &amp; علی', "O’Neill ”Q” &amp; علی"),
        ("tab\there\x01\x7f", "tabhere"),
    ],
)
def test_stored_markup_cannot_become_script(world: World, stored: str, shown: str) -> None:
    world.execute(sa.update(Account).where(Account.id == 10).values(full_name=stored))
    world.execute(sa.update(User).where(User.id == 2).values(name=stored))
    account = _list(world, "reseller1")[0]
    assert (account["full_name"], account["reseller_name"]) == (shown, shown)


def test_gzip_when_accepted(world: World) -> None:
    client = logged_in(world, "admin")
    packed = client.get("/get_accounts.php", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    raw = packed.raw.read()
    plain = client.get("/get_accounts.php", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert b'": ' not in plain.content
    refused = client.get("/get_accounts.php", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


_WRITES = {
    "insert": sa.insert(Account).values(id=50, username="new", mac="m", status=1),
    "update": sa.update(Account).where(Account.id == 10).values(full_name="Changed"),
    "two rows swap": sa.text(
        "UPDATE _accounts SET full_name = CASE id WHEN 10 THEN 'B' ELSE 'A' END WHERE id IN (10, 11)"
    ),
    "delete": sa.delete(Account).where(Account.id == 11),
    "plan renamed": sa.update(Plan).values(name="Other"),
    "owner renamed": sa.update(User).where(User.id == 2).values(name="Other"),
    "owner's currency": sa.update(User).where(User.id == 2).values(currency_id="USD"),
}


@pytest.mark.parametrize("write", _WRITES)
def test_what_another_program_wrote_is_shown_at_once(world: World, write: str) -> None:
    world.execute("UPDATE _accounts SET full_name = CASE id WHEN 10 THEN 'A' ELSE 'B' END WHERE id IN (10, 11)")
    client = logged_in(world, "admin")
    before = [client.get("/get_accounts.php").content for _ in range(2)]
    assert before[0] == before[1]
    stranger = strange_engine(world.panel.database.url)
    with stranger.begin() as connection:
        connection.execute(_WRITES[write])
    stranger.dispose()
    after = client.get("/get_accounts.php").content
    assert after != before[0]
    assert orjson.loads(after)["error"] == 0


def test_what_is_not_committed_is_not_shown_and_then_is(world: World) -> None:
    client = logged_in(world, "admin")
    before = client.get("/get_accounts.php").content
    stranger = strange_engine(world.panel.database.url)
    with stranger.connect() as connection:
        transaction = connection.begin()
        connection.execute(sa.update(Account).where(Account.id == 10).values(full_name="Later"))
        assert client.get("/get_accounts.php").content == before
        transaction.commit()
    stranger.dispose()
    assert b"Later" in client.get("/get_accounts.php").content


@pytest.mark.every_kind
def test_readers_beside_a_writer_never_see_an_old_list(world: World) -> None:
    client = logged_in(world, "admin")
    stop, faults = threading.Event(), list[str]()
    seen = [0]

    def read() -> None:
        while not stop.is_set():
            floor = seen[0]
            accounts = client.get("/get_accounts.php").json()["accounts"]
            shown = int(next(account for account in accounts if account["id"] == 10)["full_name"])
            if shown < floor:
                faults.append(f"saw {shown} after {floor} was committed")

    world.execute("UPDATE _accounts SET full_name = '0' WHERE id = 10")
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 40):
        world.execute(f"UPDATE _accounts SET full_name = '{number}' WHERE id = 10")
        seen[0] = number
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []


def test_an_unknown_currency_is_shown_by_its_code(world: World) -> None:
    world.execute(sa.delete(Currency).where(Currency.id == "GBP"))
    try:
        assert _list(world, "reseller1")[0]["currency_name"] == "GBP"
    finally:
        world.insert(Currency, [{"id": "GBP", "name": "GBP"}])
