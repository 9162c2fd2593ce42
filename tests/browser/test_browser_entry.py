"""Signing in, the gate before the dashboard, and what a dashboard asks for when it loads (contract chapter 05)."""

import re
from datetime import UTC, datetime

import requests
from playwright.sync_api import expect

from tests.browser.conftest import MakeSite, Visit
from tests.browser.panels import BUILT, Site
from tests.browser.visitors import Visitor, arrives_at, expect_accounts
from tests.worlds.harness import php_encode

ALL = ("12345", "dora", "carl", "bert", "anna")
LISTS = {"get_accounts", "get_transactions", "get_plans", "get_resellers", "get_tariffs", "get_themes"}
IDLE_SECONDS = 6 * 60


def at_rest(visitor: Visitor, site: Site, *, loads: int = 1) -> None:
    """Wait until the newer page's timers have run after that many loads, and everything was answered."""

    def started() -> bool:
        names = site.names
        if names.count("auto_logout_settings") < loads + names.count("get_stalker_settings"):
            return False
        # one as the page is shown, one when its limit is known; the settings' own look at the limit may come after both
        return names.count("session_heartbeat") >= 2 * loads

    if site.generation == "modern":
        visitor.until(started, "the timers' calls half a second later")
    visitor.page.wait_for_load_state("networkidle")
    visitor.until(lambda: all(seen.status for seen in site.seen), "all answers")


def not_built(site: Site) -> set[str]:
    """The endpoints that were called and do not exist yet."""
    return {seen.name for seen in site.calls if seen.path not in BUILT}


def test_01_the_older_page_signs_in_and_loads(legacy: Site, visit: Visit) -> None:
    visitor = visit(legacy.url)
    visitor.open("/")
    visitor.sign_in("admin")
    arrives_at(visitor.page, "/dashboard.html")
    expect_accounts(visitor.page, *ALL)
    at_rest(visitor, legacy)

    [login] = legacy.of("login")
    assert login.method == "POST"
    assert login.path == "/login.php"
    assert login.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="username"\r\n\r\nadmin\r\n' in login.body
    loading = {"get_user_info", "get_reminder_settings", "get_reminder_history", "sync_accounts"}
    names = legacy.names
    assert names[0] == "login"
    assert sorted(names[1:]) == sorted(loading | LISTS)
    assert set(names[1:3]) == {"get_user_info", "get_reminder_settings"}
    assert set(names[-6:]) == LISTS
    [history] = legacy.of("get_reminder_history")
    assert history.query == {"date": datetime.now(UTC).date().isoformat()}
    [accounts] = legacy.of("get_accounts")
    assert accounts.query == {"viewAllAccounts": "false"}
    assert {seen.name for seen in legacy.calls if seen.status != 200} == not_built(legacy)
    assert {seen.status for seen in legacy.calls} <= {200, 404}


def test_01_the_newer_page_signs_in_and_loads(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url)
    visitor.open("/index.html")
    visitor.sign_in("admin")
    arrives_at(visitor.page, "/dashboard.php")
    expect_accounts(visitor.page, *ALL)
    at_rest(visitor, modern)

    names = modern.names
    once = {"login", "get_user_info", "get_reminder_settings", "get_reminder_history", "get_stalker_settings"}
    once |= LISTS | {"sync_accounts"}
    assert {name for name in names if names.count(name) == 1} == once
    assert set(names) - once == {"auto_logout_settings", "session_heartbeat"}
    assert all(names.index("sync_accounts") < names.index(name) for name in LISTS)
    assert all(seen.path == f"/api/{seen.name}.php" for seen in modern.calls)
    assert {seen.name for seen in modern.calls if seen.status != 200} == not_built(modern)
    expect(visitor.page.locator("#initial")).to_have_text("A")
    [cookie] = visitor.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("PHPSESSID", True, "Lax")
    assert visitor.page.evaluate("document.cookie") == ""


def test_02_a_wrong_password_is_told(site: Site, visit: Visit) -> None:
    visitor = visit(site.url)
    visitor.open("/index.html")
    with visitor.page.expect_response("**/login.php") as answer:
        visitor.sign_in("admin", "wrong")
    told = answer.value.json()
    assert (answer.value.status, told["error"]) == (200, 1)
    assert told["err_msg"] == told["message"]
    expect(visitor.page.locator("#notice")).to_have_text(told["message"])
    expect(visitor.page.locator("#sign-in button")).to_be_enabled()


def test_03_the_older_dashboard_sends_strangers_to_the_login_page(legacy: Site, visit: Visit) -> None:
    visitor = visit(legacy.url)
    visitor.open("/dashboard.html")
    arrives_at(visitor.page, "/index.html")
    [asked] = legacy.of("get_user_info")
    assert asked.status == 200


def test_04_the_newer_dashboard_sends_strangers_to_the_login_page(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url)
    visitor.open("/dashboard.php")
    assert visitor.page.url == f"{modern.url}/index.html"
    expect(visitor.page.locator("#notice")).to_be_empty()
    answer = requests.get(f"{modern.url}/dashboard.php", allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (302, "index.html")
    assert modern.calls == []


def test_04_who_was_idle_reads_why(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url).holds_session_of("admin")
    with modern.world.later(IDLE_SECONDS):
        visitor.open("/dashboard.php")
    expect(visitor.page.locator("#notice")).to_contain_text("inactive")
    assert [seen.query for seen in modern.pages("/index.html")] == [{"expired": "1"}]
    assert visitor.page.url == f"{modern.url}/index.html"
    assert visitor.session_id is None


def test_04_a_session_file_of_php_that_was_idle(make_site: MakeSite, visit: Visit) -> None:
    site = make_site("modern", "php-files")
    for age, path in ((10, "/dashboard.php"), (301, "/index.html")):
        last = int(datetime.now(UTC).timestamp()) - age
        content = php_encode({"login": 1, "username": "admin", "last_activity": last})
        # each its own: the page of the first is still open, and its requests make their session young
        client = site.world.php_session(content, f"k3v9x0a7b2c4dk3v9x0a7b2{age:03}")
        visitor = visit(site.url).holds_cookie(client.session_id)
        visitor.open("/dashboard.php")
        assert visitor.page.url == site.url + path


def test_05_a_worker_navigation_of_a_stranger_is_redirected_as_any_other(modern: Site) -> None:
    headers = {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Accept": "text/html"}
    answer = requests.get(f"{modern.url}/dashboard.php", headers=headers, allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (302, "index.html")


def test_the_rendered_dashboard_has_stamps_and_no_code(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url).holds_session_of("admin")
    with visitor.page.expect_response("**/dashboard.php") as answer:
        visitor.open("/dashboard.php")
    text = answer.value.text()
    assert text.startswith("<!DOCTYPE html>")
    assert "<?" not in text
    assert visitor.page.evaluate("document.compatMode") == "CSS1Compat"
    stamps = dict(re.findall(r'"([\w.-]+)\?v=(\d*)"', text))
    scripts = ("dashboard.js", "sms-functions.js", "mail-functions.js", "telegram-functions.js")
    assert stamps == {name: str(int((modern.frontend / name).stat().st_mtime)) for name in ("dashboard.css", *scripts)}


def test_the_newer_pages_own_font_is_used(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url)
    visitor.open("/")
    visitor.page.evaluate("document.fonts.ready")
    assert visitor.page.evaluate("[...document.fonts].map((font) => font.status)") == ["loaded"]
    [font] = modern.pages("/assets/fonts/BYekan+.ttf")
    assert font.status == 200


def test_28_an_unknown_endpoint_answers_with_the_envelope(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url)
    visitor.open("/index.html")
    ask = "async (path) => { const answer = await fetch(path); return [answer.status, await answer.json()]; }"
    for path in ("/nothing.php", "/api/nothing.php"):
        status, answer = visitor.page.evaluate(ask, path)
        assert (status, answer["error"]) == (404, 1)
        assert answer["err_msg"] == answer["message"]
