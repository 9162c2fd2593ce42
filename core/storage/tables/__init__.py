"""The tables, as SQLAlchemy models: those of the legacy panel (chapter 01) and our own, which begin with ``_sbx_``.

How a database comes by these tables is decided in :mod:`core.storage.schema`; no business rule lives here.
Attribute names are column names. Defaults that say "now" exist for the panel's sake: our code always
writes its own time, since a database server's clock is in another zone (chapter 01).
"""

import sqlalchemy as sa

from core.storage.tables.accounts import Account, AccountNote, ArchivedAccount, Operation
from core.storage.tables.base import OWN_PREFIX, Base, Choice
from core.storage.tables.devices import StalkerSetting, StbActionLog
from core.storage.tables.ledger import Correction, LedgerNote, LedgerOpening, Transaction
from core.storage.tables.messages import (
    MailLog,
    MailReminderTracking,
    MailSettings,
    MailTemplate,
    MailTemplatesGiven,
    SmsLog,
    SmsReminderTracking,
    SmsSettings,
    SmsStagesGiven,
    SmsTemplate,
    TelegramLink,
    TelegramLog,
    TelegramNotificationSettings,
    TelegramSettings,
    TelegramTemplate,
)
from core.storage.tables.notices import ExpiryReminder, PushExpiryTracking, PushSubscription, ReminderSettings
from core.storage.tables.payments import ArchivedPayment, IranianBank, ResellerPayment
from core.storage.tables.people import (
    AuditDigest,
    AuditDigestReach,
    AuditEntry,
    Credential,
    LoginHistory,
    Passkey,
    PasskeyChallenge,
    StoredSession,
    User,
    WebauthnCredential,
)
from core.storage.tables.plans import Currency, DeletedPlan, Plan, PlanNote
from core.storage.tables.texts import hold
from core.storage.tables.work import (
    AppSetting,
    Claim,
    Counter,
    GivenAnswer,
    Job,
    Lock,
    PortalListing,
    State,
    SyncedSession,
    SyncOutcome,
    Version,
)
from core.storage.tables.xtream import (
    XtreamAssignment,
    XtreamBouquet,
    XtreamCommand,
    XtreamConnection,
    XtreamEnigma,
    XtreamEpisode,
    XtreamGroup,
    XtreamLine,
    XtreamMag,
    XtreamMember,
    XtreamOutput,
    XtreamPending,
    XtreamServer,
    XtreamServerControl,
    XtreamStream,
)

__all__ = [
    "OWN_PREFIX",
    "OWN_TABLES",
    "PANEL_TABLES",
    "Account",
    "AccountNote",
    "AppSetting",
    "ArchivedAccount",
    "ArchivedPayment",
    "AuditDigest",
    "AuditDigestReach",
    "AuditEntry",
    "Base",
    "Claim",
    "Correction",
    "Counter",
    "Credential",
    "Currency",
    "DeletedPlan",
    "ExpiryReminder",
    "GivenAnswer",
    "IranianBank",
    "Job",
    "LedgerNote",
    "LedgerOpening",
    "Lock",
    "LoginHistory",
    "MailLog",
    "MailReminderTracking",
    "MailSettings",
    "MailTemplate",
    "MailTemplatesGiven",
    "Operation",
    "Passkey",
    "PasskeyChallenge",
    "Plan",
    "PlanNote",
    "PortalListing",
    "PushExpiryTracking",
    "PushSubscription",
    "ReminderSettings",
    "ResellerPayment",
    "SmsLog",
    "SmsReminderTracking",
    "SmsSettings",
    "SmsStagesGiven",
    "SmsTemplate",
    "StalkerSetting",
    "State",
    "StbActionLog",
    "StoredSession",
    "SyncOutcome",
    "SyncedSession",
    "TelegramLink",
    "TelegramLog",
    "TelegramNotificationSettings",
    "TelegramSettings",
    "TelegramTemplate",
    "Transaction",
    "User",
    "Version",
    "WebauthnCredential",
    "XtreamAssignment",
    "XtreamBouquet",
    "XtreamCommand",
    "XtreamConnection",
    "XtreamEnigma",
    "XtreamEpisode",
    "XtreamGroup",
    "XtreamLine",
    "XtreamMag",
    "XtreamMember",
    "XtreamOutput",
    "XtreamPending",
    "XtreamServer",
    "XtreamServerControl",
    "XtreamStream",
]

for _table in Base.metadata.tables.values():
    hold(_table, Choice)

PANEL_TABLES: tuple[sa.Table, ...] = tuple(
    table for table in Base.metadata.sorted_tables if not table.name.startswith(OWN_PREFIX)
)
OWN_TABLES: tuple[sa.Table, ...] = tuple(
    table for table in Base.metadata.sorted_tables if table.name.startswith(OWN_PREFIX)
)
