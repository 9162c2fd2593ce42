"""What answers say of a portal server 2 that did not follow (contract chapters 20 §1.9 and 50)."""

from typing import Any

from core.accounts.on_portals import Lag


def told_of_server2(error: str | None) -> dict[str, Any]:
    """The further keys of a success; ``error`` None: it followed."""
    return {"server2_warning": True, "server2_error": error} if error else {}


def told_of_lag(lag: Lag) -> dict[str, Any]:
    """The further keys of a success that the portals did not wholly follow."""
    server2 = f"Server 2 did not follow and is told again later: {lag.server2}" if lag.server2 else None
    texts = [text for text in (server2, lag.theme, *lag.notes) if text]
    warned = {"warning": 1, "warning_text": "; ".join(texts)} if texts else {}
    return warned | told_of_server2(lag.server2)
