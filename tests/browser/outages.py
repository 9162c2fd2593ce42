"""A panel in a process of its own, which a test can switch off and on again."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from bench.processes import free_port
from tests.worlds.forked import Forked
from tests.worlds.waiting import until


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
