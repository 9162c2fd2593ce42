"""The named failures of a portal call, and the cleaning of the portal's own error texts.

Which failure arises from what on the wire is decided in ``transport`` and ``answers``.
"""

import re
from enum import Enum, auto
from typing import ClassVar, Self

from core.errors import AlreadyExists, InvalidInput, NotFound, PanelError, UpstreamFailed
from core.values.escaping import plain

UNKNOWN_ERROR = "Unknown error"
MAX_TEXT = 200


class Outcome(Enum):
    """What is known about the effect of a failed call (an effect known to be there is no failure)."""

    NOT_DONE = auto()
    """Certainly without effect; also every failure of a read."""
    NOT_SEEN = auto()
    """The answer did not come in time; a look at the portal did not find the effect, but it may still follow."""
    UNKNOWN = auto()
    """May have happened or not."""


class PortalError(PanelError):
    """A failed portal call.

    ``text`` is for the reseller: never SQL, markup, a path, an address or a secret. ``outcome`` says what became of
    the effect, ``server`` which server it was (``server 1``, ``server 2``; empty when none was asked). ``answered``:
    the portal refused it in its own words, perhaps after it had done the first part of it (90 §13 M8).
    """

    _words: ClassVar[str | None] = UNKNOWN_ERROR

    def __init__(self, text: str | None = None, *, outcome: Outcome = Outcome.NOT_DONE) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.server = ""
        self.answered = False

    @property
    def device_text(self) -> str:
        """The text that the device endpoints put behind their prefix (chapter 50, R4).

        The portal's own words, else one of ``Connection refused``, ``Connection timed out``, ``Unknown error``,
        for which the frontends search.
        """
        return self.text if self._words is None else self._words


class PortalNotConfigured(PortalError, UpstreamFailed):
    default_text = "The portal is not configured"


class PortalUnreachable(PortalError, UpstreamFailed):
    """No connection, or one that was lost before the answer."""

    _words = "Connection refused"
    default_text = "Connection refused"


class PortalTlsFailed(PortalUnreachable):
    default_text = "The portal's TLS certificate could not be verified"


class PortalTimeout(PortalError, UpstreamFailed):
    _words = "Connection timed out"
    default_text = "Connection timed out"


class PortalAuthentication(PortalError, UpstreamFailed):
    _words = "401 Unauthorized request"
    default_text = "The portal refused its API user name or password"


class PortalSwitchedOff(PortalError, UpstreamFailed):
    default_text = "The portal's API is switched off"


class PortalHttpStatus(PortalError, UpstreamFailed):
    """An HTTP status other than 200 that has no meaning in the portal's API, a redirect included."""

    def __init__(self, status: int, *, outcome: Outcome = Outcome.NOT_DONE) -> None:
        super().__init__(f"The portal answered with HTTP status {status}", outcome=outcome)
        self.http_status = status


class PortalInvalidAnswer(PortalError, UpstreamFailed):
    """Empty, cut, too large, not HTTP, not JSON, or JSON of another shape."""

    default_text = "The portal gave an invalid answer"


class PortalRefused(PortalError, UpstreamFailed):
    """The portal answered that it did not do it; ``text`` is the portal's, if it can be shown."""

    _words = None
    default_text = UNKNOWN_ERROR


class PortalAccountNotFound(PortalError, NotFound):
    _words = None
    default_text = "Account not found"


class PortalLoginTaken(PortalError, AlreadyExists):
    _words = None
    default_text = "Login already in use"


class PortalMacTaken(PortalError, AlreadyExists):
    _words = None
    default_text = "MAC address already in use"


class PortalSharedMac(PortalError, UpstreamFailed):
    """Several accounts have the MAC, and which one is meant cannot be told: a call by MAC would act on all."""

    default_text = "The portal has several accounts with this MAC address; set them right there first"


class PortalOtherAccount(PortalError, UpstreamFailed):
    """Nobody has the login, and another account has the MAC: it is somebody else's box now, or was renamed."""

    default_text = "The portal has another account with this MAC address now; synchronise the accounts first"

    @classmethod
    def named(cls, login: str) -> Self:
        return cls(f"The portal has this MAC address for the account {login} now; synchronise the accounts first")


class PortalInvalidInput(PortalError, InvalidInput):
    """A value that the portal refused, or that was refused here before any request was made."""

    _words = None


class PortalThemeFailed(PortalError, UpstreamFailed):
    """The theme script did not answer ``OK``; its own words are not known and never passed on."""

    default_text = "The portal did not accept the theme"


class PortalThemeUnsupported(PortalThemeFailed):
    """The portal has no theme script, as every stock portal."""

    default_text = "The theme was not applied: the portal has no theme script"


_REFUSALS: dict[str, type[PortalError]] = {
    "account not found": PortalAccountNotFound,
    "stb not found": PortalAccountNotFound,
    "empty stb list": PortalAccountNotFound,
    "login already in use": PortalLoginTaken,
    "mac address already in use": PortalMacTaken,
    "not valid mac address": PortalInvalidInput,
    "login required": PortalInvalidInput,
    "insert data is empty": PortalInvalidInput,
    "only one identifier allowed": PortalInvalidInput,
    "one or more identifiers are incorrect": PortalInvalidInput,
    "empty msg": PortalInvalidInput,
}

# what strict SQL modes say of a value, and which value they mean
_NOT_STORED = re.compile(
    r"(?:incorrect string value|data too long|incorrect date(?:time)? value).*?\bcolumn\b(?P<names>.*?)\bat row\b",
    re.IGNORECASE | re.DOTALL,
)
_VALUES = {
    "fname": "name",
    "full_name": "name",
    "phone": "phone number",
    "ls": "account number",
    "account_number": "account number",
    "login": "login",
    "end_date": "date",
    "expire_billing_date": "date",
    "comment": "comment",
    "msg": "message",
}

_INTERNALS = re.compile(
    r"""
      mysql | mariadb | sqlstate | \bpdo\b | \bquery\b | \bsyntax\b | \bcolumn\b | \bvarchar\b
    | \b(?:select|insert|update|delete|replace)\b .* \b(?:from|into|set|where|values)\b
    | duplicate\ entry | stack\ ?trace | \b(?:fatal|warning|notice|exception)\b | \bon\ line\ \d
    | ://                                   # addresses
    | (?:^|[\s'"(=:,;])[/\\]+\w             # paths
    | \w[/\\]\w+[/\\.]\w | [a-z]:\\
    | \.php\b | \blocalhost\b
    | (?:\d{1,3}\.){3}\d{1,3}
    | \b(?:[a-z0-9-]+\.)+[a-z]{2,}\b        # host names
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_SHORT_RUN = re.compile(r"\s+")


def clean_text(text: object) -> str | None:
    """The portal's error text if a reseller may read it: at most 200 characters, without SQL, markup, path, address.

    None if not.
    """
    if not isinstance(text, str):
        return None
    text = _SHORT_RUN.sub(" ", text).strip()
    if not text or len(text) > MAX_TEXT or plain(text) != text or not text.isprintable():
        return None
    return None if _INTERNALS.search(text) else text


def refusal(text: object, writing: bool) -> PortalError:
    """The named failure for the ``error`` text of an answer with status ERROR.

    A text that cannot be shown is a failure inside the portal, possibly half way through: outcome unknown.
    """
    shown = clean_text(text)
    unstored = _NOT_STORED.search(text) if isinstance(text, str) else None
    if unstored is not None:
        column = re.findall(r"\w+", unstored["names"].lower())[-1:]
        value = _VALUES.get("".join(column), "text")
        refused: PortalError = PortalInvalidInput(f"The portal cannot store this {value}")
    elif shown is None:
        half_way = writing and isinstance(text, str) and text.strip() != ""
        refused = PortalRefused(outcome=Outcome.UNKNOWN if half_way else Outcome.NOT_DONE)
    else:
        refused = _REFUSALS.get(shown.lower(), PortalRefused)(shown)
    refused.answered = True
    return refused
