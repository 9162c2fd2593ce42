"""What the texts of a panel's ledger rows tell (contract chapter 40 §3.9.4)."""

import pytest

from core.ledger.row_text import Told, read_details, sentence

MAC = "00:1A:79:00:00:01"
NEW, RENEWAL = "New account", "Account renewal"


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ("Account renewal: user001 - Plan: One Year", Told(RENEWAL, "One Year", "user001")),
        ("ACCOUNT RENEWAL: user001 - plan: One Year", Told(RENEWAL, "One Year", "user001")),
        ("Account renewal: u - Plan: APP - 12 Months", Told(RENEWAL, "APP - 12 Months", "u")),
        ("Account renewal: a.b-c@d - Plan: P (Discount: 5)", Told(RENEWAL, "P", "a.b-c@d")),
        ("Account renewal: u - Plan: P (Extra) (Discount: 2.5)", Told(RENEWAL, "P (Extra)", "u")),
        ("Account renewal: u - Plan: ", Told()),
        ("Account renewal: u - Plan:  (Discount: 3)", Told()),
        (f'Plan "Six Months" assigned for u ,John Doe , {MAC}', Told(NEW, "Six Months", "u", MAC, "John Doe")),
        (f'Plan "Six Months" assigned for u ,{MAC.lower()}', Told(NEW, "Six Months", "u", MAC)),
        (f'Plan "P" assigned for u ,Doe, John , {MAC}', Told(NEW, "P", "u", MAC, "Doe, John")),
        ('Plan "1 Month" assigned for user00001', Told(NEW, "1 Month", "user00001")),
        ("plan \"O'Neill's - 5\" ASSIGNED FOR u", Told(NEW, "O'Neill's - 5", "u")),
        (f'Plan "" assigned for u ,{MAC}', Told(mac=MAC)),
        (f"Plan Gold assigned to {MAC.lower()}", Told(NEW, "Gold", mac=MAC)),
        (f"Plan Gold Plus assigned to {MAC}", Told(NEW, "Gold Plus", mac=MAC)),
        ("Credit adjustment by admin: add 100 (Previous: 0, New: 100)", Told()),
        (f"box {MAC} was replaced", Told(mac=MAC)),
        ("00:1A:79:00:00:01:22 is too long for one, 1234:56 too short", Told()),
        ("", Told()),
    ],
)
def test_told(details: str, told: Told) -> None:
    assert read_details(details) == told


def test_sentence() -> None:
    assert sentence(RENEWAL, "One Year", "John Doe") == "Account renewal, Plan: One Year, John Doe"
    assert sentence(NEW, "P", "") == sentence(NEW, "P", None) == "New account, Plan: P"


@pytest.mark.parametrize("text", ["Account renewal:" + " " * 20_000, 'Plan "' * 4_000, "00:" * 20_000])
def test_hostile_texts_are_read_in_time(text: str) -> None:
    # the column holds 64 KiB; a pattern that looks back at every place would take minutes
    read_details(text[:65_535])
