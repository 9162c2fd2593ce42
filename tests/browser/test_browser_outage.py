"""Pages that are open while the panel or its database is away (contract chapter 05 §3.2, §10.11, §11)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy.engine import make_url

from tests.browser.conftest import Visit
from tests.browser.outages import PanelProcess
from tests.browser.panels import Site, fill
from tests.browser.test_browser_entry import ALL, at_rest
from tests.browser.test_browser_session import FOCUS
from tests.browser.visitors import expect_accounts
from tests.worlds.databases import create_database
from tests.worlds.door import Door
from tests.worlds.harness import Client, World
from tests.worlds.places import FRONTENDS

FAILED = "Something went wrong"
StartPanel = Callable[[Site], PanelProcess]


@pytest.fixture
def start_panel(tmp_path: Path) -> Iterator[StartPanel]:
    """A panel in a process of its own, with the site's database and frontend."""
    started: list[PanelProcess] = []

    def start(site: Site) -> PanelProcess:
        settings = {
            "SHOWBOX_DATABASE_URL": site.world.config.database.url.get_secret_value(),
            "SHOWBOX_FRONTEND_ROOT": str(site.frontend),
        }
        started.append(PanelProcess(settings, tmp_path))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.stop()


def test_27_the_panel_is_stopped_and_started_again(site: Site, visit: Visit, start_panel: StartPanel) -> None:
    is_legacy = site.generation == "legacy"
    panel = start_panel(site)
    visitor = visit(panel.url, worker=is_legacy).holds_session_of("admin")
    # of the click, and of what the page was still loading on a busy machine
    visitor.expects(r"ERR_CONNECTION_REFUSED|\.php(\?\S*)?: net::ERR_FAILED")
    visitor.open(site.dashboard)
    page = visitor.page
    if is_legacy:
        page.wait_for_function("performance.getEntriesByType('navigation')[0].type === 'reload'")
    expect_accounts(page, *ALL)
    page.wait_for_load_state("networkidle")
    delete = page.get_by_role("button", name="Delete").first

    panel.stop()
    delete.click()
    # through the older worker the text comes in a key that the page does not read
    expect(page.locator("#alert")).to_have_text(FAILED if is_legacy else f"{FAILED}: Failed to fetch")
    if not is_legacy:
        # the older worker answers by itself, and with any answer the older page leaves
        page.get_by_role("button", name="Log out").click()
    page.evaluate(FOCUS)
    assert page.url == panel.url + site.dashboard

    panel.start()
    with page.expect_response("**/remove_account.php") as answer:
        delete.click()
    assert answer.value.json()["error"] in (0, 1)
    expect(page.locator("#alert")).not_to_contain_text("Failed to fetch")
    assert page.url == panel.url + site.dashboard


@pytest.fixture(params=["sql", "php-files"])
def cuttable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, Door]]:
    """A panel whose MariaDB is reached through a door, with each place for sessions."""
    url = make_url(create_database("mariadb", "browser_outage"))
    door = Door((url.host or "127.0.0.1", url.port or 3306))
    settings = {
        "SHOWBOX_SESSION_STORE": request.param,
        "SHOWBOX_SESSION_PHP_SAVE_PATH": str(tmp_path),
        "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": "no",
        "SHOWBOX_FRONTEND_ROOT": str(FRONTENDS / "modern"),
    }
    through = url.set(host="127.0.0.1", port=door.port).render_as_string(hide_password=False)
    world = World(through, settings)
    fill(world)
    site = Site(world, "modern")
    yield site, door
    site.close()
    door.close()
    world.close()


def test_09_a_database_that_is_away_ends_no_session(cuttable: tuple[Site, Door], visit: Visit) -> None:
    site, door = cuttable
    visitor = visit(site.url).holds_session_of("admin")
    visitor.open("/dashboard.php")
    page = visitor.page
    expect_accounts(page, *ALL)
    at_rest(visitor, site)
    door.close()
    visitor.expects(r"status of 503.*session_heartbeat")
    site.seen.clear()
    page.evaluate(FOCUS)
    page.wait_for_load_state("networkidle")
    visitor.until(lambda: site.of("session_heartbeat") and site.of("session_heartbeat")[0].status, "the heartbeat")
    page.wait_for_timeout(200)
    assert page.url == f"{site.url}/dashboard.php"
    assert visitor.session_id is not None
    client = Client(site.url, {"PHPSESSID": visitor.session_id})
    answer = client.get("/api/session_heartbeat.php")
    if answer.status_code == 503:
        # any envelope would send the page away
        assert answer.headers["Content-Type"] != "application/json"
    else:
        assert answer.json() | {"error": 0, "expired": False} == answer.json()
    # a session that can be read stands, also while its idle limit cannot be looked up
    is_readable = site.world.config.session.store == "php-files"
    assert client.get("/dashboard.php").headers["Content-Type"].startswith("text/html" if is_readable else "text/plain")
