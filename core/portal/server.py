"""The calls that the panel makes to one portal server.

In which order servers are called, and what a failure does to money and local rows, is decided by the operations.
Source: contract chapter 90 §5, §6, §8.3, §9, §10 and chapter 50 ("send_stb_event").
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence

from core.portal import creating
from core.portal.account_list import list_accounts
from core.portal.accounts import (
    Field,
    NewPortalAccount,
    PortalAccount,
    PortalAccountList,
    changed_fields,
)
from core.portal.addresses import server_address
from core.portal.errors import (
    Outcome,
    PortalError,
    PortalInvalidInput,
    PortalSharedMac,
    PortalThemeFailed,
    PortalThemeUnsupported,
)
from core.portal.settings import ServerSettings
from core.portal.tariffs import Tariff, tariffs_of
from core.portal.wire.answers import accepted, deleted, require_status, require_theme_set, results_of
from core.portal.wire.asking import Asking, form
from core.portal.wire.identifiers import required_login, required_mac, segment
from core.portal.wire.transport import Call

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


class PortalServer(Asking):
    """One portal server; safe to share between threads, at most ``settings.concurrency`` calls at a time.

    Every method raises PortalError with ``outcome`` and ``server`` set. A value that could address anybody but the
    one account meant (no MAC, no login, ``0``, dots, commas) is refused with PortalInvalidInput before any request.
    None of them may be called inside a database transaction.
    """

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__(settings)
        self._theme_url = server_address(settings.address or settings.api_url) + _THEME_SCRIPT
        self._theme_missing_told = False

    @property
    def full_updates(self) -> bool:
        """Whether an edit is to send every field of the account, not only what changed."""
        return self.settings.full_updates

    def check(self) -> None:
        """Whether a portal with these credentials answers at all, whatever it answers.

        Raises PortalError (unreachable, timeout, TLS, authentication, HTTP status, invalid answer).
        """
        self.ask(self.call("check", "GET", "tariffs/"), require_status)

    def accounts(self, known: Sequence[PortalAccount] | None = None) -> PortalAccountList:
        """Every account of the portal; may take minutes (``list_seconds``).

        ``known``: of an earlier list; their names, tariffs and phones are not asked for again where nothing else of
        them has changed (see :mod:`core.portal.account_list`).
        """
        return list_accounts(self, known)

    def account_by_mac(self, mac: str, *, login: str | None = None) -> PortalAccount | None:
        """The account with this MAC; of several the one with this login, else the first. None if there is none."""
        found = self.accounts_by_mac(required_mac(mac))
        named = (account for account in found if login is not None and account.login.casefold() == login.casefold())
        return next(named, found[0] if found else None)

    def create_account(self, account: NewPortalAccount, *, adopting: Callable[[], None] = lambda: None) -> None:
        """Create ``account``; returns only if it is there.

        When the answer is missing or broken, the portal is asked for the account. It is there: success. Someone
        else's is there: PortalMacTaken (naming who has it) or PortalLoginTaken. Otherwise the first error is raised,
        its outcome NOT_DONE (answered, and the account is not there), NOT_SEEN (not answered, and not there yet) or
        UNKNOWN (the portal could not be asked). A box that was plugged in first, a user without login, becomes the
        account; ``adopting`` is called before that, and :meth:`release_box` undoes it.
        """
        creating.create(self, account, adopting)

    def release_box(self, account: NewPortalAccount) -> None:
        """Make the user without login of ``account`` again that :meth:`create_account` had adopted."""
        creating.release(self, account)

    def update_account(self, mac: str, changes: Mapping[str, Field], *, login: str | None = None) -> None:
        """Change exactly the given fields of the account: the portal's names; None empties, a date is an end date.

        ``stb_mac`` unbinds the device even if unchanged. Raises PortalAccountNotFound, PortalSharedMac.
        """
        fields = changed_fields(changes)
        self.do(self.call("update account", "PUT", self._path_of(mac, login), fields))

    def set_status(self, mac: str, on: bool, *, login: str | None = None) -> None:
        """Switch the account on or off. Raises PortalAccountNotFound, PortalSharedMac."""
        path = self._path_of(mac, login)
        self.do(self.call("set status", "PUT", path, {"status": "1" if on else "0"}, repeatable=True))

    def delete_account(self, mac: str, *, login: str | None = None) -> bool:
        """Delete the account; False if it was not there. Raises PortalSharedMac."""
        path = self._path_of(mac, login)
        return self.ask(self.call("delete account", "DELETE", path, repeatable=True), deleted)

    def tariffs(self) -> list[Tariff]:
        """The tariff plans of the portal."""
        call = self.call("list tariffs", "GET", "tariffs/")
        return self.ask(call, lambda answer, writing: tariffs_of(results_of(answer, writing)))

    def send_message(self, mac: str, text: str, ttl: int | None = None) -> None:
        """Queue ``text`` for the device; ``ttl`` in seconds, None: the portal's default. Queued is not delivered."""
        if not text:
            raise PortalInvalidInput("The message is empty")
        fields = {"msg": text}
        if ttl is not None:
            if ttl < 1:
                raise PortalInvalidInput("The lifetime of a message is at least one second")
            fields["ttl"] = str(ttl)
        self.do(self.call("send message", "POST", f"stb_msg/{segment(required_mac(mac))}", fields))

    def send_event(self, mac: str, event: str, channel: str | int | None = None, *, stock_form: bool = False) -> bool:
        """Queue one of EVENTS for the device; ``channel`` is the channel number of the two CHANNEL_EVENTS.

        A channel event goes out in the documented ``$`` form; a portal that answers that it did nothing gets the
        stock form (chapter 50), with ``stock_form`` at once. Returns whether the stock form was needed.
        """
        path = f"send_event/{segment(required_mac(mac))}"
        if event not in EVENTS:
            raise PortalInvalidInput("The event is not known")
        if event not in CHANNEL_EVENTS:
            self.do(self.call("send event", "POST", path, {"event": event}))
            return False
        number = str(channel).strip()
        if not _CHANNEL.fullmatch(number):
            raise PortalInvalidInput("The channel is not a channel number")
        documented = self.call("send event", "POST", path, f"event={event}$channel_number={number}")
        if not stock_form and self.ask(documented, accepted):
            return False
        self.do(self.call("send event, stock form", "POST", path, {"event": event, "channel": number}))
        return True

    def set_theme(self, login: str, theme: str) -> None:
        """Set the account's portal theme by the script beside the portal.

        Raises PortalThemeUnsupported where there is no such script, PortalThemeFailed when it does not say ``OK``.
        """
        key = self.settings.theme_key.get_secret_value()
        if not login or not theme:
            raise PortalInvalidInput("A theme needs a login and a theme name")
        if not key:
            raise PortalThemeFailed("The theme was not applied: no theme key is configured for this server")
        call = Call(
            "set theme",
            "POST",
            self._theme_url,
            seconds=self.settings.call_seconds,
            max_bytes=self.settings.call_bytes,
            body=form({"key": key, "login": login, "theme": theme}),
            authenticated=False,
        )
        try:
            self.ask(call, require_theme_set)
        except PortalThemeUnsupported:
            if not self._theme_missing_told:
                self._theme_missing_told = True
                log.warning("portal %s has no theme script; themes are not applied", self.name)
            raise

    def _path_of(self, mac: str, login: str | None) -> str:
        """Where a change reaches this account alone: a portal lets several have one MAC, and a call by MAC acts on all
        of them (90 §13 M1). Without a login nobody looks."""
        mac = required_mac(mac)
        try:
            same = [] if login is None else self.accounts_by_mac(mac)
        except PortalError as error:
            # only looked so far
            error.outcome = Outcome.NOT_DONE
            raise
        if login is None or len(same) < 2:
            return f"accounts/{segment(mac)}"
        if all(account.login.casefold() != login.casefold() for account in same):
            raise PortalSharedMac(outcome=Outcome.NOT_DONE)
        return f"users/{segment(required_login(login))}"
