"""A page elsewhere sends its visitor into the panel through the panel's own service worker (contract README,
"navigations through the service worker"; issue "no way in", line 2)."""

from sqlalchemy import select

from core.storage.tables import User
from tests.browser.conftest import Visit
from tests.browser.panels import Site
from tests.browser.test_browser_cross_site import FORM, elsewhere  # noqa: F401 - a fixture
from tests.browser.test_browser_worker import at_dashboard_with_worker

CREDIT = {"reseller_id": "3", "action": "add", "amount": "777"}
LINK = "(url) => { location.href = url; }"
ATTACKS: dict[str, tuple[str, str, dict[str, str] | None, str]] = {
    "a form": (FORM, "/adjust_credit.php", CREDIT, "POST"),
    "a form to the other prefix": (FORM, "/api/adjust_credit.php", CREDIT, "POST"),
    "a link": (LINK, "/remove_reseller.php?id=3", None, "GET"),
}


def test_2_neither_a_link_nor_a_form_elsewhere_changes_anything_through_the_worker(
    site: Site,
    visit: Visit,
    elsewhere: int,  # noqa: F811
) -> None:
    visitor = at_dashboard_with_worker(visit, site)
    visitor.expects(r"status of 403|/favicon\.ico")
    for name, (script, path, fields, method) in ATTACKS.items():
        # another port of the same site: to it the browser does send the cookie, with each method
        visitor.page.goto(f"http://127.0.0.1:{elsewhere}/")
        site.seen.clear()
        visitor.page.evaluate(script, site.url + path if fields is None else [site.url + path, fields])
        visitor.until(lambda: site.calls and site.calls[0].status, name)
        [seen] = site.calls
        assert (seen.method, seen.status) == (method, 403), name
        assert "PHPSESSID" in seen.headers["cookie"], name
        through_the_worker = site.generation == "modern" and not path.startswith("/api/")
        if through_the_worker:
            # the real shape: nothing in these two tells it from a call of ours
            shape = (seen.headers["sec-fetch-mode"], seen.headers["sec-fetch-site"])
            assert shape == ("same-origin", "same-origin"), name
        # the answer, before the next attack takes the page elsewhere
        visitor.page.wait_for_url(lambda url: url.startswith(site.url))
        [rita] = site.world.rows(select(User.balance).where(User.id == 3))
        assert float(rita["balance"]) == 99.9, name
