"""A mail server over SMTP: connecting with verified TLS, handing in mails, and what its answers mean.

What the server says is never passed on: it may hold addresses, and names of hosts. Source: contract chapter 80.
"""

import logging
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

from core.errors import UpstreamFailed
from core.messages.delivery import Delivery, Outcome
from core.messages.mail.settings import SSL, TLS, MailServer

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 30.0
_SSL_PORT = 465
# answers to a login: encryption is needed first
_WANTS_TLS = (530, 538)
PERHAPS = "the mail may have been delivered"


class _Refused(Exception):
    """The mail was certainly not taken. ``is_hopeless``: as in :class:`Delivery`."""

    def __init__(self, text: str, *, is_hopeless: bool = False) -> None:
        self.text = text
        self.is_hopeless = is_hopeless
        super().__init__(text)


class _ConnectionLost(Exception):
    """Before the mail itself was handed over."""


class MailSession:
    """One connection, kept for the mails that follow. To be used as a context manager, by one thread."""

    def __init__(self, server: MailServer, *, verify_tls: bool) -> None:
        self._server = server
        self._verify_tls = verify_tls
        self._client: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(smtplib.SMTPException, OSError), self._deadline(client, 2.0):
                client.quit()
            client.close()

    def check(self) -> None:
        """Connect and log in, as for a mail. Raises UpstreamFailed."""
        try:
            self._client = self._connected()
        except _Refused as error:
            raise UpstreamFailed(error.text) from None

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Delivery:
        """Hand one mail in; it is taken when the first of ``recipients`` is. Fails by its Delivery, never raises."""
        for _ in range(2):
            is_kept = self._client is not None
            try:
                return self._send(sender, recipients, message)
            except _Refused as error:
                return Delivery(Outcome.REFUSED, error.text, is_hopeless=error.is_hopeless)
            except _ConnectionLost:
                self._drop()
                if not is_kept:
                    break
                # servers end connections that were idle, or after so many mails
        return Delivery(Outcome.REFUSED, "The connection to the mail server was lost", is_hopeless=True)

    def _send(self, sender: str, recipients: Sequence[str], message: bytes) -> Delivery:
        client = self._client or self._connected()
        self._client = client
        with self._deadline(client, TOTAL_SECONDS):
            try:
                self._offer(client, sender, recipients)
            except (smtplib.SMTPException, OSError, ValueError) as error:
                raise _ConnectionLost from error
            try:
                # a line that begins with a dot would end the mail
                client.send(re.sub(rb"(?m)^\.", b"..", message.rstrip(b"\r\n")) + b"\r\n.\r\n")
                code, _ = client.getreply()
            except (smtplib.SMTPException, OSError, ValueError) as error:
                self._drop()
                log.warning("mail server: %s after the mail was handed over", type(error).__name__)
                return Delivery(Outcome.UNKNOWN, f"The mail server did not answer; {PERHAPS}", is_hopeless=True)
        if code != 250:
            raise self._refused("The mail server refused the mail", code)
        return Delivery(Outcome.SENT)

    def _offer(self, client: smtplib.SMTP, sender: str, recipients: Sequence[str]) -> None:
        """Everything up to the mail itself. Raises _Refused, _ConnectionLost."""
        code, _ = client.mail(sender)
        if code != 250:
            self._give_up(client, code, "The mail server does not accept the sender's address", is_hopeless=True)
        for number, recipient in enumerate(recipients):
            code, _ = client.rcpt(recipient)
            if code not in (250, 251) and number == 0:
                self._give_up(client, code, "The mail server does not accept the recipient's address")
        code, _ = client.docmd("DATA")
        if code != 354:
            self._give_up(client, code, "The mail server refused the mail")

    def _give_up(self, client: smtplib.SMTP, code: int, text: str, *, is_hopeless: bool = False) -> None:
        if code in (-1, 421):
            raise _ConnectionLost
        client.rset()
        raise self._refused(text, code, is_hopeless=is_hopeless)

    def _refused(self, text: str, code: int, *, is_hopeless: bool = False) -> _Refused:
        log.warning("mail server: status %d", code)
        return _Refused(text, is_hopeless=is_hopeless)

    def _connected(self) -> smtplib.SMTP:
        """Greeted, encrypted and logged in. Raises _Refused."""
        if not self._server.is_readable:
            raise _Refused("The stored password of the mail server cannot be read", is_hopeless=True)
        text = f"The mail server cannot be reached{self._advice}"
        client: smtplib.SMTP | None = None
        try:
            client = self._new_client()
            with self._deadline(client, TOTAL_SECONDS):
                code, _ = client.connect(self._server.host, self._server.port)
                if code != 220:
                    raise smtplib.SMTPConnectError(code, "")
                assert client.sock is not None  # noqa: S101 - it is connected
                client.sock.settimeout(TOTAL_SECONDS)
                if self._server.secure == TLS:
                    text = f"No encrypted connection to the mail server could be made{self._advice}"
                    client.starttls(context=self._context())
                text = "The mail server refused the login"
                self._log_in(client)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            text = self._reason(error) or text
            log.warning("mail server: %s: %s", text, type(error).__name__)
            if client is not None:
                client.close()
            raise _Refused(text, is_hopeless=True) from None
        return client

    def _reason(self, error: Exception) -> str | None:
        """What some errors tell beyond the step at which they came."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return "The certificate of the mail server is not valid"
        if isinstance(error, ssl.SSLError):
            return f"No encrypted connection to the mail server could be made{self._advice}"
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code in _WANTS_TLS:
            return "The mail server wants encryption before the login; choose tls"
        return None

    def _new_client(self) -> smtplib.SMTP:
        if self._server.secure == SSL:
            client: smtplib.SMTP = smtplib.SMTP_SSL(timeout=CONNECT_SECONDS, context=self._context())
        else:
            client = smtplib.SMTP(timeout=CONNECT_SECONDS)
        # the name that certificates are checked against; given to the constructor it would connect, without a deadline
        client._host = self._server.host  # type: ignore[attr-defined]
        return client

    @property
    def _advice(self) -> str:
        """What people choose wrongly most often."""
        if self._server.port == _SSL_PORT and self._server.secure != SSL:
            return f"; port {_SSL_PORT} usually wants ssl"
        if self._server.port != _SSL_PORT and self._server.secure == SSL:
            return f"; ssl usually belongs to port {_SSL_PORT}, tls to others"
        return ""

    def _log_in(self, client: smtplib.SMTP) -> None:
        """By PLAIN, else by LOGIN. Raises smtplib.SMTPException."""
        password = self._server.password
        assert password is not None  # noqa: S101 - see _connected
        client.ehlo_or_helo_if_needed()
        # smtplib's own mechanisms ask the client for the two
        client.user, client.password = self._server.username, password.get_secret_value()
        offered = client.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            client.auth("PLAIN", client.auth_plain)
        elif "LOGIN" in offered:
            client.auth("LOGIN", client.auth_login)
        else:
            raise smtplib.SMTPNotSupportedError

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self._verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def _deadline(self, client: smtplib.SMTP, seconds: float) -> Iterator[None]:
        """End the connection after so many seconds: smtplib bounds single reads only."""

        def end() -> None:
            with suppress(OSError, AttributeError):
                client.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
