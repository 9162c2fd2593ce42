"""How a test waits for what goes on in the background: one patience for all, sized for a machine that is busy."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as ``holds()`` is true; fails with ``what`` was waited for after so many ``seconds``.

    A healthy run returns within moments, so a long patience costs nothing; a short one fails on a loaded machine.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
