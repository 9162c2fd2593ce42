"""Telegram's (older) Markdown: values made safe for the place at which they stand, and texts that are not too long.

Pure functions over texts. Telegram refuses a message whose marks do not pair, so that one underscore in a customer's
name would stop it. Source: contract chapter 80, "Templates" and its settled questions 8.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 4096
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_MARKS = "_*`["
_INSIDE = re.compile(r"[_*\[\]`]")
# what belongs to the character before it
_JOINING = "\N{ZERO WIDTH JOINER}\N{VARIATION SELECTOR-16}"


@dataclass(frozen=True, slots=True)
class Text:
    """``is_markdown`` False: to be sent as it is, without ``parse_mode``."""

    text: str
    is_markdown: bool = True


def units(text: str) -> int:
    """Its length as Telegram counts: in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, longest: int = LONGEST) -> str:
    """The beginning of ``text`` that fits, ended between two characters as people see them."""
    if units(text) <= longest:
        return text
    count = end = 0
    for end, character in enumerate(text):  # noqa: B007 - where the loop ends is the result
        count += 1 + (character > "\uffff")
        if count > longest:
            break
    while end and (text[end] in _JOINING or text[end - 1] == _JOINING[0] or unicodedata.combining(text[end])):
        end -= 1
    return text[:end]


def escaped(value: str) -> str:
    """``value`` as text between marks. A backslash at its end would take the next mark of the template away."""
    return re.sub(r"([_*`\[])", r"\\\1", _clean(value)).rstrip("\\")


def filled(template: str, values: Mapping[str, str]) -> Text:
    """``template`` with its ``{names}`` filled in, in one pass; unknown ones stay.

    Above 4,096 units the longest value is shortened; where that does not help, the text is cut and sent plain.
    """
    text = _render(template, values)
    used = {name: values[name] for name in _PLACEHOLDER.findall(template) if name in values}
    if units(text) > LONGEST and used:
        longest = max(used, key=lambda name: units(used[name]))

        def shortened(room: int) -> str:
            return _render(template, {**values, longest: cut(used[longest], room)})

        room = bisect_right(range(units(used[longest]) + 1), LONGEST, key=lambda room: units(shortened(room)))
        text = shortened(max(0, room - 1))
    if units(text) <= LONGEST:
        return Text(text)
    return Text(cut(_render(template, values)), is_markdown=False)


def _render(template: str, values: Mapping[str, str]) -> str:
    parts, at, mark = [], 0, ""
    for found in _PLACEHOLDER.finditer(template):
        before = template[at : found.start()]
        mark = _open_mark(before, mark)
        value = values.get(found[1])
        parts += [before, found[0] if value is None else _made_safe(value, mark)]
        at = found.end()
    return "".join([*parts, template[at:]])


def _open_mark(text: str, mark: str) -> str:
    """Which mark is open behind ``text``, before which ``mark`` was; empty for none."""
    position = 0
    while position < len(text):
        character = text[position]
        if mark:
            if character == ("]" if mark == "[" else mark):
                mark = ""
        elif character == "\\" and text[position + 1 : position + 2] in tuple(_MARKS):
            position += 1
        elif character in _MARKS:
            mark = character
        position += 1
    return mark


def _made_safe(value: str, mark: str) -> str:
    if mark == "`":
        return _clean(value).replace("`", "")
    # inside of the others nothing can be escaped
    return _INSIDE.sub("", _clean(value)) if mark else escaped(value)


def _clean(value: str) -> str:
    return "".join(c for c in value if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs"))
