"""The mail templates that a super admin starts with, in our own words. Source: contract chapter 80, "Mail helper".

Automatic mails find their template by its exact name. Who deletes one does not get it again.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, insert, select

from core.messages.mail.settings import EXPIRED, EXPIRY, RENEWAL, WELCOME, has_mail
from core.panel import Panel
from core.storage.schema import Layout
from core.storage.tables import MailTemplate, MailTemplatesGiven, User
from core.storage.writing import insert_if_absent


class FirstTemplate(NamedTuple):
    name: str
    subject: str
    html: str
    description: str


def _page(*paragraphs: str) -> str:
    lines = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f'<div dir="rtl" style="font-family:Tahoma,sans-serif;line-height:1.8">{lines}</div>'


FIRST = (
    FirstTemplate(
        WELCOME,
        "{name} عزیز، خوش آمدید",
        _page(
            "{name} عزیز، خوش آمدید! اشتراک شما فعال شد.",
            "طرح: {plan_name}",
            'دستگاه: <span dir="ltr">{mac}</span>',
            "تاریخ پایان: {expiry_date}",
        ),
        "To a new customer",
    ),
    FirstTemplate(
        RENEWAL,
        "اشتراک شما تمدید شد",
        _page("{name} عزیز، اشتراک شما تمدید شد.", "طرح: {plan_name}", "تاریخ پایان: {expiry_date}"),
        "After a renewal",
    ),
    FirstTemplate(
        EXPIRY,
        "اشتراک شما در {expiry_date} به پایان می‌رسد",
        _page("{name} عزیز، اشتراک شما در تاریخ {expiry_date} به پایان می‌رسد.", "لطفاً برای تمدید آن اقدام کنید."),
        "Before a subscription ends",
    ),
    FirstTemplate(
        EXPIRED,
        "اشتراک شما به پایان رسید",
        _page(
            "{name} عزیز، اشتراک شما در تاریخ {expiry_date} به پایان رسید.", "برای فعال‌سازی دوباره، آن را تمدید کنید."
        ),
        "After a subscription has ended",
    ),
)


_FIRST_SUPER = select(User.id).where(User.super_user == 1).order_by(User.id).limit(1)


def give_first(panel: Panel, connection: Connection, user_id: int) -> int:
    """The four templates for a super admin who has none and never got them; returns how many were added."""
    if not insert_if_absent(connection, MailTemplatesGiven, user_id=user_id, given_at=panel.clock.stamp()):
        return 0
    if connection.execute(select(MailTemplate.id).where(MailTemplate.user_id == user_id).limit(1)).first():
        return 0
    now = panel.clock.now()
    for item in FIRST:
        values = {
            "user_id": user_id,
            "name": item.name,
            "subject": item.subject,
            "body_html": item.html,
            "description": item.description,
            "is_active": 1,
            "created_at": now,
            "updated_at": now,
        }
        connection.execute(insert(MailTemplate).values(**values))
    return len(FIRST)


def give_first_super(panel: Panel) -> int:
    """As :func:`give_first`, for the first super admin; for the upgrade of a panel's database."""
    if not has_mail(panel):
        return 0

    def act(connection: Connection) -> int:
        user_id = connection.scalar(_FIRST_SUPER)
        return 0 if user_id is None else give_first(panel, connection, user_id)

    return panel.database.transact(act)


def lacking_first_super(connection: Connection, layout: Layout) -> int:
    """How many :func:`give_first_super` would add, also in a database that has yet to be upgraded."""
    user_id = connection.scalar(_FIRST_SUPER) if layout.has_table(User.__tablename__) else None
    if user_id is None:
        return 0
    for model in (MailTemplatesGiven, MailTemplate):
        own = select(sa.literal(1)).select_from(model).where(model.user_id == user_id).limit(1)
        if layout.has_table(model.__tablename__) and connection.execute(own).first() is not None:
            return 0
    return len(FIRST)
