"""One time for all calls of an operation: a hung portal is waited for once, not once for each call.

Source: contract chapter 90 §13 M13.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

# a context variable is the thread's own: who works in the background has no such time
_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def one_deadline(seconds: float) -> Iterator[None]:
    """The calls within end after ``seconds`` together, or by an earlier end that is set already."""
    until, outer = monotonic() + seconds, _until.get()
    token = _until.set(until if outer is None else min(until, outer))
    try:
        yield
    finally:
        _until.reset(token)


def within_deadline(seconds: float) -> float:
    """``seconds``, or what is left of the operation's time if that is less; never below 0."""
    until = _until.get()
    return seconds if until is None else max(0.0, min(seconds, until - monotonic()))
