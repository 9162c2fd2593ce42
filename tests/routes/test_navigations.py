"""Navigations change nothing, whatever else the browser sends (contract README, "state-changing GETs" and
"navigations through the service worker"; issue "no way in", line 2)."""

import pytest

from legacy_routes.app import all_endpoints
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.worlds.harness import Client, World

CHROMES_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
# what browsers send to a site without TLS, and what the pages' worker makes of a navigation
NAVIGATIONS = {
    "accepts html": {"Accept": CHROMES_ACCEPT},
    "upgrades": {"Upgrade-Insecure-Requests": "1"},
    "html in capitals": {"Accept": "Text/HTML"},
    "navigate": {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"},
    "worker": {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Site": "same-origin"},
    "worker, accepts": {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": CHROMES_ACCEPT},
    "worker, upgrades": {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Upgrade-Insecure-Requests": "1"},
    "a frame": {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"},
}
FOREIGN = {
    "a page elsewhere": {"Referer": "http://elsewhere.example/page"},
    "an image elsewhere": {"Accept": "image/avif,image/webp,*/*;q=0.8"},
    "an image here": {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"},
    "a prefetch": {"Sec-Purpose": "prefetch;prerender"},
    "an old browser's prefetch": {"X-Moz": "prefetch"},
    "a preview": {"X-Purpose": "preview"},
    "unreadable": {"Referer": "http://[::1"},
}
OWN = {
    "curl": {"Accept": "*/*"},
    "a fetch": {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"},
}
CHANGING_GETS = [
    endpoint for endpoint in all_endpoints() if endpoint.manners.get_changes and not endpoint.manners.navigable
]
CREDIT = {"reseller_id": 2, "action": "add", "amount": 777, "currency": "GBP", "user_id": 2}


@pytest.fixture
def panel(make_world: MakeWorld) -> World:
    return fill_chapter_10(make_world("sqlite"))


def _as(panel: World, headers: dict[str, str], **more: str) -> Client:
    return Client(panel.url, panel.client("admin").cookies, headers | more)


@pytest.mark.parametrize("headers", {**NAVIGATIONS, **FOREIGN}.values(), ids={**NAVIGATIONS, **FOREIGN})
def test_2_no_get_of_a_browsers_page_changes_anything(panel: World, headers: dict[str, str]) -> None:
    client = _as(panel, headers)
    for endpoint in CHANGING_GETS:
        for method, path in (("GET", endpoint.paths[0]), ("HEAD", endpoint.paths[-1])):
            response = client.request(method, path, params=CREDIT)
            # one of Xtream's paths knows no such method
            assert response.status_code == (405 if path == "/api" else 403), (method, path)


@pytest.mark.parametrize("headers", NAVIGATIONS.values(), ids=NAVIGATIONS)
def test_2_a_form_posted_as_a_navigation_is_refused(panel: World, headers: dict[str, str]) -> None:
    client = _as(panel, headers, Origin=panel.url)
    assert client.post("/adjust_credit.php", CREDIT).status_code == 403
    assert client.post("/api/auto_logout_settings.php", {"timeout": 7}).status_code == 403
    for method in ("PUT", "DELETE"):
        names = [endpoint.name for endpoint in all_endpoints() if method in endpoint.methods]
        assert {client.request(method, f"/{name}.php").status_code for name in names} <= {403}
    assert float(panel.user("resa")["balance"]) == 12.5


def test_2_the_link_that_credited_777(panel: World) -> None:
    link = {"Accept": CHROMES_ACCEPT, "Upgrade-Insecure-Requests": "1", "Referer": "http://elsewhere.example/"}
    assert _as(panel, link).get("/adjust_credit.php", params=CREDIT).json()["error"] == 1
    assert float(panel.user("resa")["balance"]) == 12.5


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_2_scripts_and_the_pages_own_calls_stay_free(panel: World, headers: dict[str, str]) -> None:
    for more in ({}, {"Referer": f"{panel.url}/dashboard.php"}):
        client = _as(panel, headers, **more)
        assert client.post("/adjust_credit.php", CREDIT).json()["error"] == 0
        assert client.get("/session_heartbeat.php").json()["error"] == 0
    assert float(panel.user("resa")["balance"]) == 12.5 + 2 * 777


def test_2_the_scheme_is_part_of_the_origin(panel: World) -> None:
    with_tls = panel.url.replace("http://", "https://")
    for header in ("Origin", "Referer"):
        assert _as(panel, {header: with_tls}).post("/adjust_credit.php", CREDIT).status_code == 403
        assert _as(panel, {header: panel.url}).post("/adjust_credit.php", CREDIT).status_code == 200
        # a proxy with TLS that nobody entered as trusted; no page can make a browser send its header
        proxied = _as(panel, {header: with_tls, "X-Forwarded-Proto": "https"})
        assert proxied.post("/adjust_credit.php", CREDIT).status_code == 200


def test_2_logout_and_reading_by_a_link_work_as_before(panel: World) -> None:
    worker = {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Site": "same-origin", "Accept": CHROMES_ACCEPT}
    client = _as(panel, worker)
    assert client.get("/get_user_info.php").json()["error"] == 0
    assert client.get("/logout.php").status_code == 302
    assert client.get("/get_user_info.php").json()["error"] == 1
