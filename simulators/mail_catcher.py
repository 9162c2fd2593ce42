"""A mail server that delivers nothing and shows what it got: ``python -m simulators.mail_catcher``, and in the demo.

Speaks as much SMTP as a panel needs, without encryption, for this machine alone; any login will do. ``/messages`` on
its HTTP port shows the last mails to people.
"""

import argparse
import html
import signal
import socketserver
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

from simulators.faults import FaultPlan
from simulators.recording import Recorder
from simulators.server import SimulatedServer
from simulators.wire import Request, Response

_KEPT = 50
_LARGEST = 10 * 1024 * 1024
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class CaughtMail:
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain", "html"))
        return "" if part is None else str(part.get_content())


class _Page:
    """The web page of a catcher."""

    def __init__(self, mails: list[CaughtMail]) -> None:
        self.mails = mails

    def describe(self, request: Request) -> str:
        return f"{request.method} {request.target}"

    def respond(self, request: Request) -> Response:
        if request.target not in ("/", "/messages"):
            return Response(b"Not Found", 404)
        shown = "".join(_shown(mail) for mail in reversed(self.mails[-_KEPT:]))
        page = f"<!DOCTYPE html><meta charset=utf-8><title>Mail</title>{shown or '<p>No mails yet.</p>'}"
        return Response(page.encode(), 200, "text/html; charset=utf-8")


def _shown(mail: CaughtMail) -> str:
    subject, recipients = str(mail.message["Subject"] or ""), ", ".join(mail.recipients)
    return f"<h2>{html.escape(subject)}</h2><p>To {html.escape(recipients)}</p><pre>{html.escape(mail.text)}</pre>"


class _Smtp(socketserver.StreamRequestHandler):
    """One connection of a mail client."""

    timeout = 60
    server: "_SmtpServer"

    def handle(self) -> None:
        self._sender, self._recipients = "", list[str]()
        self._say("220 catcher ready")
        while (line := self.rfile.readline(_LONGEST_LINE)) and self._obey(line.decode("utf-8", "replace").strip()):
            pass

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _obey(self, line: str) -> bool:
        """Whether to go on."""
        command, _, rest = line.partition(" ")
        match command.upper():
            case "EHLO":
                self._say("250-catcher\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN")
            case "AUTH":
                self._log_in(rest)
            case "MAIL":
                self._sender, self._recipients = _address(rest), []
                self._say("250 OK")
            case "RCPT":
                self._recipients.append(_address(rest))
                self._say("250 OK")
            case "DATA":
                self._take()
            case "QUIT":
                self._say("221 Bye")
                return False
            case "HELO" | "RSET" | "NOOP":
                self._say("250 OK")
            case _:
                self._say("500 What?")
        return True

    def _log_in(self, rest: str) -> None:
        """Believes everything that it is told."""
        mechanism, _, first = rest.partition(" ")
        questions = {"LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], "PLAIN": [""]}.get(mechanism.upper())
        if questions is None:
            self._say("504 Unknown mechanism")
            return
        for question in questions[1 if first else 0 :]:
            self._say(f"334 {question}")
            self.rfile.readline(_LONGEST_LINE)
        self._say("235 Welcome")

    def _take(self) -> None:
        if not self._recipients:
            self._say("503 To whom?")
            return
        self._say("354 Go on")
        lines, size = list[bytes](), 0
        while (line := self.rfile.readline(_LONGEST_LINE)) not in (b".\r\n", b".\n", b""):
            size += len(line)
            if size <= _LARGEST:
                lines.append(line.removeprefix(b"."))
        if size > _LARGEST:
            self._say("552 Too large")
            return
        message = message_from_bytes(b"".join(lines), policy=default)
        if isinstance(message, EmailMessage):
            self.server.keep(CaughtMail(self._sender, tuple(self._recipients), message))
        self._say("250 OK")


def _address(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]


class _SmtpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], mails: list[CaughtMail]) -> None:
        self._mails = mails
        super().__init__(address, _Smtp)

    def keep(self, mail: CaughtMail) -> None:
        self._mails.append(mail)
        del self._mails[:-_KEPT]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is its own business."""


class MailCatcher:
    """Catches mail on a loopback port from ``with`` until its end; port 0 takes a free one."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, web_port: int = 0) -> None:
        self._mails: list[CaughtMail] = []
        self._address = (host, port)
        self._web = SimulatedServer(_Page(self._mails), Recorder("mail catcher"), FaultPlan(), host, web_port)
        self._server: _SmtpServer | None = None

    def __enter__(self) -> Self:
        self._server = _SmtpServer(self._address, self._mails)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._web.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._web.close()

    @property
    def host(self) -> str:
        return self._address[0]

    @property
    def port(self) -> int:
        assert self._server is not None  # noqa: S101 - within ``with``
        return int(self._server.server_address[1])

    @property
    def messages_url(self) -> str:
        return f"http://{self._web.host}:{self._web.port}/messages"

    @property
    def mails(self) -> list[CaughtMail]:
        """The last ones, oldest first."""
        return list(self._mails)


def main(arguments: Sequence[str] | None = None) -> None:
    """Catch mail until Ctrl-C or SIGTERM; prints its addresses."""
    parser = argparse.ArgumentParser(prog="python -m simulators.mail_catcher", description="A catching mail server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8025, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--web-port", type=int, default=8026, help="0 takes a free one (default: %(default)s)")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with MailCatcher(host=options.host, port=options.port, web_port=options.web_port) as catcher:
        sys.stdout.write(f"smtp: {catcher.host}:{catcher.port}\nmessages: {catcher.messages_url}\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
