"""What answers say of a portal server 2 that did not follow (contract chapters 20 §1.9 and 50)."""

from typing import Any

from core.accounts.on_portals import Lag


def told_of_server2(error: str | None) -> dict[str, Any]:
    """The further keys of a success; ``error`` None: it followed."""
    return {"server2_warning": True, "server2_error": error} if error else {}


def told_of_lag(lag: Lag) -> dict[str, Any]:
    """The further keys of a success that the portals did not wholly follow."""
    return ({"warning": 1} if lag.server2 or lag.theme else {}) | told_of_server2(lag.server2)
