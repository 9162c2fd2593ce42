"""What the SMS page is shown: settings, templates, counts. Source: contract chapter 60, ``get_sms_settings``."""

from dataclasses import dataclass
from typing import Any

from core.access.actors import Actor
from core.messages.sms.log import count_log
from core.messages.sms.settings import NOTHING_SET, has_sms, read_settings
from core.messages.sms.templates import list_texts
from core.panel import Panel


@dataclass(frozen=True, slots=True)
class SmsView:
    """As the endpoint answers it; ``settings`` hold the token's mask only."""

    settings: dict[str, Any]
    templates: list[dict[str, Any]]
    counts: dict[str, int]


def read_view(panel: Panel, actor: Actor) -> SmsView:
    if not has_sms(panel):
        return SmsView(NOTHING_SET, [], {"total_sent": 0, "successful": 0, "failed": 0, "pending": 0})
    with panel.database.read() as connection:
        return SmsView(
            read_settings(panel, connection, actor), list_texts(connection, actor), count_log(connection, actor)
        )
