"""Which tables a dump holds, which of their rows fall with another table's, and what a redacted dump leaves out.

Each table of ours is decided here (a test names one that is not): worth saving, or of this moment and this server.
Source: contract chapter 70, "Dump content" and "Redacted dump".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from core.storage.tables import (
    PANEL_TABLES,
    AccountNote,
    AppSetting,
    ArchivedAccount,
    ArchivedPayment,
    AuditDigest,
    AuditDigestReach,
    AuditEntry,
    Base,
    Claim,
    Correction,
    Counter,
    Credential,
    DeletedPlan,
    GivenAnswer,
    Job,
    LedgerNote,
    LedgerOpening,
    Lock,
    LoginHistory,
    MailSettings,
    MailTemplatesGiven,
    Operation,
    Passkey,
    PasskeyChallenge,
    PlanNote,
    PortalListing,
    PushSubscription,
    SmsSettings,
    SmsStagesGiven,
    StalkerSetting,
    State,
    StoredSession,
    SyncedSession,
    SyncOutcome,
    TelegramLink,
    TelegramSettings,
    User,
    Version,
    WebauthnCredential,
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

# ours that belong to the panel's rows
COMPANIONS: tuple[type[Base], ...] = (
    AccountNote,
    ArchivedAccount,
    ArchivedPayment,
    Correction,
    DeletedPlan,
    LedgerNote,
    LedgerOpening,
    PlanNote,
    MailTemplatesGiven,
    SmsStagesGiven,
    XtreamServer,
    XtreamServerControl,
    XtreamStream,
    XtreamAssignment,
    XtreamEpisode,
    XtreamBouquet,
    XtreamGroup,
    XtreamMember,
    XtreamLine,
    XtreamOutput,
    XtreamMag,
    XtreamEnigma,
)
# sessions, keys and counters of passkeys, work that is under way, who got which message, and what is counted from other
# tables: true of this server only
NEVER_SAVED: tuple[type[Base], ...] = (
    XtreamConnection,
    XtreamPending,
    XtreamCommand,
    TelegramLink,
    AuditDigest,
    AuditDigestReach,
    Claim,
    Credential,
    Counter,
    GivenAnswer,
    PortalListing,
    SyncedSession,
    SyncOutcome,
    Job,
    Lock,
    Operation,
    Passkey,
    PasskeyChallenge,
    State,
    StoredSession,
    Version,
)
# in the order in which rows may be added: those that others refer to first
SAVED: tuple[sa.Table, ...] = (*PANEL_TABLES, *(Base.metadata.tables[model.__tablename__] for model in COMPANIONS))
BY_NAME: Mapping[str, sa.Table] = {str(table.name): table for table in SAVED}
# logs that are never wiped: their rows come from a dump only where there are none
PERMANENT = (AuditEntry.__tablename__, LoginHistory.__tablename__)
# rows about rows of another table: worse than none when those are replaced and the dump has none of these
ABOUT: Mapping[str, tuple[type[Base], ...]] = {
    "_transactions": (LedgerNote, LedgerOpening, Correction),
    "_users": (LedgerOpening,),
    "_accounts": (AccountNote,),
    "_plans": (PlanNote, DeletedPlan),
}
# what is gone, under its old id: not where that id is back
ARCHIVES: Mapping[str, type[Base]] = {"_accounts": ArchivedAccount, "_reseller_payments": ArchivedPayment}


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a redacted dump shows of a table. ``stand_ins``: column → what stands in its place in every row;
    ``rows``: whether there are any; ``by_key``: the columns of a setting's name and value, whose value is emptied
    where the name speaks of a secret."""

    stand_ins: Mapping[str, str | None] | None = None
    rows: bool = True
    by_key: tuple[str, str] | None = None


_NO_ROWS = Redaction(rows=False)
# every column that holds a secret, and nothing else
REDACTIONS: Mapping[type[Base], Redaction] = {
    User: Redaction({"password": "!", "telegram_chat_id": None}),
    MailSettings: Redaction({"smtp_password": ""}),
    SmsSettings: Redaction({"api_token": ""}),
    TelegramSettings: Redaction({"bot_token": "", "webhook_secret": ""}),
    StalkerSetting: Redaction(by_key=("setting_key", "setting_value")),
    AppSetting: Redaction(by_key=("setting_key", "setting_value")),
    WebauthnCredential: _NO_ROWS,
    PushSubscription: _NO_ROWS,
    AuditEntry: _NO_ROWS,
    LoginHistory: _NO_ROWS,
}
_REDACTIONS = {model.__tablename__: redaction for model, redaction in REDACTIONS.items()}
SECRET_NAME = re.compile(r"pass(word|wd)?|secret|token|key$|auth$|hash|credential|chat_id", re.IGNORECASE)


def redaction_of(table: sa.Table) -> Redaction:
    """A table of our own is not for others at all."""
    return _REDACTIONS.get(table.name, Redaction(rows=table in PANEL_TABLES))
