"""The frontend in Chromium behind nginx and Apache, with HTTPS, at the root and below a path (``deploy/``)."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.panels import fill
from tests.browser.test_browser_entry import ALL
from tests.browser.visitors import Visitor, arrives_at, expect_accounts
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.places import FRONTENDS
from tests.worlds.waiting import PATIENCE_SECONDS
from tests.worlds.web_servers import PLAIN_NGINX, apache, nginx


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world(
        "sqlite",
        SHOWBOX_SESSION_STORE="sql",
        SHOWBOX_FRONTEND_ROOT=str(FRONTENDS / "modern"),
        SHOWBOX_SERVER_TRUSTED_PROXIES="127.0.0.1",
    )
    fill(world)
    return world


@pytest.fixture
def trusting(chromium: Browser) -> Iterator[Visitor]:
    """A visitor whose browser takes the certificate of the tests."""
    context = chromium.new_context(ignore_https_errors=True, service_workers="block", locale="en-GB")
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    visitor = Visitor(context, "")
    yield visitor
    context.close()
    assert not visitor.problems


@pytest.mark.parametrize(
    ("server", "recipe", "below"),
    [
        pytest.param(nginx, "whole-site.conf", "", id="nginx"),
        pytest.param(nginx, "sub-path.conf", "/billing", id="nginx, below a path"),
        pytest.param(apache, "whole-site.conf", "", id="apache"),
        pytest.param(apache, "sub-path.conf", "/billing", id="apache, below a path"),
        pytest.param(nginx, PLAIN_NGINX, "", id="nginx, without a header"),
    ],
)
def test_the_frontend_behind_a_web_server_with_https(
    world: World, trusting: Visitor, tmp_path: Path, server: object, recipe: str, below: str
) -> None:
    with ExitStack() as stack:
        front = stack.enter_context(server(tmp_path, recipe, world.url))  # type: ignore[operator]
        page = trusting.open(f"{front.url}{below}/index.html")
        # which proxy says nothing, is not known to serve by HTTPS
        _logs_in_and_out(trusting, page, below, secure=recipe != PLAIN_NGINX)


def _logs_in_and_out(visitor: Visitor, page: Page, below: str, *, secure: bool) -> None:
    visitor.sign_in("admin")
    arrives_at(page, f"{below}/dashboard.php")
    expect_accounts(page, *ALL)
    [cookie] = [cookie for cookie in visitor.context.cookies() if cookie["name"] == "PHPSESSID"]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (secure, True, "Lax")
    page.get_by_role("button", name="Log out").click()
    arrives_at(page, f"{below}/index.html")
    assert urlsplit(page.url).scheme == "https"
    assert visitor.session_id is None
