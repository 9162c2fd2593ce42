"""A door before a MariaDB server that notes every packet by which a client asks for something."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import make_url

_QUERY = 3
_NAMES = {1: "QUIT", 14: "PING", 22: "PREPARE", 23: "EXECUTE", 31: "RESET"}


class MysqlProxy:
    """Speaks on a loopback port for the server of ``url``; ``asked`` are the statements in their order, other commands
    by their names. Only without TLS, as tests connect."""

    def __init__(self, url: str, port: int = 0) -> None:
        self._server = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.asked: list[str] = []
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()
        port = self._listener.getsockname()[1]
        self.url = self._server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    @contextmanager
    def noting(self) -> Iterator[list[str]]:
        """What is asked while the block runs; connecting and its settings excepted."""
        self.asked.clear()
        yield self.asked

    def close(self) -> None:
        with suppress(OSError):
            # wakes who waits for the next connection, and would take one more
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for side in self._sockets:
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                server = socket.create_connection((self._server.host or "127.0.0.1", self._server.port or 3306))
                self._sockets.append(server)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
                threading.Thread(target=self._questions, args=(client, server), daemon=True).start()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def _questions(self, client: socket.socket, server: socket.socket) -> None:
        waiting = b""
        with suppress(OSError):
            while data := client.recv(1 << 16):
                waiting = self._note(waiting + data)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _note(self, data: bytes) -> bytes:
        """Note the whole packets in ``data``, and return what is left. A command's packet is the first of its kind."""
        while len(data) >= 4:
            length = int.from_bytes(data[:3], "little")
            if len(data) < 4 + length:
                break
            packet, data = data[3 : 4 + length], data[4 + length :]
            if packet[0] == 0 and length:
                is_query = packet[1] == _QUERY
                self.asked.append(packet[2:].decode() if is_query else _NAMES.get(packet[1], f"command {packet[1]}"))
        return data
