"""The settings of one portal server, and how they arise from the configuration; nothing is read from a database."""

from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo

from pydantic import SecretStr

from core import config
from core.portal.addresses import api_address, default_api_address

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One portal server. Times in seconds, sizes in bytes.

    ``address`` (empty: taken from ``api_url``) is only used for the theme script. ``verify`` is False for a portal
    whose certificate cannot be verified, or the path of a file with its certificate authority. ``skip_seconds``
    above 0: after two connect failures or timeouts in a row, calls fail at once for that long; with
    ``skip_only_timeouts`` only timeouts count. ``full_updates``: an edit is to send every field, not only what
    changed. ``zone``: in which Unix seconds of the portal are days.
    """

    name: str
    api_url: str
    address: str = ""
    username: str = ""
    password: SecretStr = field(default=SecretStr(""))
    theme_key: SecretStr = field(default=SecretStr(""))
    verify: bool | str = True
    connect_seconds: float = 5.0
    call_seconds: float = 10.0
    list_seconds: float = 180.0
    settle_seconds: float = 2.0
    call_bytes: int = 4 * MIB
    list_bytes: int = 256 * MIB
    concurrency: int = 8
    skip_seconds: float = 0.0
    skip_only_timeouts: bool = False
    full_updates: bool = False
    zone: tzinfo = UTC


def primary_settings(portal: config.Portal, zone: tzinfo = UTC) -> ServerSettings | None:
    """Server 1; None when it is not configured."""
    found = _settings(
        portal, "server 1", portal.primary_api_url, portal.primary_address, portal.primary_full_updates, zone
    )
    # refused connections are told as they are: one that is back is not left waiting
    return found and replace(found, skip_seconds=portal.primary_pause_seconds, skip_only_timeouts=True)


def secondary_settings(portal: config.Portal) -> ServerSettings | None:
    """Server 2; None unless dual-server mode is on and its API address differs from server 1's."""
    primary = primary_settings(portal)
    secondary = _settings(
        portal, "server 2", portal.secondary_api_url, portal.secondary_address, portal.secondary_full_updates
    )
    if not portal.dual_server or primary is None or secondary is None:
        return None
    if api_address(primary.api_url) == api_address(secondary.api_url):
        return None
    return replace(secondary, skip_seconds=portal.secondary_pause_seconds)


def _settings(
    portal: config.Portal, name: str, api_url: str, address: str, full_updates: bool, zone: tzinfo = UTC
) -> ServerSettings | None:
    if not api_url and not address:
        return None
    return ServerSettings(
        name=name,
        api_url=api_url or default_api_address(address),
        address=address,
        username=portal.username,
        password=portal.password,
        theme_key=portal.theme_key,
        verify=str(portal.ca_file) if portal.verify_tls and portal.ca_file else portal.verify_tls,
        connect_seconds=portal.connect_seconds,
        call_seconds=portal.call_seconds,
        list_seconds=portal.list_seconds,
        settle_seconds=portal.recheck_seconds,
        full_updates=full_updates,
        zone=zone,
    )
