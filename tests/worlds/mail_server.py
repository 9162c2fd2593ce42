"""A real SMTP server for the tests, which keeps what it got and fails as it is told."""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "info@example.com", "s3cret-mail"


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: list[str]
    message: EmailMessage

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())

    @property
    def plain(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())


class _Handler:
    """Named as aiosmtpd wants it."""

    def __init__(self, owner: "MailServer") -> None:
        self.owner = owner

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:  # noqa: N802
        if address in self.owner.refused:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        self.owner.received.append(Received(envelope.mail_from or "", list(envelope.rcpt_tos), message))
        if self.owner.on_data is not None:
            return await self.owner.on_data(server)
        return "250 OK"


class MailServer:
    """Listens on a free loopback port from ``with`` until its end. ``certificate``: offers STARTTLS with it."""

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, implicit: bool = False) -> None:
        self.received: list[Received] = []
        self.refused: set[str] = set()
        self.logins: list[str] = []
        # what becomes of a mail that has arrived
        self.on_data: Callable[[SMTP], Any] | None = None
        self.sessions = 0
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        self._controller = _Controller(self, None if implicit else context, context if implicit else None)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._controller.end()

    @property
    def port(self) -> int:
        assert self._controller.server is not None
        port: int = self._controller.server.sockets[0].getsockname()[1]
        return port

    @property
    def counts(self) -> Counter[str]:
        """How many mails each customer got."""
        return Counter(mail.recipients[0] for mail in self.received)

    def forget(self) -> None:
        self.received.clear()
        self.refused.clear()
        self.logins.clear()
        self.on_data, self.sessions = None, 0

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(mechanism)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        # not handled: the server itself is to answer
        return AuthResult(success=is_right, handled=is_right)


class _Controller(Controller):
    def __init__(self, owner: MailServer, start_tls: ssl.SSLContext | None, implicit: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.start_tls = start_tls
        super().__init__(_Handler(owner), hostname="127.0.0.1", port=0, ssl_context=implicit)

    def factory(self) -> SMTP:
        self.owner.sessions += 1
        return SMTP(
            self.handler,
            enable_SMTPUTF8=False,
            authenticator=self.owner.authenticate,
            auth_require_tls=False,
            tls_context=self.start_tls,
            require_starttls=self.start_tls is not None,
        )

    def start(self, thread_name: str | None = None) -> None:
        """Without aiosmtpd's own look at the port, which knows only one that was chosen before."""
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(self._create_server())
            self.loop.call_soon(ready.set)
            self.loop.run_forever()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def end(self) -> None:
        def close() -> None:
            assert self.server is not None
            self.server.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            # the tasks, and the transports that they close, want their turns
            self.loop.call_later(0.05, self.loop.stop)

        self.loop.call_soon_threadsafe(close)
        assert self._thread is not None
        self._thread.join(60)


async def lose_connection(server: SMTP) -> str:
    """The mail was taken, and its sender does not learn it."""
    assert server.transport is not None
    server.transport.abort()
    return "250 OK"


async def refuse(_server: SMTP) -> str:
    return "554 5.7.1 spam from secret-host.example.com"


async def greylist(_server: SMTP) -> str:
    return "451 4.7.1 try again later, says secret-host.example.com"


async def hang(_server: SMTP) -> str:
    await asyncio.sleep(30)
    return "250 OK"
