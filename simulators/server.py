"""A threaded HTTP/1.1 server around an application, with a recorder and faults; knows nothing of what it serves."""

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from simulators.faults import FaultPlan
from simulators.recording import Recorder
from simulators.wire import Application, Request, Response

_MAX_LINE = 65536


class SimulatedServer:
    """Serves ``application`` on ``host``; port 0 takes a free one, which stays ours until :meth:`close`."""

    def __init__(
        self, application: Application, recorder: Recorder, faults: FaultPlan, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.application = application
        self.recorder = recorder
        self.faults = faults
        self.host = host
        self.port = port
        self.closing = threading.Event()
        self.errors: list[BaseException] = []
        self._listener: _Listener | None = None
        self._reserved: socket.socket | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()

    def listen(self) -> None:
        """Accept connections, for the first time or again."""
        with self._lock:
            if self._listener is None:
                self._release()
                self._listener = _Listener(self)
                self.port = self._listener.server_address[1]

    def stop_listening(self) -> None:
        """Refuse connections, and end all open ones but the calling request's own."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                listener.stop()
                self._reserve()
        self._end_connections()

    def close(self) -> None:
        """End everything; raises if the application failed in a way that was not asked for."""
        self.closing.set()
        self.stop_listening()
        with self._lock:
            self._release()
        if self.errors:
            raise RuntimeError(f"{len(self.errors)} requests broke the simulator") from self.errors[0]

    def _reserve(self) -> None:
        # a bound socket that does not listen refuses connections and keeps the port from everyone else
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((self.host, self.port))

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def serve_connection(self, connection: socket.socket, serve: Callable[[], None]) -> None:
        """Run ``serve`` in a thread that :meth:`close` waits for."""

        def run() -> None:
            try:
                serve()
            finally:
                self._connections.pop(connection, None)

        thread = threading.Thread(target=run, daemon=True)
        self._connections[connection] = thread
        thread.start()

    def _end_connections(self) -> None:
        others = [item for item in self._connections.copy().items() if item[1] is not threading.current_thread()]
        for connection, _ in others:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # ended by itself meanwhile
        if self.closing.is_set():
            for _, thread in others:
                thread.join(5)


class _Listener(ThreadingHTTPServer):
    """The listening socket and the thread that accepts from it."""

    request_queue_size = 128

    def __init__(self, owner: SimulatedServer) -> None:
        self.owner = owner
        self._stopped = False
        super().__init__((owner.host, owner.port), _Handler)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def server_bind(self) -> None:
        # HTTPServer's own looks up the host name, which may take seconds
        TCPServer.server_bind(self)

    def _accept(self) -> None:
        while not self._stopped:
            self.handle_request()

    def stop(self) -> None:
        self._stopped = True
        # the acceptor sleeps until somebody connects
        with socket.create_connection((self.owner.host, self.owner.port), timeout=5):
            self._acceptor.join()
        self.server_close()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self._stopped

    def process_request(self, request: Any, client_address: Any) -> None:
        self.owner.serve_connection(request, lambda: self.process_request_thread(request, client_address))

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        # a client that went away is its own business
        if error is not None and not isinstance(error, ConnectionError):
            self.owner.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    """One connection; also the :class:`simulators.faults.Exchange` of its current request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(_MAX_LINE)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.close_connection = True
            self.send(Response(b"Length Required", HTTPStatus.LENGTH_REQUIRED))
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        # self.path is already tidied up by the library
        target = self.requestline.split()[1]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._exchange(Request(self.command, target, headers, body))

    def _exchange(self, request: Request) -> None:
        owner = self.server.owner
        recorded = owner.recorder.record(request, owner.application.describe(request))
        fault = owner.faults.take(recorded)
        if fault is None:
            self.send(owner.application.respond(request))
        else:
            fault.act(self, lambda: owner.application.respond(request))

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the recorder has it all."""

    def _encoded(self, response: Response, length: int | None) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines.append(f"Content-Type: {response.content_type}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if self.close_connection:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _whole(self, response: Response) -> bytes:
        body = b"" if self.command == "HEAD" else response.body
        return self._encoded(response, len(response.body)) + body

    def send(self, response: Response) -> None:
        if response.delay:
            self.wait(response.delay)
        self.wfile.write(self._whole(response))

    def send_pieces(self, response: Response, pieces: Iterator[bytes], length: int | None) -> None:
        self.close_connection = True
        self.wfile.write(self._encoded(response, length))
        for piece in pieces:
            self.wfile.write(piece)

    def trickle(self, response: Response, size: int, interval: float) -> None:
        data = self._whole(response)
        for start in range(0, len(data), size):
            self.wfile.write(data[start : start + size])
            self.wait(interval)

    def hang_up(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # really closed here: an orderly shutdown before the close would send FIN
            self.rfile.close()
            self.connection.close()

    def refuse_others(self) -> None:
        self.close_connection = True
        self.server.owner.stop_listening()

    def wait(self, seconds: float | None) -> None:
        self.server.owner.closing.wait(seconds)
