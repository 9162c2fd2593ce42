"""Expiry reminders on set-top boxes (contract chapter 60): sending, settings, history."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from compat.endpoints import Answer, Endpoints
from compat.fields import RequestModel, to_flag, to_integer, to_text
from core.access.permissions import CHANGE_REMINDERS, READ_REMINDERS, SEND_REMINDERS
from core.errors import InvalidInput
from core.messages.reminders.log import LogRow, read_log
from core.messages.reminders.settings import MAX_DAYS, MIN_DAYS, Change, Settings, change_settings, read_settings
from core.messages.reminders.starts import sweep_now
from core.messages.reminders.sweep import FAILED, SENT, Result, Tally
from core.values import sinks
from core.values.clock import shown
from core.values.days import day_of_a_filter
from core.values.numerals import folded
from legacy_routes.gate import LOGGED_IN, Call, by, caller, having
from legacy_routes.warnings import unrecorded, warned

endpoints = Endpoints(chapter="60")

_WHOLE = re.compile(r"([0-9]{1,9})(?:\.0+)?")


@endpoints.endpoint("send_expiry_reminders", "POST", who=having(SEND_REMINDERS))
def send_expiry_reminders(call: Call) -> Answer:
    """Remind the caller's customers whose accounts end in the configured number of days."""
    sweep = sweep_now(call.panel, by(call))
    answer = {"err_msg": "", **_told(sweep.tally), **warned(unrecorded(sweep.tally.is_recorded))}
    if sweep.job_id is not None:
        text = "The reminders are still being sent, and go on in the background"
        answer |= {"message": text, "running": True, "job_id": sweep.job_id}
    return answer


def _told(tally: Tally) -> dict[str, Any]:
    target = tally.target.isoformat()
    return {
        **tally.counts,
        "total": tally.total,
        "days_before": tally.days,
        "target_date": target,
        "results": [_result(result, target) for result in tally.results],
    }


def _result(result: Result, target: str) -> dict[str, Any]:
    due = result.due
    told: dict[str, Any] = {
        "account": due.username,
        "full_name": due.full_name,
        "mac": due.mac,
        "expiry_date": target,
        "status": result.status,
    }
    if result.status == SENT:
        told["message"] = result.text
    elif result.status == FAILED:
        told["error"] = result.text
    else:
        told |= {"reason": result.text, "sent_at": shown(result.sent_at)}
    return sinks.shown("sweep", told)


def _days(value: object) -> int | None:
    """A whole number, also as ``7.0`` or ``" 7 "``; None is absent, but empty and ``NaN`` are mistakes."""
    if value is None:
        return None
    if isinstance(value, str):
        found = _WHOLE.fullmatch(folded(value))
        value = int(found[1]) if found else None
    if isinstance(value, bool) or (number := to_integer(value)) is None:
        raise InvalidInput.of("days_before_expiry", f"expected {MIN_DAYS} to {MAX_DAYS} days")
    return number


def _present(value: object) -> str | None:
    return None if value is None else to_text(value)


def _present_flag(value: object) -> bool | None:
    return None if value is None else to_flag(value)


class SettingsForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    target = frozenset[str]()
    days_before_expiry: Annotated[int | None, BeforeValidator(_days)] = None
    message_template: Annotated[str | None, BeforeValidator(_present)] = None
    auto_send_enabled: Annotated[bool | None, BeforeValidator(_present_flag)] = None


@endpoints.endpoint("update_reminder_settings", "POST", who=having(CHANGE_REMINDERS), model=SettingsForm)
def update_reminder_settings(call: Call, form: SettingsForm) -> Answer:
    """Change the caller's settings; what is not sent stays."""
    change = Change(form.days_before_expiry, form.message_template, form.auto_send_enabled)
    settings = change_settings(call.panel, by(call), change)
    return {"message": "Reminder settings updated successfully", "settings": _settings(settings)}


@endpoints.endpoint("get_reminder_settings", "GET", "POST", who=LOGGED_IN)
def get_reminder_settings(call: Call) -> Answer:
    """The caller's settings, or the defaults."""
    settings = read_settings(call.panel, caller(call).id)
    return {"settings": {**_settings(settings), "last_sweep_at": shown(settings.last_sweep_at)}}


def _settings(settings: Settings) -> dict[str, Any]:
    return {
        "days_before_expiry": settings.days,
        "message_template": settings.template,
        "auto_send_enabled": int(settings.auto_send),
    }


class HistoryForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    date: Annotated[str | None, BeforeValidator(_present)] = None


@endpoints.endpoint("get_reminder_history", "GET", who=having(READ_REMINDERS), model=HistoryForm)
def get_reminder_history(call: Call, form: HistoryForm) -> Answer:
    """What was sent on a day: by everybody for admins, else by the caller."""
    day = call.panel.clock.today() if form.date is None else day_of_a_filter(form.date)
    rows = read_log(call.panel, caller(call), day)
    sent = sum(row.is_sent for row in rows)
    counts = {"total": len(rows), "sent": sent, "failed": len(rows) - sent}
    return {"date": day.isoformat(), **counts, "reminders": [_row(row) for row in rows]}


def _row(row: LogRow) -> dict[str, Any]:
    told = {
        "id": row.id,
        "account_id": row.account_id,
        "mac": row.mac,
        "username": row.username,
        "full_name": row.full_name,
        "end_date": row.end_day,
        "days_before": row.days_before,
        "reminder_date": row.reminder_day,
        "sent_at": shown(row.sent_at),
        "sent_by": row.sent_by,
        "message": row.message or "",
        "status": row.status or "",
        "error_message": row.error_message,
        "reseller": row.reseller or None,
    }
    return sinks.shown("reminder", told)
