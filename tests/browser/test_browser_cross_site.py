"""A page of somebody else tries to use the visitor's session (contract chapter 00, "Cross-site requests")."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.panels import PASSWORD, Site
from tests.browser.test_browser_session import user_of
from tests.browser.visitors import Visitor

BLANK = "<!DOCTYPE html><title>Elsewhere</title><link rel='icon' href='data:,'><body></body>"
# another site; another origin of the same site, to which the browser does send the cookie
FOREIGN_HOSTS = ("localhost", "127.0.0.1")
IMAGE = """(url) => new Promise((done) => {
  const image = new Image();
  image.onload = image.onerror = done;
  image.src = url;
})"""
FETCH = """async ([url, body, type]) => {
  const headers = { "Content-Type": type };
  try {
    await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", headers, body });
  } catch { /* what counts is what the panel did */ }
}"""
READING_FETCH = """async (url) => {
  try {
    return await (await fetch(url, { credentials: "include" })).text();
  } catch (error) { return error.name; }
}"""
FORM = """([url, fields]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "POST", action: url, enctype: "multipart/form-data" });
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement("input"), { name, value }));
  }
  document.body.append(form);
  form.submit();
}"""
NEW_PASSWORD = {"old_pass": PASSWORD, "new_pass": "stolen-pass", "renew_pass": "stolen-pass"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the output belongs to the tests."""


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a web server of somebody else."""
    directory: Path = tmp_path_factory.mktemp("elsewhere")
    (directory / "index.html").write_text(BLANK)
    with ThreadingHTTPServer(("", 0), partial(_Quiet, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(params=FOREIGN_HOSTS)
def victim(request: pytest.FixtureRequest, elsewhere: int, modern: Site, visit: Visit) -> Iterator[Visitor]:
    """admin, logged in and at the foreign page; afterwards the session and the password are what they were."""
    visitor = visit(modern.url).holds_session_of("admin")
    session_id = visitor.session_id
    modern.seen.clear()
    visitor.page.goto(f"http://{request.param}:{elsewhere}/")
    # refusals, answers that the foreign page may not read, the icon of an answer that is shown as a page
    visitor.expects(r"status of 403|ERR_BLOCKED_BY_(ORB|RESPONSE)|blocked by CORS policy|net::ERR_FAILED|/favicon\.ico")
    yield visitor
    assert visitor.session_id == session_id
    info = user_of(modern, session_id)
    assert info["error"] == 0
    assert info["user"]["username"] == "admin"  # type: ignore[index]
    assert modern.world.client("admin", PASSWORD).session_id


def refused(visitor: Visitor, site: Site, *names: str) -> None:
    """These attacks arrived and were answered with 403."""
    visitor.until(lambda: len(site.calls) == len(names) and all(seen.status for seen in site.calls), "the attacks")
    assert [(seen.name, seen.status) for seen in site.calls] == [(name, 403) for name in names]
    assert {seen.headers["sec-fetch-site"] for seen in site.calls} <= {"cross-site", "same-site"}


def test_an_image_cannot_log_out_or_prolong(victim: Visitor, modern: Site) -> None:
    names = ("logout", "session_heartbeat")
    for name in names:
        victim.page.evaluate(IMAGE, f"{modern.url}/{name}.php")
    refused(victim, modern, *names)


def test_a_form_cannot_change_the_password(victim: Visitor, modern: Site) -> None:
    victim.page.evaluate(FORM, [f"{modern.url}/update_password.php", NEW_PASSWORD])
    refused(victim, modern, "update_password")
    expect(victim.page.locator("body")).to_contain_text('"error":1')


def test_a_form_cannot_log_in_as_somebody_else(victim: Visitor, modern: Site) -> None:
    victim.page.evaluate(FORM, [f"{modern.url}/api/login.php", {"username": "weak", "password": PASSWORD}])
    refused(victim, modern, "login")


def test_fetch_cannot_change_the_password(victim: Visitor, modern: Site) -> None:
    form, text = urlencode(NEW_PASSWORD), json.dumps(NEW_PASSWORD)
    bodies = (("application/x-www-form-urlencoded", form), ("text/plain", text), ("application/json", text))
    for kind, body in bodies:
        victim.page.evaluate(FETCH, [f"{modern.url}/update_password.php", body, kind])
    refused(victim, modern, *["update_password"] * len(bodies))


def test_fetch_cannot_read_anything(victim: Visitor, modern: Site) -> None:
    assert victim.page.evaluate(READING_FETCH, f"{modern.url}/get_accounts.php") == "TypeError"
    assert len(modern.of("get_accounts")) == 1


def test_the_panel_cannot_be_framed(victim: Visitor, modern: Site) -> None:
    victim.expects(r"frame-ancestors|X-Frame-Options|ERR_BLOCKED_BY_RESPONSE")
    victim.page.evaluate("(url) => { document.body.innerHTML = `<iframe src=${url}>`; }", f"{modern.url}/dashboard.php")
    victim.until(lambda: modern.pages("/dashboard.php"), "the frame's request")
    expect(victim.page.frame_locator("iframe").locator("#overlay")).to_have_count(0)
    assert modern.calls == []
