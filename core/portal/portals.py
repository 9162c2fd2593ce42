"""The portal servers of the panel together: server 1, and server 2 in dual-server mode. Which operation calls which
in what order is decided by the operations. Source: contract chapter 50, "Dual-server mode".
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, tzinfo

from pydantic import SecretStr

from core import config
from core.portal.addresses import server_address
from core.portal.errors import PortalNotConfigured
from core.portal.server import PortalServer
from core.portal.settings import ServerSettings, primary_settings, secondary_settings
from core.portal.tariff_list import TariffList


class Portals:
    """Both servers for one state of the settings; build another one when the settings change.

    ``zone``: the panel's. ``theme_servers``: scheme, host and port of those that may be told the configured theme key;
    none: all may. Raises PortalInvalidInput when an address in the settings is malformed.
    """

    def __init__(self, settings: config.Portal, *, zone: tzinfo = UTC, theme_servers: Collection[str] = ()) -> None:
        self.settings = settings
        self._primary = _server(primary_settings(settings, zone), theme_servers)
        self._secondary = _server(secondary_settings(settings), theme_servers)
        self.tariffs = TariffList(lambda: self.primary.tariffs())

    @property
    def primary(self) -> PortalServer:
        """Server 1, the source of truth for reads; raises PortalNotConfigured."""
        if self._primary is None:
            raise PortalNotConfigured
        return self._primary

    @property
    def secondary(self) -> PortalServer | None:
        """Server 2 in dual-server mode, else None. Skipped for 60 s after two failures to reach it."""
        return self._secondary

    def close(self) -> None:
        """Close idle connections; calls under way finish on their own."""
        for server in (self._primary, self._secondary):
            if server is not None:
                server.close()


def _server(settings: ServerSettings | None, theme_servers: Collection[str]) -> PortalServer | None:
    if settings is None:
        return None
    # the address may have been changed in the panel, by somebody who does not know the key
    if theme_servers and server_address(settings.address or settings.api_url) not in theme_servers:
        settings = replace(settings, theme_key=SecretStr(""))
    return PortalServer(settings)
