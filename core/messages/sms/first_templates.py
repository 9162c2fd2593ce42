"""The message templates that users start with, in our own words. Source: contract chapter 60, "Default templates".

The names drive automation, whatever the language: reminders and confirmations look their template up by name.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import SQLAlchemyError

from core.panel import Panel
from core.storage.schema import Layout
from core.storage.tables import SmsSettings, SmsStagesGiven, SmsTemplate, User
from core.storage.tables.texts import UnstorableText
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

EXPIRY, WELCOME = "Expiry Reminder", "New Account Welcome"
RENEWAL, PAYMENT = "Renewal Confirmation", "Payment Reminder"
DAYS_7, DAYS_3, DAY_1 = "7 Days Before Expiry", "3 Days Before Expiry", "1 Day Before Expiry"
EXPIRED = "Account Expired"
STAGES = (DAYS_7, DAYS_3, DAY_1, EXPIRED)
_FIRST_DAYS = 7


class Template(NamedTuple):
    """``text`` with placeholders; ``description`` None for the stages of reminders, whose names say it."""

    name: str
    text: str
    description: str | None = None


PERSIAN = (
    Template(
        EXPIRY,
        "{name} عزیز، اعتبار اشتراک شما در تاریخ {expiry_date} به پایان می‌رسد. لطفاً برای تمدید آن اقدام کنید.",
        "یادآوری پایان اشتراک",
    ),
    Template(
        WELCOME,
        "{name} عزیز، خوش آمدید! اشتراک شما فعال شد و تا تاریخ {expiry_date} اعتبار دارد.",
        "خوش‌آمدگویی به مشترک جدید",
    ),
    Template(
        RENEWAL,
        "{name} عزیز، اشتراک شما تمدید شد و تا تاریخ {expiry_date} اعتبار دارد. از همراهی شما سپاسگزاریم.",
        "تأیید تمدید اشتراک",
    ),
    Template(
        PAYMENT,
        "{name} عزیز، اشتراک شما تا تاریخ {expiry_date} اعتبار دارد. لطفاً هزینه تمدید را به‌موقع پرداخت کنید.",
        "یادآوری پرداخت",
    ),
    Template(DAYS_7, "{name} عزیز، هفت روز تا پایان اشتراک شما ({expiry_date}) مانده است. لطفاً آن را تمدید کنید."),
    Template(DAYS_3, "{name} عزیز، سه روز تا پایان اشتراک شما ({expiry_date}) مانده است. لطفاً آن را تمدید کنید."),
    Template(DAY_1, "{name} عزیز، تنها یک روز تا پایان اشتراک شما ({expiry_date}) مانده است. لطفاً آن را تمدید کنید."),
    Template(
        EXPIRED,
        "{name} عزیز، اشتراک شما در تاریخ {expiry_date} به پایان رسید. برای فعال‌سازی دوباره، آن را تمدید کنید.",
    ),
)
ENGLISH = (
    Template(
        EXPIRY,
        "Dear {name}, your subscription ends in {days} days, on {expiry_date}. Please renew it in time.",
        "Before a subscription ends",
    ),
    Template(
        WELCOME,
        "Dear {name}, welcome! Your device {mac} is active until {expiry_date}.",
        "To a new customer",
    ),
    Template(
        RENEWAL,
        "Dear {name}, thank you for renewing. Your subscription now runs until {expiry_date}.",
        "After a renewal",
    ),
    Template(
        PAYMENT,
        "Dear {name}, your subscription runs until {expiry_date}. Please pay for its renewal in time.",
        "Asks for a payment",
    ),
    Template(DAYS_7, "Dear {name}, your subscription ends in seven days, on {expiry_date}. Please renew it."),
    Template(DAYS_3, "Dear {name}, your subscription ends in three days, on {expiry_date}. Please renew it."),
    Template(DAY_1, "Dear {name}, only one day of your subscription is left ({expiry_date}). Please renew it."),
    Template(EXPIRED, "Dear {name}, your subscription ended on {expiry_date}. Renew it to go on watching."),
)
_LANGUAGES: Mapping[str, tuple[Template, ...]] = {"fa": PERSIAN, "en": ENGLISH}


def initialise_reseller(panel: Panel, connection: Connection, user_id: int) -> None:
    """Settings and all eight templates for a user who has no settings yet; what goes wrong is logged only."""
    _initialise(panel, connection, user_id, _LANGUAGES[panel.config.sms.template_language])


def initialise_super_admin(panel: Panel, connection: Connection, user_id: int) -> None:
    """Settings with a text for reminders, and the first four templates, in English."""
    first = tuple(template for template in ENGLISH if template.name not in STAGES)
    _initialise(panel, connection, user_id, first, expiry_template=_text(panel, first[0]))


def note_stages_given(panel: Panel, connection: Connection, user_id: int) -> None:
    """From now on the user's templates of the reminder stages are the user's own business."""
    insert_if_absent(connection, SmsStagesGiven, user_id=user_id, given_at=panel.clock.stamp())


def lacking_stages(
    panel: Panel, connection: Connection, layout: Layout
) -> tuple[Sequence[int], list[tuple[int, Template]]]:
    """The users who never got the templates of the stages, and what they lack of them, also in a database that has yet
    to be upgraded."""
    if not layout.has_table(User.__tablename__):
        return (), []
    wanted = select(User.id).order_by(User.id)
    if layout.has_table(SmsStagesGiven.__tablename__):
        wanted = wanted.where(User.id.not_in(select(SmsStagesGiven.user_id)))
    users = connection.scalars(wanted).all()
    present: set[tuple[int, str]] = set()
    if layout.has_table(SmsTemplate.__tablename__):
        found = select(SmsTemplate.user_id, SmsTemplate.name).where(SmsTemplate.name.in_(STAGES))
        present = {(row.user_id, row.name) for row in connection.execute(found)}
    templates = [item for item in _LANGUAGES[panel.config.sms.template_language] if item.name in STAGES]
    return users, [(id, item) for id in users for item in templates if (id, item.name) not in present]


def give_missing_stages(panel: Panel) -> int:
    """The templates of the reminder stages for every user who never got them, and lacks the one or other; once.

    Returns how many templates were added. For the upgrade of a panel's database.
    """
    if not panel.layout.has_table("_sms_templates"):
        return 0

    def act(connection: Connection) -> list[dict[str, object]]:
        users, lacking = lacking_stages(panel, connection, panel.layout)
        rows = [_row(panel, user_id, template) for user_id, template in lacking]
        if rows:
            connection.execute(insert(SmsTemplate), rows)
        for user_id in users:
            note_stages_given(panel, connection, user_id)
        return rows

    rows = panel.database.transact(act)
    return len(rows)


def _row(panel: Panel, user_id: int, template: Template) -> dict[str, object]:
    now = panel.clock.now()
    return {
        "user_id": user_id,
        "name": template.name,
        "template": _text(panel, template),
        "description": template.description,
        "created_at": now,
        "updated_at": now,
    }


def _initialise(
    panel: Panel,
    connection: Connection,
    user_id: int,
    templates: tuple[Template, ...],
    expiry_template: str | None = None,
) -> None:
    layout, now = panel.layout, panel.clock.now()
    if not layout.has_table("_sms_settings") or not layout.has_table("_sms_templates"):
        return
    settings = {
        "user_id": user_id,
        "auto_send_enabled": 0,
        "days_before_expiry": _FIRST_DAYS,
        "expiry_template": expiry_template,
        "created_at": now,
        "updated_at": now,
    }
    if layout.has_column("_sms_settings", "enable_multistage_reminders"):
        settings["enable_multistage_reminders"] = 1
    rows = [_row(panel, user_id, template) for template in templates]
    try:
        with connection.begin_nested():
            if connection.execute(select(SmsSettings.id).where(SmsSettings.user_id == user_id)).first() is None:
                connection.execute(insert(SmsSettings).values(**settings))
                connection.execute(insert(SmsTemplate), rows)
                if len(rows) > len(STAGES):
                    note_stages_given(panel, connection, user_id)
    except (SQLAlchemyError, UnstorableText) as error:
        # nobody is refused a user because of the texts of messages
        log.warning("user %d got no message templates: %s", user_id, type(error).__name__)


def _text(panel: Panel, template: Template) -> str:
    contact = panel.config.sms.support_contact
    return f"{template.text}\n{contact}" if contact else template.text
