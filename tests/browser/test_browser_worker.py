"""The service workers of both generations against the real pages (contract chapters 05 §7 and 10 §7)."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeSite, Visit
from tests.browser.panels import Site
from tests.browser.test_browser_entry import ALL
from tests.browser.visitors import Visitor, arrives_at, expect_accounts

READY = """() => Promise.race([
  navigator.serviceWorker.ready.then((registration) => registration.active !== null),
  new Promise((resolve) => setTimeout(() => resolve(false), 5000)),
])"""
CACHED = """async () => {
  const [name] = await caches.keys();
  const kept = await (await caches.open(name)).matchAll();
  return Object.fromEntries(kept.map((answer) => [new URL(answer.url).pathname, answer.status]));
}"""


def precached(site: Site) -> list[str]:
    """The list in the worker's source."""
    source = (site.frontend / "service-worker.js").read_text(encoding="utf-8")
    found = re.search(r"PRECACHE = \[(.*?)\]", source, re.DOTALL)
    assert found
    return re.findall(r'"([^"]+)"', found[1])


def at_dashboard_with_worker(visit: Visit, site: Site) -> Visitor:
    """A dashboard that its worker controls: the older page has reloaded itself by then."""
    visitor = visit(site.url, worker=True).holds_session_of("admin")
    visitor.open(site.dashboard)
    if site.generation == "legacy":
        visitor.until(lambda: len(site.of("get_user_info")) == 2, "the reload by the new worker")
    expect_accounts(visitor.page, *ALL)
    visitor.page.wait_for_function("navigator.serviceWorker.controller !== null")
    _has_all(visitor, site)
    return visitor


def _has_all(visitor: Visitor, site: Site) -> None:
    """Wait until the page has all that it asked for."""
    visitor.page.wait_for_load_state("networkidle")
    if site.generation == "legacy":
        # what the page had asked for when it reloaded itself, the worker being between the two
        visitor.forgets("net::ERR_FAILED$")


def test_07_the_worker_becomes_ready_for_a_stranger(site: Site, visit: Visit) -> None:
    visitor = visit(site.url, worker=True)
    visitor.open("/index.html")
    visitor.page.evaluate("navigator.serviceWorker.register('/service-worker.js')")
    assert visitor.page.evaluate(READY)
    assert len(precached(site)) == (5 if site.generation == "legacy" else 9)
    for path in precached(site):
        # what the gate sends to the login page is kept as that page
        expected = 302 if path == "/dashboard.php" else 200
        assert {seen.status for seen in site.pages(path)} <= {expected, 304}, path
        assert site.pages(path), path
    assert set(visitor.page.evaluate(CACHED).values()) == {200}


def test_07_the_worker_becomes_ready_after_login(site: Site, visit: Visit) -> None:
    visitor = visit(site.url, worker=True)
    visitor.open("/index.html")
    visitor.sign_in("admin")
    arrives_at(visitor.page, site.dashboard)
    visits = 2 if site.generation == "legacy" else 1
    visitor.until(lambda: len(site.of("get_user_info")) == visits, "the dashboard's loading")
    expect_accounts(visitor.page, *ALL)
    assert visitor.page.evaluate(READY)
    kept = visitor.page.evaluate(CACHED)
    assert set(precached(site)) <= set(kept)
    assert set(kept.values()) == {200}
    expect(visitor.page.locator("#total-accounts")).to_have_text("5")
    _has_all(visitor, site)
    # a lock that the aborted first load left behind would hold this up
    visitor.page.reload()
    expect_accounts(visitor.page, *ALL)


def test_05_a_navigation_through_the_worker_reaches_the_gate(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard_with_worker(visit, modern)
    modern.seen.clear()
    visitor.page.reload()
    expect_accounts(visitor.page, *ALL)
    [gate] = modern.pages("/dashboard.php")
    assert (gate.headers["sec-fetch-mode"], gate.headers["sec-fetch-dest"]) == ("same-origin", "empty")
    assert "text/html" in gate.headers["accept"]
    assert gate.status == 200

    visitor.page.wait_for_load_state("networkidle")
    visitor.context.clear_cookies()
    visitor.open("/dashboard.php")
    assert visitor.page.url == f"{modern.url}/index.html"
    assert modern.pages("/dashboard.php")[-1].status == 302


def test_06_logout_through_the_older_worker(legacy: Site, visit: Visit) -> None:
    visitor = at_dashboard_with_worker(visit, legacy)
    visitor.page.get_by_role("button", name="Log out").click()
    arrives_at(visitor.page, "/index.html")
    [logout] = legacy.of("logout")
    assert (logout.headers["sec-fetch-site"], logout.status) == ("same-origin", 302)
    assert visitor.session_id is None


def test_calls_through_the_older_worker_are_the_sites_own(legacy: Site, visit: Visit) -> None:
    visitor = at_dashboard_with_worker(visit, legacy)
    legacy.seen.clear()
    visitor.page.reload()
    expect_accounts(visitor.page, *ALL)
    assert {seen.headers["sec-fetch-site"] for seen in legacy.calls} == {"same-origin"}
    visitor.page.get_by_role("button", name="Password").click()
    for name in ("old_pass", "new_pass", "renew_pass"):
        visitor.page.fill(f"#password-form [name={name}]", "secret-pass")
    visitor.page.locator("#password-form button").click()
    expect(visitor.page.locator("#alert")).to_have_text("Password changed")


def test_the_regular_look_for_a_new_worker_finds_the_same(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard_with_worker(visit, modern)
    modern.seen.clear()
    update = "navigator.serviceWorker.ready.then((registration) => registration.update()).then((r) => !r.installing)"
    assert visitor.page.evaluate(update)
    [asked] = modern.pages("/service-worker.js")
    assert asked.headers["sec-fetch-dest"] == "serviceworker"
    assert asked.status in (200, 304)
    assert modern.of("get_user_info") == []


def test_an_upgrade_leaves_the_older_worker_in_place(make_site: MakeSite, visit: Visit) -> None:
    """A browser with the older pages in its cache goes on posting to the root after the panel was upgraded."""
    visitor = at_dashboard_with_worker(visit, make_site("legacy"))
    upgraded = make_site("modern")
    page: Page = visitor.page
    page.goto(f"{upgraded.url}/index.html")
    answer = page.evaluate(
        """async () => {
          const body = new FormData();
          body.append("username", "admin");
          body.append("password", "secret-pass");
          return (await fetch("login.php", { method: "POST", body })).json();
        }"""
    )
    assert answer["error"] == 0
    page.goto(f"{upgraded.url}/dashboard.html")
    assert page.url == f"{upgraded.url}/dashboard.php"
    expect_accounts(page, *ALL)


def test_manifest_and_worker_come_as_what_they_are(site: Site, visit: Visit) -> None:
    visitor = visit(site.url)
    visitor.open("/index.html")
    read = """async (path) => {
      const answer = await fetch(path);
      return [answer.status, answer.redirected, answer.headers.get("content-type").split(";")[0]];
    }"""
    assert visitor.page.evaluate(read, "/manifest.json") == [200, False, "application/manifest+json"]
    assert visitor.page.evaluate(read, "/service-worker.js") == [200, False, "text/javascript"]
