"""Passkeys in Chromium with a virtual authenticator, and the page of the audit log (contract chapters 05, 10, 70)."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from playwright.sync_api import CDPSession, Page, Route, expect

from core.storage.tables import AuditEntry, Base, LoginHistory, Passkey, User, WebauthnCredential
from tests.browser.conftest import Visit
from tests.browser.panels import PASSWORD, Site
from tests.browser.test_browser_entry import ALL
from tests.browser.visitors import Visitor, arrives_at, expect_accounts

MARKUP = '"><img src=x onerror=document.title="broken">'
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# browsers make passkeys for names, not for addresses
NAME = "localhost"


class Device:
    """The platform authenticator of a visitor."""

    def __init__(self, visitor: Visitor) -> None:
        self._cdp: CDPSession = visitor.context.new_cdp_session(visitor.page)
        self._cdp.send("WebAuthn.enable")
        added = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self._id = added["authenticatorId"]

    @property
    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self._id})[
            "credentials"
        ]
        return found

    def take(self, credential: dict[str, Any]) -> None:
        """Let it hold this credential alone, as nobody can make a real one do."""
        self._cdp.send("WebAuthn.clearCredentials", {"authenticatorId": self._id})
        self._cdp.send("WebAuthn.addCredential", {"authenticatorId": self._id, "credential": credential})


def at_name(visit: Visit, site: Site) -> Visitor:
    """A visitor who knows the panel by its name."""
    parts = urlsplit(site.url)
    return visit(f"http://{NAME}:{parts.port}")


@pytest.fixture
def visitor(visit: Visit, modern: Site) -> Visitor:
    return at_name(visit, modern)


@pytest.fixture
def device(visitor: Visitor) -> Device:
    return Device(visitor)


def open_passkeys(visitor: Visitor, username: str = "rita") -> Page:
    """The settings of a user who has signed in by password."""
    visitor.open("/index.html")
    visitor.sign_in(username)
    arrives_at(visitor.page, "/dashboard.php")
    expect(visitor.page.locator("#overlay")).to_be_hidden()
    visitor.page.get_by_role("button", name="Settings").click()
    expect(visitor.page.locator("#passkey-rows")).to_have_text("No passkeys yet")
    return visitor.page


def add_passkey(page: Page) -> None:
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#alert")).to_have_text("Biometric registered successfully")
    expect(page.locator("#passkey-rows button")).to_have_count(1)


def log_out(visitor: Visitor) -> Page:
    visitor.page.get_by_role("button", name="Log out").click()
    arrives_at(visitor.page, "/index.html")
    return visitor.page


def by_passkey(page: Page) -> None:
    page.get_by_role("button", name="Sign in with a passkey").click()


@dataclass
class Registration:
    """A passkey of rita's, as the authenticator and our tables hold it."""

    credential: dict[str, Any]
    rows: Sequence[tuple[type[Base], list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def registrations() -> list[Registration]:
    """Made by the first test that needs one, through the pages; the others copy it."""
    return []


@pytest.fixture
def registered(modern: Site, visitor: Visitor, device: Device, registrations: list[Registration]) -> Device:
    """The authenticator of a visitor who has added a passkey, logged out, and is at the login page."""
    if registrations:
        [made] = registrations
        modern.world.insert_all(made.rows)
        device.take(made.credential)
        # as the pages have left it
        visitor.open("/manifest.json").evaluate("localStorage.setItem('biometric_username', 'rita')")
        visitor.open("/index.html")
    else:
        add_passkey(open_passkeys(visitor))
        [credential] = device.credentials
        rows = [(table, modern.world.rows(sa.select(*table.__table__.c))) for table in (WebauthnCredential, Passkey)]
        registrations.append(Registration(credential, rows))
        log_out(visitor)
    modern.seen.clear()
    return device


def test_register_log_out_log_in_list_and_remove(modern: Site, visitor: Visitor, device: Device) -> None:
    page = open_passkeys(visitor)
    assert modern.of("webauthn_manage")
    add_passkey(page)
    expect(page.locator("#passkey-rows")).to_contain_text("never")
    log_out(visitor)
    # the name is remembered, and the button appears by itself
    expect(page.locator("[name=username]")).to_have_value("rita")
    before = visitor.session_id
    by_passkey(page)
    arrives_at(page, "/dashboard.php")
    expect_accounts(page, "bert", "anna")
    assert visitor.session_id != before
    [login] = modern.of("webauthn_authenticate", "POST")
    assert set(json.loads(login.body)) == {
        "credential_id",
        "authenticator_data",
        "client_data_json",
        "signature",
        "counter",
    }
    page.get_by_role("button", name="Settings").click()
    expect(page.locator("#passkey-rows button")).to_have_count(1)
    expect(page.locator("#passkey-rows")).not_to_contain_text("never")
    page.locator("#passkey-rows").get_by_role("button", name="Remove").click()
    expect(page.locator("#passkey-rows")).to_have_text("No passkeys yet")
    expect(page.locator("#alert")).to_have_text("Biometric credential removed successfully")
    log_out(visitor)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    [row] = modern.world.rows(
        sa.select(LoginHistory.username, LoginHistory.status).where(LoginHistory.login_method == "biometric")
    )
    assert (row["username"], row["status"]) == ("rita", "success")


def test_a_click_right_after_typing_signs_one_of_two_challenges(
    modern: Site, visitor: Visitor, registered: Device
) -> None:
    page = visitor.page
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    modern.seen.clear()
    page.locator("[name=username]").focus()
    by_passkey(page)
    arrives_at(page, "/dashboard.php")
    expect_accounts(page, "bert", "anna")
    # the field that was left asked, and the button
    assert len(modern.of("webauthn_authenticate", "GET")) >= 2


@contextmanager
def altered(page: Page, change: Any) -> Iterator[None]:
    """What the page sends of a login passes ``change`` on its way."""

    def pass_on(route: Route) -> None:
        if route.request.method == "POST":
            sent = json.loads(route.request.post_data or "{}")
            route.continue_(post_data=json.dumps(change(sent)))
        else:
            route.continue_()

    page.route("**/api/webauthn_authenticate.php*", pass_on)
    yield
    page.unroute("**/api/webauthn_authenticate.php*")


def refused(modern: Site, page: Page, text: str) -> None:
    expect(page.locator("#notice")).to_have_text(text)
    assert page.url.endswith("/index.html")
    assert modern.world.rows(sa.select(WebauthnCredential.last_used))[0]["last_used"] is None


def flipped(text: str) -> str:
    return text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]


def test_an_altered_login_is_refused(modern: Site, visitor: Visitor, registered: Device) -> None:
    page = visitor.page
    for field in ("signature", "authenticator_data"):
        page.reload()
        with altered(page, lambda sent, field=field: sent | {field: flipped(sent[field])}):
            by_passkey(page)
            refused(modern, page, "Invalid credentials")
    # and an honest one goes on working
    by_passkey(page)
    arrives_at(page, "/dashboard.php")
    expect_accounts(page, "bert", "anna")


def test_a_replayed_challenge_is_refused(modern: Site, visitor: Visitor, registered: Device, visit: Visit) -> None:
    page = visitor.page
    by_passkey(page)
    arrives_at(page, "/dashboard.php")
    expect_accounts(page, "bert", "anna")
    [login] = modern.of("webauthn_authenticate", "POST")
    thief = at_name(visit, modern)
    thief.open("/index.html")
    again = "(body) => fetch('api/webauthn_authenticate.php', {method: 'POST', body}).then((answer) => answer.json())"
    answer = thief.page.evaluate(again, login.body.decode())
    assert (answer["error"], answer["code"]) == (1, 2)
    thief.open("/dashboard.php")
    arrives_at(thief.page, "/index.html")


def test_another_origin_is_refused(modern: Site, visitor: Visitor, registered: Device) -> None:
    """The same name on another port: the browser signs, and the server sees where."""
    [credential] = registered.credentials
    other = Site(modern.world, "modern")
    try:
        visitor.page.goto(f"http://{NAME}:{urlsplit(other.url).port}/index.html")
        visitor.page.fill("[name=username]", "rita")
        forward = modern.url.replace("127.0.0.1", NAME)

        def to_ours(route: Route) -> None:
            # through the phisher's own server, which says nothing of where it was asked
            headers = {name: value for name, value in route.request.headers.items() if name in ("content-type",)}
            answer = route.fetch(url=re.sub(r"^http://[^/]+", forward, route.request.url), headers=headers)
            route.fulfill(response=answer)

        visitor.page.route("**/api/webauthn_authenticate.php*", to_ours)
        visitor.page.locator("[name=password]").focus()
        by_passkey(visitor.page)
        expect(visitor.page.locator("#notice")).to_have_text("Invalid credentials")
    finally:
        # the page may ask once more
        visitor.leave()
        other.close()
    [known] = modern.world.rows(sa.select(Passkey.sign_count))
    assert known["sign_count"] <= credential["signCount"]
    assert modern.world.rows(sa.select(WebauthnCredential.last_used))[0]["last_used"] is None


def test_a_stolen_credential_id_opens_nothing(modern: Site, registered: Device, visit: Visit) -> None:
    [stolen] = registered.credentials
    thief = at_name(visit, modern)
    own = Device(thief)
    page = open_passkeys(thief, "weak")
    add_passkey(page)
    [key] = own.credentials
    log_out(thief)
    # the thief's own key under the id that the server tells anybody
    own.take(key | {"credentialId": stolen["credentialId"], "rpId": NAME})
    page.fill("[name=username]", "rita")
    by_passkey(page)
    expect(page.locator("#notice")).to_have_text("Invalid credentials")
    rows = modern.world.rows(sa.select(WebauthnCredential.last_used))
    assert [row["last_used"] for row in rows] == [None, None]


def test_a_copied_authenticator_is_noticed(modern: Site, visitor: Visitor, registered: Device, visit: Visit) -> None:
    [copied] = registered.credentials
    page = visitor.page
    by_passkey(page)
    arrives_at(page, "/dashboard.php")
    expect_accounts(page, "bert", "anna")
    thief = at_name(visit, modern)
    thief.open("/index.html")
    # with the counter of before that login
    Device(thief).take(copied)
    thief.page.reload()
    thief.page.fill("[name=username]", "rita")
    thief.page.locator("[name=password]").focus()
    by_passkey(thief.page)
    expect(thief.page.locator("#notice")).to_have_text("Invalid credentials")


def test_by_ip_address_the_page_reads_why_not(modern: Site, visit: Visit) -> None:
    visitor = visit(modern.url)
    Device(visitor)
    page = open_passkeys(visitor)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#alert")).to_contain_text("Passkeys need a host name")


def test_a_name_that_php_stored_is_no_markup(modern: Site, visitor: Visitor, device: Device) -> None:
    modern.world.insert(
        WebauthnCredential, [{"user_id": 3, "credential_id": "AAAA", "public_key": "x", "device_name": MARKUP}]
    )
    visitor.holds_session_of("rita")
    visitor.open("/dashboard.php")
    expect_accounts(visitor.page, "bert", "anna")
    visitor.page.get_by_role("button", name="Settings").click()
    expect(visitor.page.locator("#passkey-rows td").first).to_have_text(MARKUP)
    expect(visitor.page).to_have_title("Dashboard")


# the audit page


def at_logs(visit: Visit, site: Site) -> Page:
    visitor = visit(site.url).holds_session_of("admin")
    visitor.open("/dashboard.php")
    expect_accounts(visitor.page, *ALL)
    visitor.page.get_by_role("button", name="Logs").click()
    return visitor.page


def entries(count: int, **values: Any) -> list[dict[str, Any]]:
    row = {"user_id": 3, "username": "rita", "user_type": "reseller", "action": "create", "target_type": "account"}
    return [row | {"target_id": str(number), "details": f"entry {number}"} | values for number in range(count)]


def test_the_audit_page_shows_filters_and_turns_its_pages(modern: Site, visit: Visit) -> None:
    modern.world.insert(AuditEntry, [*entries(12), *entries(3, action="delete", target_type="user")])
    page = at_logs(visit, modern)
    rows = page.locator("#audit-rows tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("Rita")
    expect(page.locator("#audit-pages")).to_have_text("1 of 2 (15)")
    expect(page.locator("#audit-previous")).to_be_disabled()
    page.locator("#audit-next").click()
    expect(rows).to_have_count(5)
    expect(page.locator("#audit-next")).to_be_disabled()
    form = page.locator("#audit-form")
    expect(form.locator("[name=action] option")).to_have_text(["All actions", "Create", "Delete"])
    expect(form.locator("[name=user_id] option")).to_have_text(["All users", "Rita"])
    form.locator("[name=action]").select_option("delete")
    form.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(3)
    form.locator("[name=search]").fill("ENTRY 1")
    form.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    assert modern.of("get_audit_log")[-1].query == {
        "page": "1",
        "per_page": "10",
        "action": "delete",
        "search": "ENTRY 1",
    }


def test_25_markup_and_empty_kinds_in_old_rows_do_no_harm(modern: Site, visit: Visit) -> None:
    names = ("username", "action", "target_type", "target_name", "target_id", "details")
    evil = entries(1, **dict.fromkeys(names, MARKUP), user_type="<b>", ip_address='"<i>')
    modern.world.insert(AuditEntry, [*evil, *entries(1, target_type="", user_id=1, username="admin")])
    modern.world.execute(sa.update(User).where(User.id == 3).values(name=MARKUP))
    page = at_logs(visit, modern)
    expect(page.locator("#audit-rows tr")).to_have_count(2)
    expect(page.locator("#audit-rows tr", has_text="onerror").locator("td").nth(3)).to_have_text(MARKUP)
    expect(page.locator("#audit-form [name=target_type] option")).to_have_text(["All targets", MARKUP])
    expect(page).to_have_title("Dashboard")
    assert modern.world.client("admin", PASSWORD).get("/api/get_audit_log.php").json()["pagination"]["total"] == 2
