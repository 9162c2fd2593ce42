"""One Chromium per test process, one profile per visitor, and the panels that they visit."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.panels import Site, fill
from tests.browser.visitors import Visitor
from tests.conftest import MakeWorld
from tests.worlds.lacking import find_program, require_program
from tests.worlds.places import FRONTENDS
from tests.worlds.waiting import PATIENCE_SECONDS

MakeSite = Callable[..., Site]
Visit = Callable[..., Visitor]

# the shell does the same in half the time, without windows
BROWSERS = ("chromium-headless-shell", "chromium")
# without these Chromium looks for its maker's hosts at every start
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# of the shell: what need not be a process is none, which is a fifth of what it costs
TOGETHER = ["--in-process-gpu", "--enable-features=NetworkServiceInProcess2", "--renderer-process-limit=1"]


def _installed(*names: str) -> str:
    found = next(filter(None, map(find_program, names)), None)
    return found or require_program(names[0], names[0])


@pytest.fixture(scope="session")
def _playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        yield playwright


def launched(playwright: Playwright, *names: str) -> Browser:
    """The first of these browsers that is installed."""
    program = _installed(*names)
    is_shell = program.endswith(BROWSERS[0])
    return playwright.chromium.launch(executable_path=program, args=[*QUIET, *(TOGETHER if is_shell else [])])


@pytest.fixture(scope="session")
def chromium(_playwright: Playwright) -> Iterator[Browser]:
    with launched(_playwright, *BROWSERS) as browser:
        yield browser


@pytest.fixture(scope="session")
def _sites(_worlds: MakeWorld) -> Iterator[MakeSite]:
    sites: dict[tuple[str, str], Site] = {}

    def make(generation: str, store: str) -> Site:
        settings = {
            "SHOWBOX_SESSION_STORE": store,
            "SHOWBOX_FRONTEND_ROOT": str(FRONTENDS / generation),
            # pages ask for what is today in UTC (05 §10.7), which is yesterday in Tehran in the evening
            "SHOWBOX_PANEL_TIMEZONE": "UTC",
        }
        world = _worlds("sqlite", **settings)
        fill(world)
        key = (generation, store)
        if key not in sites:
            sites[key] = Site(world, generation)
        sites[key].seen.clear()
        return sites[key]

    yield make
    for site in sites.values():
        site.close()


@pytest.fixture
def make_site(_sites: MakeSite) -> Iterator[MakeSite]:
    """``make_site(generation, store="sql")``: a served panel with fresh rows; afterwards it has had no fault."""
    made: list[Site] = []

    def make(generation: str, store: str = "sql") -> Site:
        made.append(_sites(generation, store))
        return made[-1]

    yield make
    for site in made:
        assert not site.faults()


@pytest.fixture
def legacy(make_site: MakeSite) -> Site:
    return make_site("legacy")


@pytest.fixture
def modern(make_site: MakeSite) -> Site:
    return make_site("modern")


@pytest.fixture(params=["legacy", "modern"])
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    """Each generation in turn."""
    return make_site(request.param)


@pytest.fixture
def visit(make_site: MakeSite, chromium: Browser) -> Iterator[Visit]:
    """``visit(url, worker=False)``: a new visitor, with or without service workers; nothing may go wrong for them."""
    visitors: list[Visitor] = []

    def start(url: str, *, worker: bool = False, user_agent: str | None = None) -> Visitor:
        context = chromium.new_context(
            service_workers="allow" if worker else "block", user_agent=user_agent, locale="en-GB"
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        visitors.append(Visitor(context, url))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.leave()
    for visitor in visitors:
        assert not visitor.problems
