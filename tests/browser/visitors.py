"""People at a browser: one context each, and whatever goes wrong in it."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

from tests.browser.panels import BUILT, PASSWORD
from tests.worlds.harness import Client
from tests.worlds.waiting import PATIENCE_SECONDS, until

# the browser's own word when a page was left while it still loaded something
_LEFT = "net::ERR_ABORTED"
# seconds; machines that run tests are busy
_NOT_FOUND = "the server responded with a status of 404"


class Visitor:
    """A person with a browser profile of their own, at the panel with address ``url``.

    ``problems``: console errors, uncaught exceptions and failed requests of all pages, but for 404s of endpoints that
    are not declared and for what the test said that it :meth:`expects`.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self._problems: list[str] = []
        self._expected: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", lambda error: self._problems.append(f"uncaught: {error.error}"))
        context.on("requestfailed", self._miss)
        self.page = context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        path = urlsplit(message.location["url"]).path
        not_built = _NOT_FOUND in message.text and path.endswith(".php") and path not in BUILT
        if message.type == "error" and not not_built:
            self._problems.append(f"console: {message.text} ({path})")

    def _miss(self, request: Request) -> None:
        if request.failure != _LEFT:
            self._problems.append(f"failed: {request.url}: {request.failure}")

    def expects(self, pattern: str) -> None:
        """Problems that match the regular expression belong to the test."""
        self._expected.append(pattern)

    def forgets(self, pattern: str) -> None:
        """Problems until now that match belong to a page that was left."""
        self._problems = [text for text in self._problems if not re.search(pattern, text)]

    @property
    def problems(self) -> list[str]:
        return [text for text in self._problems if not any(re.search(pattern, text) for pattern in self._expected)]

    def leave(self) -> None:
        """Close the browser; what is being answered in place of a server is answered first."""
        for page in self.context.pages:
            page.unroute_all(behavior="wait")
        self.context.close()

    def open(self, path: str, *, tab: Page | None = None) -> Page:
        page = tab or self.page
        page.goto(self.url + path)
        return page

    def holds_session_of(self, username: str, password: str = PASSWORD) -> "Visitor":
        """Put the cookie of a fresh session into the browser, without the login page."""
        return self.holds_cookie(Client(self.url).login(username, password).session_id)

    def holds_cookie(self, session_id: str) -> "Visitor":
        host = urlsplit(self.url).hostname
        cookie = {"name": "PHPSESSID", "value": session_id, "domain": host, "path": "/", "httpOnly": True}
        self.context.add_cookies([cookie])  # type: ignore[list-item]
        return self

    @property
    def session_id(self) -> str | None:
        found = [cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "PHPSESSID"]
        return found[0] if found else None

    def sign_in(self, username: str, password: str = PASSWORD) -> None:
        """Fill in and send the login page that is open."""
        self.page.fill("[name=username]", username)
        self.page.fill("[name=password]", password)
        self.page.click("#sign-in button")

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait for something that only the server's side shows, while the page goes on."""
        until(holds, what, pause=lambda: self.page.wait_for_timeout(20))


def expect_accounts(page: Page, *usernames: str) -> None:
    """The dashboard is usable and its table has these rows in this order."""
    expect(page.locator("#overlay")).to_be_hidden()
    column = "td:nth-child(2)" if "/dashboard.php" in page.url else "td:nth-child(1)"
    expect(page.locator(f"#account-rows tr > {column}")).to_have_text(usernames)


def arrives_at(page: Page, path: str) -> None:
    """Wait until ``path`` is loaded. Bears a navigation that another one overtakes, as ``wait_for_url`` does not."""
    expect(page).to_have_url(re.compile(rf"{re.escape(path)}(\?.*)?$"), timeout=1000 * PATIENCE_SECONDS)
    page.wait_for_load_state()
