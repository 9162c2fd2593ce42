"""A door before a MariaDB server that notes every packet by which a client asks for something."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

from tests.worlds.door import Door

_QUERY = 3
_PREPARE, _EXECUTE = re.compile(r"PREPARE (\w+) FROM '(.*)'", re.DOTALL), re.compile(r"EXECUTE (\w+)")
_NAMES = {1: "QUIT", 14: "PING", 22: "PREPARE", 23: "EXECUTE", 31: "RESET"}


class MysqlProxy(Door):
    """Speaks on a loopback port for the server of ``url``; ``asked`` are the statements in their order, other commands
    by their names, and what is asked by its name as the text that it was told with. ``told``: how many were, since the
    beginning. Only without TLS, as tests connect."""

    def __init__(self, url: str, port: int = 0) -> None:
        server = make_url(url)
        self.asked: list[str] = []
        self.told = 0
        super().__init__((server.host or "127.0.0.1", server.port or 3306), port)
        self.url = server.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    @contextmanager
    def noting(self) -> Iterator[list[str]]:
        """What is asked while the block runs; connecting, its settings, and telling what will be asked excepted."""
        self.asked.clear()
        yield self.asked

    def lookers(self) -> tuple[Callable[[bytes], object], Callable[[bytes], object]]:
        waiting = b""
        texts: dict[str, str] = {}

        def note(data: bytes) -> None:
            nonlocal waiting
            waiting = self._note(waiting + data, texts)

        return note, lambda data: None

    def _note(self, data: bytes, texts: dict[str, str]) -> bytes:
        """Note the whole packets in ``data``, and return what is left. A command's packet is the first of its kind.
        ``texts``: of the connection, by the names that it gave them."""
        while len(data) >= 4:
            length = int.from_bytes(data[:3], "little")
            if len(data) < 4 + length:
                break
            packet, data = data[3 : 4 + length], data[4 + length :]
            if packet[0] == 0 and length:
                if packet[1] == _QUERY:
                    self._note_query(packet[2:].decode(), texts)
                else:
                    self.asked.append(_NAMES.get(packet[1], f"command {packet[1]}"))
        return data

    def _note_query(self, query: str, texts: dict[str, str]) -> None:
        if told := _PREPARE.fullmatch(query):
            self.told += 1
            texts[told[1]] = told[2]
            return
        named = _EXECUTE.match(query)
        self.asked.append(texts[named[1]] if named else query)
