"""The golden cases 46 to 53 and 60 of contract chapter 30 F: whose accounts they are."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import Account
from simulators.faults import Hang
from tests.worlds.accounts import MAC
from tests.worlds.books import OWNERS
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES
from tests.worlds.resellers import Resellers, refused

ONLY = "Only administrators can assign accounts to resellers"
BEFORE = {f"user0000{number}": owner for number, owner in OWNERS.items()}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_46_47_one_account(resellers: Resellers, prefix: str, encoding: str) -> None:
    done = {"error": 0, "message": "Reseller assigned successfully", "err_msg": ""}
    admin = resellers.client("admin")
    for sent, stored in (("5", 5), ("", None), (2, 2), ("0", None)):
        fields = {"username": "USER00001", "reseller_id": sent}
        assert admin.post(f"{prefix}assign_reseller.php", fields, encoding).json() == done
        assert resellers.owners() == {**BEFORE, "user00001": stored}
    audits = resellers.audit("update", "account")
    assert [(row["target_id"], row["target_name"]) for row in audits] == [("1", MAC("01"))] * 4
    assert (audits[0]["old_value"], audits[0]["new_value"]) == ('{"reseller":3}', '{"reseller":5}')
    assert resellers.portal.requests == []
    assert resellers.transactions == []


@pytest.mark.every_kind
def test_null_is_nobody_and_all_of_one_name_are_meant(resellers: Resellers) -> None:
    resellers.world.insert(Account, [{"id": 9, "username": "user00001", "mac": MAC("09"), "reseller": 2}])
    assert resellers.post("readmin", "assign_reseller", "json", username="user00001", reseller_id=None)["error"] == 0
    rows = resellers.world.rows(sa.select(Account.reseller).where(Account.username == "user00001"))
    assert [row["reseller"] for row in rows] == [None, None]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_48_49_what_is_refused(resellers: Resellers, encoding: str) -> None:
    cases: list[tuple[str, dict[str, Any], int, str | None]] = [
        ("reseller1", {"username": "user00002", "reseller_id": "5"}, 3, ONLY),
        ("watcher", {"username": "user00002", "reseller_id": "5"}, 3, ONLY),
        ("reseller1", {}, 3, ONLY),
        ("admin", {"username": "ghost", "reseller_id": "5"}, 4, None),
        ("admin", {"username": "user00001", "reseller_id": "4242"}, 4, None),
        ("admin", {"username": "user00001", "reseller_id": "1"}, 4, None),
        ("admin", {"username": "user00001", "reseller_id": "-5"}, 4, None),
        ("admin", {"username": "user00001", "reseller_id": "five"}, 6, None),
        ("admin", {"username": "user00001"}, 6, None),
        ("admin", {"username": "", "reseller_id": "5"}, 6, None),
        ("admin", {}, 6, None),
    ]
    for who, fields, code, text in cases:
        refused(resellers.post(who, "assign_reseller", encoding, **fields), code, text)
    assert resellers.owners() == BEFORE


@pytest.mark.parametrize("prefix", PREFIXES)
def test_golden_50_51_many_accounts(resellers: Resellers, prefix: str) -> None:
    admin = resellers.client("admin")
    fields: dict[str, Any] = {"usernames": ["user00001", "user00002", "ghost"], "reseller_id": "2"}
    answer = admin.post(f"{prefix}bulk_assign_reseller.php", fields, "json").json()
    message = answer.pop("message")
    assert answer == {"error": 0, "err_msg": "", "updated_count": 1, "reseller_name": "Reseller One"}
    assert message == "1 accounts assigned to Reseller One"
    fields = {"usernames": ["USER00001", "user00002", "user00001"], "reseller_id": None}
    answer = admin.post(f"{prefix}bulk_assign_reseller.php", fields, "json").json()
    assert (answer["updated_count"], answer["reseller_name"]) == (2, "Not Assigned")
    assert resellers.owners() == {**BEFORE, "user00001": None, "user00002": None}
    form = {"usernames[0]": "user00001", "usernames[1]": "user00003", "reseller_id": "3"}
    assert admin.post(f"{prefix}bulk_assign_reseller.php", form).json()["updated_count"] == 2
    first = resellers.audit("bulk_update", "accounts")[0]
    assert (first["old_value"], first["new_value"]) == (
        '{"count":3}',
        '{"reseller_id":2,"reseller_name":"Reseller One"}',
    )


def test_golden_52_what_is_refused(resellers: Resellers) -> None:
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("admin", {"usernames": [], "reseller_id": "2"}, 6),
        ("admin", {"usernames": "x", "reseller_id": "2"}, 6),
        ("admin", {"usernames": {"a": "x"}, "reseller_id": "2"}, 6),
        ("admin", {"usernames": [["x"]], "reseller_id": "2"}, 6),
        ("admin", {"usernames": [None], "reseller_id": "2"}, 6),
        ("admin", {"reseller_id": "2"}, 6),
        ("admin", {"usernames": ["user00001"]}, 6),
        ("admin", {"usernames": ["user00001"], "reseller_id": [5]}, 6),
        ("admin", {"usernames": ["u"] * 10_001, "reseller_id": "2"}, 6),
        ("admin", {"usernames": ["user00001"], "reseller_id": "999"}, 4),
        ("admin", {"usernames": ["user00001"], "reseller_id": 1}, 4),
        ("reseller1", {"usernames": ["user00002"], "reseller_id": "5"}, 3),
        ("watcher", {"usernames": ["user00002"], "reseller_id": "5"}, 3),
    ]
    for who, fields, code in cases:
        refused(resellers.post(who, "bulk_assign_reseller", "json", **fields), code)
    assert resellers.owners() == BEFORE


@pytest.mark.every_kind
def test_more_names_than_fit_into_one_statement(resellers: Resellers) -> None:
    rows = [{"id": 100 + n, "username": f"u{n}", "mac": f"m{n}", "reseller": 2 + n % 2} for n in range(1200)]
    with resellers.panel.database.write() as connection:
        connection.execute(sa.insert(Account), rows)
    names = [f"u{n}" for n in range(2000)]
    answer = resellers.post("admin", "bulk_assign_reseller", "json", usernames=names, reseller_id=3)
    assert answer["updated_count"] == 600
    owned = resellers.world.rows(sa.select(sa.func.count().label("n")).where(Account.reseller == 3))
    assert owned == [{"n": 1202}]


def _sync(resellers: Resellers) -> None:
    assert resellers.post("admin", "sync_accounts")["error"] == 0


@pytest.mark.every_kind
def test_golden_53_a_sync_does_not_undo_it(resellers: Resellers) -> None:
    # user00003 is not on the portal, so the sync takes it away
    resellers.portal.add_user("user00003", MAC("03"))
    for number in (1, 2, 5):
        resellers.portal.change_user(f"user0000{number}", reseller=2)
    # user00001: the portal said so before; user00002 and user00005: it never did
    resellers.post("admin", "bulk_assign_reseller", "json", usernames=["user00005"], reseller_id=None)
    resellers.post("admin", "assign_reseller", username="user00002", reseller_id=5)
    _sync(resellers)
    assert resellers.owners() == {**BEFORE, "user00001": 2, "user00002": 5, "user00005": None}
    resellers.post("admin", "assign_reseller", username="user00001", reseller_id="")
    for _ in range(2):
        _sync(resellers)
    assert resellers.owners() == {**BEFORE, "user00001": None, "user00002": 5, "user00005": None}
    # a new word of the portal counts
    resellers.portal.change_user("user00002", reseller=3)
    _sync(resellers)
    assert resellers.owners()["user00002"] == 3


def test_the_portal_is_told_where_it_keeps_owners(light_resellers: Resellers) -> None:
    light_resellers.configure("portal", send_reseller=True)
    light_resellers.post("admin", "assign_reseller", username="user00001", reseller_id=5)
    light_resellers.post("admin", "assign_reseller", username="user00002", reseller_id="")
    told = [(request.call, request.fields) for request in light_resellers.portal.requests if request.fields]
    assert told == [
        (f"PUT accounts/{MAC('01')}", {"reseller": "5"}),
        (f"PUT accounts/{MAC('02')}", {"reseller": "0"}),
    ]
    # best effort
    light_resellers.portal.fail("PUT *", Hang())
    assert light_resellers.post("admin", "assign_reseller", username="user00001", reseller_id=2)["error"] == 0
    light_resellers.portal.stop_listening()
    assert light_resellers.post("admin", "assign_reseller", username="user00001", reseller_id=3)["error"] == 0
    assert light_resellers.owners()["user00001"] == 3


@pytest.mark.parametrize("prefix", PREFIXES)
def test_golden_60_accounts_of_super_admins(resellers: Resellers, prefix: str) -> None:
    path = f"{prefix}update_admin_resellers.php"
    resellers.world.execute(sa.update(Account).where(Account.id.in_([1, 2])).values(reseller=1))
    before = resellers.owners()
    assert resellers.world.client().get(path).json() == NOT_LOGGED_IN
    for who in ("readmin", "reseller1", "watcher"):
        refused(resellers.get(who, path), 3)
    admin = resellers.client("admin")
    assert admin.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert resellers.owners() == before
    response = admin.get(path)
    assert response.text.startswith("Updated 2 accounts")
    assert response.text.count("\n") == 1
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert resellers.owners() == {**BEFORE, "user00001": None, "user00002": None}
    assert admin.post(path).text.startswith("Updated 0 accounts")
    assert len(resellers.audit("bulk_update", "accounts")) == 2
