"""Telegram (contract chapter 80): the bot, linking one's chat, switches, the log, and what people write to the bot."""

from typing import Annotated, Any

import orjson
from flask import Flask
from pydantic import BeforeValidator, Field
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from compat import envelope
from compat.dispatcher import Dispatcher
from compat.endpoints import ROUTED_METHODS, WAITS, Answer, Endpoints
from compat.envelope import FailedWith
from compat.fields import TRUE_WORDS, RequestModel, Text, flag_word
from core.access.permissions import CHANGE_BOT, READ_TELEGRAM, SEND_TELEGRAM
from core.errors import PanelError
from core.messages.by_hand import NothingSent
from core.messages.telegram.linking import link_chat, make_link, unlink_chat
from core.messages.telegram.log import LogRow, read_log
from core.messages.telegram.page import Recipient, read_view
from core.messages.telegram.send import Sending
from core.messages.telegram.send import send_message as core_send
from core.messages.telegram.settings import change_bot, verify_bot
from core.messages.telegram.switches import NAMES, Switches, change_switches
from core.messages.telegram.templates import StoredTemplate
from core.messages.telegram.webhook import bot_of, knows_secret, receive
from core.values import sinks
from core.values.clock import shown
from legacy_routes.forms import ChosenIds, PageNumber
from legacy_routes.gate import LOGGED_IN, Call, by, caller, having
from legacy_routes.messages.answers import DayLogForm, said
from legacy_routes.warnings import unrecorded, warned

endpoints = Endpoints(chapter="80")
_LARGEST_UPDATE = 64 * 1024
_PROOF_HEADER = "X-Telegram-Bot-Api-Secret-Token"


@endpoints.endpoint("telegram/get_settings", "GET", who=LOGGED_IN)
def get_settings(call: Call) -> Answer:
    """The bot (its token masked), the caller's own chat and switches, and for admins whom they may write to."""
    actor = caller(call)
    view = read_view(call.panel, actor)
    return {
        "bot_configured": view.bot is not None,
        "bot_username": None if view.bot is None else view.bot.username or None,
        "bot_token": view.mask,
        "user": {
            "id": actor.id,
            "username": actor.username,
            "is_super_admin": actor.super_user,
            "is_reseller_admin": actor.is_reseller_admin,
            "is_reseller": not actor.super_user,
            "can_send_messages": view.may_send,
            "telegram_linked": view.is_linked,
            "telegram_linked_at": shown(view.linked_at),
        },
        "notification_settings": _switches(view.switches, actor.id),
        "templates": [_template(template) for template in view.templates],
        "stats": {
            "total_sent": view.counts.total,
            "sent_success": view.counts.sent,
            "sent_failed": view.counts.failed,
        },
        "recipients": [_recipient(item) for item in view.recipients],
    }


def _switches(switches: Switches, user_id: int) -> dict[str, int]:
    stored = {} if switches.id is None else {"id": switches.id, "user_id": user_id}
    return {**stored, **switches.on}


def _template(template: StoredTemplate) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "template_key": template.key,
        "template": template.text,
        "description": template.description,
        "is_system": int(template.is_system),
    }


def _recipient(item: Recipient) -> dict[str, Any]:
    row = {
        "id": item.id,
        "username": item.username,
        "super_user": int(item.is_super),
        "is_reseller_admin": int(item.is_reseller_admin),
        "user_type": "Admin" if item.is_super else "Reseller Admin" if item.is_reseller_admin else "Reseller",
        "telegram_linked": int(item.chat_id is not None),
    }
    return sinks.shown("telegram_recipient", row)


class BotForm(RequestModel):
    bot_token: Text = ""


def _change_bot(call: Call, form: BotForm) -> Answer:
    """Store the bot's token, if Telegram knows it; the mask means the stored one."""
    identity = change_bot(call.panel, by(call), form.bot_token)
    return {**said("Telegram bot saved"), "bot_username": identity.username, "bot_name": identity.name}


for _name in ("telegram/update_settings", "telegram/save_bot_settings"):
    endpoints.endpoint(_name, "POST", who=having(CHANGE_BOT), model=BotForm, manners=WAITS)(_change_bot)


@endpoints.endpoint("telegram/verify_bot", "POST", who=having(CHANGE_BOT), model=BotForm, manners=WAITS)
def verify(call: Call, form: BotForm) -> Answer:
    """Ask Telegram whose token this is; stores nothing."""
    identity = verify_bot(call.panel, caller(call), form.bot_token)
    return {
        **said("The bot answers"),
        "bot_id": identity.id,
        "bot_username": identity.username,
        "bot_name": identity.name,
    }


class LinkForm(RequestModel):
    action: Text = ""
    chat_id: Text = ""


@endpoints.endpoint("telegram/link_telegram", "POST", who=LOGGED_IN, model=LinkForm, manners=WAITS)
def link_telegram(call: Call, form: LinkForm) -> Answer:
    """Link the caller's chat by its id, unlink it, or make a one-time link."""
    actor = caller(call)
    if form.action == "set_chat_id":
        link_chat(call.panel, actor, form.chat_id)
        return said("Telegram is linked; a confirmation was sent to your chat")
    if form.action == "unlink":
        unlink_chat(call.panel, actor)
        return said("Telegram is no longer linked")
    link = make_link(call.panel, actor)
    return {
        "bot_username": link.bot_username,
        "deep_link": link.address,
        "instructions": "Open the link within 15 minutes and press Start",
    }


def _ticked(value: object) -> bool:
    """Only what is clearly on counts; anything else is off."""
    try:
        return flag_word(value) in TRUE_WORDS
    except ValueError:
        return False


Ticked = Annotated[bool, BeforeValidator(_ticked)]


class SwitchesForm(RequestModel):
    target = frozenset[str]()
    notify_new_account: Ticked = False
    notify_renewal: Ticked = False
    notify_expiry: Ticked = False
    notify_expired: Ticked = False
    notify_low_balance: Ticked = False
    notify_new_payment: Ticked = False
    notify_login: Ticked = False
    notify_daily_report: Ticked = False


@endpoints.endpoint("telegram/update_notification_settings", "POST", who=LOGGED_IN, model=SwitchesForm)
def update_notification_settings(call: Call, form: SwitchesForm) -> Answer:
    """Set all eight switches of the caller: those that are not sent are off."""
    change_switches(call.panel, caller(call), {name: getattr(form, name) for name in NAMES})
    return said("Notification settings saved")


class MessageForm(RequestModel):
    message: Text = ""
    recipient_ids: ChosenIds = Field(default_factory=list)


@endpoints.endpoint(
    "telegram/send_message",
    "POST",
    who=having(SEND_TELEGRAM),
    model=MessageForm,
)
def send_message(call: Call, form: MessageForm) -> Answer:
    """Send a text to users who have linked Telegram; what takes long goes on in the background."""
    try:
        sending = core_send(call.panel, by(call), form.message, form.recipient_ids)
    except NothingSent as error:
        raise FailedWith(error, {"results": _results(error.sending)}) from error
    text = f"Message sent to {sending.sent} of {sending.total}"
    if not sending.pending:
        return {**said(text), "results": _results(sending), **warned(unrecorded(sending.is_recorded))}
    text += "; the others are being sent in the background"
    return {**said(text), "results": _results(sending), "job_id": sending.job_id}


def _results(sending: Sending) -> dict[str, Any]:
    errors = [{"user": name, "error": error} for name, error in sending.errors]
    counts = {"total": sending.total, "sent": sending.sent, "failed": sending.failed, "errors": errors}
    return {**counts, "pending": sending.pending} if sending.pending else counts


class LogForm(DayLogForm):
    message_type: Text = ""
    per_page: PageNumber = 25


@endpoints.endpoint("telegram/get_logs", "GET", who=having(READ_TELEGRAM), model=LogForm)
def get_logs(call: Call, form: LogForm) -> Answer:
    """A page of one day's Telegram messages, newest first."""
    page = read_log(call.panel, caller(call), form.query(call.panel.clock, form.message_type, form.per_page))
    return {
        "logs": [_row(row) for row in page.rows],
        "pagination": {
            "current_page": page.page,
            "per_page": page.limit,
            "total_items": page.total,
            "total_pages": page.pages,
        },
        "stats": {"total": page.counts.total, "sent": page.counts.sent, "failed": page.counts.failed},
        "available_dates": page.dates,
    }


def _row(row: LogRow) -> dict[str, Any]:
    told = row._asdict()
    told |= {"message": row.message or "", "username": row.recipient_username}
    told |= {"sent_at": shown(row.sent_at), "created_at": shown(row.created_at)}
    return sinks.shown("telegram", told)


def install_webhook(app: Flask, dispatcher: Dispatcher) -> None:
    """The address that Telegram calls: no session, no cookie, no envelope, and 200 whatever becomes of it."""

    def webhook() -> Response:
        call: Call = dispatcher.call()
        if call.request.method != "POST":
            response = envelope.failure("This method is not supported here", 6, 405)
            response.headers["Allow"] = "POST"
            return response
        return _received(call)

    for path in ("/telegram/webhook.php", "/api/telegram/webhook.php"):
        app.add_url_rule(path, "telegram-webhook", webhook, methods=ROUTED_METHODS, provide_automatic_options=False)


def _received(call: Call) -> Response:
    try:
        stored = bot_of(call.panel)
        if not knows_secret(stored, call.request.headers.get(_PROOF_HEADER, "")):
            return envelope.failure("This request is not Telegram's", 3, 403)
        if stored is not None and (call.request.content_length or 0) <= _LARGEST_UPDATE:
            receive(call.panel, stored, orjson.loads(call.request.get_data(cache=False)))
    except (PanelError, HTTPException, orjson.JSONDecodeError):
        # Telegram would bring the same again and again
        pass
    return Response(b"", 200, content_type="text/plain")
