"""What each role sees of the dashboard, and how names reach its tables (contract chapter 05 §4 to §6, §11)."""

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from core.storage.tables import Account
from tests.browser.conftest import Visit
from tests.browser.panels import PASSWORD, Site, account
from tests.browser.test_browser_entry import ALL, at_rest
from tests.browser.visitors import Visitor, expect_accounts

# encoded it must fit into the 50 characters of a MAC
MARKUP = '"><img src onerror=document.title="bad">'
TITLE = "Dashboard"


def at_dashboard(visit: Visit, site: Site, username: str) -> Visitor:
    visitor = visit(site.url).holds_session_of(username)
    visitor.open(site.dashboard)
    return visitor


def test_10_the_view_switch_of_a_reseller_admin(site: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, site, "resa")
    page = visitor.page
    expect(page.locator("#overlay")).to_be_hidden()
    expect(page.locator("#account-rows")).to_have_text("No accounts found")
    expect(page.locator("#total-accounts")).to_have_text("0")
    expect(page.locator("#balance")).to_have_text("12.50 GBP")
    at_rest(visitor, site)
    site.seen.clear()
    page.get_by_label("All accounts").check()
    expect_accounts(page, *ALL)
    expect(page.locator("#total-accounts")).to_have_text("5")
    third = "get_plans" if site.generation == "legacy" else "get_transactions"
    visitor.until(lambda: site.of(third), "the third list")
    assert site.names == ["get_user_info", "get_accounts", third]
    assert site.of("get_user_info")[0].query == {"viewAllAccounts": "true"}


def test_10_a_flag_that_another_user_left_behind_widens_nothing(site: Site, visit: Visit) -> None:
    visitor = visit(site.url)
    visitor.open("/index.html")
    visitor.page.evaluate("localStorage.setItem('viewAllAccounts', 'true')")
    visitor.holds_session_of("rita")
    visitor.open(site.dashboard)
    expect_accounts(visitor.page, "bert", "anna")
    expect(visitor.page.locator("#total-accounts")).to_have_text("2")
    expect(visitor.page.get_by_label("All accounts")).to_be_hidden()
    assert site.of("get_accounts")[0].query == {"viewAllAccounts": "true"}


def test_11_a_reseller_without_any_permission(site: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, site, "weak")
    expect_accounts(visitor.page, "carl")
    at_rest(visitor, site)
    assert site.of("get_reminder_history") == []
    hidden = visitor.page.locator("nav button:not(:visible)")
    expect(hidden).to_have_text(["Resellers", "Plans", "Messaging"])


def test_12_an_observer(site: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, site, "olaf")
    expect_accounts(visitor.page, *ALL)
    at_rest(visitor, site)
    assert site.of("sync_accounts") == []
    assert {"get_resellers", "get_tariffs", "get_themes"} <= set(site.names)
    expect(visitor.page.locator("#account-rows button, #account-rows input")).to_have_count(0)
    expect(visitor.page.locator("#alert")).to_be_empty()
    expect(visitor.page.locator("#user-name")).to_have_text("Observer Olaf")


def test_13_a_user_name_of_digits_is_text(site: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, site, "admin")
    page = visitor.page
    expect_accounts(page, *ALL)
    page.locator("#search").press_sequentially("1234")
    expect_accounts(page, "12345")
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("#edit-form [name=username]")).to_have_value("12345")


def test_an_account_without_any_text_can_be_listed_searched_and_edited(modern: Site, visit: Visit) -> None:
    bare = dict.fromkeys(("full_name", "end_date", "status", "email", "phone_number", "tariff_plan"))
    modern.world.insert(Account, [account(6, "bare") | bare])
    visitor = at_dashboard(visit, modern, "admin")
    page = visitor.page
    expect_accounts(page, "bare", *ALL)
    page.locator("#search").press_sequentially("bar")
    expect_accounts(page, "bare")
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("#edit-form [name=username]")).to_have_value("bare")


def test_the_saved_tab_is_asked_for_before_the_user(modern: Site, visit: Visit) -> None:
    visitor = at_dashboard(visit, modern, "admin")
    expect_accounts(visitor.page, *ALL)
    visitor.page.get_by_role("button", name="Logs").click()
    expect(visitor.page.locator("#history-rows tr")).to_have_count(1)
    modern.seen.clear()
    visitor.page.get_by_role("button", name="Refresh").click()
    visitor.until(lambda: modern.of("get_accounts"), "the reload")
    expect(visitor.page.locator("#history-rows tr")).to_have_count(1)
    expect(visitor.page.locator("#history-pages")).to_have_text("1 of 1")


# markup


def test_18_a_failed_login_cannot_attack_the_login_history(modern: Site, visit: Visit) -> None:
    attacker = visit(modern.url, user_agent=MARKUP)
    attacker.open("/index.html")
    with attacker.page.expect_response("**/login.php"):
        attacker.sign_in(MARKUP, "whatever")
    page = open_history(at_dashboard(visit, modern, "admin"))
    row = page.locator("#history-rows tr", has_text="onerror")
    expect(row.locator("td").first).to_have_text(MARKUP)
    expect(row).to_have_attribute("title", MARKUP)
    assert_harmless(page, modern)


def test_18_the_history_of_another_user_names_that_user(modern: Site, visit: Visit) -> None:
    modern.world.execute(f"UPDATE _users SET name = '{MARKUP}' WHERE username = 'rita'")
    modern.world.client("rita", PASSWORD)
    visitor = at_dashboard(visit, modern, "admin")
    visitor.page.evaluate("document.getElementById('history-user').add(new Option('Rita', '3'))")
    page = open_history(visitor, "3")
    expect(page.locator("#history-of")).to_have_text(f"{MARKUP} (rita)")
    expect(page.locator("#history-rows tr")).to_have_count(1)
    assert_harmless(page, modern)


def test_19_markup_in_names_reaches_no_page(site: Site, visit: Visit) -> None:
    insert_dangerous_accounts(site)
    visitor = at_dashboard(visit, site, "admin")
    expect_accounts(visitor.page, "encoded", "raw", *ALL)
    if site.generation == "modern":
        open_bulk_dialog(visitor.page)
    assert_harmless(visitor.page, site)


def test_19_the_name_of_an_observer_is_inserted_as_html(modern: Site, visit: Visit) -> None:
    modern.world.execute(f"UPDATE _users SET name = '{MARKUP}' WHERE username = 'olaf'")
    visitor = at_dashboard(visit, modern, "olaf")
    expect_accounts(visitor.page, *ALL)
    expect(visitor.page.locator("#user-name")).to_contain_text("Observer")
    assert_harmless(visitor.page, modern)


@pytest.mark.parametrize("value", [MARKUP.replace('"', "&quot;"), MARKUP.replace("<", "&lt;").replace(">", "&gt;")])
def test_the_tests_of_markup_would_see_a_server_that_lets_it_through(modern: Site, visit: Visit, value: str) -> None:
    visitor = visit(modern.url).holds_session_of("admin")
    visitor.expects(r"/x\b")

    def let_through(route: Route) -> None:
        answer = route.fetch()
        accounts = answer.json()
        accounts["accounts"][0]["full_name"] = value.replace('"', "&quot;")
        route.fulfill(response=answer, body=json.dumps(accounts))

    visitor.context.route("**/get_accounts.php*", let_through)
    visitor.open("/dashboard.php")
    expect_accounts(visitor.page, *ALL)
    open_bulk_dialog(visitor.page, expected=5)
    expect(visitor.page).to_have_title("bad")


def insert_dangerous_accounts(site: Site) -> None:
    encoded = MARKUP.replace("<", "&lt;").replace(">", "&gt;")
    texts = ("full_name", "mac", "tariff_plan", "phone_number", "email")
    site.world.insert(
        Account,
        [
            account(11, "raw") | dict.fromkeys(texts, MARKUP),
            account(12, "encoded") | dict.fromkeys(texts, encoded),
        ],
    )


def open_history(visitor: Visitor, user_id: str = "all") -> Page:
    """The Logs tab of the dashboard, of all users or of one."""
    page = visitor.page
    expect(page.locator("#overlay")).to_be_hidden()
    page.get_by_role("button", name="Logs").click()
    expect(page.locator("#history-rows tr")).not_to_have_count(0)
    with page.expect_response(re.compile(rf"get_login_history\.php\?user_id={user_id}&page=1&per_page=10$")):
        page.select_option("#history-user", user_id)
    return page


def open_bulk_dialog(page: Page, expected: int = 7) -> None:
    for box in page.locator(".select").all():
        box.check()
    with page.expect_response("**/get_resellers.php"):
        page.get_by_role("button", name="Assign selected").click()
    expect(page.locator("#bulk-accounts li")).to_have_count(expected)


def assert_harmless(page: Page, site: Site) -> None:
    """No element came of the text, so nothing was loaded and no script ran."""
    expect(page.locator("img")).to_have_count(0)
    expect(page).to_have_title(TITLE)
    assert site.pages("/x") == []
