"""The calls that the panel makes to one portal server.

In which order servers are called, and what a failure does to money and local rows, is decided by the operations.
Source: contract chapter 90 §5, §6, §8.3, §9, §10 and chapter 50 ("send_stb_event").
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from core.portal import creating
from core.portal.account_list import Report, list_accounts
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
    PortalAccountNotFound,
    PortalError,
    PortalInvalidInput,
    PortalOtherAccount,
    PortalSharedMac,
    PortalThemeFailed,
    PortalThemeUnsupported,
)
from core.portal.settings import ServerSettings
from core.portal.stored_form import is_same_text, unexecuted
from core.portal.tariffs import Tariff, tariffs_of
from core.portal.wire.answers import accepted, deleted, require_tariffs, require_theme_set, results_of
from core.portal.wire.asking import Asking, form
from core.portal.wire.identifiers import required_login, required_mac, segment
from core.portal.wire.transport import Answer, Call
from core.portal.wire.values import records_with
from core.values.escaping import plain, quotable

T = TypeVar("T")
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
        """Whether a portal with these credentials answers, and lists its tariffs.

        Raises PortalError (unreachable, timeout, TLS, authentication, HTTP status, invalid answer, refused).
        """
        self.ask(self.call("check", "GET", "tariffs/"), require_tariffs)

    def accounts(
        self, known: Sequence[PortalAccount] | None = None, report: Report = lambda had, asked: None
    ) -> PortalAccountList:
        """Every account of the portal; may take minutes (``list_seconds``).

        ``known``: of an earlier list; their names, tariffs and phones are not asked for again where nothing else of
        them has changed (see :mod:`core.portal.account_list`). ``report``: how many details were had, and how many
        are asked for.
        """
        return list_accounts(self, known, report)

    def account_by_mac(self, mac: str, *, login: str | None = None) -> PortalAccount | None:
        """The account with this login, else the first with this MAC. None where nobody has the MAC in any spelling."""
        mac = required_mac(mac)
        found = self.accounts_by_mac(mac)
        if login is None:
            return found[0] if found else None
        return self._meant(mac, login, found) or (found[0] if found else None)

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

        ``stb_mac`` unbinds the device even if unchanged. Raises PortalAccountNotFound, PortalSharedMac,
        PortalOtherAccount.
        """
        fields = changed_fields(changes)
        path = self._path_of(mac, login, is_renamed="login" in fields)
        self.do(self.call("update account", "PUT", path, fields))

    def set_status(self, mac: str, on: bool, *, login: str | None = None) -> None:
        """Switch the account on or off. Raises PortalAccountNotFound, PortalSharedMac,
        PortalOtherAccount."""
        path = self._path_of(mac, login)
        self.do(self.call("set status", "PUT", path, {"status": "1" if on else "0"}, repeatable=True))

    def delete_account(self, mac: str, *, login: str | None = None) -> bool:
        """Delete the account; False if it was not there. Raises PortalSharedMac, PortalOtherAccount."""
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
        fields = {"msg": unexecuted(text)}
        if ttl is not None:
            if ttl < 1:
                raise PortalInvalidInput("The lifetime of a message is at least one second")
            fields["ttl"] = str(ttl)
        self._do_for_box(lambda box: self.call("send message", "POST", f"stb_msg/{box}", fields), mac, results_of)

    def send_event(self, mac: str, event: str, channel: str | int | None = None, *, stock_form: bool = False) -> bool:
        """Queue one of EVENTS for the device; ``channel`` is the channel number of the two CHANNEL_EVENTS.

        A channel event goes out in the documented ``$`` form; a portal that answers that it did nothing gets the
        stock form (chapter 50), with ``stock_form`` at once. Returns whether the stock form was needed.
        """
        if event not in EVENTS:
            raise PortalInvalidInput("The event is not known")

        def call(body: Mapping[str, str] | str, operation: str = "send event") -> Callable[[str], Call]:
            return lambda box: self.call(operation, "POST", f"send_event/{box}", body)

        if event not in CHANNEL_EVENTS:
            self._do_for_box(call({"event": event}), mac, results_of)
            return False
        number = str(channel).strip()
        if not _CHANNEL.fullmatch(number):
            raise PortalInvalidInput("The channel is not a channel number")
        documented = f"event={event}$channel_number={number}"
        if not stock_form and self._do_for_box(call(documented), mac, accepted):
            return False
        stock = {"event": event, "channel": number}
        self._do_for_box(call(stock, "send event, stock form"), mac, results_of)
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
            body=form({"key": key, "login": login, "theme": unexecuted(theme)}),
            authenticated=False,
        )
        try:
            self.ask(call, require_theme_set)
        except PortalThemeUnsupported:
            if not self._theme_missing_told:
                self._theme_missing_told = True
                log.warning("portal %s has no theme script; themes are not applied", self.name)
            raise

    def _path_of(self, mac: str, login: str | None, *, is_renamed: bool = False) -> str:
        """Where a change reaches this account alone: a portal lets several have one MAC, and a call by MAC acts on all
        of them (90 §13 M1); one that has its MAC in another spelling is not found by it (M11). ``is_renamed``: what
        has the MAC may have another login. Without a login nobody looks."""
        mac = required_mac(mac)
        if login is None:
            return f"accounts/{segment(mac)}"
        try:
            return self._found_path(mac, login, is_renamed=is_renamed)
        except PortalError as error:
            # only looked so far
            error.outcome, error.server = Outcome.NOT_DONE, self.name
            raise

    def _found_path(self, mac: str, login: str, *, is_renamed: bool) -> str:
        same = self.accounts_by_mac(mac)
        meant = self._meant(mac, login, same)
        if meant is not None and [meant] != same:
            return f"users/{segment(required_login(meant.login))}"
        if meant is None and len(same) > 1:
            raise PortalSharedMac
        if meant is None and same and same[0].login and not is_renamed:
            raise PortalOtherAccount.named(quotable(same[0].login))
        return f"accounts/{segment(mac)}"

    def _meant(self, mac: str, login: str, same: Sequence[PortalAccount]) -> PortalAccount | None:
        """The account with this login: of the ``same`` MAC, with that in another spelling or, where the box is another
        one's now, with whatever box; None also where no path can name it."""
        found = _first_with(login, same)
        if found is not None:
            return found
        try:
            found = self.account_by_login(login)
        except PortalInvalidInput:
            return None
        return found if found is not None and (same or found.mac == mac) else None

    def _do_for_box(self, call: Callable[[str], Call], mac: str, read: Callable[[Answer, bool], T]) -> T:
        """``call`` for the box with this MAC; a portal that does not find it may have it with dashes (90 §13 M11)."""
        mac = required_mac(mac)
        try:
            return self.ask(call(segment(mac)), read)
        except PortalAccountNotFound:
            dashed = segment(mac.replace(":", "-"))
            if not self._has_box(dashed):
                raise
        return self.ask(call(dashed), read)

    def _has_box(self, spelled: str) -> bool:
        """False also where that cannot be seen."""
        look = self.call("look up box", "GET", f"stb/{spelled}")
        try:
            return bool(self.ask(look, lambda answer, writing: records_with(results_of(answer, writing), "mac")))
        except PortalError:
            return False


def _first_with(login: str, accounts: Iterable[PortalAccount]) -> PortalAccount | None:
    """The first whose login is ``login`` as we keep it, or what the portal made of that."""
    wanted = login.casefold()
    return next((account for account in accounts if is_same_text(plain(account.login).casefold(), wanted)), None)
