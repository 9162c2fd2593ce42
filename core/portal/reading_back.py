"""What a portal kept of texts that it took: a stock portal in lenient mode says OK also where it stores less.

Source: contract chapter 90 §13 M4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.portal.errors import PortalError
from core.portal.stored_form import LONGEST, may_lose
from core.portal.wire.asking import Asking
from core.portal.wire.values import text_of

# columns without a limit that matters
_LONG = frozenset({"comment"})


@dataclass(frozen=True, slots=True)
class Kept:
    """A text that came out otherwise; ``text`` None: what became of it could not be seen."""

    name: str
    text: str | None


def kept_otherwise(portal: Asking, login: str, sent: Mapping[str, str]) -> Sequence[Kept]:
    """Of the ``sent`` texts of an account those that the portal does not have as they were sent. It is asked only
    where that may be; never raises PortalError."""
    doubtful = {name: text for name, text in sent.items() if may_lose(text, None if name in _LONG else LONGEST)}
    if not doubtful:
        return ()
    try:
        record = portal.record_of(login)
    except PortalError:
        record = {}
    told = {name: text_of(record[name]) if name in record else None for name in doubtful}
    return [Kept(name, told[name]) for name, text in doubtful.items() if told[name] != text.strip()]
