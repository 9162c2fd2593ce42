"""What a stock portal stores of what it is told: no day after 2038, no more than 64 characters of a name, no emoji.

Pure: what is sent instead, and whether a value that comes back is what became of ours. In its lenient mode the portal
answers OK to all of it. Source: contract chapter 90 §13 M4, M5, M9.
"""

import re
from collections.abc import Iterator
from datetime import date

# its column is a TIMESTAMP: a later day becomes the zero date, which never ends
LAST_END = date(2038, 1, 18)
# what stands for "no end" in an update; an empty text is an error of strict modes
NO_END = "0000-00-00 00:00:00"
# of the columns for names, telephone numbers, logins and account numbers
LONGEST = 64

_EXECUTED = re.compile(r"(\s*(?:NOW|CURDATE|CURTIME))(\(\)\s*)", re.IGNORECASE)
_ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"
_FOUR_BYTES = re.compile("[\U00010000-\U0010ffff]")
# what a database here makes of an emoji that it has no room for, and the portal had before it
_FOREIGN = re.compile("[\U00010000-\U0010ffff\N{REPLACEMENT CHARACTER}]")
_LOST = "????"


def unexecuted(text: str) -> str:
    """``text``, or another that looks the same where the portal would execute it."""
    return _EXECUTED.sub(rf"\1{_ZERO_WIDTH}\2", text) if _EXECUTED.fullmatch(text) else text


def kept_end(end: date) -> date:
    """The day that the portal can have for ``end``."""
    return min(end, LAST_END)


def is_same_end(told: date | None, ours: date | None) -> bool:
    """Whether the portal's ``told`` is what it can have of ``ours``."""
    return told == ours or (ours is not None and told == kept_end(ours))


def may_lose(text: str, longest: int | None = LONGEST) -> bool:
    """Whether a portal may keep less than ``text``; ``longest`` None: in a column without a limit."""
    return (longest is not None and len(text) > longest) or _FOUR_BYTES.search(text) is not None


def is_same_text(told: str, ours: str | None) -> bool:
    """Whether the portal's ``told`` (without blanks at its ends) is ``ours``, or exactly what it makes of that."""
    ours = ours or ""
    if told == ours:
        return True
    # nearly every text that differs is simply another
    if len(ours) <= LONGEST and ours.isascii() and "(" not in ours:
        return False
    return told in _forms(ours)


def _forms(ours: str) -> Iterator[str]:
    for text in (ours, unexecuted(ours)):
        for form in (text, _FOUR_BYTES.sub(_LOST, text), _FOREIGN.sub(_LOST, text)):
            yield form.strip()
            yield form[:LONGEST].strip()
