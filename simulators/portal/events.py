"""The resources ``stb_msg`` and ``send_event``: what is queued for the boxes."""

from collections.abc import Mapping

from simulators.php import PhpValue, scalar, to_int, truthy
from simulators.portal.calls import Action, ResourceCall
from simulators.portal.columns import text_column
from simulators.portal.errors import PortalRefusal
from simulators.portal.identifiers import find_boxes
from simulators.portal.settings import PortalSettings
from simulators.portal.state import Event, PortalState, User

EVENT_TTL = 2 * 120
MESSAGE_TTL = 7 * 24 * 3600

_PLAIN = frozenset({"reboot", "reload_portal", "update_channels", "update_image", "cut_off", "show_menu"})
_CHANNEL = frozenset({"play_channel", "play_radio_channel"})


# as the queue calls them
_QUEUED_AS = {"update_channels": "update_subscription"}


def _ttl(fields: Mapping[str, PhpValue], default: int) -> int:
    """A negative one is taken as it is."""
    return to_int(scalar(fields, "ttl")) or default


class _Boxes:
    """What addresses boxes: without identifier, all of them."""

    def __init__(self, state: PortalState, settings: PortalSettings) -> None:
        self.state = state
        self.settings = settings

    def _addressed(self, call: ResourceCall, none_found: str) -> list[User]:
        if call.identifiers is None:
            return list(self.state.users.values())
        users = find_boxes(self.state, call.identifiers)
        if not users:
            raise PortalRefusal(none_found)
        return users

    def _text(self, fields: Mapping[str, PhpValue], name: str) -> str:
        return text_column(self.settings, name, scalar(fields, name))


class Messages(_Boxes):
    """``stb_msg``"""

    @property
    def actions(self) -> Mapping[str, Action]:
        return {"create": self.create}

    def create(self, call: ResourceCall) -> object:
        users = self._addressed(call, "Empty stb list")
        if not users:
            raise PortalRefusal("Empty stb list")
        if not truthy(scalar(call.fields, "msg")):
            raise PortalRefusal("Empty msg")
        message = Event(
            uid=0,
            event="send_msg",
            msg=self._text(call.fields, "msg"),
            ttl=_ttl(call.fields, MESSAGE_TTL),
            need_confirm=1,
            auto_hide_timeout=to_int(scalar(call.fields, "auto_hide_timeout")),
        )
        self.state.queue(users, message)
        return True


class Events(_Boxes):
    """``send_event``"""

    @property
    def actions(self) -> Mapping[str, Action]:
        return {"create": self.create}

    def create(self, call: ResourceCall) -> object:
        users = self._addressed(call, "STB not found")
        event = self._event(self._spelled_out(call.fields))
        if event is None:
            return False
        self.state.queue(users, event)
        return True

    def _spelled_out(self, fields: Mapping[str, PhpValue]) -> Mapping[str, PhpValue]:
        """The documented form ``play_channel$channel_number=123``, which only the panel's own portal reads."""
        name, *parameters = scalar(fields, "event").split("$")
        if not parameters or not self.settings.is_panel:
            return fields
        extra = dict(parameter.partition("=")[::2] for parameter in parameters)
        return {**fields, "event": name, "channel": extra.get("channel_number", "")}

    def _event(self, fields: Mapping[str, PhpValue]) -> Event | None:
        """None if there is no such event."""
        name = scalar(fields, "event")
        if name in _PLAIN:
            return Event(uid=0, event=_QUEUED_AS.get(name, name), ttl=_ttl(fields, EVENT_TTL))
        if name in _CHANNEL:
            return Event(uid=0, event=name, msg=self._text(fields, "channel"), ttl=_ttl(fields, EVENT_TTL))
        if name not in ("send_msg", "send_msg_with_video"):
            return None
        with_video = name == "send_msg_with_video"
        return Event(
            uid=0,
            event=name,
            msg=self._text(fields, "msg"),
            ttl=_ttl(fields, MESSAGE_TTL),
            need_confirm=1,
            need_reboot=0 if with_video else int(truthy(scalar(fields, "need_reboot"))),
            video=self._text(fields, "video") if with_video else "",
        )
