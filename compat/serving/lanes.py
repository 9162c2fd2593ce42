"""Two lanes to the server's threads: what holds a thread and a processor for long takes at most half of them.

Everything else overtakes it. Which requests these are is said in their declarations (``hashes``), not here.
"""

import re
from collections import deque
from collections.abc import Collection
from typing import Any

from waitress.task import ThreadedTaskDispatcher

_DOUBLED = re.compile("//+")


class LaneDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Of the requests of ``held_back`` paths no more than half of the ``threads`` work at once, but one always may."""

    def __init__(self, threads: int, held_back: Collection[str]) -> None:
        super().__init__()
        # used under the lock of the dispatcher, as that of the base is
        self.queue = _Lanes(self, max(1, threads // 2), held_back)
        self.set_thread_count(threads)


class _Lanes:
    """The queue of a dispatcher: true, while there is a task that may be begun now."""

    def __init__(self, dispatcher: LaneDispatcher, most: int, held_back: Collection[str]) -> None:
        self._dispatcher = dispatcher
        self._most = most
        self._held_back = frozenset(held_back)
        self._at_work = 0
        # with the number of its arrival each
        self._slow: deque[tuple[int, Any]] = deque()
        self._others: deque[tuple[int, Any]] = deque()
        self._arrived = 0

    def append(self, task: Any) -> None:
        self._arrived += 1
        lane = self._slow if self._is_held_back(task) else self._others
        lane.append((self._arrived, task))

    def popleft(self) -> Any:
        """The one that came first of those that may begin."""
        if not self._may_begin_slow or (self._others and self._others[0][0] < self._slow[0][0]):
            return self._others.popleft()[1]
        self._at_work += 1
        return _SlowTask(self, self._slow.popleft()[1])

    def end_slow(self) -> None:
        with self._dispatcher.lock:
            self._at_work -= 1
            # the thread that ends here may take something else next
            self._dispatcher.queue_cv.notify()

    def __bool__(self) -> bool:
        return bool(self._others) or self._may_begin_slow

    def __len__(self) -> int:
        return len(self._others) + len(self._slow)

    @property
    def _may_begin_slow(self) -> bool:
        return bool(self._slow) and self._at_work < self._most

    def _is_held_back(self, task: Any) -> bool:
        path = task.requests[0].path if task.requests else ""
        return _DOUBLED.sub("/", path) in self._held_back


class _SlowTask:
    def __init__(self, lanes: _Lanes, task: Any) -> None:
        self._lanes = lanes
        self._task = task

    def service(self) -> None:
        try:
            self._task.service()
        finally:
            self._lanes.end_slow()

    def cancel(self) -> None:
        self._task.cancel()
