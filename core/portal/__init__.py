"""The client of the Stalker/Ministra portal's REST API: what the panel asks of its one or two portal servers.

Business decisions (who may do what, prices, what is stored) are not made here. Source: contract chapters 90 and 50.
"""

from core.portal.accounts import NewPortalAccount, PortalAccount, PortalAccountList
from core.portal.addresses import api_address, server_address
from core.portal.errors import (
    Outcome,
    PortalAccountNotFound,
    PortalAuthentication,
    PortalError,
    PortalHttpStatus,
    PortalInvalidAnswer,
    PortalInvalidInput,
    PortalLoginTaken,
    PortalMacTaken,
    PortalNotConfigured,
    PortalRefused,
    PortalSwitchedOff,
    PortalThemeFailed,
    PortalThemeUnsupported,
    PortalTimeout,
    PortalTlsFailed,
    PortalUnreachable,
)
from core.portal.portals import Portals
from core.portal.server import EVENTS, PortalServer
from core.portal.settings import ServerSettings
from core.portal.tariffs import Tariff
from core.values.macs import normal_mac

__all__ = [
    "EVENTS",
    "NewPortalAccount",
    "Outcome",
    "PortalAccount",
    "PortalAccountList",
    "PortalAccountNotFound",
    "PortalAuthentication",
    "PortalError",
    "PortalHttpStatus",
    "PortalInvalidAnswer",
    "PortalInvalidInput",
    "PortalLoginTaken",
    "PortalMacTaken",
    "PortalNotConfigured",
    "PortalRefused",
    "PortalServer",
    "PortalSwitchedOff",
    "PortalThemeFailed",
    "PortalThemeUnsupported",
    "PortalTimeout",
    "PortalTlsFailed",
    "PortalUnreachable",
    "Portals",
    "ServerSettings",
    "Tariff",
    "api_address",
    "normal_mac",
    "server_address",
]
