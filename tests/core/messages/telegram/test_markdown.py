"""Values in Telegram's Markdown (contract chapter 80, "Templates", settled 8): read back as Telegram does."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages.telegram.markdown import LONGEST, Text, cut, escaped, filled, units
from simulators.telegram import Refused, parsed

CASES = {
    "underscore": ("{name}", "user_name", "user\\_name"),
    "star": ("{name}", "a*b", "a\\*b"),
    "lone bracket": ("{name}", "a[b", "a\\[b"),
    "no marks for HTML": ("{name}", "<&>", "<&>"),
    "backquote": ("{name}", "a`b", "a\\`b"),
    "in bold": ("*{name}*", "a_b*c[d]`", "*abcd*"),
    "in italics": ("_{name}_ {name}", "a_b", "_ab_ a\\_b"),
    "in a code span": ("`{name}`", "a_b`c*", "`a_bc*`"),
    "in a link's text": ("[{name}](https://example.com)", "a]b", "[ab](https://example.com)"),
    "behind an escaped mark": ("\\*{name}", "a_b", "\\*a\\_b"),
    "a value is not filled in again": ("{name} {mac}", "{mac}", "{mac} M"),
    "unknown names stay": ("{else}", "", "{else}"),
    "a backslash before a mark of the template": ("{name}*x*", "a\\", "a*x*"),
    "control characters": ("{name}", "a\x00b\nc", "ab\nc"),
}


@pytest.mark.parametrize(("template", "value", "expected"), CASES.values(), ids=CASES)
def test_values_are_made_safe(template: str, value: str, expected: str) -> None:
    assert filled(template, {"name": value, "mac": "M"}) == Text(expected)
    parsed(expected)


@given(
    st.text(max_size=60), st.sampled_from(["*New* {name} `{name}` _{name}_", "{name}{name}*b*", "[{name}](x) {name}"])
)
def test_no_value_makes_a_text_that_telegram_refuses(value: str, template: str) -> None:
    try:
        parsed(filled(template, {"name": value}).text)
    except Refused as error:
        raise AssertionError(error.description) from None


@given(st.text(max_size=40))
def test_an_escaped_value_is_read_as_it_was(value: str) -> None:
    kept = "".join(c for c in value if c == "\n" or unicodedata.category(c) != "Cc")
    assert parsed(escaped(value)) == kept.rstrip("\\")


def test_length_is_counted_as_telegram_counts() -> None:
    assert units("a\N{GRINNING FACE}") == 3
    assert cut("a\N{GRINNING FACE}b", 2) == "a"
    assert cut("e\N{COMBINING ACUTE ACCENT}x", 1) == ""
    assert cut("abc", 3) == "abc"


def test_the_longest_value_is_shortened_first() -> None:
    text = filled("*Note* {short}\n{message}", {"short": "kept", "message": "_" * 5000})
    assert text.is_markdown
    assert units(text.text) <= LONGEST
    assert "kept" in text.text
    assert parsed(text.text).endswith("_")


def test_a_text_that_is_too_long_without_values_is_cut_and_sent_plain() -> None:
    text = filled("\N{GRINNING FACE}" * 3000 + "{name}", {"name": "x" * 10})
    assert text == Text("\N{GRINNING FACE}" * (LONGEST // 2), is_markdown=False)
