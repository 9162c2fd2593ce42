"""The upgrade of a panel's database, whole: its structure, first rows and digests; carried out, or only told.

The structure itself: :mod:`core.storage.schema`. Both tell the same lines.
"""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from core.access import audit_digest
from core.messages.mail import first_templates as mail_templates
from core.messages.sms import first_templates as sms_templates
from core.messages.telegram import templates as telegram_templates
from core.panel import Panel
from core.security.sealed_columns import seal_all, unsealed
from core.storage import schema
from core.storage.schema import Findings, Layout


def planned(panel: Panel) -> Findings:
    """What :func:`upgrade` would write, all of it; changes nothing."""
    findings = schema.check(panel.database)
    if findings.is_refused:
        return findings
    if panel.database.is_missing:
        # nobody is in it who could be given something
        lines = _templates(0, 0, 0, len(telegram_templates.FIRST))
    else:
        layout = schema.read_layout(panel.database)
        with panel.database.read() as connection:
            lines = _first_rows(panel, connection, layout)
    return replace(findings, lines=[*findings.lines, *lines])


def upgrade(panel: Panel, progress: Callable[[str], None]) -> list[str]:
    """Everything that :func:`planned` tells; returns what was done, and ``progress`` gets each line. Additive.

    Raises UnknownDatabase and other DatabaseFailed.
    """
    done = schema.upgrade(panel.database, progress)
    with panel.database.read() as connection:
        lines = _first_rows(panel, connection, panel.layout)
    sms_templates.give_missing_stages(panel)
    mail_templates.give_first_super(panel)
    telegram_templates.give_missing(panel)
    seal_all(panel.database, panel.layout, panel.sealer)
    # a long log is counted now, and not while somebody waits for its first page
    audit_digest.carry_on(panel)
    for line in lines:
        progress(line)
    return [*done, *lines]


def _first_rows(panel: Panel, connection: Connection, layout: Layout) -> list[str]:
    users, stages = sms_templates.lacking_stages(panel, connection, layout)
    mails = mail_templates.lacking_first_super(connection, layout)
    lines = _templates(len(users), len(stages), mails, len(telegram_templates.lacking(connection, layout)))
    if layout.origin == schema.OWN and (secrets := unsealed(connection, layout)):
        lines.append(f"seal {len(secrets)} stored passwords and tokens")
    if entries := audit_digest.entries_to_count(panel, connection, layout):
        lines.append(f"count {entries} entries of the audit log once for all pages")
    return lines


def _templates(users: int, stages: int, mails: int, telegrams: int) -> list[str]:
    lines = []
    if users:
        lines.append(f"add {stages} SMS templates of the reminder stages, and note that {users} users got theirs")
    if mails:
        lines.append(f"add {mails} mail templates for the first super admin, and note that they were given")
    if telegrams:
        lines.append(f"add {telegrams} Telegram templates")
    return lines
