"""What the mail page is shown: settings, templates, counts. Source: contract chapter 80, ``get_mail_settings``."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.access.actors import Actor
from core.access.permissions import READ_MAIL, require
from core.messages.log_page import Counts
from core.messages.mail.log import count_log
from core.messages.mail.settings import has_mail
from core.messages.mail.settings_edit import ShownSettings, default_settings, read_settings
from core.messages.mail.templates import ListedTemplate, list_templates
from core.panel import Panel


@dataclass(frozen=True, slots=True)
class MailView:
    """``uses_admins``: the templates are another super admin's."""

    settings: ShownSettings
    templates: Sequence[ListedTemplate]
    uses_admins: bool
    counts: Counts


def read_view(panel: Panel, actor: Actor) -> MailView:
    """Raises NotAllowed."""
    require(actor, READ_MAIL)
    if not has_mail(panel):
        return MailView(default_settings(panel), (), False, Counts())
    with panel.database.read() as connection:
        templates, uses_admins = list_templates(connection, actor.id)
        return MailView(read_settings(panel, connection, actor), templates, uses_admins, count_log(connection))
