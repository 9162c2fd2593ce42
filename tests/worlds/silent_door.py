"""A door before a server that falls silent on request: connections are taken, and nothing comes through any more."""

import threading
from collections.abc import Callable

from tests.worlds.door import Door


class SilentDoor(Door):
    """Speaks on a loopback port for the server at ``port``."""

    def __init__(self, port: int) -> None:
        self._is_open = threading.Event()
        self._is_open.set()
        super().__init__(("127.0.0.1", port))

    def fall_silent(self) -> None:
        self._is_open.clear()

    def speak(self) -> None:
        self._is_open.set()

    def close(self) -> None:
        self._is_open.set()
        super().close()

    def lookers(self) -> tuple[Callable[[bytes], object], Callable[[bytes], object]]:
        def wait(_: bytes) -> None:
            self._is_open.wait()

        return wait, wait
