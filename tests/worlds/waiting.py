"""How a test waits for what goes on in the background: one patience for all, sized for a machine that is busy."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 120
_Found = TypeVar("_Found")


def until(holds: Callable[[], _Found], what: str, *, pause: Callable[[], object] = lambda: time.sleep(0.01)) -> _Found:
    """What ``holds()`` gives as soon as that is true; fails with ``what`` was waited for when the patience ends.

    A healthy run returns within moments, so a long patience costs nothing; a short one fails on a loaded machine.
    ``pause``: between two looks.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        pause()
    return found
