"""Which columns hold a secret that is stored sealed, and which of the same row say where it goes.

A seal is bound to that place: where another address stands beside it, as in an edited dump, it cannot be read any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import InstrumentedAttribute

from core.storage.tables.devices import PORTAL_PASSWORD, StalkerSetting
from core.storage.tables.messages import MailSettings, SmsSettings, TelegramSettings

_Column = InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class SecretColumn:
    """``secret`` goes to what ``where`` says; with none of these to what only the configuration can change."""

    secret: _Column
    where: tuple[_Column, ...] = ()

    def place(self, row: Mapping[str, Any]) -> str:
        """What the secret of ``row``, a mapping with at least the columns ``where``, is bound to."""
        return _place(f"{self.secret.class_.__tablename__}.{self.secret.name}", *(row[c.name] for c in self.where))


MAIL = SecretColumn(
    MailSettings.smtp_password, (MailSettings.smtp_host, MailSettings.smtp_port, MailSettings.smtp_secure)
)
SMS = SecretColumn(SmsSettings.api_token, (SmsSettings.base_url,))
BOT = SecretColumn(TelegramSettings.bot_token)
WEBHOOK = SecretColumn(TelegramSettings.webhook_secret)
# beside the portal's password, which is the value of a setting
COLUMNS = (MAIL, SMS, BOT, WEBHOOK)

_PORTAL_ADDRESSES = ("server_address", "server_2_address", "api_base_url", "api_2_base_url")


def portal_place(settings: Mapping[str, str | None]) -> str:
    """What the portal's password among these settings (key → value) is bound to."""
    name = f"{StalkerSetting.__tablename__}.{PORTAL_PASSWORD}"
    return _place(name, *(settings.get(address) for address in _PORTAL_ADDRESSES))


def streaming_server_place(server_id: int) -> str:
    """What the secret of a streaming server is bound to."""
    return _place("_sbx_xt_server_control.secret", server_id)


def _place(*parts: object) -> str:
    """One spelling of each place, and of no two the same."""
    return orjson.dumps(["" if part is None else str(part).strip().lower().rstrip("/") for part in parts]).decode()
