"""What the texts of ledger rows say (contract chapter 30 B.1), and text that ends in handlers of the pages."""

from datetime import UTC, date, datetime

import pytest

from core.ledger.sale_text import Subject, read_subject
from core.values.clock import Clock
from core.values.escaping import quotable

MAC = "00:1A:79:00:00:01"


@pytest.mark.parametrize(
    ("details", "subject"),
    [
        ("Account renewal: u_1 - Plan: 3-Months", Subject("u_1", "3-Months")),
        ("Account renewal: a - b - Plan: 1 - 2", Subject("a - b", "1 - 2")),
        (f'Plan "1 Month" assigned for u ,Ann , {MAC}', Subject("u", "1 Month", "Ann", MAC)),
        (f'Plan "1 Month" assigned for u ,{MAC}', Subject("u", "1 Month", "", MAC)),
        (f'Plan "1 Month" assigned for u ,Lee, Ann ,Jr , {MAC}', Subject("u", "1 Month", "Lee, Ann ,Jr", MAC)),
        ('Plan "1 Month" assigned for u', Subject("u", "1 Month")),
        ('Plan "1 Month" assigned to u ,Ann', Subject("u", "1 Month", "Ann")),
        ('Plan "the "best" one" assigned for u', Subject("u", 'the "best" one')),
        ("Plan Gold assigned for u", Subject("u", "Gold")),
        ('Plan "" assigned for u', Subject("u")),
        (f"Account renewal: {MAC}", Subject(mac=MAC, text=f"Account renewal: {MAC}")),
        ("", Subject()),
        # a long row costs no more than its length
        (f"Account renewal:{' ' * 65_000}x", Subject(text=f"Account renewal:{' ' * 65_000}x")),
        ('Plan "' + '" ' * 30_000, Subject(text='Plan "' + '" ' * 30_000)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_subject_of_a_sale(details: str, subject: Subject) -> None:
    assert read_subject(details) == subject


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("O'Brien", "O’Brien"),
        ('a"b\\c`d', "a”bcd"),
        ("a&#39;b&&#39;c&<#39;d", "a#39;b#39;c&‹#39;d"),
        ('&"quot;&q"uot;&APOS;', "&”quot;&q”uot;APOS;"),
        ("&l\\t;b", "‹b"),
        ("A & B, A&B علی", "A & B, A&B علی"),
        ("line\nbreak\ttab\r", "linebreaktab"),
    ],
)
def test_text_between_the_quotes_of_a_handler(text: str, shown: str) -> None:
    assert quotable(text) == shown


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Asia/Tehran", date(2026, 11, 22), "2026-11-21T20:30:00"),
        # midnight is skipped, and comes late
        ("Asia/Tehran", date(2022, 3, 22), "2022-03-21T20:30:00"),
        ("Asia/Tehran", date(2022, 9, 22), "2022-09-21T20:30:00"),
        ("Europe/London", date(2026, 3, 29), "2026-03-29T00:00:00"),
        ("UTC", date(2101, 1, 1), "2101-01-01T00:00:00"),
    ],
)
def test_when_a_day_begins(zone: str, day: date, begins: str) -> None:
    clock = Clock(zone)
    stamp = clock.first_stamp(day)
    assert datetime.fromtimestamp(stamp, UTC).replace(tzinfo=None).isoformat() == begins
    assert clock.local(stamp).date() == day
    assert clock.local(stamp - 1).date() < day
