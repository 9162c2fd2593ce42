"""The fields of resellers, and what may stand inside an inline handler (contract 30 A to D, 05 §6)."""

import pytest

from core.errors import InvalidInput
from core.resellers import rules


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("gbp", "GBP"),
        ("1", "GBP"),
        ("2", "USD"),
        ("3", "EUR"),
        ("4", "IRR"),
        ("irt", "IRT"),
        ("try", "Try"),
        ("AED", "AED"),
    ],
)
def test_currencies(sent: str, stored: str) -> None:
    assert rules.checked_currency(sent, ["AED", "Try", "GBP"]) == stored


@pytest.mark.parametrize("sent", ["", "5", "0", "GB", "GBP ", "*", "AED,GBP"])
def test_unknown_currencies(sent: str) -> None:
    with pytest.raises(InvalidInput, match="currency"):
        rules.checked_currency(sent, ["AED"])


def test_irt_is_irr() -> None:
    assert rules.same_currency("IRT", "irr")
    assert rules.same_currency(None, "")
    assert not rules.same_currency("GBP", "USD")


@pytest.mark.parametrize("sent", ["0", "1", "1|0", "0|0|0|0|1|0", "1|1|1|1|1|1|1|1"])
def test_permissions_are_stored_as_sent(sent: str) -> None:
    assert rules.checked_permissions(sent) == sent


@pytest.mark.parametrize("sent", ["", "2", "1|", "|1", "1|1|1|1|1|1|1|1|1", "1 |1", "true", "1|1\n"])
def test_other_permissions_are_refused(sent: str) -> None:
    with pytest.raises(InvalidInput, match="permissions"):
        rules.checked_permissions(sent)


def test_an_observers_permissions() -> None:
    assert rules.without_permissions("1|1|0") == "0|0|0"
    assert rules.without_permissions(None) is None


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("O'Brien & Sons", "O’Brien & Sons"),
        ("R&D; x", "R&D; x"),
        ("x&#39;);alert(1)//", "x#39;);alert(1)//"),
        ("x&#x27;y&apos;z&quot;", "x#x27;yapos;zquot;"),
        ("&quotfoo &#92;n &bsol; &grave;", "quotfoo #92;n bsol; grave;"),
        ("&&#39;#39;", "#39;#39;"),
        ('a"b\\c`d<e>f\tg\n', "a”bcd‹e›fg"),
        ("سلام\u200cدنیا", "سلام\u200cدنیا"),
    ],
)
def test_shown_names(stored: str, shown: str) -> None:
    assert rules.shown_name(stored, "u") == shown


def test_names() -> None:
    assert rules.checked_name("O'Brien & Sons") == "O’Brien & Sons"
    assert rules.shown_name(None, "user'1") == "user’1"
    for name in ("a\tb", "a&#39;b", "a\\b", "x" * 256):
        with pytest.raises(InvalidInput, match="name"):
            rules.checked_name(name)


def test_plan_keys() -> None:
    assert rules.shown_plans("1-IRT,2-x-irt,IRT-GBP,9-*") == "1-IRR,2-x-IRR,IRT-GBP,9-*"
    assert rules.shown_plans(None) is None
    assert rules.shown_plans("") == ""
