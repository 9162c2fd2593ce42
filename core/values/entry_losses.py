"""What a request's values lost on their way in, so that its answer can say so: a silent loss is found too late.

Whoever carries out a request collects; where nobody does (jobs, commands), nothing is noted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_noted: ContextVar[dict[str, str] | None] = ContextVar("losses", default=None)


@contextmanager
def losses() -> Iterator[dict[str, str]]:
    """Field → what was lost, with ``{field}`` for its name; filled while the context lasts."""
    noted: dict[str, str] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def note_loss(field: str, sentence: str) -> None:
    noted = _noted.get()
    if noted is not None:
        noted[field] = sentence
