"""Events and messages for set-top boxes, and the log of them (contract chapter 50)."""

import html
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from compat.endpoints import WAITS, Answer, Endpoints
from compat.fields import RequestModel, Text, trimmed
from core.access.permissions import (
    READ_STB_LOG,
    SEND_EVENTS,
    SEND_EVENTS_AS_BEFORE,
    SEND_MESSAGES,
    SEND_MESSAGES_AS_BEFORE,
)
from core.devices.log import PER_PAGE, LogPage, LogRow, Wanted, read_log, relative
from core.devices.rules import EVENT_CODES, checked_event, checked_message, checked_targets, decoded_twice
from core.devices.send import Sent
from core.devices.send import send_event as core_send_event
from core.devices.send import send_message as core_send_message
from core.devices.send_many import Report, send_to_many
from core.values import sinks
from core.values.clock import shown as shown_moment
from core.values.numerals import folded
from legacy_routes.forms import Number, PageNumber
from legacy_routes.gate import Call, by, caller, having
from legacy_routes.server2 import told_of_server2
from legacy_routes.warnings import unrecorded, warned

endpoints = Endpoints(chapter="50")

CHANNEL = AliasChoices("channel_id", "channel_number", "channel")


def _texts(value: object) -> tuple[str, ...]:
    """A text, or a list of them."""
    return tuple(trimmed(item) for item in value) if isinstance(value, list) else (trimmed(value),)


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class EventForm(RequestModel):
    mac: Text = ""
    event: Text = ""
    channel: Text = Field("", validation_alias=CHANNEL)


@endpoints.endpoint("send_stb_event", "POST", who=having(SEND_EVENTS), model=EventForm, manners=WAITS)
def send_stb_event(call: Call, form: EventForm) -> Answer:
    """Send an event to one set-top box."""
    sent = core_send_event(call.panel, by(call), form.mac, form.event, form.channel)
    return {"message": f"Event sent successfully to device {form.mac}", "err_msg": "", **_told(sent)}


class MessageForm(RequestModel):
    mac: Text = ""
    message: Text = Field("", validation_alias=AliasChoices("message", "msg"))
    ttl: Number = None


@endpoints.endpoint("send_stb_message", "POST", who=having(SEND_MESSAGES), model=MessageForm, manners=WAITS)
def send_stb_message(call: Call, form: MessageForm) -> Answer:
    """Send a message to one set-top box."""
    sent = core_send_message(call.panel, by(call), form.mac, form.message, form.ttl)
    return {"message": f"Message sent successfully to device {form.mac}", "err_msg": "", **_told(sent)}


def _told(sent: Sent) -> dict[str, Any]:
    return told_of_server2(sent.server2) | warned(unrecorded(sent.is_recorded))


class TargetsForm(RequestModel):
    """Two dialects: the document's ``mac``, and the older ``stb_macs``."""

    LEGACY: ClassVar[frozenset[str]] = frozenset({"stb_macs"})
    mac: Texts = ()
    stb_macs: Texts = ()

    @property
    def is_legacy(self) -> bool:
        return not self.LEGACY.isdisjoint(self.model_fields_set)

    @property
    def targets(self) -> list[str]:
        return checked_targets(self.stb_macs or self.mac)


class BulkMessageForm(TargetsForm):
    LEGACY: ClassVar[frozenset[str]] = frozenset({"stb_macs", "msg"})
    message: Text = ""
    msg: Text = ""
    ttl: Number = None


@endpoints.endpoint("send_message", "POST", who=having(SEND_MESSAGES_AS_BEFORE), model=BulkMessageForm)
def send_message(call: Call, form: BulkMessageForm) -> Answer:
    """Send a message to one or more set-top boxes, as older scripts do."""
    targets = form.targets
    # the older dialect has no ttl
    message = checked_message(
        decoded_twice(form.msg) if form.msg else form.message, None if form.is_legacy else form.ttl
    )
    report = send_to_many(
        call.panel,
        by(call),
        SEND_MESSAGES_AS_BEFORE,
        targets,
        message,
        in_detail=not form.is_legacy,
    )
    return _sent(report, "Message", form)


class BulkEventForm(TargetsForm):
    event: Text = ""
    channel: Text = Field("", validation_alias=CHANNEL)


@endpoints.endpoint("send_event", "POST", who=having(SEND_EVENTS_AS_BEFORE), model=BulkEventForm)
def send_event(call: Call, form: BulkEventForm) -> Answer:
    """Send an event to one or more set-top boxes, as older scripts do."""
    targets = form.targets
    event = checked_event(EVENT_CODES.get(folded(form.event), form.event), form.channel)
    report = send_to_many(call.panel, by(call), SEND_EVENTS_AS_BEFORE, targets, event, in_detail=not form.is_legacy)
    return _sent(report, "Event", form)


def _sent(report: Report, what: str, form: TargetsForm) -> dict[str, Any]:
    return _closed(report, what, form) | _open(report, what)


def _open(report: Report, what: str) -> dict[str, Any]:
    """What is said while the job goes on."""
    if not report.pending:
        return {}
    text = f"{what} sent to {report.sent} of {report.total} devices so far; the others follow in the background"
    counts = {"sent_count": report.sent, "failed_count": len(report.failed), "pending_count": report.pending}
    return {"message": text, "pending": 1, **counts, "job_id": report.job_id}


def _closed(report: Report, what: str, form: TargetsForm) -> dict[str, Any]:
    lacking = unrecorded(report.is_recorded)
    if report.failed:
        # shown as HTML, and what is no MAC may be anything
        lines = [html.escape(target) for target in report.failed]
        warning = f"{what} sent to {report.sent} of {report.total} devices. Failed:<br />"
        listed = "".join(f"{line}<br />" for line in lines)
        told = f"{what} sent to {report.sent} of {report.total} devices"
        failed = {**warned(told, lacking), "wrn_msg": warning + listed, "err_msg": "", "failed": list(report.failed)}
        return failed | told_of_server2(report.server2)
    text = "" if form.is_legacy else f"{what} sent successfully"
    return {
        "err_msg": text,
        **({"message": text} if text else {}),
        **warned(lacking),
        **told_of_server2(report.server2),
    }


class LogForm(RequestModel):
    page: PageNumber = 1
    per_page: PageNumber = PER_PAGE
    action_type: Text = ""
    mac: Text = ""
    search: Text = ""


@endpoints.endpoint("get_stb_logs", "GET", who=having(READ_STB_LOG), model=LogForm)
def get_stb_logs(call: Call, form: LogForm) -> Answer:
    """A page of what was sent to set-top boxes: by anybody for admins and reseller admins, else by oneself."""
    wanted = Wanted(kind=form.action_type, mac=form.mac, text=form.search)
    page = read_log(call.panel, caller(call), wanted, form.page, form.per_page)
    now = call.panel.clock.now()
    return {"logs": [_row(row, now) for row in page.rows], "pagination": _pagination(page)}


def _row(row: LogRow, now: datetime) -> dict[str, Any]:
    created = row.created_at if isinstance(row.created_at, datetime) else None
    formatted = shown_moment(created) or ""
    shown = {
        **row._asdict(),
        "action_type": row.action_type or "",
        "created_at": formatted,
        "created_at_formatted": formatted,
        "created_at_relative": relative(created, now) if created else "",
    }
    return sinks.shown("stb", shown)


def _pagination(page: LogPage) -> dict[str, int]:
    return {
        "current_page": page.page,
        "per_page": page.per_page,
        "total_items": page.total,
        "total_pages": page.pages,
    }
