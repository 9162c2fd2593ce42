"""What the SMS page is shown: settings, templates, counts. Source: contract chapter 60, ``get_sms_settings``."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.access.actors import Actor
from core.messages.log_page import Counts
from core.messages.sms.log import count_log
from core.messages.sms.settings import ShownSettings, has_sms, read_settings
from core.messages.sms.templates import StoredTemplate, list_templates
from core.panel import Panel


@dataclass(frozen=True, slots=True)
class SmsView:
    settings: ShownSettings
    templates: Sequence[StoredTemplate]
    counts: Counts


def read_view(panel: Panel, actor: Actor) -> SmsView:
    if not has_sms(panel):
        return SmsView(ShownSettings(), (), Counts())
    with panel.database.read() as connection:
        return SmsView(
            read_settings(panel, connection, actor), list_templates(connection, actor), count_log(connection, actor)
        )
