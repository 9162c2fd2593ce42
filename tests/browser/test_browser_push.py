"""Notifications from the page's button to the screen: a simulated push service, the page, its real worker (05 §7.2).

A browser of the tests reaches no push service of its maker: its ``PushManager`` is replaced by one that holds the keys
of a simulated browser, and what that one decrypts is handed to the real worker.
"""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Playwright, expect

from core.accounts.events import AccountCreated
from core.config import Push
from core.jobs import jobs
from core.jobs.events import announce
from core.storage.tables import PushSubscription
from core.workers import workers
from simulators.push_service import Browser, PushService
from tests.browser.conftest import Visit, launched
from tests.browser.panels import Site
from tests.browser.test_browser_entry import ALL
from tests.browser.visitors import Visitor, expect_accounts

PUSH_MANAGER = """
const device = %s;
const subscription = {
  endpoint: device.endpoint,
  toJSON: () => ({endpoint: device.endpoint, expirationTime: null, keys: {p256dh: device.p256dh, auth: device.auth}}),
  unsubscribe: async () => { localStorage.removeItem("subscribed"); return true; },
};
PushManager.prototype.getSubscription = async () => localStorage.getItem("subscribed") ? subscription : null;
PushManager.prototype.subscribe = async (options) => {
  localStorage.setItem("subscribed", Array.from(options.applicationServerKey).join());
  return subscription;
};
"""
SHOWN = """async () => {
  const shown = await (await navigator.serviceWorker.ready).getNotifications();
  return shown.map(({title, body, tag, data}) => ({title, body, tag, data}));
}"""


@pytest.fixture(scope="module")
def chromium(_playwright: Playwright) -> Iterator[Chromium]:
    """The whole browser: its shell denies every page notifications."""
    with launched(_playwright, "chromium") as browser:
        yield browser


@pytest.fixture
def service(modern: Site) -> Iterator[PushService]:
    panel = modern.world.panel
    original = panel.config
    panel.config = original.model_copy(update={"push": Push(allow_insecure=True)})
    with PushService() as service:
        yield service
    panel.config = original


def _devices(site: Site) -> list[tuple[int, str]]:
    rows = site.world.rows(sa.select(PushSubscription.user_id, PushSubscription.auth))
    return [(row["user_id"], row["auth"]) for row in rows]


def _at_dashboard(visit: Visit, site: Site, browser: Browser) -> Visitor:
    visitor = visit(site.url, worker=True).holds_session_of("admin")
    visitor.context.grant_permissions(["notifications"], origin=site.url)
    visitor.page.add_init_script(PUSH_MANAGER % json.dumps(browser.keys))
    visitor.open(site.dashboard)
    expect_accounts(visitor.page, *ALL)
    visitor.page.locator("nav [data-tab=settings]").click()
    expect(visitor.page.locator("#push-switch")).to_be_visible()
    return visitor


def _deliver(visitor: Visitor, origin: str, payload: Any) -> None:
    """As the browser's own push service does."""
    session = visitor.context.new_cdp_session(visitor.page)
    registrations: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(item["registrationId"] for item in event["registrations"]),
    )
    session.send("ServiceWorker.enable")
    visitor.until(lambda: registrations, "the worker's registration")
    message = {"origin": origin, "registrationId": registrations[-1], "data": json.dumps(payload)}
    session.send("ServiceWorker.deliverPushMessage", message)


def _deliver_until_shown(visitor: Visitor, origin: str, payload: Any) -> None:
    """Nothing tells of a message that is lost while the worker begins. One that comes twice replaces itself."""
    again_at = 0.0

    def look() -> Any:
        nonlocal again_at
        if time.monotonic() >= again_at:
            _deliver(visitor, origin, payload)
            again_at = time.monotonic() + 10
        return visitor.page.evaluate(SHOWN)

    visitor.until(look, "the notification")


def test_a_notification_from_the_switch_to_the_screen_of_whoever_logged_in_last(
    modern: Site, visit: Visit, service: PushService
) -> None:
    browser = service.subscribe("desktop")
    visitor = _at_dashboard(visit, modern, browser)
    assert modern.of("push_subscribe") == []
    visitor.page.locator("#push-switch").click()
    expect(visitor.page.locator("#push-status")).to_have_text("Notifications are on")
    # once by the switch, and once more by the page
    bodies = [json.loads(seen.body) for seen in modern.of("push_subscribe", "POST")]
    keys = {"p256dh": browser.p256dh, "auth": browser.auth}
    assert bodies == [{"endpoint": browser.endpoint, "expirationTime": None, "keys": keys}] * 2
    assert _devices(modern) == [(1, browser.auth)]

    panel = modern.world.panel
    event = AccountCreated(7, "new", "00:1A:79:00:00:99", "Test Customer", 3, 3, "Rita", "1 Month")
    with panel.database.write() as connection:
        announce(panel, connection, event)
    jobs.work_off(panel, workers.KINDS)
    visitor.until(lambda: service.shown, "the push service's message")
    [shown] = service.shown
    # the permit is of the key that the page subscribed with
    asked = visitor.page.evaluate("localStorage.getItem('subscribed')")
    key = base64.urlsafe_b64encode(bytes(map(int, asked.split(",")))).rstrip(b"=").decode()
    assert shown.headers["authorization"].endswith(f"k={key}")
    _deliver_until_shown(visitor, modern.url, shown.payload)
    assert visitor.page.evaluate(SHOWN) == [
        {
            "title": "📱 New account",
            "body": "📱 Rita added: Test Customer (1 Month)",
            "tag": "new_account-00:1A:79:00:00:99",
            "data": shown.payload["data"],
        }
    ]
    _follows_who_logged_in_last_until_it_is_switched_off(modern, visitor, browser)


def _follows_who_logged_in_last_until_it_is_switched_off(modern: Site, visitor: Visitor, browser: Browser) -> None:
    """With the same browser, which is one that several people share: another would have to be started for it."""
    visitor.page.wait_for_load_state("networkidle")
    visitor.context.clear_cookies()
    visitor.holds_session_of("rita").open(modern.dashboard)
    expect_accounts(visitor.page, "bert", "anna")
    visitor.until(lambda: _devices(modern) == [(3, browser.auth)], "the device of rita")
    visitor.page.locator("#push-switch").click()
    expect(visitor.page.locator("#push-status")).to_have_text("Notifications can be switched on")
    [removed] = modern.of("push_subscribe", "DELETE")
    assert json.loads(removed.body) == {"endpoint": browser.endpoint}
    assert _devices(modern) == []
