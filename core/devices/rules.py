"""What may be sent to a set-top box: events, channels, texts and devices as pure functions over values.

Source: contract chapter 50. Who may send is in :mod:`core.access.permissions`, the sending in :mod:`core.devices.send`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from core.errors import InvalidInput
from core.portal import EVENTS, PortalServer, normal_mac
from core.portal.server import CHANNEL_EVENTS
from core.values.checks import refuse_longer
from core.values.macs import EXPECTED_MAC
from core.values.numerals import folded

MESSAGE_CHARACTERS = 4000
LONGEST_TTL = 2**31 - 1
MAX_TARGETS = 500
PREVIEW_CHARACTERS = 100
_TARGET_CHARACTERS = 50
# the numbers of the oldest scripts
EVENT_CODES = {
    "1": "reboot",
    "2": "reload_portal",
    "3": "update_channels",
    "4": "play_channel",
    "5": "play_radio_channel",
    "6": "update_image",
    "7": "show_menu",
    "8": "cut_off",
}
_CHANNEL = re.compile(r"(?!0+$)[0-9]{1,6}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_STILL_ENCODED = re.compile(r"(?=.*%[0-9A-Fa-f]{2})[A-Za-z0-9\-_.~%+*'()!]+")


@dataclass(frozen=True, slots=True)
class Event:
    """One of the portal's events, with the channel number where it needs one."""

    name: str
    channel: str | None = None
    kind: ClassVar[str] = "event"
    full_text: ClassVar[None] = None

    @property
    def label(self) -> str:
        """As the log shows it."""
        return "Reboot Device" if self.name == "reboot" else self.name.replace("_", " ").title()

    @property
    def file_label(self) -> str:
        """As a log file may name it."""
        return f"event {self.name}"

    @property
    def facts(self) -> dict[str, Any]:
        """For the audit log."""
        return {"event": self.name} | ({"channel": self.channel} if self.channel else {})

    def send(self, server: PortalServer, mac: str, *, stock_form: bool = False) -> bool:
        """Returns whether the portal needed the stock form of channel events. Raises PortalError."""
        return server.send_event(mac, self.name, self.channel, stock_form=stock_form)


@dataclass(frozen=True, slots=True)
class Message:
    """A text for the screen; ``ttl`` in seconds, None: the portal's default."""

    text: str
    ttl: int | None = None
    kind: ClassVar[str] = "message"
    # never the text itself
    file_label: ClassVar[str] = "message"

    @property
    def full_text(self) -> str:
        return self.text

    @property
    def label(self) -> str:
        """As the log shows it."""
        return self.text if len(self.text) <= PREVIEW_CHARACTERS else self.text[: PREVIEW_CHARACTERS - 3] + "..."

    @property
    def facts(self) -> dict[str, Any]:
        """For the audit log."""
        return {"message": self.text}

    def send(self, server: PortalServer, mac: str, *, stock_form: bool = False) -> bool:
        """Raises PortalError."""
        server.send_message(mac, self.text, self.ttl)
        return False


Content = Event | Message


def checked_event(name: str, channel: str) -> Event:
    """Raises InvalidInput; ``channel`` only counts for the events that play one."""
    if name not in EVENTS:
        raise InvalidInput(f"Invalid event type; {{field}} is one of {', '.join(EVENTS)}", field="event")
    if name not in CHANNEL_EVENTS:
        return Event(name)
    channel = folded(channel)
    if channel in ("", "0"):
        raise InvalidInput.missing("channel", f"the number of the channel, for {name}")
    if not _CHANNEL.fullmatch(channel):
        raise InvalidInput.of("channel", "expected a number of 1 to 6 digits")
    return Event(name, channel)


def checked_message(text: str, ttl: int | None) -> Message:
    """Raises InvalidInput."""
    text = _CONTROL.sub("", text).strip()
    if not text:
        raise InvalidInput("Message is required")
    refuse_longer(text, "message", MESSAGE_CHARACTERS)
    if ttl is not None and not 1 <= ttl <= LONGEST_TTL:
        raise InvalidInput.of("ttl", "expected a whole number of seconds, at least 1")
    return Message(text, ttl)


def decoded_twice(text: str) -> str:
    """The text of old scripts, which encode it once more than a form does; any other text as it is."""
    if not _STILL_ENCODED.fullmatch(text):
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return text


def checked_mac(text: str) -> str:
    """``00:1A:79:00:00:01``. Raises InvalidInput; nothing but six octets ever gets into a portal's address."""
    if not text:
        raise InvalidInput("MAC address is required")
    mac = normal_mac(text)
    if mac is None:
        raise InvalidInput.of("mac", EXPECTED_MAC)
    return mac


def checked_targets(texts: Iterable[str]) -> list[str]:
    """The devices meant by ``texts``, each of which may name several with ``|``: MACs in their normal form, and once
    each what is none. Raises InvalidInput when there are none or too many."""
    items = [item.strip() for text in texts for item in text.split("|")]
    targets = list(dict.fromkeys(normal_mac(item) or item[:_TARGET_CHARACTERS] for item in items if item))
    if not targets:
        raise InvalidInput("MAC address is required")
    if len(targets) > MAX_TARGETS:
        raise InvalidInput(f"At most {MAX_TARGETS} devices can be addressed at once")
    return targets
