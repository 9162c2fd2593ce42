"""The golden cases of contract chapter 20 §9 (G1 to G8), over real HTTP on both sides, on every database."""

import datetime
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import Account, AccountNote, ArchivedAccount, AuditEntry, Plan, Transaction, User
from simulators.faults import Answer, Cut, Delay, HangUp
from simulators.stalker import StalkerPortal
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import next_account_is_13
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES, World, user_row
from tests.worlds.logged_in import logged_in
from tests.worlds.waiting import until

FAILED = "Failed to fetch accounts from Stalker Portal: "
MAC = "00:1A:79:00:00:0{}".format
ZERO_DATE = "0000-00-00 00:00:00"


@pytest.fixture(scope="module")
def _portal() -> Iterator[StalkerPortal]:
    with StalkerPortal(dialect="panel") as portal:
        yield portal


@pytest.fixture
def portal(_portal: StalkerPortal) -> StalkerPortal:
    """An empty portal that works."""
    _portal.clear_faults()
    _portal.forget_requests()
    for user in _portal.users:
        _portal.state.delete_user(user)
    return _portal


@pytest.fixture
def world(make_world: MakeWorld, kind: str, portal: StalkerPortal) -> World:
    return _filled_world(make_world, kind, portal)


def _filled_world(make_world: MakeWorld, kind: str, portal: StalkerPortal, **settings: str) -> World:
    """The fixture of chapter 20 §11."""
    # tests sync again and again, and want to be told what the portal says by then
    fresh = {"SHOWBOX_PORTAL_LIST_FRESH_SECONDS": "0"}
    world = make_world(kind, SHOWBOX_PORTAL_PRIMARY_API_URL=portal.base_url, **(fresh | settings))
    world.insert(
        User,
        [
            user_row(1, "admin", super_user=1),
            user_row(2, "reseller1", name="Reseller One", balance=100, permissions="1|1|0|1|1|1|0"),
            user_row(3, "radmin", permissions="0|0|1|0|0|0|0"),
            user_row(4, "reseller2", currency_id="IRR", balance=5),
            user_row(5, "obs", is_observer=1, super_user=1, permissions="1|1|0|1|1|1|1"),
        ],
    )
    world.insert(Plan, [{"id": 1, "external_id": "78", "name": "Premium Monthly", "currency_id": "GBP", "price": 10}])
    world.insert(
        Account,
        [
            {
                "id": 10,
                "username": "user001",
                "mac": MAC(1),
                "email": "user@example.com",
                "phone_number": "+44 0000-000000",
                "reseller": 2,
                "plan": 1,
                "timestamp": 1705449600,
                "full_name": "John Doe",
                "tariff_plan": "78",
                "end_date": datetime.date(2025, 2, 15),
                "status": 1,
            },
            {"id": 11, "username": "user002", "mac": MAC(2), "reseller": 4, "end_date": datetime.date(2025, 1, 1)},
            {"id": 12, "username": "user003", "mac": MAC(3), "reseller": None, "full_name": "", "end_date": None},
        ],
    )
    world.insert(
        Transaction, [{"id": 1, "for_user": 2, "amount": "-10.50", "currency": "GBP", "timestamp": 1705449600}]
    )
    # whatever tests ran before: PostgreSQL's numbers go on by themselves, and would meet those above
    next_account_is_13(world)
    return world


def _fill_as_g1(portal: StalkerPortal) -> None:
    portal.add_user("user001", MAC(1), full_name="John Doe", phone="+440000000000", end_date="2025-03-01 00:00:00")
    portal.add_user("new9", MAC(9), full_name="New Nine", end_date=ZERO_DATE)
    portal.add_user("nomac", "", full_name="No Device")


def _sync(world: World, username: str = "admin", path: str = "/sync_accounts.php") -> dict[str, Any]:
    answer: dict[str, Any] = logged_in(world, username).post(path).json()
    return answer


def _accounts(world: World) -> dict[str, dict[str, Any]]:
    return {row["username"]: row for row in world.rows(sa.select(*Account.__table__.c).order_by(Account.id))}


@contextmanager
def _configured(world: World, **changes: Any) -> Iterator[None]:
    """``changes`` of section [portal]."""
    original = world.panel.config
    portal = original.portal.model_copy(update=changes)
    world.panel.config = original.model_copy(update={"portal": portal})
    try:
        yield
    finally:
        world.panel.config = original


def _count(world: World, model: Any) -> int:
    return int(world.rows(sa.select(sa.func.count().label("n")).select_from(model))[0]["n"])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_g1_a_super_admin_takes_the_portals_accounts_over(world: World, portal: StalkerPortal, prefix: str) -> None:
    _fill_as_g1(portal)
    before = _accounts(world)
    answer = _sync(world, path=f"{prefix}sync_accounts.php")
    assert answer.pop("sync_time").endswith(" seconds")
    assert answer == {
        "error": 0,
        "err_msg": "",
        "synced": 2,
        "skipped": 1,
        "total_accounts": 2,
        "orphans_detected": 2,
        "transactions_preserved": True,
    }
    assert portal.calls == ["GET stb/", "GET accounts/"]
    after = _accounts(world)
    assert set(after) == {"user001", "new9"}
    # the portal knows of no tariff for it; the phone is the same number, so that it keeps its spelling
    assert after["user001"] == before["user001"] | {"end_date": datetime.date(2025, 3, 1), "tariff_plan": ""}
    new = after["new9"]
    assert (new["end_date"], new["reseller"], new["plan"], new["status"]) == (None, None, None, 1)
    assert (new["mac"], new["full_name"], new["id"] in (10, 11, 12)) == (MAC(9), "New Nine", False)
    assert _count(world, Transaction) == 1


def test_g1_what_vanished_is_archived_with_an_audit_row_each(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    _sync(world)
    archived = world.rows(sa.select(*ArchivedAccount.__table__.c).order_by(ArchivedAccount.id))
    assert [(row["id"], row["username"], row["reseller"], row["reason"]) for row in archived] == [
        (11, "user002", 4, "vanished"),
        (12, "user003", None, "vanished"),
    ]
    entries = world.rows(sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.target_id))
    assert [(row["action"], row["target_type"], row["target_id"], row["target_name"]) for row in entries] == [
        ("delete", "account", "11", MAC(2)),
        ("delete", "account", "12", MAC(3)),
    ]
    assert {(row["user_id"], row["username"], row["user_type"]) for row in entries} == {(1, "admin", "super_admin")}
    assert '"user002"' in entries[0]["old_value"]
    assert "no longer on the portal" in entries[0]["details"]


@pytest.mark.every_kind
def test_an_account_that_comes_back_has_its_id_and_fields_again(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    world.execute(
        sa.update(Account).where(Account.id == 11).values(plan=1, email="two@example.com", timestamp=1700000000)
    )
    world.insert(AccountNote, [{"account_id": 11, "changed_at": 5, "comment": "second floor"}])
    before = _accounts(world)["user002"]
    _sync(world)
    assert "user002" not in _accounts(world)
    portal.add_user("user002", MAC(2), full_name="Back Again", end_date="2026-01-01 00:00:00")
    assert _sync(world)["synced"] == 3
    changes = {"full_name": "Back Again", "end_date": datetime.date(2026, 1, 1)}
    assert _accounts(world)["user002"] == before | changes
    assert [row["username"] for row in world.rows(sa.select(ArchivedAccount.username))] == ["user003"]
    [note] = world.rows(sa.select(AccountNote.comment).where(AccountNote.account_id == 11))
    assert note["comment"] == "second floor"


_FAULTS = {
    "hangs up": (HangUp(), "The connection"),
    "answers HTML": (Answer(Response(b"<html>Fatal error</html>", 200, "text/html")), ""),
    "answers ERROR": (
        Answer(Response(b'{"status":"ERROR","results":false,"error":"Portal is closed"}')),
        "Portal is closed",
    ),
    "has no results": (Answer(Response(b'{"status":"OK"}')), ""),
    "has results of another kind": (Answer(Response(b'{"status":"OK","results":"none"}')), ""),
    "is cut": (Cut(), ""),
    "refuses us": (Answer(Response(b"", 401)), ""),
    "is broken": (Answer(Response(b"oops", 500)), ""),
    "knows nobody": (Answer(Response(b'{"status":"OK","results":[]}')), ""),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_g2_a_portal_that_fails_changes_nothing(world: World, portal: StalkerPortal, fault: str) -> None:
    _fill_as_g1(portal)
    portal.fail("GET accounts", _FAULTS[fault][0], times=None)
    before = _accounts(world)
    answer = _sync(world)
    assert answer["error"] == 1
    assert answer["code"] == 8
    assert answer["err_msg"] == answer["message"]
    assert answer["err_msg"].startswith(FAILED + _FAULTS[fault][1])
    assert _accounts(world) == before
    assert _count(world, AuditEntry) == 0


def test_g2_a_portal_that_is_down(world: World, portal: StalkerPortal) -> None:
    before = _accounts(world)
    portal.stop_listening()
    answer = _sync(world)
    portal.listen()
    assert answer["err_msg"] == f"{FAILED}Connection refused"
    assert _accounts(world) == before


def test_g3_a_reseller_gets_only_own_accounts(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    portal.add_user("user002", MAC(2), full_name="Changed")
    portal.add_user("user003", MAC(3), full_name="Changed")
    before = _accounts(world)
    answer = _sync(world, "reseller1")
    assert (answer["synced"], answer["total_accounts"], answer["orphans_detected"]) == (1, 1, 0)
    assert answer["skipped"] == 4
    after = _accounts(world)
    assert after["user001"]["end_date"] == datetime.date(2025, 3, 1)
    assert {name: row for name, row in after.items() if name != "user001"} == {
        name: row for name, row in before.items() if name != "user001"
    }


def test_g3_a_reseller_removes_only_own_orphans(world: World, portal: StalkerPortal) -> None:
    portal.add_user("new9", MAC(9))
    assert _sync(world, "reseller1")["orphans_detected"] == 1
    assert list(_accounts(world)) == ["user002", "user003"]
    assert world.rows(sa.select(AuditEntry.user_type)) == [{"user_type": "reseller"}]


def test_a_resellers_sync_releases_what_the_portal_gives_to_somebody_else(world: World, portal: StalkerPortal) -> None:
    """The three-way rule of §9 within a scope: 75 accounts of which the portal gives 30 to another user."""
    for number in range(75):
        portal.add_user(f"box{number}", f"00:1A:79:01:00:{number:02X}", reseller=2)
    _fill_as_g1(portal)
    _sync(world)
    assert _sync(world, "reseller1")["total_accounts"] == 76
    others = {name: row for name, row in _accounts(world).items() if row["reseller"] != 2}
    for number in range(30):
        portal.change_user(f"box{number}", reseller=4)
    answer = _sync(world, "reseller1")
    assert (answer["error"], answer["synced"], answer["total_accounts"], answer["orphans_detected"]) == (0, 46, 46, 0)
    after = _accounts(world)
    assert [after[f"box{number}"]["reseller"] for number in (0, 29, 30, 74)] == [4, 4, 2, 2]
    assert {name: after[name] for name in others} == others
    # released by the portal, and given back here: the portal's old word does not take it again
    world.execute(sa.update(Account).where(Account.username == "box0").values(reseller=2))
    assert _sync(world, "reseller1")["total_accounts"] == 47


def test_a_reseller_admin_syncs_own_accounts_and_counts_all(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    before = _accounts(world)
    answer = _sync(world, "radmin")
    assert (answer["error"], answer["synced"], answer["total_accounts"]) == (0, 0, 3)
    assert _accounts(world) == before


def test_g4_an_unassigned_account_stays_unassigned(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    _sync(world)
    world.execute(sa.update(Account).where(Account.id == 10).values(reseller=None))
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] is None


@pytest.mark.every_kind
def test_only_a_new_word_of_the_portal_moves_an_account(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    portal.change_user("user001", reseller=4)
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] == 4
    world.execute(sa.update(Account).where(Account.id == 10).values(reseller=3))
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] == 3
    portal.change_user("user001", reseller=2)
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] == 2
    portal.change_user("user001", reseller=77)
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] == 2


def test_assigned_before_the_portal_ever_named_an_owner(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    world.insert(AccountNote, [{"account_id": 10, "portal_reseller_known": 1, "changed_at": 5}])
    portal.change_user("user001", reseller=4)
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] == 2
    portal.change_user("user001", reseller=3)
    _sync(world)
    assert _accounts(world)["user001"]["reseller"] == 3


@pytest.mark.every_kind
def test_g5_parallel_syncs_beside_readers(world: World, portal: StalkerPortal) -> None:
    world.execute(sa.delete(Account))
    portal.add_examples(60)
    _sync(world)
    clients = [logged_in(world, "admin") for _ in range(4)]
    stop, seen, answers = threading.Event(), set[int](), list[dict[str, Any]]()

    def read(client: Any) -> None:
        while not stop.is_set():
            accounts = client.get("/get_accounts.php").json()["accounts"]
            assert len({account["mac"] for account in accounts}) == len(accounts)
            seen.add(len(accounts))

    readers = [threading.Thread(target=read, args=(client,)) for client in clients[:2]]
    for reader in readers:
        reader.start()
    for generation in range(4):
        for user in portal.users:
            portal.change_user(user.login, full_name=f"Generation {generation}")
        callers = [
            threading.Thread(target=lambda c=client: answers.append(c.post("/sync_accounts.php").json()))
            for client in clients[2:]
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    stop.set()
    for reader in readers:
        reader.join()
    assert [answer["error"] for answer in answers] == [0] * 8
    assert seen == {60}
    assert {row["full_name"] for row in _accounts(world).values()} == {"Generation 3"}
    assert len(_accounts(world)) == 60


def _ask_at_once(world: World, callers: int) -> list[dict[str, Any]]:
    answers = list[dict[str, Any]]()
    clients = [logged_in(world, "admin") for _ in range(callers)]
    threads = [
        threading.Thread(target=lambda c=client: answers.append(c.post("/sync_accounts.php").json()))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == callers
    return answers


@pytest.mark.every_kind
def test_those_who_ask_meanwhile_share_the_fetch(make_world: MakeWorld, kind: str, portal: StalkerPortal) -> None:
    # a quarter of the threads may wait for the portal
    world = _filled_world(make_world, kind, portal, SHOWBOX_SERVER_THREADS="20")
    _fill_as_g1(portal)
    portal.fail("GET accounts", Delay(1.0))
    answers = _ask_at_once(world, 5)
    assert portal.calls == ["GET stb/", "GET accounts/"]
    assert {(answer["error"], answer["synced"], answer["total_accounts"]) for answer in answers} == {(0, 2, 2)}
    assert sum(answer["orphans_detected"] for answer in answers) == 2


@pytest.mark.one_process("each has its threads")
@pytest.mark.every_kind
def test_no_more_than_a_quarter_of_the_threads_wait_for_the_portal(
    make_world: MakeWorld, kind: str, portal: StalkerPortal
) -> None:
    world = _filled_world(make_world, kind, portal, SHOWBOX_SERVER_THREADS="8")
    _fill_as_g1(portal)
    portal.fail("GET accounts", Delay(2.0))
    answers = _ask_at_once(world, 5)
    assert portal.calls == ["GET stb/", "GET accounts/"]
    waited = [answer for answer in answers if answer["error"] == 0]
    assert [(answer["synced"], answer["total_accounts"]) for answer in waited] == [(2, 2)] * 2
    text = f"{FAILED}Connection timeout"
    others = [answer for answer in answers if answer["error"] == 1]
    [job_id] = {answer.pop("job_id") for answer in others}
    assert others == [{"error": 1, "err_msg": text, "message": text, "code": 8, "pending": 1}] * 3
    assert logged_in(world, "admin").post("/get_job_status.php", {"id": job_id}).json()["job"]["state"] == "done"
    assert set(_accounts(world)) == {"user001", "new9"}
    # each orphan is archived once, whoever of them came first
    entries = world.rows(sa.select(AuditEntry.target_id).order_by(AuditEntry.target_id))
    assert [row["target_id"] for row in entries] == ["11", "12"]


def test_a_page_waits_no_longer_than_configured_and_the_fetch_goes_on(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    portal.fail("GET accounts", Delay(4.0))
    before = _accounts(world)
    client = logged_in(world, "admin")
    with _configured(world, sync_wait_seconds=0.2):
        started = time.monotonic()
        # the second one joins the fetch that the first one has left
        answers = [client.post("/sync_accounts.php").json() for _ in range(2)]
        assert time.monotonic() - started < 3.5
    text = f"{FAILED}Connection timeout"
    assert len({answer.pop("job_id") for answer in answers}) == 1
    assert answers == [{"error": 1, "err_msg": text, "message": text, "code": 8, "pending": 1}] * 2
    assert _accounts(world) == before
    until(lambda: set(_accounts(world)) == {"user001", "new9"}, "the fetched list is stored")
    assert portal.calls == ["GET stb/", "GET accounts/"]
    entries = world.rows(sa.select(AuditEntry.target_id, AuditEntry.username).order_by(AuditEntry.target_id))
    assert [(row["target_id"], row["username"]) for row in entries] == [("11", "admin"), ("12", "admin")]


def test_the_owner_of_new_accounts_is_a_setting(
    world: World, portal: StalkerPortal, caplog: pytest.LogCaptureFixture
) -> None:
    _fill_as_g1(portal)
    with _configured(world, sync_default_reseller=77):
        _sync(world)
    assert _accounts(world)["new9"]["reseller"] is None
    assert "there is no user 77" in caplog.text
    portal.add_user("new8", MAC(8))
    portal.add_user("new7", MAC(7), reseller=4)
    with _configured(world, sync_default_reseller=1):
        _sync(world)
    owners = {name: row["reseller"] for name, row in _accounts(world).items()}
    assert owners == {"user001": 2, "new9": None, "new8": 1, "new7": 4}


def test_g6_an_observer_is_refused(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    before = _accounts(world)
    answer = _sync(world, "obs")
    assert (answer["error"], answer["code"]) == (1, 3)
    assert portal.calls == []
    assert _accounts(world) == before


def test_nobody_is_refused(world: World, portal: StalkerPortal) -> None:
    assert world.client().post("/sync_accounts.php").json() == NOT_LOGGED_IN
    assert portal.calls == []


def _during_the_fetch(world: World, portal: StalkerPortal, change: Any) -> dict[str, Any]:
    """A sync whose list was made before ``change`` and arrives after it."""
    portal.fail("GET accounts", Delay(0.8))
    client = logged_in(world, "admin")
    answers = list[dict[str, Any]]()
    caller = threading.Thread(target=lambda: answers.append(client.post("/sync_accounts.php").json()))
    caller.start()
    while not portal.calls:
        time.sleep(0.01)
    time.sleep(0.05)
    change()
    caller.join()
    return answers[0]


def _now_ms() -> int:
    return int(time.time() * 1000)


def test_g7_what_was_added_meanwhile_stays(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)

    def add() -> None:
        world.insert(Account, [{"id": 50, "username": "fresh1", "mac": MAC(7), "timestamp": int(time.time())}])
        world.insert(AccountNote, [{"account_id": 50, "changed_at": _now_ms()}])
        # as another program adds it, which knows no notes
        world.insert(Account, [{"id": 51, "username": "fresh2", "mac": MAC(8), "timestamp": int(time.time())}])

    answer = _during_the_fetch(world, portal, add)
    assert answer["orphans_detected"] == 2
    assert set(_accounts(world)) == {"user001", "fresh1", "fresh2", "new9"}
    assert {row["target_id"] for row in world.rows(sa.select(AuditEntry.target_id))} == {"11", "12"}
    # the next list is newer, and still lacks them
    time.sleep(1.1)
    assert _sync(world)["orphans_detected"] == 2


@pytest.mark.every_kind
def test_g7_an_account_that_is_bought_meanwhile_stays(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    buyer = logged_in(world, "admin")
    fields = {"username": "fresh1", "password": "pw", "name": "Fresh", "mac": MAC(7), "plan": "0", "status": "1"}
    answers = list[dict[str, Any]]()
    _during_the_fetch(world, portal, lambda: answers.append(buyer.post("/add_account.php", fields).json()))
    assert answers[0]["error"] == 0, answers
    assert "fresh1" in _accounts(world)
    assert {row["target_id"] for row in world.rows(_DELETIONS)} == {"11", "12"}
    assert _sync(world)["orphans_detected"] == 0
    assert "fresh1" in _accounts(world)


_DELETIONS = sa.select(AuditEntry.target_id).where(AuditEntry.action == "delete")


@pytest.mark.every_kind
def test_what_was_changed_or_deleted_meanwhile_stays_so(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    portal.add_user("user002", MAC(2), full_name="Old Name")
    _sync(world)

    def change() -> None:
        world.execute(
            sa.update(Account).where(Account.id == 10).values(full_name="Edited", end_date=datetime.date(2030, 1, 1))
        )
        world.insert(AccountNote, [{"account_id": 10, "changed_at": _now_ms()}])
        row = {"id": 11, "username": "user002", "mac": MAC(2), "reason": "deleted", "archived_at": _now_ms()}
        world.insert(ArchivedAccount, [row])
        world.execute(sa.delete(Account).where(Account.id == 11))

    portal.forget_requests()
    portal.change_user("user001", full_name="From The Portal")
    _during_the_fetch(world, portal, change)
    after = _accounts(world)
    assert (after["user001"]["full_name"], after["user001"]["end_date"]) == ("Edited", datetime.date(2030, 1, 1))
    assert "user002" not in after
    _sync(world)
    assert _accounts(world)["user001"]["full_name"] == "From The Portal"


@pytest.mark.every_kind
def test_g8_without_internal_billing_end_dates_stay(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    record = (
        b'{"status":"OK","results":[{"login":"user001","stb_mac":"00:1a:79:00:00:01","status":"0","full_name":"J"}]}'
    )
    portal.fail("GET accounts", Answer(Response(record)))
    before = _accounts(world)["user001"]
    assert _sync(world)["synced"] == 1
    changes = {"status": 0, "full_name": "J", "tariff_plan": ""}
    assert _accounts(world)["user001"] == before | changes


@pytest.mark.every_kind
def test_markup_never_comes_in(world: World, portal: StalkerPortal) -> None:
    portal.add_user("user001", MAC(1), full_name="<img src=x onerror=alert(1)>&lt;b&gt; Ann & Bob" + "x" * 400)
    portal.add_user("bad<b>9", MAC(9), phone="<i>00440000000001</i>")
    assert _sync(world)["synced"] == 2
    accounts = _accounts(world)
    assert accounts["user001"]["full_name"].startswith("‹img src=x onerror=alert(1)›‹b› Ann & Bobxx")
    assert len(accounts["user001"]["full_name"]) == 255
    # no number, and so unusable
    assert accounts["badb9"]["phone_number"] is None


def test_an_unchanged_sync_writes_nothing(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    _sync(world)
    tables = (Account, AccountNote, ArchivedAccount, AuditEntry)
    content = [world.rows(sa.select(*table.__table__.c)) for table in tables]
    client = logged_in(world, "admin")
    shown = client.get("/get_accounts.php").content
    if world.panel.database.dialect == "sqlite":
        versions = world.rows(sa.text("SELECT * FROM _sbx_versions"))
    answer = _sync(world)
    assert (answer["synced"], answer["orphans_detected"]) == (2, 0)
    assert content == [world.rows(sa.select(*table.__table__.c)) for table in tables]
    assert client.get("/get_accounts.php").content == shown
    if world.panel.database.dialect == "sqlite":
        assert world.rows(sa.text("SELECT * FROM _sbx_versions")) == versions


def test_get_works_and_other_sites_may_not_use_it(world: World, portal: StalkerPortal) -> None:
    _fill_as_g1(portal)
    client = logged_in(world, "admin")
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/sync_accounts.php", headers=foreign).status_code == 403
    assert portal.calls == []
    assert client.get("/sync_accounts.php").json()["synced"] == 2


def test_a_portal_that_is_not_configured(make_world: MakeWorld) -> None:
    world = make_world("sqlite")
    world.insert(User, [user_row(1, "admin", super_user=1)])
    assert _sync(world)["err_msg"] == f"{FAILED}The portal is not configured"
