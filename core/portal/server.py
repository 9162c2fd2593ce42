"""The calls that the panel makes to one portal server.

In which order servers are called, and what a failure does to money and local rows, is decided by the operations.
Source: contract chapter 90 §5, §6, §8.3, §9, §10 and chapter 50 ("send_stb_event").
"""

import logging
import re
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import urlencode

from core.portal.accounts import (
    Field,
    NewPortalAccount,
    PortalAccount,
    PortalAccountList,
    accounts_of,
    changed_fields,
)
from core.portal.addresses import api_address, server_address
from core.portal.answers import accepted, accounts_found, deleted, require_status, require_theme_set, results_of
from core.portal.errors import (
    Outcome,
    PortalAccountNotFound,
    PortalError,
    PortalHttpStatus,
    PortalInvalidAnswer,
    PortalInvalidInput,
    PortalLoginTaken,
    PortalMacTaken,
    PortalRefused,
    PortalSharedMac,
    PortalThemeFailed,
    PortalThemeUnsupported,
)
from core.portal.identifiers import required_login, required_mac, segment
from core.portal.settings import ServerSettings
from core.portal.tariffs import Tariff, tariffs_of
from core.portal.transport import Answer, Call, Transport

log = logging.getLogger(__name__)

CHANNEL_EVENTS = ("play_channel", "play_radio_channel")
EVENTS = (
    "reboot",
    "reload_portal",
    "update_channels",
    *CHANNEL_EVENTS,
    "update_image",
    "show_menu",
    "cut_off",
)
_CHANNEL = re.compile(r"(?!0+$)[0-9]{1,6}")
_THEME_SCRIPT = "stalker_portal/update_account.php"
_GATEWAY_FAILURES = (502, 503, 504)

T = TypeVar("T")


class PortalServer:
    """One portal server; safe to share between threads, at most ``settings.concurrency`` calls at a time.

    Every method raises PortalError with ``outcome`` and ``server`` set. A value that could address anybody but the
    one account meant (no MAC, no login, ``0``, dots, commas) is refused with PortalInvalidInput before any request.
    None of them may be called inside a database transaction.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._base = api_address(settings.api_url)
        self._theme_url = server_address(settings.address or settings.api_url) + _THEME_SCRIPT
        self._transport = Transport(settings)
        self._theme_missing_told = False

    @property
    def name(self) -> str:
        """``server 1`` or ``server 2``."""
        return self._settings.name

    @property
    def full_updates(self) -> bool:
        """Whether an edit is to send every field of the account, not only what changed."""
        return self._settings.full_updates

    def close(self) -> None:
        """Close idle connections; calls under way finish on their own."""
        self._transport.close()

    def check(self) -> None:
        """Whether a portal with these credentials answers at all, whatever it answers.

        Raises PortalError (unreachable, timeout, TLS, authentication, HTTP status, invalid answer).
        """
        self._ask(self._call("check", "GET", "tariffs/"), require_status)

    def accounts(self) -> PortalAccountList:
        """Every account of the portal; may take minutes (``list_seconds``)."""
        call = Call(
            "list accounts",
            "GET",
            self._base + "accounts/",
            seconds=self._settings.list_seconds,
            max_bytes=self._settings.list_bytes,
            repeatable=True,
        )
        return self._ask(call, lambda answer, writing: accounts_of(results_of(answer, writing)))

    def account_by_mac(self, mac: str, *, login: str | None = None) -> PortalAccount | None:
        """The account with this MAC; of several the one with this login, else the first. None if there is none."""
        found = self._accounts_by_mac(required_mac(mac))
        named = (account for account in found if login is not None and account.login.casefold() == login.casefold())
        return next(named, found[0] if found else None)

    def account_by_login(self, login: str) -> PortalAccount | None:
        """The account with this login; its MAC may be empty. None if there is none."""
        login = required_login(login)
        found = self._lookup("look up login", f"users/{segment(login)}")
        return next((account for account in found if account.login.casefold() == login.casefold()), None)

    def create_account(self, account: NewPortalAccount) -> None:
        """Create ``account``; returns only if it is there.

        When the answer is missing or broken, the portal is asked for the account. It is there: success. Someone
        else's is there: PortalMacTaken or PortalLoginTaken. Otherwise the first error is raised, its outcome
        NOT_DONE (answered, and the account is not there), NOT_SEEN (not answered, and not there yet) or UNKNOWN
        (the portal could not be asked).
        """
        call = self._call("create account", "POST", "accounts/", account.fields())
        try:
            self._do(call)
        except PortalError as error:
            if error.outcome is not Outcome.UNKNOWN:
                raise
            self._look_for(account, error)

    def update_account(self, mac: str, changes: Mapping[str, Field], *, login: str | None = None) -> None:
        """Change exactly the given fields of the account: the portal's names; None empties, a date is an end date.

        ``stb_mac`` unbinds the device even if unchanged. Raises PortalAccountNotFound, PortalSharedMac.
        """
        fields = changed_fields(changes)
        self._do(self._call("update account", "PUT", self._path_of(mac, login), fields))

    def set_status(self, mac: str, on: bool, *, login: str | None = None) -> None:
        """Switch the account on or off. Raises PortalAccountNotFound, PortalSharedMac."""
        path = self._path_of(mac, login)
        self._do(self._call("set status", "PUT", path, {"status": "1" if on else "0"}, repeatable=True))

    def delete_account(self, mac: str, *, login: str | None = None) -> bool:
        """Delete the account; False if it was not there. Raises PortalSharedMac."""
        path = self._path_of(mac, login)
        return self._ask(self._call("delete account", "DELETE", path, repeatable=True), deleted)

    def tariffs(self) -> list[Tariff]:
        """The tariff plans of the portal."""
        call = self._call("list tariffs", "GET", "tariffs/")
        return self._ask(call, lambda answer, writing: tariffs_of(results_of(answer, writing)))

    def send_message(self, mac: str, text: str, ttl: int | None = None) -> None:
        """Queue ``text`` for the device; ``ttl`` in seconds, None: the portal's default. Queued is not delivered."""
        if not text:
            raise PortalInvalidInput("The message is empty")
        fields = {"msg": text}
        if ttl is not None:
            if ttl < 1:
                raise PortalInvalidInput("The lifetime of a message is at least one second")
            fields["ttl"] = str(ttl)
        self._do(self._call("send message", "POST", f"stb_msg/{segment(required_mac(mac))}", fields))

    def send_event(self, mac: str, event: str, channel: str | int | None = None, *, stock_form: bool = False) -> bool:
        """Queue one of EVENTS for the device; ``channel`` is the channel number of the two CHANNEL_EVENTS.

        A channel event goes out in the documented ``$`` form; a portal that answers that it did nothing gets the
        stock form (chapter 50), with ``stock_form`` at once. Returns whether the stock form was needed.
        """
        path = f"send_event/{segment(required_mac(mac))}"
        if event not in EVENTS:
            raise PortalInvalidInput("The event is not known")
        if event not in CHANNEL_EVENTS:
            self._do(self._call("send event", "POST", path, {"event": event}))
            return False
        number = str(channel).strip()
        if not _CHANNEL.fullmatch(number):
            raise PortalInvalidInput("The channel is not a channel number")
        documented = self._call("send event", "POST", path, f"event={event}$channel_number={number}")
        if not stock_form and self._ask(documented, accepted):
            return False
        self._do(self._call("send event, stock form", "POST", path, {"event": event, "channel": number}))
        return True

    def set_theme(self, login: str, theme: str) -> None:
        """Set the account's portal theme by the script beside the portal.

        Raises PortalThemeUnsupported where there is no such script, PortalThemeFailed when it does not say ``OK``.
        """
        key = self._settings.theme_key.get_secret_value()
        if not login or not theme:
            raise PortalInvalidInput("A theme needs a login and a theme name")
        if not key:
            raise PortalThemeFailed("The theme was not applied: no theme key is configured for this server")
        call = Call(
            "set theme",
            "POST",
            self._theme_url,
            seconds=self._settings.call_seconds,
            max_bytes=self._settings.call_bytes,
            body=_form({"key": key, "login": login, "theme": theme}),
            authenticated=False,
        )
        try:
            self._ask(call, require_theme_set)
        except PortalThemeUnsupported:
            if not self._theme_missing_told:
                self._theme_missing_told = True
                log.warning("portal %s has no theme script; themes are not applied", self.name)
            raise

    def _look_for(self, account: NewPortalAccount, failure: PortalError) -> None:
        """Whether the creation that ended in ``failure`` took place: returns if so, else raises."""
        late = _may_still_run(failure)
        try:
            created = self._is_there(account)
            if not created and late:
                sleep(self._settings.settle_seconds)
                created = self._is_there(account)
        except (PortalMacTaken, PortalLoginTaken) as error:
            error.server = self.name
            raise
        except PortalError:
            raise failure from None
        if not created:
            failure.outcome = Outcome.NOT_SEEN if late else Outcome.NOT_DONE
            raise failure
        log.warning("portal %s: create account: it is there although the call failed", self.name)

    def _is_there(self, account: NewPortalAccount) -> bool:
        """Raises PortalMacTaken or PortalLoginTaken when another account stands in its way."""
        same_mac = self._accounts_by_mac(required_mac(account.mac))
        if any(account.is_stored_as(found) for found in same_mac):
            return True
        if same_mac:
            raise PortalMacTaken
        if self.account_by_login(account.login) is not None:
            raise PortalLoginTaken
        return False

    def _path_of(self, mac: str, login: str | None) -> str:
        """Where a change reaches this account alone: a portal lets several have one MAC, and a call by MAC acts on all
        of them (90 §13 M1). Without a login nobody looks."""
        mac = required_mac(mac)
        try:
            same = [] if login is None else self._accounts_by_mac(mac)
        except PortalError as error:
            # only looked so far
            error.outcome = Outcome.NOT_DONE
            raise
        if login is None or len(same) < 2:
            return f"accounts/{segment(mac)}"
        if all(account.login.casefold() != login.casefold() for account in same):
            raise PortalSharedMac(outcome=Outcome.NOT_DONE)
        return f"users/{segment(required_login(login))}"

    def _accounts_by_mac(self, mac: str) -> list[PortalAccount]:
        found = self._lookup("look up MAC", f"accounts/{segment(mac)}")
        return [account for account in found if account.mac == mac]

    def _lookup(self, operation: str, path: str) -> list[PortalAccount]:
        try:
            return self._ask(self._call(operation, "GET", path), accounts_found)
        except PortalAccountNotFound:
            return []

    def _do(self, call: Call) -> None:
        self._ask(call, results_of)

    def _ask(self, call: Call, read: Callable[[Answer, bool], T]) -> T:
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

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, str] | str | None = None,
        *,
        repeatable: bool = False,
    ) -> Call:
        return Call(
            operation,
            method,
            self._base + path,
            seconds=self._settings.call_seconds,
            max_bytes=self._settings.call_bytes,
            body=_form(body) if isinstance(body, Mapping) else body,
            repeatable=repeatable or method == "GET",
        )


def _may_still_run(failure: PortalError) -> bool:
    """Whether the portal may still be at work on a call that ended so for us."""
    if isinstance(failure, PortalHttpStatus):
        return failure.http_status in _GATEWAY_FAILURES
    return not isinstance(failure, PortalInvalidAnswer | PortalRefused)


def _form(fields: Mapping[str, str]) -> str:
    try:
        return urlencode(fields, encoding="utf-8")
    except UnicodeEncodeError:
        raise PortalInvalidInput("The text holds characters that cannot be sent") from None
