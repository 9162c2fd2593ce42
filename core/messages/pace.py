"""How fast a run of messages may go."""

import time

from core.panel import Panel


class Pace:
    """Keeps the portal from being flooded: ``seconds`` between the end of one message and the start of the next."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    @classmethod
    def of(cls, panel: Panel) -> "Pace":
        return cls(panel.config.jobs.message_pause_ms / 1000)

    def wait(self) -> None:
        time.sleep(max(0.0, self._next - time.monotonic()))

    def sent(self) -> None:
        self._next = time.monotonic() + self._seconds
