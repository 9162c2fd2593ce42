"""The portal settings in force: those of the configuration, overlaid by what a super admin saved in the panel.

A PHP panel's own rows do not count: there ``config.php`` was the truth, and the rows may hold an old password. They
are ours once they carry our mark. Source: contract chapter 50, ``update_stalker_settings``.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

from pydantic import SecretStr
from sqlalchemy import select

from core import config
from core.portal.addresses import api_address, default_api_address, server_address
from core.portal.errors import PortalInvalidInput
from core.storage.database import Database
from core.storage.tables import StalkerSetting
from core.storage.tables.devices import PORTAL_PASSWORD
from core.storage.tables.secret_columns import portal_place

TABLE = StalkerSetting.__tablename__
# a row of ours among the settings, where it is copied and restored together with them; PHP leaves unknown keys alone
SAVED_MARK = "_sbx_saved"
DUAL = "dual_server_mode_enabled"
# stored setting → key of section [portal]
_TEXTS = {
    "server_address": "primary_address",
    "server_2_address": "secondary_address",
    "api_username": "username",
    "api_base_url": "primary_api_url",
    "api_2_base_url": "secondary_api_url",
}
_ROWS = select(StalkerSetting.setting_key, StalkerSetting.setting_value)

Rows = Mapping[str, str | None]
Unsealed = Callable[[str | None, str], str]


def read_rows(database: Database) -> Rows:
    """Every stored setting, as the database has it now; the table must exist."""
    return {row[0]: row[1] for row in database.all(_ROWS)}


def in_force(configured: config.Portal, rows: Rows, unsealed: Unsealed) -> config.Portal:
    """``configured``, with the addresses, the credentials and the mode of ``rows`` if these are ours.

    ``unsealed`` makes of a stored password and the place that it is for what it was.
    """
    if rows.get(SAVED_MARK) is None:
        return configured
    values: dict[str, object] = {key: rows.get(setting) or "" for setting, key in _TEXTS.items()}
    values["password"] = SecretStr(unsealed(rows.get(PORTAL_PASSWORD), portal_place(rows)))
    values["dual_server"] = rows.get(DUAL) == "1"
    return configured.model_copy(update=values)


def as_rows(portal: config.Portal, sealed: Callable[[str, str], str]) -> dict[str, str]:
    """What is stored of ``portal``, the password as ``sealed`` makes it, with our mark."""
    texts = {setting: str(getattr(portal, key)) for setting, key in _TEXTS.items()}
    return {
        **texts,
        PORTAL_PASSWORD: sealed(portal.password.get_secret_value(), portal_place(texts)),
        DUAL: "1" if portal.dual_server else "0",
        SAVED_MARK: "1",
    }


def destinations(portal: config.Portal) -> set[str]:
    """Scheme, host and port of every server that the password is for."""
    found = set()
    for setting, text in shown(portal).items():
        if setting != "api_username" and text:
            with suppress(PortalInvalidInput):
                found.add(server_address(text))
    return found


def shown(portal: config.Portal) -> dict[str, str]:
    """The readable settings, what is not set filled in as it is understood; the password is not among them."""
    return {
        "server_address": _address(portal.primary_address, portal.primary_api_url),
        "server_2_address": _address(portal.secondary_address, portal.secondary_api_url),
        "api_username": portal.username,
        "api_base_url": _api_url(portal.primary_api_url, portal.primary_address),
        "api_2_base_url": _api_url(portal.secondary_api_url, portal.secondary_address),
    }


def _address(address: str, api_url: str) -> str:
    if address or not api_url:
        return address
    try:
        return server_address(api_url).rstrip("/")
    except PortalInvalidInput:
        return ""


def _api_url(api_url: str, address: str) -> str:
    try:
        return api_address(api_url) if api_url else default_api_address(address) if address else ""
    except PortalInvalidInput:
        return api_url
