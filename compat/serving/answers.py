"""How an answer leaves under waitress: a short one in one packet, a long one without a copy of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

# what is put together with its head; a copy of more costs as much as another packet
_SHORT_BYTES = 32 * 1024


class AnswerTask(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Gives head and first part of the body to its channel together: two packets wake the other side twice."""

    def write(self, data: bytes) -> None:
        if self.wrote_header:
            super().write(data)
            return
        with self.channel.together():
            super().write(data)


class AnsweringChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose answers leave as said above. Only the thread whose request is answered writes to it."""

    task_class = AnswerTask

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._held_back: list[bytes] | None = None
        super().__init__(*arguments, **options)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything short that is written inside leaves in one packet."""
        held: list[bytes] = []
        self._held_back = held
        try:
            yield
        finally:
            self._held_back = None
        if sum(map(len, held)) <= _SHORT_BYTES:
            held = [b"".join(held)]
        for data in held:
            self.write_soon(data)

    def write_soon(self, data: Any) -> int:
        if self._held_back is not None:
            self._held_back.append(data)
        else:
            super().write_soon(self._left_of(data))
        return len(data)

    def _left_of(self, data: Any) -> Any:
        """What the system does not take at once: only that is copied, to be sent when it does."""
        if not isinstance(data, bytes) or len(data) <= _SHORT_BYTES:
            return data
        with self.outbuf_lock:
            if self.total_outbufs_len or not self.connected:
                return data
            sent, _ = self._flush_exception(lambda do_close: self.send(data, do_close), do_close=False)
            if sent:
                self.last_activity = time.time()
        return memoryview(data)[sent:] if sent else data
