"""The portal of the golden cases, in each dialect."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from simulators.stalker import StalkerPortal
from tests.simulators.client import M1, M2

MakePortal = Callable[..., StalkerPortal]


@pytest.fixture
def make_portal() -> Iterator[MakePortal]:
    """``make_portal(dialect="panel", …)``: U1 and U2 of the golden cases, one plan, credentials apiuser:apipass."""
    with ExitStack() as stack:

        def make(**switches: Any) -> StalkerPortal:
            defaults = {"user": "apiuser", "password": "apipass", "theme_key": "theme-secret"}
            portal = stack.enter_context(StalkerPortal(**(defaults | switches)))
            portal.add_plan("78", "1 Month", days_to_expires=30, packages=[portal.add_package("p1", "Base")])
            portal.add_user("user001", M1, account_number="10000001", password="pw1", full_name="José / 李")
            portal.add_user("user002", M2, account_number="10000002")
            return portal

        yield make


@pytest.fixture
def stock(make_portal: MakePortal) -> StalkerPortal:
    return make_portal()


@pytest.fixture
def panel(make_portal: MakePortal) -> StalkerPortal:
    return make_portal(dialect="panel")


@pytest.fixture
def ministra(make_portal: MakePortal) -> StalkerPortal:
    return make_portal(dialect="ministra56")
