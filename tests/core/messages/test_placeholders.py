"""Filling placeholders in (contract chapter 60 S3), and what the tables of old panels can keep of a text (S8)."""

from datetime import date

import pytest

from core.messages.placeholders import account_values, days_left, render

VALUES = account_values(name="Ann", username="u1", mac="00:1A:79:00:00:01", end_date=date(2025, 11, 29), days=7)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{name} {username} {mac} {days} {date} {expiry_date}", "Ann u1 00:1A:79:00:00:01 7 2025-11-29 2025-11-29"),
        ("{name}{name} {Name} {other} { name } {{name}}", "AnnAnn {Name} {other} { name } {Ann}"),
        ("", ""),
        ("<b>50% & more</b>\nline\ttab", "<b>50% & more</b>\nline\ttab"),
    ],
)
def test_each_known_placeholder_is_filled_in_and_nothing_else(template: str, text: str) -> None:
    assert render(template, VALUES) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("{username}", "{username}"),
        ("a<b>c\x00\x1b\x85\td\ne", "abcd\ne"),
        ("&lt;b&gt;", "b"),
        # what joins Persian letters is no control character
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_a_value_is_filled_in_once_and_without_markup(name: str, text: str) -> None:
    assert render("{name}", VALUES | {"name": name}) == text


def test_an_account_without_end_has_no_date() -> None:
    values = account_values(name="Ann", username="u1", mac="", end_date=None, days=0)
    assert render("[{date}{expiry_date}]", values) == "[]"


@pytest.mark.parametrize(("today", "left"), [((2025, 11, 22), 7), ((2025, 11, 29), 0), ((2025, 11, 30), 0)])
def test_days_left(today: tuple[int, int, int], left: int) -> None:
    assert days_left(date(2025, 11, 29), date(*today)) == left
