"""Mail (contract chapter 80): settings and trying them out, sending by hand, templates, the log."""

from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from compat.endpoints import WAITS, Answer, Endpoints
from compat.envelope import FailedWith
from compat.fields import TRUE_WORDS, RawText, RequestModel, Text, flag_word, to_flag, to_integer, to_text
from core.access.permissions import READ_MAIL, USE_MAIL
from core.messages.by_hand import NothingSent
from core.messages.mail.log import LogRow, read_log
from core.messages.mail.page import read_view
from core.messages.mail.send import Sending, Wish
from core.messages.mail.send import send_mail as core_send
from core.messages.mail.settings import DEFAULT_DAYS, MOST_DAYS, NONE, SSL, TLS
from core.messages.mail.settings_edit import (
    FLAGS,
    MULTISTAGE,
    Change,
    ServerWish,
    ShownSettings,
    change_settings,
    try_connection,
)
from core.messages.mail.templates import (
    ListedTemplate,
    StoredTemplate,
    TemplateWish,
    delete_template,
    read_template,
    save_template,
)
from core.values import sinks
from core.values.clock import shown
from legacy_routes.forms import ChosenIds, PageNumber
from legacy_routes.gate import Call, by, caller, having
from legacy_routes.messages.answers import DayLogForm, said
from legacy_routes.warnings import unrecorded, warned

endpoints = Endpoints(chapter="80")


def _number_or_none(value: object) -> int | None:
    """None for a text that is no number."""
    try:
        return to_integer(value)
    except ValueError:
        if isinstance(value, str):
            return None
        raise


def _port(value: object) -> int | None:
    """As above, but 0, which is no port, for a text that is no number: the answer tells that it was not taken."""
    number = _number_or_none(value)
    return 0 if number is None and value not in (None, "") else number


def _switch(value: object) -> bool | None:
    """None and empty keep; of the rest only what is clearly on counts."""
    if value is None or value == "":
        return None
    return flag_word(value) in TRUE_WORDS


def _text_or_none(value: object) -> str | None:
    return None if value is None else to_text(value)


LenientNumber = Annotated[int | None, BeforeValidator(_number_or_none)]
Port = Annotated[int | None, BeforeValidator(_port)]
Switch = Annotated[bool | None, BeforeValidator(_switch)]
OptionalText = Annotated[str | None, BeforeValidator(_text_or_none)]


@endpoints.endpoint("get_mail_settings", "GET", who=having(READ_MAIL))
def get_mail_settings(call: Call) -> Answer:
    """The caller's mail settings without the password, the templates and the counts of the log."""
    view = read_view(call.panel, caller(call))
    return {
        "settings": {**_settings(view.settings, caller(call).id), "using_admin_templates": view.uses_admins},
        "templates": [_listed(template) for template in view.templates],
        "stats": view.counts._asdict(),
    }


def _settings(settings: ShownSettings, user_id: int) -> dict[str, Any]:
    return {
        "id": settings.id,
        "user_id": user_id,
        "smtp_host": settings.host,
        "smtp_port": settings.port,
        "smtp_secure": settings.secure,
        "smtp_username": settings.username,
        "smtp_password": "",
        "smtp_password_set": settings.has_password,
        "from_email": settings.from_email,
        "from_name": settings.from_name,
        **{name: int(flag) for name, flag in settings.flags.items()},
        "days_before_expiry": settings.days,
        "enable_multistage_reminders": int(settings.multistage),
        **_times(settings),
    }


def _listed(template: ListedTemplate) -> dict[str, Any]:
    row = {
        "id": template.id,
        "name": template.name,
        "subject": template.subject,
        "description": template.description,
        "is_active": int(template.is_active),
        **_times(template),
    }
    return sinks.shown("mail_template", row)


def _times(stored: ShownSettings | ListedTemplate | StoredTemplate) -> dict[str, str | None]:
    return {"created_at": shown(stored.created_at), "updated_at": shown(stored.updated_at)}


class ServerForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    smtp_host: OptionalText = None
    smtp_port: Port = None
    smtp_secure: OptionalText = None
    smtp_username: OptionalText = None
    smtp_password: RawText = ""

    @property
    def wish(self) -> ServerWish:
        return ServerWish(self.smtp_host, self.smtp_port, self.smtp_secure, self.smtp_username, self.smtp_password)


class SettingsForm(ServerForm):
    target = frozenset[str]()
    from_email: OptionalText = None
    from_name: OptionalText = None
    auto_send_new_account: Switch = None
    auto_send_renewal: Switch = None
    auto_send_expiry: Switch = None
    notify_admin: Switch = None
    notify_reseller: Switch = None
    enable_multistage_reminders: Switch = None
    days_before_expiry: LenientNumber = None


@endpoints.endpoint("update_mail_settings", "POST", who=having(USE_MAIL), model=SettingsForm)
def update_mail_settings(call: Call, form: SettingsForm) -> Answer:
    """Change the caller's mail settings; what is absent stays, and so does the password when it is empty."""
    flags = {name: getattr(form, name) for name in (*FLAGS, MULTISTAGE)}
    change = Change(
        form.wish,
        {name: flag for name, flag in flags.items() if flag is not None},
        form.from_email,
        form.from_name,
        form.days_before_expiry,
    )
    change_settings(call.panel, by(call), change)
    replaced = _replaced(form)
    return {**said(". ".join(("Mail settings saved", *replaced))), **warned(*replaced)}


def _replaced(form: SettingsForm) -> list[str]:
    """What was sent and cannot be, and what stands in its place."""
    told = []
    is_port = form.smtp_port is None or 0 < form.smtp_port < 65536
    if not is_port:
        told.append("smtp_port is a number from 1 to 65535: port and encryption stay as they were")
    elif (form.smtp_secure or TLS) not in (TLS, SSL, NONE):
        told.append("smtp_secure is tls, ssl or none: tls was stored")
    if form.days_before_expiry is not None and not 1 <= form.days_before_expiry <= MOST_DAYS:
        told.append(f"days_before_expiry is a number from 1 to {MOST_DAYS}: {DEFAULT_DAYS} was stored")
    return told


@endpoints.endpoint("test_mail_connection", "POST", who=having(USE_MAIL), model=ServerForm, manners=WAITS)
def test_mail_connection(call: Call, form: ServerForm) -> Answer:
    """Connect to a mail server and log in; sends and stores nothing."""
    try_connection(call.panel, caller(call), form.wish)
    return said("The mail server accepts the login")


class SendForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    mode: Text = ""
    subject: Text = ""
    message: RawText = Field("", validation_alias=AliasChoices("message", "body"))
    email: Text = Field("", validation_alias=AliasChoices("email", "to"))
    recipient_name: Text = Field("", validation_alias=AliasChoices("recipient_name", "name"))
    account_ids: ChosenIds | None = None


@endpoints.endpoint("send_mail", "POST", who=having(USE_MAIL), model=SendForm)
def send_mail(call: Call, form: SendForm) -> Answer:
    """Send a mail to an address, or one to each of some accounts; what takes long goes on in the background."""
    wish = Wish(form.mode, form.subject, form.message, form.email, form.recipient_name, form.account_ids)
    try:
        sending = core_send(call.panel, by(call), wish)
    except NothingSent as error:
        raise FailedWith(error, _counts(error.sending)) from error
    text = f"{sending.sent} mails sent, {sending.failed} failed"
    if sending.pending:
        text += f", {sending.pending} are being sent in the background"
    job = {"pending_count": sending.pending, "job_id": sending.job_id} if sending.pending else {}
    return {**said(text), **_counts(sending), **job, **warned(unrecorded(sending.is_recorded))}


def _counts(sending: Sending) -> dict[str, Any]:
    errors = {"errors": list(sending.errors)} if sending.errors else {}
    return {"sent_count": sending.sent, "failed_count": sending.failed, **errors}


class LogForm(DayLogForm):
    type: Text = ""
    limit: PageNumber = 25


@endpoints.endpoint("get_mail_logs", "GET", who=having(READ_MAIL), model=LogForm)
def get_mail_logs(call: Call, form: LogForm) -> Answer:
    """A page of one day's mails, newest first; never their bodies."""
    page = read_log(call.panel, caller(call), form.query(call.panel.clock, form.type, form.limit))
    return {
        "logs": [_row(row) for row in page.rows],
        "pagination": {"total": page.total, "page": page.page, "limit": page.limit, "pages": page.pages},
        "total": page.total,
        "page": page.page,
        "pages": page.pages,
    }


def _row(row: LogRow) -> dict[str, Any]:
    told = {
        "id": row.id,
        "recipient_email": row.recipient_email,
        "recipient_name": row.recipient_name,
        "cc_emails": row.copies,
        "subject": row.subject or "",
        "message_type": row.message_type,
        "status": row.status,
        "error_message": row.error_message,
        "created_at": shown(row.created_at),
        "sent_by_username": row.sender_username,
        "sent_by_name": row.sender_name,
        "time": row.created_at.strftime("%H:%M") if row.created_at else "",
        "sent_by": row.sender,
    }
    return sinks.shown("mail", told)


class TemplateQuery(RequestModel):
    id: LenientNumber = None


@endpoints.endpoint("get_mail_template", "GET", who=having(READ_MAIL), model=TemplateQuery)
def get_mail_template(call: Call, form: TemplateQuery) -> Answer:
    """One template as it is stored, for editing."""
    template = read_template(call.panel, caller(call), form.id)
    row = {
        "id": template.id,
        "user_id": template.user_id,
        "name": template.name,
        "subject": template.subject,
        "body_html": template.html,
        "body_plain": template.plain,
        "description": template.description,
        "is_active": int(template.is_active),
        **_times(template),
    }
    return {"template": row}


class TemplateForm(RequestModel):
    template_id: Annotated[int | None, BeforeValidator(to_integer)] = None
    name: Text = ""
    subject: Text = ""
    body_html: RawText = ""
    body_plain: OptionalText = None
    description: Text = ""
    is_active: Annotated[bool, BeforeValidator(to_flag)] = True


@endpoints.endpoint("save_mail_template", "POST", who=having(USE_MAIL), model=TemplateForm)
def save_mail_template(call: Call, form: TemplateForm) -> Answer:
    """Create a mail template, or change any super admin's."""
    wish = TemplateWish(
        form.template_id or None,
        form.name,
        form.subject,
        form.body_html,
        form.body_plain,
        form.description,
        form.is_active,
    )
    saved = save_template(call.panel, by(call), wish)
    return {**said(saved.warning or "Mail template saved"), "template_id": saved.id, **warned(saved.warning)}


class TemplateTarget(RequestModel):
    template_id: LenientNumber = None


@endpoints.endpoint("delete_mail_template", "POST", who=having(USE_MAIL), model=TemplateTarget)
def delete_mail_template(call: Call, form: TemplateTarget) -> Answer:
    """Delete a mail template; an automatic mail stops with it."""
    name = delete_template(call.panel, by(call), form.template_id)
    return said(f"Mail template {name} deleted")
