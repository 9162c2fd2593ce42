"""A simulated portal and our client of it, for tests that need no panel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from core.portal import PortalServer, ServerSettings
from simulators.stalker import StalkerPortal

MAC1, MAC2, MAC3, MAC9 = (f"00:1A:79:00:00:0{number}" for number in (1, 2, 3, 9))
# how long a hasty client waits for an answer
HASTY_SECONDS = 0.6

Connect = Callable[..., PortalServer]


def example_portal(dialect: str = "panel") -> StalkerPortal:
    """The two users of contract chapter 90 §12 and a tariff; not started yet."""
    portal = StalkerPortal(dialect=dialect, user="apiuser", password="apipass", theme_key="theme-secret")
    portal.add_plan("78", "1 Month", user_default=True, days_to_expires=30)
    portal.add_user("user001", MAC1, account_number="10000001", full_name="Ann", tariff_plan="78")
    portal.add_user("user002", MAC2, account_number="10000002")
    return portal


@contextmanager
def connected(api_url: str, **changes: Any) -> Iterator[PortalServer]:
    """A client with the credentials of :func:`example_portal`; ``changes``: fields of ``ServerSettings``."""
    values: dict[str, Any] = {
        "name": "server 1",
        "api_url": api_url,
        "username": "apiuser",
        "password": SecretStr("apipass"),
        "theme_key": SecretStr("theme-secret"),
        "settle_seconds": 0.0,
    }
    server = PortalServer(ServerSettings(**(values | changes)))
    try:
        yield server
    finally:
        server.close()
