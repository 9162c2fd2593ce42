"""A door before a server that falls silent on request: connections are taken, and nothing comes through any more."""

import socket
import threading
from contextlib import suppress


class SilentDoor:
    """Speaks on a loopback port for the server at ``port``. ``connections`` counts those that were taken."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._is_open = threading.Event()
        self._is_open.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def fall_silent(self) -> None:
        self._is_open.clear()

    def speak(self) -> None:
        self._is_open.set()

    def close(self) -> None:
        self._is_open.set()
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
                server = socket.create_connection(("127.0.0.1", self._behind))
                self._sockets.append(server)
                for sides in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=sides, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._is_open.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
