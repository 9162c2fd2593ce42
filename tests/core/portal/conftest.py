"""One portal and its client, as most tests of this room need them."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from core.portal import PortalServer
from simulators.stalker import StalkerPortal
from tests.worlds.portals import HASTY_SECONDS, Connect, connected, example_portal


@pytest.fixture
def portal() -> Iterator[StalkerPortal]:
    with example_portal() as portal:
        yield portal


@pytest.fixture
def connect() -> Iterator[Connect]:
    """``connect(portal, …)``: a client of it, with those settings."""
    with ExitStack() as stack:

        def make(portal: StalkerPortal, **changes: Any) -> PortalServer:
            return stack.enter_context(connected(changes.pop("api_url", portal.base_url), **changes))

        yield make


@pytest.fixture
def server(portal: StalkerPortal, connect: Connect) -> PortalServer:
    return connect(portal)


@pytest.fixture
def hasty(portal: StalkerPortal, connect: Connect) -> PortalServer:
    """A client that waits a moment only."""
    return connect(portal, connect_seconds=HASTY_SECONDS, call_seconds=HASTY_SECONDS)
