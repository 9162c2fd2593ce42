"""What a notification holds, as the panels' service workers read it. Source: contract chapter 70, "Payload"."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import orjson

from core.messages.placeholders import without_controls

_VALUE_CHARACTERS = 200
_LARGEST_PAYLOAD = 3000
_CUT_BODY = 300
_ICON, _BADGE = "/assets/icons/icon-192x192.png", "/assets/icons/icon-72x72.png"


@dataclass(frozen=True, slots=True)
class Message:
    """``tag`` is unique per event: a device shows a second message of one tag in place of the first. ``data``: of the
    click, with ``type`` and ``url``."""

    title: str
    body: str
    tag: str
    data: Mapping[str, str]

    @property
    def type(self) -> str:
        return self.data["type"]

    def stored(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**stored)

    def payload(self, milliseconds: int) -> bytes:
        """At most 3000 bytes of JSON."""
        whole = self._encoded(self.data, self.body, milliseconds)
        return whole if len(whole) <= _LARGEST_PAYLOAD else self.short_payload(milliseconds)

    def short_payload(self, milliseconds: int) -> bytes:
        """What a service gets that refused the whole as too large."""
        data = {key: value for key, value in self.data.items() if key in ("type", "url")}
        return self._encoded(data, self.body[:_CUT_BODY], milliseconds)

    def _encoded(self, data: Mapping[str, str], body: str, milliseconds: int) -> bytes:
        return orjson.dumps(
            {
                "title": self.title,
                "body": body,
                "icon": _ICON,
                "badge": _BADGE,
                # the workers make the notification's tag of it
                "type": self.tag,
                "tag": self.tag,
                "data": dict(data),
                "timestamp": milliseconds,
            }
        )


def shown_value(text: str) -> str:
    """``text`` as a message may hold it: one line of at most 200 characters."""
    return " ".join(without_controls(text).split())[:_VALUE_CHARACTERS]
