"""A page elsewhere sends its visitor into the panel through the panel's own service worker (contract README,
"navigations through the service worker"; issue "no way in", line 2)."""

import pytest
from sqlalchemy import select

from core.storage.tables import User
from tests.browser.conftest import Visit
from tests.browser.panels import Site
from tests.browser.test_browser_cross_site import FORM, elsewhere  # noqa: F401 - a fixture
from tests.browser.test_browser_worker import at_dashboard_with_worker

CREDIT = {"reseller_id": "3", "action": "add", "amount": "777"}
LINK = "(url) => { location.href = url; }"
ATTACKS = {
    "a form": (FORM, "/adjust_credit.php", CREDIT, "POST"),
    "a form to the other prefix": (FORM, "/api/adjust_credit.php", CREDIT, "POST"),
    "a link": (LINK, "/remove_reseller.php?id=3", None, "GET"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_2_neither_a_link_nor_a_form_elsewhere_changes_anything_through_the_worker(
    attack: tuple[str, str, dict[str, str] | None, str],
    site: Site,
    visit: Visit,
    elsewhere: int,  # noqa: F811
) -> None:
    script, path, fields, method = attack
    visitor = at_dashboard_with_worker(visit, site)
    visitor.expects(r"status of 403|/favicon\.ico")
    # another port of the same site: to it the browser does send the cookie, with each method
    visitor.page.goto(f"http://127.0.0.1:{elsewhere}/")
    site.seen.clear()
    visitor.page.evaluate(script, site.url + path if fields is None else [site.url + path, fields])
    visitor.until(lambda: site.calls and site.calls[0].status, "the attack")
    [seen] = site.calls
    assert (seen.method, seen.status) == (method, 403)
    assert "PHPSESSID" in seen.headers["cookie"]
    through_the_worker = site.generation == "modern" and not path.startswith("/api/")
    if through_the_worker:
        # the real shape: nothing in these two tells it from a call of ours
        assert (seen.headers["sec-fetch-mode"], seen.headers["sec-fetch-site"]) == ("same-origin", "same-origin")
    [rita] = site.world.rows(select(User.balance).where(User.id == 3))
    assert float(rita["balance"]) == 99.9
