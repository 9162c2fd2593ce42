"""How a test waits for what goes on in the background: one patience for all, sized for a machine that is busy."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 120
_Found = TypeVar("_Found")


def until(holds: Callable[[], _Found], what: str, *, pause: Callable[[], object] | None = None) -> _Found:
    """What ``holds()`` gives as soon as that is true; fails with ``what`` was waited for when the patience ends.

    A healthy run returns within moments, so a long patience costs nothing; a short one fails on a loaded machine.
    ``pause``: between two looks. By default they become rarer with what has been waited for already, since a look may
    be a request, and what is waited for needs the processor as well.
    """
    began = time.monotonic()
    while not (found := holds()):
        waited = time.monotonic() - began
        assert waited < PATIENCE_SECONDS, f"not within {PATIENCE_SECONDS} s: {what}"
        if pause is None:
            time.sleep(min(0.01 + waited / 20, 0.1))
        else:
            pause()
    return found
