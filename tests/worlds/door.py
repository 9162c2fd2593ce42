"""A door before a server: connections are taken and led on until it is closed; subclasses see what goes through."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Door:
    """Speaks on a loopback port for the server ``behind`` (host and port). ``connections``: how many were taken."""

    def __init__(self, behind: tuple[str, int], port: int = 0) -> None:
        self._behind = behind
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def lookers(self) -> tuple[Callable[[bytes], object], Callable[[bytes], object]]:
        """For one connection: what sees the bytes to the server, and those from it, before they go on."""
        return lambda data: None, lambda data: None

    def close(self) -> None:
        """Connections break, and new ones are refused."""
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
                self.connections += 1
                self._sockets.append(client)
                server = socket.create_connection(self._behind)
                self._sockets.append(server)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                asked, answered = self.lookers()
                for way in ((client, server, asked), (server, client, answered)):
                    threading.Thread(target=_carry, args=way, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket, look: Callable[[bytes], object]) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            look(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
