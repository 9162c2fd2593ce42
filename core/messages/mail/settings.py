"""Whose mail server, switches and templates apply to whom. Source: contract chapter 80, "Mail helper".

The few rows there are of each are read once per run; the endpoints that change them are another room.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import SecretStr
from sqlalchemy import select

from core.errors import InvalidInput
from core.panel import Panel
from core.security.sealing import Unreadable
from core.storage.tables import MailLog, MailReminderTracking, MailSettings, MailTemplate, User
from core.storage.tables.secret_columns import MAIL
from core.values.checks import checked_email

TABLES = tuple(model.__tablename__ for model in (MailSettings, MailTemplate, MailLog, MailReminderTracking))
EXPIRY, EXPIRED = "Expiry Reminder", "Account Expired"
WELCOME, RENEWAL = "New Account Welcome", "Renewal Confirmation"
DEFAULT_PORT, DEFAULT_DAYS, MOST_DAYS = 587, 7, 30
TLS, SSL, NONE = "tls", "ssl", "none"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, as whom. ``secure``: ``tls`` (STARTTLS), ``ssl`` (from the start) or ``none``.

    ``password`` None: the stored one cannot be read.
    """

    host: str
    port: int
    secure: str
    username: str
    password: SecretStr | None = field(repr=False)

    @property
    def is_readable(self) -> bool:
        return self.password is not None


@dataclass(frozen=True, slots=True)
class Settings:
    """A row of ``_mail_settings`` that can be used: all of it applies together. ``user_id``: whose row.

    ``sends_…``: whether the automatic mails of that event go out; ``notifies_…``: who gets copies.
    """

    user_id: int
    server: MailServer
    from_email: str
    from_name: str
    sends_new_account: bool
    sends_renewal: bool
    sends_expiry: bool
    notifies_admin: bool
    notifies_reseller: bool
    days: int
    is_multistage: bool


@dataclass(frozen=True, slots=True)
class Template:
    subject: str
    html: str
    plain: str


@dataclass(frozen=True, slots=True)
class _Person:
    email: str | None
    is_super: bool


class MailBook:
    """All settings, templates and addresses of users."""

    def __init__(
        self,
        people: dict[int, _Person],
        settings: Iterable[Settings],
        templates: Iterable[tuple[int, str, Template]],
    ) -> None:
        self._people = people
        self._settings = {item.user_id: item for item in settings}
        self._templates: dict[tuple[int, str], Template] = {}
        for user_id, name, template in templates:
            self._templates.setdefault((user_id, name), template)
        self._supers = sorted(user_id for user_id, person in people.items() if person.is_super)

    @classmethod
    def load(cls, panel: Panel) -> Self:
        model = MailTemplate
        with panel.database.read() as connection:
            users = connection.execute(select(User.id, User.email, User.super_user)).all()
            settings = connection.execute(select(*MailSettings.__table__.c).order_by(MailSettings.id)).all()
            templates = connection.execute(
                select(model.user_id, model.name, model.subject, model.body_html, model.body_plain)
                .where(model.is_active == 1)
                .order_by(model.id)
            ).all()
        people = {row.id: _Person(usable_address(row.email), row.super_user == 1) for row in users}
        return cls(
            people,
            [_settings(panel, row) for row in settings if _is_complete(row)],
            [(row.user_id, row.name, Template(row.subject, row.body_html, row.body_plain or "")) for row in templates],
        )

    def first_super(self) -> int | None:
        return self._supers[0] if self._supers else None

    def sender_for(self, owner: int | None) -> int | None:
        """Who is meant to have sent what goes to an account of ``owner``: nobody's is the first super admin's."""
        return owner if owner in self._people else self.first_super()

    def settings_for(self, user_id: int) -> Settings | None:
        """The user's own, else those of the first super admin who has some; None: mail is not configured."""
        return next((self._settings[id] for id in (user_id, *self._supers) if id in self._settings), None)

    def template_for(self, user_id: int, name: str) -> Template | None:
        """The user's own active one, else that of the first super admin who has one."""
        keys = ((id, name) for id in (user_id, *self._supers))
        return next((self._templates[key] for key in keys if key in self._templates), None)

    def super_addresses(self) -> list[str | None]:
        """Of all super admins."""
        return [self.address_of(user_id) for user_id in self._supers]

    def address_of(self, user_id: int) -> str | None:
        person = self._people.get(user_id)
        return person.email if person else None

    @property
    def all_settings(self) -> list[Settings]:
        return list(self._settings.values())


def has_mail(panel: Panel) -> bool:
    """Whether this database has the tables of mail at all."""
    return all(panel.layout.has_table(table) for table in TABLES)


def usable_address(text: str | None) -> str | None:
    """The address in ``text`` as mail servers want it, its domain as punycode; None for what is none that we can send
    to, such as one whose local part is not ASCII."""
    try:
        address = checked_email((text or "").strip())
        if address is None or address.isascii():
            return address
        local, _, domain = address.rpartition("@")
        return f"{local}@{domain.encode('idna').decode()}" if local.isascii() else None
    except (InvalidInput, UnicodeError):
        return None


def _is_complete(row: Any) -> bool:
    """PHP's set-up leaves rows with a vendor's host and user name, and no password: no connection is opened for those
    (chapter 80, settled 1)."""
    return all((text or "").strip() for text in (row.smtp_host, row.smtp_username, row.smtp_password))


def _settings(panel: Panel, row: Any) -> Settings:
    username = row.smtp_username.strip()
    try:
        password = SecretStr(panel.sealer.unsealed(row.smtp_password, MAIL.place(row._mapping)))
    except Unreadable:
        password = None
    secure = row.smtp_secure if row.smtp_secure in (TLS, SSL, NONE) else TLS
    port = row.smtp_port if row.smtp_port and 0 < row.smtp_port < 65536 else DEFAULT_PORT
    host = (row.smtp_host or "").strip() or panel.config.mail.default_host
    return Settings(
        row.user_id,
        MailServer(host, port, secure, username, password),
        usable_address(row.from_email) or usable_address(username) or "",
        (row.from_name or "").strip() or panel.config.panel.name,
        row.auto_send_new_account == 1,
        row.auto_send_renewal == 1,
        row.auto_send_expiry == 1,
        row.notify_admin == 1,
        row.notify_reseller == 1,
        row.days_before_expiry if row.days_before_expiry and 1 <= row.days_before_expiry <= MOST_DAYS else DEFAULT_DAYS,
        row.enable_multistage_reminders != 0,
    )
