"""The life of a session across tabs, browsers, idle time and passwords (contract chapters 05 §11 and 10 §4)."""

import json

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.panels import PASSWORD, Site
from tests.browser.test_browser_dashboard import at_dashboard
from tests.browser.test_browser_entry import ALL, IDLE_SECONDS, at_rest
from tests.browser.visitors import Visitor, arrives_at, expect_accounts
from tests.worlds.harness import NOT_LOGGED_IN, Client

FOCUS = "window.dispatchEvent(new Event('focus'))"


def sees_expiry(page: Page) -> None:
    arrives_at(page, "/index.html")
    expect(page.locator("#notice")).to_contain_text("inactive")


def user_of(site: Site, session_id: str | None) -> dict[str, object]:
    client = Client(site.url, {"PHPSESSID": session_id or "-"})
    answer: dict[str, object] = client.get("/get_user_info.php").json()
    return answer


def test_06_logout(site: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, site, "admin")
    expect_accounts(visitor.page, *ALL)
    old = visitor.session_id
    visitor.page.get_by_role("button", name="Log out").click()
    arrives_at(visitor.page, "/index.html")
    [logout] = site.of("logout")
    assert (logout.method, logout.path, logout.status) == ("GET", f"{site.api}logout.php", 302)
    assert visitor.session_id is None
    assert user_of(site, old) == NOT_LOGGED_IN


def test_06_logout_in_one_tab_ends_the_other(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, modern, "admin")
    other = visitor.open("/dashboard.php", tab=visitor.context.new_page())
    for tab in (visitor.page, other):
        expect_accounts(tab, *ALL)
    at_rest(visitor, modern, loads=2)
    visitor.page.get_by_role("button", name="Log out").click()
    arrives_at(visitor.page, "/index.html")
    other.evaluate(FOCUS)
    sees_expiry(other)


def test_two_tabs_load_at_the_same_time(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url).holds_session_of("admin")
    other = visitor.context.new_page()
    for tab in (visitor.page, other):
        tab.goto(modern.url + modern.dashboard, wait_until="commit")
    for tab in (visitor.page, other):
        expect_accounts(tab, *ALL)
    assert user_of(modern, visitor.session_id)["error"] == 0


def test_09_an_idle_page_leaves_when_it_gets_the_focus(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, modern, "admin")
    expect_accounts(visitor.page, *ALL)
    at_rest(visitor, modern)
    modern.seen.clear()
    with modern.world.later(IDLE_SECONDS):
        visitor.page.evaluate(FOCUS)
        sees_expiry(visitor.page)
    assert [seen.status for seen in modern.of("session_heartbeat")] == [200]
    assert modern.pages("/index.html")[-1].query == {"expired": "1"}
    assert visitor.session_id is None


def test_the_older_page_may_be_idle_for_longer(legacy: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, legacy, "admin")
    expect_accounts(visitor.page, *ALL)
    with legacy.world.later(IDLE_SECONDS):
        visitor.page.get_by_role("button", name="Newest first").click()
        visitor.until(lambda: len(legacy.of("get_accounts")) == 2, "the list again")
        expect_accounts(visitor.page, *ALL)


def test_21_a_click_is_told_as_activity(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url).holds_session_of("admin")
    page = visitor.page
    visitor.open("/dashboard.php")
    expect_accounts(page, *ALL)
    at_rest(visitor, modern)
    heading = page.get_by_role("heading", name="Accounts")
    heading.click()
    assert modern.of("session_heartbeat", "POST") == []
    page.evaluate("Date.now = ((real) => () => real() + 31000)(Date.now)")
    heading.click()
    visitor.until(lambda: modern.of("session_heartbeat", "POST"), "the ping")
    [ping] = modern.of("session_heartbeat", "POST")
    visitor.until(lambda: ping.status, "its answer")
    assert (ping.headers["content-type"], ping.body, ping.status) == ("application/json", b"", 200)
    # the page does not read the answer
    client = Client(modern.url, {"PHPSESSID": visitor.session_id or ""}, {"Content-Type": "application/json"})
    answer = client.request("POST", "/api/session_heartbeat.php").json()
    assert (answer["error"], answer["expired"], answer["message"]) == (0, False, "Activity recorded")


def test_the_idle_limit_is_set_in_the_page(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, modern, "admin")
    page = visitor.page
    expect_accounts(page, *ALL)
    at_rest(visitor, modern)
    page.get_by_role("button", name="Settings").click()
    expect(page.locator("#timeout")).to_have_value("5")
    page.select_option("#timeout", "10")
    with page.expect_response(lambda answer: answer.request.method == "POST") as saved:
        page.locator("#timeout-form button").click()
    assert json.loads(saved.value.request.post_data or "") == {"timeout": 10}
    expect(page.locator("#timeout-status")).to_have_text("Auto-logout set to 10 minutes")
    visitor.until(lambda: len(modern.of("auto_logout_settings", "GET")) == 3, "the setting read again")
    expect(page.locator("#timeout")).to_have_value("10")
    page.wait_for_load_state("networkidle")
    with modern.world.later(IDLE_SECONDS), page.expect_response("**/session_heartbeat.php") as heartbeat:
        page.evaluate(FOCUS)
    assert (heartbeat.value.json()["expired"], heartbeat.value.json()["timeout_minutes"]) == (False, 10)


# passwords


def change_password(visitor: Visitor, generation: str, old: str, new: str) -> None:
    page = visitor.page
    page.get_by_role("button", name="Password" if generation == "legacy" else "Settings").click()
    for name, value in (("old_pass", old), ("new_pass", new), ("renew_pass", new)):
        page.fill(f"#password-form [name={name}]", value)
    page.locator("#password-form button").click()


def test_a_new_password_ends_the_users_other_browsers(site: Site, visit: Visit) -> None:
    changing, other = (at_dashboard(visit, site, "rita") for _ in range(2))
    for visitor in (changing, other):
        expect_accounts(visitor.page, "bert", "anna")
    at_rest(changing, site, loads=2)
    old = changing.session_id
    change_password(changing, site.generation, PASSWORD, "another-pass")
    expect(changing.page.locator("#alert")).to_have_text("Password changed")
    [sent] = site.of("update_password")
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")

    # the contract's README, "passwords changed by script": the own session stays as it is
    assert old is not None
    assert changing.session_id == old
    changing.page.reload()
    expect_accounts(changing.page, "bert", "anna")
    other.page.reload()
    arrives_at(other.page, "/index.html")
    other.sign_in("rita", PASSWORD)
    expect(other.page.locator("#notice")).to_have_text("Invalid username or password")
    other.sign_in("rita", "another-pass")
    arrives_at(other.page, site.dashboard)
    expect_accounts(other.page, "bert", "anna")


def test_a_wrong_old_password_is_told(legacy: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, legacy, "rita")
    expect_accounts(visitor.page, "bert", "anna")
    change_password(visitor, "legacy", "wrong", "another-pass")
    expect(visitor.page.locator("#alert")).to_have_text("Old password is incorrect")
    assert legacy.world.client("rita", PASSWORD).session_id


def test_the_phone_dialogs_call_changes_the_sessions_own_password(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, modern, "rita")
    expect_accounts(visitor.page, "bert", "anna")
    at_rest(visitor, modern)
    # the recorded dialog sends the text null, for the user name was never stored
    body = f"username=null&current_password={PASSWORD}&new_password=another-pass"
    send = """async (body) => (await fetch("api/change_password.php", {
        method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body })).json()"""
    assert visitor.page.evaluate(send, body)["error"] == 0
    visitor.page.reload()
    expect_accounts(visitor.page, "bert", "anna")
    assert modern.world.client("rita", "another-pass").session_id
