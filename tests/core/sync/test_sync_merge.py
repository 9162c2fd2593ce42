"""What a portal's list changes: the comparison alone, on values."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from core.portal import PortalAccount, PortalAccountList
from core.sync.fields import LocalAccount
from core.sync.merge import Busy, LocalState, Terms, cleaned, compare

STARTED = 1_000_000_000
TERMS = Terms(scope=None, started=STARTED, country_code="98")
MAC = "00:1A:79:00:{:02X}:{:02X}"


def mac(number: int) -> str:
    return MAC.format(*divmod(number, 256))


def local(id: int, **values: Any) -> LocalAccount:
    base = LocalAccount(id, f"user{id}", mac(id), "", None, None, None, 1, "", "", None, 1, None, None, 0, 0)
    return base._replace(**values)


def told(number: int, **values: Any) -> PortalAccount:
    fields: dict[str, Any] = {
        "login": f"user{number}",
        "mac": mac(number),
        "full_name": "",
        "account_number": "",
        "tariff_plan": "",
        "status": True,
        "phone": "",
        "has_phone": False,
        "email": "",
        "has_email": False,
        "end_date": None,
        "has_end_date": False,
        "reseller": None,
    }
    return PortalAccount(**fields | values)


def listing(*accounts: PortalAccount, skipped: int = 0) -> PortalAccountList:
    return cleaned(PortalAccountList(list(accounts), skipped))


def state(*accounts: LocalAccount, **values: Any) -> LocalState:
    return LocalState(list(accounts), users={2, 3, 4}, **values)


def test_nothing_new_is_no_change() -> None:
    changes = compare(state(local(1), local(2, full_name=None, email=None)), listing(told(1), told(2)), TERMS)
    assert changes.is_empty
    assert (changes.synced, changes.skipped) == (2, 0)


@pytest.mark.parametrize("spelling", ["00:1a:79:00:00:01", "00-1A-79-00-00-01", "001A79000001"])
def test_any_spelling_of_a_mac_is_recognised(spelling: str) -> None:
    changes = compare(state(local(1, mac=spelling, username="other")), listing(told(1)), TERMS)
    assert [(account.id, account.mac, account.username) for account in changes.updated] == [(1, mac(1), "user1")]


def test_a_box_that_was_exchanged_is_found_by_its_user_name() -> None:
    changes = compare(state(local(1, username="USER1")), listing(told(9, login="user1")), TERMS)
    assert [(account.id, account.mac) for account in changes.updated] == [(1, mac(9))]


def test_two_boxes_that_changed_places() -> None:
    accounts = state(local(1), local(2))
    changes = compare(accounts, listing(told(1, login="user2"), told(2, login="user1")), TERMS)
    assert [(account.id, account.username) for account in changes.updated] == [(1, "user2"), (2, "user1")]
    assert changes.removed == []


def test_each_login_and_each_mac_counts_once() -> None:
    changes = compare(state(), listing(told(1), told(1, full_name="Twin"), told(2, login="USER1"), skipped=3), TERMS)
    assert [account.mac for account in changes.inserted] == [mac(1)]
    assert changes.skipped == 5


def test_what_does_not_fit_is_skipped_or_cut() -> None:
    changes = compare(
        state(), listing(told(1, login="x" * 101), told(2, mac="y" * 51), told(3, tariff_plan="z" * 200)), TERMS
    )
    assert [(account.username, len(account.tariff_plan or "")) for account in changes.inserted] == [("user3", 100)]


@pytest.mark.parametrize(
    ("stored", "sent", "result"),
    [
        ("0044 20 1", "+44201", "+44201"),
        ("+44 (20) 1", "+44201", "+44 (20) 1"),
        ("44201", "+44201", "44201"),
        (None, "0044201", "+44201"),
        (None, "44201", "44201"),
        (None, "442012345678", "+442012345678"),
        # by the configured country code, which TERMS has
        (None, "09121234567", "+989121234567"),
        ("+989121234567", "۰۹۱۲۱۲۳۴۵۶۷", "+989121234567"),
        ("+989121234567", "9121234567", "+989121234567"),
        # unusable, and so ours stays
        ("+44201", "none", "+44201"),
        ("+44201", "1/2", "+44201"),
        ("+44201", "", None),
        (None, "", None),
        ("", "", ""),
        ("+44201", "1" * 90, "+44201"),
    ],
)
def test_phone_numbers(stored: str | None, sent: str, result: str | None) -> None:
    changes = compare(state(local(1, phone_number=stored)), listing(told(1, phone=sent, has_phone=True)), TERMS)
    assert [account.phone_number for account in changes.updated] == ([] if result == stored else [result])


def test_fields_that_the_portal_does_not_tell_stay() -> None:
    account = local(1, phone_number="+1", email="a@example.com", end_date="2025-02-15")
    assert compare(state(account), listing(told(1)), TERMS).is_empty
    tells = told(1, has_phone=True, has_email=True, has_end_date=True, end_date=date(2026, 1, 1))
    [changed] = compare(state(account), listing(tells), TERMS).updated
    assert (changed.phone_number, changed.email, changed.end_date) == (None, "", "2026-01-01")


@pytest.mark.parametrize(
    ("owner", "seen", "known", "named", "result"),
    [
        (2, None, 0, None, 2),
        (2, None, 0, 3, 3),
        (None, None, 0, 3, 3),
        (2, 3, 1, 3, 2),
        (None, 3, 1, 3, None),
        (2, 3, 1, 4, 4),
        (2, 3, 1, None, 2),
        (2, None, 0, 99, 2),
        (2, None, 1, 3, 2),
    ],
)
def test_the_owner(owner: int | None, seen: int | None, known: int, named: int | None, result: int | None) -> None:
    account = local(1, reseller=owner, seen=seen, known=known)
    changes = compare(state(account), listing(told(1, reseller=named)), TERMS)
    assert [changed.reseller for changed in changes.updated] == ([] if result == owner else [result])
    if named is not None and named != seen:
        assert [(noted.seen, noted.known) for noted in changes.noted] == [(named, 1)]


def test_new_accounts_have_the_default_owner() -> None:
    terms = Terms(scope=None, started=STARTED, default_owner=2)
    changes = compare(state(), listing(told(1), told(2, reseller=3), told(3, reseller=99)), terms)
    assert [account.reseller for account in changes.inserted] == [2, 3, 2]


@pytest.mark.parametrize(
    ("account", "fresh"),
    [
        (local(1, changed_at=STARTED - 1), False),
        (local(1, changed_at=STARTED), True),
        (local(1, changed_at=None, timestamp=STARTED // 1000 - 1), False),
        (local(1, changed_at=None, timestamp=STARTED // 1000), True),
    ],
)
def test_what_is_newer_than_the_list_is_left_alone(account: LocalAccount, fresh: bool) -> None:
    assert bool(compare(state(account), listing(told(9)), TERMS).removed) is not fresh
    assert bool(compare(state(account), listing(told(1, full_name="New")), TERMS).updated) is not fresh


def test_what_is_being_worked_on_is_left_alone() -> None:
    busy = Busy(ids={1}, usernames={"user2"}, macs={mac(3)})
    changes = compare(state(local(1), local(2), busy=busy), listing(told(3), told(4)), TERMS)
    assert [account.username for account in changes.inserted] == ["user4"]
    assert changes.removed == []


def test_what_was_deleted_meanwhile_does_not_come_back() -> None:
    gone = Busy(ids={1}, usernames={"user1"}, macs={mac(1)})
    assert compare(state(gone=gone), listing(told(1)), TERMS).is_empty


def test_what_came_back_is_the_same_account_once() -> None:
    old = local(7, username="user1", mac=mac(1), plan=5, reseller=3, timestamp=77)
    twins = state(local(8), archived=lambda: [old])
    changes = compare(twins, listing(told(8), told(1), told(9, login="other")), TERMS)
    assert [(account.id, account.plan, account.reseller, account.timestamp) for account in changes.restored] == [
        (7, 5, 3, 77)
    ]
    assert [account.username for account in changes.inserted] == ["other"]


def test_a_resellers_scope() -> None:
    accounts = state(local(1, reseller=2), local(2, reseller=3), local(3), local(4, reseller=2))
    terms = Terms(scope=2, started=STARTED)
    new = [told(number, full_name="New") for number in (1, 2, 3)]
    changes = compare(accounts, listing(*new, told(5), told(6, reseller=2)), terms)
    assert [account.id for account in changes.updated] == [1]
    assert [account.username for account in changes.inserted] == ["user6"]
    assert [account.id for account in changes.removed] == [4]
    assert (changes.in_scope, changes.synced, changes.skipped) == (2, 2, 3)


@pytest.mark.parametrize(
    ("here", "there", "suspicious"), [(0, 0, False), (1, 0, True), (19, 1, False), (20, 9, True), (20, 10, False)]
)
def test_suspicious_lists(here: int, there: int, suspicious: bool) -> None:
    accounts = state(*(local(number) for number in range(1, here + 1)))
    changes = compare(accounts, listing(*(told(number) for number in range(1, there + 1))), TERMS)
    assert changes.is_suspicious is suspicious


LONG = "Ann of the long name " * 4
UNKEPT = {
    "cut": (LONG, LONG[:64].strip()),
    "emoji": ("علی 😀", "علی ????"),
    "executed": ("NOW()", "NOW\N{ZERO WIDTH SPACE}()"),
}


@pytest.mark.parametrize("which", UNKEPT)
def test_m4_what_the_portal_could_not_store_whole_is_no_change(which: str) -> None:
    ours, theirs = UNKEPT[which]
    accounts = state(local(1, full_name=ours))
    assert compare(accounts, listing(told(1, full_name=theirs)), TERMS).is_empty
    # also beside a change of something else, and when the account comes back
    [changed] = compare(accounts, listing(told(1, full_name=theirs, status=False)), TERMS).updated
    assert (changed.full_name, changed.status) == (ours, 0)
    back = state(archived=lambda: [local(1, full_name=ours)])
    [restored] = compare(back, listing(told(1, full_name=theirs)), TERMS).restored
    assert restored.full_name == ours
    # any other text is the portal's word
    [other] = compare(accounts, listing(told(1, full_name=theirs + "x")), TERMS).updated
    assert other.full_name == theirs + "x"


def test_m4_a_login_that_the_portal_cut_stays_the_account() -> None:
    long = "user-" * 15
    accounts = state(local(1, username=long))
    assert compare(accounts, listing(told(1, login=long[:64])), TERMS).is_empty


@pytest.mark.parametrize(
    ("ours", "theirs", "after"),
    [
        ("2050-01-01", date(2038, 1, 18), "2050-01-01"),
        ("2099-12-31", date(2038, 1, 18), "2099-12-31"),
        ("2038-01-18", date(2038, 1, 18), "2038-01-18"),
        ("2030-01-01", date(2038, 1, 18), "2038-01-18"),
        (None, date(2038, 1, 18), "2038-01-18"),
        ("9999-00-00", date(2038, 1, 18), "2038-01-18"),
        ("2050-01-01", date(2030, 1, 1), "2030-01-01"),
        ("2050-01-01", None, None),
    ],
)
def test_m5_an_end_that_the_portal_cannot_have_stays_ours(
    ours: str | None, theirs: date | None, after: str | None
) -> None:
    changes = compare(
        state(local(1, end_date=ours)), listing(told(1, end_date=theirs, has_end_date=True, status=False)), TERMS
    )
    assert [account.end_date for account in changes.updated] == [after]
    unchanged = compare(state(local(1, end_date=ours)), listing(told(1, end_date=theirs, has_end_date=True)), TERMS)
    assert unchanged.is_empty is (after == ours)


def test_a_resellers_sync_releases_what_the_portal_gives_to_somebody_else() -> None:
    """The three-way rule of 20 §9 in a scope: a new word of the portal counts, an old one does not."""
    here = [local(id, reseller=2, seen=2, known=1) for id in range(1, 76)]
    theirs = [told(id, reseller=2 if id <= 45 else 3) for id in range(1, 76)]
    changes = compare(state(*here), listing(*theirs), replace(TERMS, scope=2))
    assert {account.reseller for account in changes.updated} == {3}
    assert (len(changes.updated), changes.synced, changes.skipped, changes.removed) == (30, 45, 30, [])
    assert not changes.is_suspicious
    # an unknown user, the last word once more, and what was assigned here before any word: they stay his
    kept = state(
        local(1, reseller=2, seen=2, known=1), local(2, reseller=2, seen=3, known=1), local(3, reseller=2, known=1)
    )
    stays = compare(
        kept, listing(told(1, reseller=99), told(2, reseller=3), told(3, reseller=4)), replace(TERMS, scope=2)
    )
    assert (stays.updated, stays.synced) == ([], 3)
