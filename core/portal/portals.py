"""The portal servers of the panel together: server 1, and server 2 in dual-server mode. Which operation calls which
in what order is decided by the operations. Source: contract chapter 50, "Dual-server mode".
"""

from datetime import UTC, tzinfo

from core import config
from core.portal.errors import PortalNotConfigured
from core.portal.server import PortalServer
from core.portal.settings import primary_settings, secondary_settings
from core.portal.tariff_list import TariffList


class Portals:
    """Both servers for one state of the settings; build another one when the settings change.

    ``zone``: the panel's. Raises PortalInvalidInput when an address in the settings is malformed.
    """

    def __init__(self, settings: config.Portal, zone: tzinfo = UTC) -> None:
        self.settings = settings
        primary, secondary = primary_settings(settings, zone), secondary_settings(settings)
        self._primary = PortalServer(primary) if primary else None
        self._secondary = PortalServer(secondary) if secondary else None
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
