"""Whose turn it is at the server's threads: one request begins at a time, what takes long takes half of the threads.

Threads that have all just begun take the interpreter from each other at every look into the database: a switch costs
more than that, on some machines as much as the whole request. So one may be in its first moments; who is at work for
longer waits for somebody else, and is not counted. What holds a processor for long (hashing) is overtaken by everything
else; which requests these are is said in their declarations (``hashes``), not here.
"""

import re
import time
from collections import deque
from collections.abc import Collection
from typing import Any

from waitress.task import ThreadedTaskDispatcher

_DOUBLED = re.compile("//+")
_FIRST_SECONDS = 0.005


class LaneDispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Of the requests of ``held_back`` paths no more than half of the ``threads`` work at once, but one always may.

    Everything of it is used under the lock of the dispatcher, as that of the base is.
    """

    def __init__(self, threads: int, held_back: Collection[str]) -> None:
        super().__init__()
        self.queue = _Lanes(self, max(1, threads // 2), held_back)
        # by the number of the thread
        self._began: dict[int, float] = {}
        # one thread waits for the moment at which the next may begin
        self._has_lookout = False
        self.set_thread_count(threads)

    def add_task(self, task: Any) -> None:
        with self.lock:
            self.queue.append(task)
            # else nobody could do anything: who ends takes the next one without being called
            if not self._has_lookout or self._is_turn:
                self.queue_cv.notify()

    def handler_thread(self, thread_no: int) -> None:
        while (task := self._next(thread_no)) is not None:
            try:
                task.service()
            except BaseException:
                self.logger.exception("Exception when servicing %r", task)

    def _next(self, thread_no: int) -> Any:
        """The task that the thread does now; None when it is to end."""
        with self.lock:
            self._began.pop(thread_no, None)
            while not self.stop_count and not self._is_turn:
                self._wait()
            if self.stop_count:
                self._end(thread_no)
                return None
            self._began[thread_no] = time.monotonic()
            task = self.queue.popleft()
            if len(self.queue) and not self._has_lookout:
                self.queue_cv.notify()
            return task

    @property
    def _is_turn(self) -> bool:
        return bool(self.queue) and self._seconds_to_turn <= 0

    @property
    def _seconds_to_turn(self) -> float:
        return max(self._began.values()) + _FIRST_SECONDS - time.monotonic() if self._began else 0.0

    def _wait(self) -> None:
        self.active_count -= 1
        if len(self.queue) and not self._has_lookout:
            self._has_lookout = True
            # also where the lane is full: then it is called when that changes
            seconds = self._seconds_to_turn
            self.queue_cv.wait(seconds if seconds > 0 else _FIRST_SECONDS)
            self._has_lookout = False
        else:
            self.queue_cv.wait()
        self.active_count += 1

    def _end(self, thread_no: int) -> None:
        """As the base's threads do."""
        self.active_count -= 1
        self.stop_count -= 1
        self.threads.discard(thread_no)
        self.thread_exit_cv.notify()


class _Lanes:
    """The queue of a dispatcher: true, while there is a task whose lane is not full."""

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
