"""The backup page of the newer panels: download, restore, and who is refused (contract chapters 05 §2.4, §11, 70)."""

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from core.storage.tables import Account
from tests.browser.conftest import Visit
from tests.browser.panels import Site
from tests.browser.test_browser_entry import ALL
from tests.browser.visitors import expect_accounts

NAME = re.compile(r"showbox_backup_\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}\.sql")


def _open(visit: Visit, site: Site, username: str, *, worker: bool = False) -> Page:
    """The settings, which have the buttons."""
    visitor = visit(site.url, worker=worker).holds_session_of(username)
    page = visitor.open(site.dashboard)
    expect(page.locator("#overlay")).to_be_hidden()
    page.click("nav [data-tab=settings]")
    return page


@pytest.mark.parametrize("worker", [False, True], ids=["no worker", "worker"])
def test_a_backup_is_downloaded_and_restored(modern: Site, visit: Visit, worker: bool) -> None:
    page = _open(visit, modern, "admin", worker=worker)
    if worker:
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    with page.expect_download() as downloading:
        page.click("#export")
    download = downloading.value
    assert NAME.fullmatch(download.suggested_filename)
    expect(page.locator("#backup-status")).to_have_text(f"Saved as {download.suggested_filename}")
    content = download.path().read_bytes()
    assert content.startswith(b"-- ShowBox Billing Panel dump\n")
    assert content.endswith(b"\n-- Dump completed\n")
    # a browser that others use keeps nothing of it
    kept = "caches.keys().then(async (names) => (await Promise.all(names.map(async (name) =>"
    kept += " (await (await caches.open(name)).keys()).map((request) => request.url)))).flat())"
    assert [url for url in page.evaluate(kept) if "backup" in url] == []

    modern.world.execute(sa.delete(Account).where(Account.username.in_(["anna", "carl"])))
    file = {"name": download.suggested_filename, "mimeType": "application/octet-stream", "buffer": content}
    page.set_input_files("[name=sql_file]", file)  # type: ignore[arg-type]
    modern.seen.clear()
    page.click("#import-form button")
    expect(page.locator("#backup-status")).to_have_text(re.compile(r"Restored\. \d+ rows of \d+ tables are in place"))
    # after three seconds the page loads anew, still logged in
    page.wait_for_event("load")
    page.click("nav [data-tab=accounts]")
    expect_accounts(page, *ALL)
    assert [seen.status for seen in modern.seen if seen.path == "/scripts/import_database.php"] == [200]


def test_26_a_refusal_is_read_on_the_page(modern: Site, visit: Visit) -> None:
    page = _open(visit, modern, "rita")
    expect(page.locator("#backup")).to_be_hidden()
    page.evaluate("shown(byId('export'), exportDatabase)")
    refusal = "Permission denied. Only administrators can back up the database."
    expect(page.locator("#backup-status")).to_have_text(refusal)


def test_a_reseller_admin_gets_a_file_without_passwords_and_restores_none(modern: Site, visit: Visit) -> None:
    page = _open(visit, modern, "resa")
    with page.expect_download() as downloading:
        page.click("#export")
    content = downloading.value.path().read_text()
    assert "-- Redacted: yes\n" in content
    assert not re.search(r"'[0-9a-f]{32}'", content)
    file = {"name": "x.sql", "mimeType": "application/octet-stream", "buffer": content.encode()}
    page.set_input_files("[name=sql_file]", file)  # type: ignore[arg-type]
    page.click("#import-form button")
    refusal = "Permission denied. Only super admins can restore the database."
    expect(page.locator("#backup-status")).to_have_text(refusal)


def test_a_file_that_is_no_dump_is_refused_in_words(modern: Site, visit: Visit) -> None:
    page = _open(visit, modern, "admin")
    for name, content, words in (
        ("x.txt", b"x", "Only .sql files can be restored"),
        ("x.sql", b"DROP DATABASE panel;", "Line 1: a statement that does not belong into a dump"),
    ):
        file = {"name": name, "mimeType": "text/plain", "buffer": content}
        page.set_input_files("[name=sql_file]", file)  # type: ignore[arg-type]
        page.click("#import-form button")
        expect(page.locator("#backup-status")).to_have_text(f"{words}; nothing was changed")
    assert len(modern.world.rows(sa.select(Account.id))) == 5
