"""What a test can switch off and on again: a panel in a process of its own, and the way to a database server."""

import os
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

from tests.worlds.forked import Forked
from tests.worlds.waiting import until


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class PanelProcess:
    """``python wsgi.py`` with these settings, always at the same port, in an empty directory."""

    def __init__(self, settings: dict[str, str], directory: Path) -> None:
        self._port = free_port()
        self._directory = directory
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHOWBOX_")}
        self._environment = inherited | settings
        self._process: Forked | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._process = Forked(
            "wsgi.py", ["--port", str(self._port)], cwd=self._directory, environment=self._environment
        )
        until(self._answers, "the panel answers")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.process.is_alive(), "the panel did not start"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process.close()
            self._process = None


class Relay:
    """Passes connections on to ``target`` until it is cut; then they break, and new ones are refused."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with suppress(OSError):  # already cut
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):  # closed by its peer
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            pair = client, socket.create_connection(self._target)
            self._pairs.append(pair)
            threading.Thread(target=self._pass, args=pair, daemon=True).start()

    @staticmethod
    def _pass(client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)
