"""Text messages (contract chapter 60): settings and templates, sending by hand, the log."""

from datetime import date
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import BeforeValidator

from compat.endpoints import Answer, Endpoints
from compat.envelope import FailedWith
from compat.fields import RequestModel, Text, to_flag, to_integer, trimmed
from core.access.permissions import MESSAGING
from core.errors import InvalidInput
from core.messages.by_hand import NothingSent
from core.messages.sms.log import LogRow, read_log
from core.messages.sms.page import read_view
from core.messages.sms.send import MANUAL, Sending, Wish
from core.messages.sms.send import send_sms as core_send
from core.messages.sms.settings import CLEAR, Change, ShownSettings, change_settings
from core.messages.sms.templates import StoredTemplate, TemplateWish, delete_template, save_template
from core.values import sinks
from core.values.clock import shown
from core.values.days import checked_date
from legacy_routes.gate import LOGGED_IN, Call, by, caller, having
from legacy_routes.messages.answers import said
from legacy_routes.warnings import unrecorded, warned

endpoints = Endpoints(chapter="60")


def _optional_flag(value: object) -> bool | None:
    return None if value is None or value == "" else to_flag(value)


def _null_clears(value: object) -> Any:
    """JSON null clears, unlike an absent or empty field."""
    return CLEAR if value is None else trimmed(value)


def _id_or_none(value: object) -> int | None:
    """A template id; whatever is no number asks for a new template, but what nobody can mean so."""
    try:
        return to_integer(value)
    except ValueError:
        if isinstance(value, str):
            return None
        raise


def _ids(value: object) -> list[int] | None:
    """Account ids from a list, JSON text of one, ``11,12`` or a single id; None when it cannot be read."""
    if isinstance(value, str):
        value = _from_text(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return None
    try:
        ids = [to_integer(item) for item in value]
    except ValueError:
        return None
    return [item for item in ids if item is not None and 0 < item < 2**31]


def _from_text(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return [item for item in text.split(",") if item.strip()]


def _day(value: object) -> date | None:
    """A date that cannot be read is none."""
    try:
        return checked_date(trimmed(value))
    except (InvalidInput, ValueError):
        return None


Number = Annotated[int | None, BeforeValidator(to_integer)]
OptionalFlag = Annotated[bool | None, BeforeValidator(_optional_flag)]
Ids = Annotated[list[int] | None, BeforeValidator(_ids)]
OptionalDay = Annotated[date | None, BeforeValidator(_day)]
OptionalId = Annotated[int | None, BeforeValidator(_id_or_none)]


@endpoints.endpoint("get_sms_settings", "GET", who=LOGGED_IN)
def get_sms_settings(call: Call) -> Answer:
    """The caller's SMS settings, the token masked, with the templates and the counts of the log."""
    view = read_view(call.panel, caller(call))
    counts = view.counts
    return {
        "settings": _settings(view.settings, caller(call).id),
        "templates": [_template(template) for template in view.templates],
        "stats": {
            "total_sent": counts.total,
            "successful": counts.sent,
            "failed": counts.failed,
            "pending": counts.pending,
        },
    }


def _settings(settings: ShownSettings, user_id: int) -> dict[str, Any]:
    times = {"created_at": shown(settings.created_at), "updated_at": shown(settings.updated_at)}
    return {
        **({} if settings.id is None else {"id": settings.id, "user_id": user_id}),
        "api_token": settings.token_mask,
        "sender_number": settings.sender,
        "base_url": settings.base_url,
        "auto_send_enabled": int(settings.auto_send),
        "enable_multistage_reminders": int(settings.multistage),
        "days_before_expiry": settings.days,
        "expiry_template": settings.expiry_template,
        **{name: time for name, time in times.items() if time is not None},
        "configured": settings.is_configured,
        "inherited": settings.is_inherited,
    }


def _template(template: StoredTemplate) -> dict[str, Any]:
    row = {
        "id": template.id,
        "name": template.name,
        "template": template.text,
        "description": template.description,
    }
    return sinks.shown("sms_template", row)


class SettingsForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    target = frozenset[str]()
    api_token: Text = ""
    sender_number: Text = ""
    base_url: Text = ""
    auto_send_enabled: OptionalFlag = None
    enable_multistage_reminders: OptionalFlag = None
    days_before_expiry: Number = None
    expiry_template: Annotated[Any, BeforeValidator(_null_clears)] = ""


@endpoints.endpoint("update_sms_settings", "POST", who=having(MESSAGING), model=SettingsForm)
def update_sms_settings(call: Call, form: SettingsForm) -> Answer:
    """Change the caller's own SMS settings; what is absent or empty stays."""
    change = Change(
        token=form.api_token,
        sender=form.sender_number,
        base_url=form.base_url,
        auto_send=form.auto_send_enabled,
        multistage=form.enable_multistage_reminders,
        days=form.days_before_expiry,
        expiry_template=form.expiry_template,
    )
    change_settings(call.panel, by(call), change)
    return said("SMS settings saved successfully")


class SendForm(RequestModel):
    send_type: Text = MANUAL
    message: Text = ""
    recipient_number: Text = ""
    account_ids: Ids = None


@endpoints.endpoint("send_sms", "POST", who=having(MESSAGING), model=SendForm)
def send_sms(call: Call, form: SendForm) -> Answer:
    """Send a text to a number, or to accounts, whose placeholders are filled in."""
    wish = Wish(form.send_type, form.message, form.recipient_number, form.account_ids)
    try:
        sending = core_send(call.panel, by(call), wish)
    except NothingSent as error:
        failed = {"sent_count": 0, "failed_count": error.sending.failed}
        answer = {"bulk_id": None, "api_response": error.sending.answer}
        raise FailedWith(error, failed | answer) from error
    sentence = _sentence(sending) if sending.failed or not sending.is_closed else None
    return {
        **said(_sentence(sending)),
        "sent_count": sending.sent,
        "failed_count": sending.failed,
        "skipped_count": sending.skipped,
        "bulk_id": sending.bulk_id,
        "api_response": sending.answer,
        **warned(sentence, unrecorded(sending.is_recorded)),
        **({} if sending.is_closed else {"job_id": sending.job_id}),
    }


def _sentence(sending: Sending) -> str:
    if not sending.is_closed:
        return f"{sending.sent} of {sending.total} messages are sent, the others are being sent in the background"
    if sending.failed:
        return f"SMS sent to {sending.sent} recipients, failed for {sending.failed}"
    return f"SMS sent to {sending.sent} recipient{'' if sending.sent == 1 else 's'}"


class LogForm(RequestModel):
    page: Number = 1
    limit: Number = 50
    status: Text = ""
    type: Text = ""
    date: OptionalDay = None


@endpoints.endpoint("get_sms_logs", "GET", who=LOGGED_IN, model=LogForm)
def get_sms_logs(call: Call, form: LogForm) -> Answer:
    """A page of the log of text messages, newest first: one's own, for admins all."""
    page = read_log(
        call.panel,
        caller(call),
        page=1 if form.page is None else form.page,
        limit=50 if form.limit is None else form.limit,
        status=form.status,
        kind=form.type,
        day=form.date,
    )
    pagination = {"page": page.page, "limit": page.limit, "total": page.total, "pages": page.pages}
    return {"logs": [_row(row) for row in page.rows], "pagination": pagination}


def _row(row: LogRow) -> dict[str, Any]:
    told = row._asdict()
    told |= {"message": row.message or "", "message_type": row.message_type or MANUAL}
    told |= {"sent_at": shown(row.sent_at), "created_at": shown(row.created_at)}
    return sinks.shown("sms", told)


class TemplateForm(RequestModel):
    template_id: OptionalId = None
    name: Text = ""
    template: Text = ""
    description: Text = ""


@endpoints.endpoint("save_sms_template", "POST", who=having(MESSAGING), model=TemplateForm)
def save_sms_template(call: Call, form: TemplateForm) -> Answer:
    """Create a message template of one's own, or change it."""
    wish = TemplateWish(form.template_id, form.name, form.template, form.description)
    template_id = save_template(call.panel, by(call), wish)
    verb = "created" if form.template_id is None else "updated"
    return {**said(f"Template {verb} successfully"), "template_id": template_id}


class TemplateTarget(RequestModel):
    template_id: OptionalId = None


@endpoints.endpoint("delete_sms_template", "POST", who=having(MESSAGING), model=TemplateTarget)
def delete_sms_template(call: Call, form: TemplateTarget) -> Answer:
    """Delete a message template of one's own; its automatic message stops with it."""
    delete_template(call.panel, by(call), form.template_id)
    return said("Template deleted successfully")
