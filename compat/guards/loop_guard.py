"""Ending the loops of pages that ask again at once, for ever, as long as an answer is empty.

Within one process. Source: contract 05 §10, "Empty reseller list loop".
"""

import threading
from collections import deque
from time import monotonic


class LoopGuard:
    """Sessions that asked more than ``most`` times within ``seconds`` are refused until they paused that long."""

    def __init__(self, most: int, seconds: float) -> None:
        self.seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._asked: dict[str, deque[float]] = {}

    def is_looping(self, session_id: str) -> bool:
        """Whether this call, which counts, is one too many."""
        now = monotonic()
        with self._lock:
            self._forget(now - self.seconds)
            asked = self._asked.setdefault(session_id, deque(maxlen=self._most + 1))
            if len(asked) <= self._most:
                # once full it stays full until the session pauses
                while asked and asked[0] < now - self.seconds:
                    asked.popleft()
            asked.append(now)
            return len(asked) > self._most

    def _forget(self, oldest: float) -> None:
        for session_id in [session_id for session_id, asked in self._asked.items() if asked[-1] < oldest]:
            del self._asked[session_id]
