"""What answers say of a portal server 2 that did not follow (contract chapters 20 §1.9 and 50)."""

from typing import Any

from core.accounts.on_portals import Lag
from legacy_routes.warnings import warned


def told_of_server2(error: str | None) -> dict[str, Any]:
    """The further keys of a success; ``error`` None: it followed."""
    return {"server2_warning": True, "server2_error": error} if error else {}


def told_of_lag(lag: Lag) -> dict[str, Any]:
    """The further keys of a success that the portals did not wholly follow."""
    server2 = f"Server 2 did not follow and is told again later: {lag.server2}" if lag.server2 else None
    theme = f"The portal did not take the theme: {lag.theme}" if lag.theme else None
    return warned(server2, theme, *lag.notes) | told_of_server2(lag.server2)
