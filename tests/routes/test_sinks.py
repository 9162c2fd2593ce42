"""Names that pages cannot show as they are stored: safe on the way in, at sync and out, and found by either form.

Contract README, "names with quotes"; issue "no way in", line 1.
"""

import pytest
import sqlalchemy as sa

from core.storage.tables import Account, User
from core.values.sinks import SINKS, Sink
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.worlds.harness import World
from tests.worlds.resellers import Resellers

ATTACK = 'Ann" style="animation:fadeIn 1s" onanimationstart="x'
SAFE = "Ann” style=”animation:fadeIn 1s” onanimationstart=”x"
RAW, SHOWN = "o'b\"<c>`d", "o’b”‹c›d"


@pytest.mark.parametrize("sink", [Sink.HANDLER, Sink.KEY], ids=str)
@pytest.mark.parametrize(
    "text", [RAW, ATTACK, "a\\b", "&#39;&quot;&lt;&#x3C;", "a\u2028b\x00c\x1bd", "&l\\t;&#\x0739;"]
)
def test_1_nothing_that_a_handler_or_an_attribute_knows_is_left(sink: Sink, text: str) -> None:
    safe = sink.safe(text)
    assert not set("\"'<>`\\\u2028\x00\x1b") & set(safe)
    assert not any(entity in safe for entity in ("&#", "&quot", "&lt", "&gt", "&apos"))
    assert sink.safe(safe) == safe


def test_1_the_table_names_every_attribute_and_handler_of_the_contract() -> None:
    handlers = {("account", "username"), ("reseller", "name"), ("reseller", "currency_name"), ("reseller", "plans")}
    handlers |= {("reseller", "currency_id"), ("plan", "external_id"), ("plan", "currency_id")}
    handlers |= {("payment", "reseller_name"), ("payment", "currency")}
    assert {SINKS[kind][field] for kind, field in handlers} <= {Sink.HANDLER, Sink.KEY}
    attributes = {("account", "full_name"), ("account", "phone_number"), ("account", "email"), ("reminder", "message")}
    attributes |= {("transaction", "corrected_by_username"), ("sms", "message"), ("login", "user_agent")}
    attributes |= {("payment", "description"), ("payment", "cancellation_reason")}
    assert Sink.TEXT not in {SINKS[kind][field] for kind, field in attributes}


@pytest.fixture
def odd(make_world: MakeWorld, kind: str) -> World:
    world = fill_chapter_10(make_world(kind))
    world.execute(sa.update(Account).where(Account.id == 3).values(username=RAW, full_name=ATTACK))
    return world


@pytest.mark.every_kind
def test_1_old_rows_leave_safely_and_are_found_by_either_form(odd: World) -> None:
    client = odd.client("admin")
    [account] = [row for row in client.get("/get_accounts.php").json()["accounts"] if row["id"] == 3]
    assert (account["username"], account["full_name"]) == (SHOWN, SAFE)
    for name, reseller in ((SHOWN, 2), (RAW, 4), (SHOWN.upper(), 2)):
        answer = client.post("/assign_reseller.php", {"username": name, "reseller_id": reseller}).json()
        assert answer["error"] == 0, answer
        assert odd.rows(sa.select(Account.reseller).where(Account.id == 3)) == [{"reseller": reseller}]
    many = {"usernames": [SHOWN, "acc4"], "reseller_id": "4"}
    assert client.request("POST", "/bulk_assign_reseller.php", json=many).json()["updated_count"] == 2
    assert client.post("/assign_reseller.php", {"username": "o’b", "reseller_id": 2}).json()["code"] == 4


def test_1_where_two_names_fall_together_the_oldest_is_meant(odd: World) -> None:
    odd.insert(Account, [{"id": 9, "username": SHOWN, "mac": "00:1A:79:00:00:99", "reseller": 1, "status": 1}])
    with odd.panel.database.read() as connection:
        from core.accounts.rows import find_by_username

        found = [find_by_username(odd.panel, connection, name) for name in (SHOWN, RAW)]
    assert [row and row.id for row in found] == [3, 3]


def test_1_a_reseller_cannot_store_an_attribute_in_a_name(light_resellers: Resellers) -> None:
    resellers = light_resellers
    [account] = resellers.world.rows(sa.select(Account.username).limit(1))
    answer = resellers.post("admin", "update_account", username=account["username"], full_name=ATTACK)
    assert answer["error"] == 0, answer
    assert resellers.world.rows(sa.select(Account.full_name).limit(1)) == [{"full_name": SAFE}]
    nothing_left = resellers.post("admin", "update_account", username=account["username"], full_name="\\`")
    assert (nothing_left["error"], nothing_left["code"]) == (1, 6)


def test_1_every_answer_bears_the_security_headers(sqlite_world: World) -> None:
    client = sqlite_world.client("admin")
    paths = ["/get_accounts.php", "/nothing.php", "/no/such", "/get_user_info.php", "/cron/check_expiry_reminders.php"]
    answers = [client.get(path) for path in paths] + [client.request("PATCH", "/login.php"), client.get("/logout.php")]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_1_an_observers_own_name_is_safe_in_the_header(sqlite_world: World) -> None:
    sqlite_world.execute(sa.update(User).where(User.id == 3).values(name="<img src=x onerror=alert(1)>"))
    user = sqlite_world.client("obs").get("/get_user_info.php").json()["user"]
    assert "<" not in user["name"] + user["full_name"]
