"""Asking one portal server: calls below its API's base, what becomes of them, and the looks at single accounts.

What may be asked for, and in which order, is known to :mod:`core.portal.server` and its neighbours.
"""

import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlencode

from core.portal.accounts import PortalAccount
from core.portal.addresses import api_address
from core.portal.errors import PortalAccountNotFound, PortalError, PortalInvalidInput
from core.portal.settings import ServerSettings
from core.portal.wire.answers import accounts_found, record_found, results_of
from core.portal.wire.identifiers import required_login, segment
from core.portal.wire.transport import Answer, Call, Transport

log = logging.getLogger(__name__)

T = TypeVar("T")


class Asking:
    """The way to one portal server; safe to share between threads. Every method raises PortalError with ``outcome``
    and ``server`` set."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._base = api_address(settings.api_url)
        self._transport = Transport(settings)

    @property
    def name(self) -> str:
        """``server 1`` or ``server 2``."""
        return self.settings.name

    def close(self) -> None:
        """Close idle connections; calls under way finish on their own."""
        self._transport.close()

    def do(self, call: Call) -> None:
        """Carry out ``call``, which the portal must confirm."""
        self.ask(call, results_of)

    def ask(self, call: Call, read: Callable[[Answer, bool], T]) -> T:
        """What ``read`` makes of the answer and of whether the call was to change something."""
        start = monotonic()
        try:
            value = read(self._transport.send(call), call.writing)
        except PortalError as error:
            error.server = self.name
            outcome = f"{type(error).__name__}, {error.outcome.name}"
            log.warning("portal %s: %s: %s, %.3f s", self.name, call.operation, outcome, monotonic() - start)
            raise
        log.info("portal %s: %s: done, %.3f s", self.name, call.operation, monotonic() - start)
        return value

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, str] | str | None = None,
        *,
        repeatable: bool = False,
    ) -> Call:
        """A call of the API; ``body``: fields, or a form as it is."""
        return Call(
            operation,
            method,
            self._base + path,
            seconds=self.settings.call_seconds,
            max_bytes=self.settings.call_bytes,
            body=form(body) if isinstance(body, Mapping) else body,
            repeatable=repeatable or method == "GET",
        )

    def list_call(self, operation: str, path: str) -> Call:
        """A call for a list of everything, which takes its time."""
        return Call(
            operation,
            "GET",
            self._base + path,
            seconds=self.settings.list_seconds,
            max_bytes=self.settings.list_bytes,
            repeatable=True,
        )

    def accounts_by_mac(self, mac: str) -> list[PortalAccount]:
        """All accounts with this MAC, those without a login included."""
        found = self._lookup("look up MAC", f"accounts/{segment(mac)}")
        return [account for account in found if account.mac == mac]

    def account_by_login(self, login: str) -> PortalAccount | None:
        """The account with this login; its MAC may be empty. None if there is none."""
        login = required_login(login)
        found = self._lookup("look up login", f"users/{segment(login)}")
        return next((account for account in found if account.login.casefold() == login.casefold()), None)

    def record_of(self, login: str) -> Mapping[str, Any]:
        """All that the portal tells of the account with this login. Raises PortalAccountNotFound."""
        call = self.call("look up record", "GET", f"users/{segment(required_login(login))}")
        return self.ask(call, record_found)

    def _lookup(self, operation: str, path: str) -> list[PortalAccount]:
        try:
            return self.ask(self.call(operation, "GET", path), accounts_found)
        except PortalAccountNotFound:
            return []


def form(fields: Mapping[str, str]) -> str:
    """``fields`` as a body. Raises PortalInvalidInput for what is no text of Unicode."""
    try:
        return urlencode(fields, encoding="utf-8")
    except UnicodeEncodeError:
        raise PortalInvalidInput("The text holds characters that cannot be sent") from None
