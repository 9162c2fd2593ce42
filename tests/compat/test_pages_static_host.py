"""What the static host lets out of a panel directory, asked over real HTTP (contract chapter 10, section 8)."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from flask import Flask, abort, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waitress.server import create_server
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from compat.pages import Frontend

SECRET = b"hunter2-in-the-clear"


def words(text: str) -> list[str]:
    return text.split()


COMMON = ["index.html", "dashboard.css", "dashboard.js", "service-worker.js", "manifest.json", "favicon.ico"]
SIZES = ["72x72", "96x96", "128x128", "144x144", "152x152", "192x192", "384x384", "512x512"]
GENERATION_A = [
    *COMMON,
    "dashboard.html",
    *(f"icons/icon-{size}.png" for size in SIZES),
    "icons/icon.svg",
    "favicon.png",
    "favicon-16x16.png",
    "favicon-32x32.png",
    "video-play-icon-20.png",
]
GENERATION_BC = [
    *COMMON,
    "sms-functions.js",
    "mail-functions.js",
    "telegram-functions.js",
    "xui-one2-functions.js",
    *(f"assets/icons/icon-{size}.png" for size in SIZES),
    "assets/icons/icon.svg",
    "assets/images/favicon.ico",
    "assets/images/logo one.jpg",
    "assets/images/لوگو.webp",
    "assets/fonts/BYekan+.ttf",
    "assets/fonts/x.woff",
    "assets/fonts/x.woff2",
    "screenshots/dashboard.png",
]
SECRETS = words("""
config.php reqs/config.php CONFIG.php api.php get_accounts.php api/get_accounts.php api/telegram/send.php
.git/HEAD .git/dashboard.js .gitignore .backup_checkpoint/index.html .env icons/.hidden.png assets/icons/.git/x.png
dashboard.js.backup dashboard.js.bak dashboard.js~ dashboard.js.orig .dashboard.js.swp index.html.bak config.php.bak
backups/x.sql scripts/backups/x.sql dump.sql assets/images/dump.sql api/sms_helper.php
api/reseller_assignments_backup.json package.json assets/manifest.json data.json api/manifest.json
cookie.txt robots.txt error_log server.log assets/images/access.log logs/app.log logs/index.html
cron/x.php cron_check.php scripts/deploy.sh scripts/x.php scripts/dashboard.js tests/index.html test_api.php
test_page.html test_sms-functions.js fix_x-functions.js add_phone_column.php add_reminder_tracking.php migrate_x.php
reset_x.php check_resellers.php cleanup_x.php update_account_test.php
PHPMailer/get_oauth_token.php PHPMailer/index.html vendor/autoload.php vendor/index.html composer.json composer.lock
docs/README.md docs/index.html README.md x.sh x.py create-placeholder-icons.js dashboard_old.html
icon-generator.html generate-icons.html other.css other.js functions.js Xy-functions.js js/sms-functions.js
icons/readme.txt icons/other.svg icons/x.php icons/sub/x.png assets/x.png assets/icons/sub/x.png
assets/icons/x.html assets/icons/x.js assets/icons/x.gif assets/fonts/x.ttf.php assets/other/x.png
assets/icons/X.PNG assets/images/x.jpeg favicon-64x64.png screenshots/x.jpg Dashboard.js uploads/receipts/x.png
""")

MIME = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/manifest+json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
}
REVALIDATED = {"html", "js", "css", "json"}

PRECACHED = {
    "A": ["/dashboard.html", "/index.html", "/dashboard.css", "/dashboard.js", "/manifest.json"],
    # Without /dashboard.php, whose answer to an anonymous request is the caller's redirect.
    "BC": [
        "/index.html",
        "/dashboard.css",
        "/dashboard.js",
        "/sms-functions.js",
        "/manifest.json",
        "/assets/fonts/BYekan+.ttf",
        "/assets/icons/icon-192x192.png",
        "/assets/icons/icon-512x512.png",
    ],
}

GOLDEN_CASE_54 = words("""
/config.php /CONFIG.PHP /config.php/x.css /reqs/config.php /.git/HEAD /backups/x.sql /scripts/backups/x.sql
/cookie.txt /error_log /docs/README.md /cron/x.php /api/sms_helper.php /%2e%2e/config.php
/assets/..%2fconfig.php /assets/
""")
UNPLAIN = words("""
/assets /icons/ /.git/ /docs/ /../secret.js /..%2f..%2fetc/passwd /assets/icons/../../config.php
/assets/icons/..%2f..%2fconfig.php /assets/icons/%2e%2e/%2e%2e/dashboard.js /./dashboard.js /%2e/dashboard.js
/assets/./icons/icon-72x72.png //dashboard.js ///index.html /assets//icons/icon-72x72.png /dashboard.js/ /index.html/
/dashboard.js/x /dashboard.js/x.css /dashboard.php/x.css /dashboard.js%00 /dashboard.js%00.png /config.php%00.js
/assets/icons/..%00/x.png /dashboard%2ejs. /dashboard.js. /dashboard.js%20 /dashboard.js%2e /dashboard.js%0a
/dashboard.js%0d /dashboard.js%09 /dash%08board.js /%64ashboard.js%2f /dashboard.js%c2%85 /dashboard.js%7f
/%2564ashboard.js /dashboard%252ejs /%252e%252e/config.php /assets/%252e%252e/config.php /assets/icons/%25.png
/assets%2ficons%2ficon-72x72.png /assets%5cicons%5cicon-72x72.png /assets/icons\\icon-72x72.png
/assets/icons/..%5c..%5cconfig.php /DASHBOARD.JS /Dashboard.html /dashboard.JS /Index.html /ASSETS/icons/icon-72x72.png
/%ff /dashboard.js%ff /assets/icons/%c0%ae%c0%ae/x.png /assets/icons/%ed%a0%80.png /dashboard.js::$DATA
/assets/icons/config.php:x.png /dashboard.js;x=1 /dashboard.js%3fx /dashboard.php /index.php /assets/fonts/BYekan%20.ttf
/assets/fonts/BYekan%252B.ttf /service-worker.js/ /%2fdashboard.js /dashboard.js%23 * dashboard.js ../dashboard.js
/secret.js /fifo.png /icons/fifo.png /icons/directory.png
""")
PLAIN = {
    "/": "index.html",
    "/?expired=1": "index.html",
    "/index.html?expired=1": "index.html",
    "/dashboard.css?v=1732547600": "dashboard.css",
    "/dashboard.js?../../config.php": "dashboard.js",
    "/%64ashboard.js": "dashboard.js",
    "/dashboard%2Ejs": "dashboard.js",
    "http://billing.example.com/dashboard.js": "dashboard.js",
}
PLAIN_BC = {
    "/assets/fonts/BYekan%2B.ttf": "assets/fonts/BYekan+.ttf",
    "/assets/fonts/BYekan%2b.ttf": "assets/fonts/BYekan+.ttf",
    "/assets/images/logo%20one.jpg": "assets/images/logo one.jpg",
    "/assets/images/%D9%84%D9%88%DA%AF%D9%88.webp": "assets/images/لوگو.webp",
}


def public(name: str) -> bytes:
    return b"public " + name.encode()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def build_tree(root: Path, allowed: list[str]) -> Path:
    """A panel directory: every listed file, every file to be refused, and things that are no files."""
    for name in SECRETS:
        write(root / name, SECRET)
    for name in allowed:
        write(root / name, public(name))
    write(root / "dashboard.php", b"<?php $password = '" + SECRET + b"'; ?>\n<!DOCTYPE html>")
    write(root.parent / "secret.js", SECRET)
    (root / "icons" / "directory.png").mkdir(parents=True)
    os.mkfifo(root / "icons" / "fifo.png")
    return root


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    """A waitress server that shows one frontend; requests are sent byte by byte as given."""

    port: int
    allowed: list[str]

    def ask(self, target: str | bytes, method: str = "GET") -> Answer:
        raw = target.encode("latin-1") if isinstance(target, str) else target
        line = method.encode() + b" " + raw + b" HTTP/1.1\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(line + b"Host: billing.example.com\r\nConnection: close\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Answer(int(status.split()[1]), headers, body)


def app_showing(frontend: Frontend) -> Flask:
    app = Flask("pages", static_folder=None)
    app.url_map.merge_slashes = False

    @app.route("/", defaults={"path": ""})
    @app.route("/<path:path>")
    def page(path: str) -> Response:
        return frontend.file(request) or abort(404)

    return app


@pytest.fixture(scope="module", params=["A", "BC"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    allowed = GENERATION_A if request.param == "A" else GENERATION_BC
    root = build_tree(tmp_path_factory.mktemp(request.param) / "panel", allowed)
    listener = create_server(app_showing(Frontend(root)), host="127.0.0.1", port=0, threads=2, map={})
    thread = Thread(target=listener.run, daemon=True)
    thread.start()
    yield Server(int(listener.effective_port), allowed)
    listener.close()
    thread.join(timeout=60)


def generation(server: Server) -> str:
    return "A" if server.allowed is GENERATION_A else "BC"


def test_every_listed_file_is_served_with_its_type_and_caching(server: Server) -> None:
    for name in server.allowed:
        answer = server.ask("/" + quote(name, safe="/+"))
        extension = name.rpartition(".")[2]
        assert (answer.status, answer.body) == (200, public(name)), name
        assert answer.headers["content-type"] == MIME[extension], name
        caching = "no-cache" if extension in REVALIDATED else "public, max-age=86400"
        assert answer.headers["cache-control"] == caching, name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "etag" in answer.headers
        assert "last-modified" in answer.headers


def test_plain_spellings_lead_to_the_file(server: Server) -> None:
    spellings = PLAIN if generation(server) == "A" else PLAIN | PLAIN_BC
    for target, name in spellings.items():
        answer = server.ask(target)
        assert (answer.status, answer.body) == (200, public(name)), target


def test_precached_files_are_there_without_cookie_and_redirect(server: Server) -> None:
    for target in PRECACHED[generation(server)]:
        assert server.ask(target).status == 200, target


def test_service_worker_is_served_unchanged_over_plain_http(server: Server) -> None:
    answer = server.ask("/service-worker.js")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.body == public("service-worker.js")
    assert "service-worker-allowed" not in answer.headers


def test_everything_else_does_not_exist(server: Server) -> None:
    targets = ["/" + name for name in SECRETS] + GOLDEN_CASE_54 + UNPLAIN
    for target in targets:
        answer = server.ask(target)
        assert answer.status == 404, target
        assert SECRET not in answer.body, target
        assert b"public" not in answer.body, target


@pytest.mark.parametrize("target", [b"/dash\tboard.js", b"/dashboard.js\x7f", b"/\xff\xfe", b"/dashboard.js\xc2\x85"])
def test_raw_bytes_in_the_request_line_are_refused(server: Server, target: bytes) -> None:
    assert server.ask(target).status in (400, 404)


def test_only_files_of_the_own_generation_exist(server: Server) -> None:
    other = GENERATION_BC if generation(server) == "A" else GENERATION_A
    for name in set(other) - set(server.allowed):
        assert server.ask("/" + quote(name, safe="/+")).status == 404, name


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_get_nothing(server: Server, method: str) -> None:
    answer = server.ask("/dashboard.js", method)
    assert answer.status in (404, 405)
    assert b"public" not in answer.body


def test_head_has_the_headers_of_get_and_no_body(server: Server) -> None:
    for target in ("/", "/dashboard.js", "/favicon.ico"):
        get, head = server.ask(target), server.ask(target, "HEAD")
        assert head.status == 200
        assert head.body == b""
        differing = {"date"}
        assert {k: v for k, v in head.headers.items() if k not in differing} == {
            k: v for k, v in get.headers.items() if k not in differing
        }


PIECES = words(r"""
/ // . .. ... %2e %2f %5c %00 %20 %25 %252e \ : ~ ? # ; + %2B a .js .php .png .sql dashboard index.html dashboard.js
config.php assets icons images fonts .git backups x.sql icon-72x72.png icon-192x192.png BYekan+.ttf api reqs
http://x %ff service-worker.js sms-functions.js favicon.ico dashboard.php
""")
CONTROLS = ["\xff", "\t", "\x01"]
TARGETS = st.lists(st.sampled_from(PIECES + CONTROLS), max_size=8).map("".join) | st.text(
    st.characters(max_codepoint=255), max_size=40
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=TARGETS)
def test_no_request_target_leads_beyond_the_list(server: Server, tail: str) -> None:
    # Blanks and line ends would end the target in the request line.
    answer = server.ask("/" + re.sub(r"[ \r\n]", "", tail))
    # 308: waitress drops a tab between two slashes, and this bare application redirects what the panel merges
    assert answer.status in (200, 308, 400, 404)
    assert SECRET not in answer.body
    if answer.status == 200:
        assert answer.body in {public(name) for name in server.allowed}


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Frontend:
    return Frontend(build_tree(tmp_path_factory.mktemp("direct") / "panel", GENERATION_A + GENERATION_BC))


def fetch(frontend: Frontend, path: str, **environ: str) -> bytes | None:
    answer = frontend.file(Request({**EnvironBuilder("/").get_environ(), "PATH_INFO": path, **environ}))
    return None if answer is None else answer.get_data()


@settings(max_examples=200, deadline=None)
@given(path=TARGETS | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_no_decoded_path_leads_beyond_the_list(frontend: Frontend, path: str) -> None:
    """Servers that pass no request target on leave PATH_INFO alone to judge by."""
    body = fetch(frontend, "/" + path, REQUEST_URI="", RAW_URI="")
    assert body is None or body in {public(name) for name in GENERATION_A + GENERATION_BC}


@pytest.mark.parametrize("key", ["REQUEST_URI", "RAW_URI"])
def test_request_target_is_judged_where_the_server_tells_it(frontend: Frontend, key: str) -> None:
    silent = {"REQUEST_URI": "", "RAW_URI": ""}
    assert fetch(frontend, "/dashboard.js", **silent) == public("dashboard.js")
    for target in ("//dashboard.js", "/dash%09board.js", "/assets%2f../dashboard.js", "/x/../dashboard.js"):
        assert fetch(frontend, "/dashboard.js", **{**silent, key: target}) is None


def test_names_too_long_for_the_file_system_do_not_exist(frontend: Frontend) -> None:
    assert fetch(frontend, "/icons/" + "x" * 5000 + ".png") is None
    assert fetch(frontend, "/" + "x/" * 5000 + "x.png") is None


def test_favicon_png_stands_in_for_a_missing_ico(tmp_path: Path) -> None:
    write(tmp_path / "favicon.png", b"png")
    answer = Frontend(tmp_path).file(Request(EnvironBuilder("/favicon.ico").get_environ()))
    assert answer is not None
    assert (answer.get_data(), answer.content_type) == (b"png", "image/png")


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    root = tmp_path / "panel"
    write(root / "index.html", b"public")
    write(root / "config.php", SECRET)
    write(root / ".store" / "hidden.js", SECRET)
    write(tmp_path / "outside" / "dashboard.js", SECRET)
    write(tmp_path / "outside" / "icons" / "x.png", SECRET)
    write(tmp_path / "panel-copy" / "dashboard.js", SECRET)
    return root


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("dashboard.js", "../outside/dashboard.js", "/dashboard.js"),
        ("dashboard.js", "../panel-copy/dashboard.js", "/dashboard.js"),
        ("dashboard.js", "config.php", "/dashboard.js"),
        ("dashboard.js", ".store/hidden.js", "/dashboard.js"),
        ("dashboard.js", "dashboard.js", "/dashboard.js"),
        ("dashboard.js", "missing.js", "/dashboard.js"),
        ("dashboard.js", "/dev/stdin", "/dashboard.js"),
        ("icons", "../outside/icons", "/icons/x.png"),
    ],
)
def test_links_to_what_is_not_public_are_not_followed(panel: Path, link: str, target: str, path: str) -> None:
    (panel / link).symlink_to(target)
    assert fetch(Frontend(panel), path) is None


def test_absolute_link_out_of_the_root_is_not_followed(panel: Path) -> None:
    (panel / "dashboard.js").symlink_to(panel.parent / "outside" / "dashboard.js")
    assert fetch(Frontend(panel), "/dashboard.js") is None


def test_links_within_the_root_are_followed(panel: Path) -> None:
    write(panel / "build" / "icons" / "x.png", b"icon")
    write(panel / "dashboard.v2.js", b"script")
    (panel / "assets").symlink_to("build")
    (panel / "dashboard.js").symlink_to(panel / "dashboard.v2.js")
    frontend = Frontend(panel)
    assert fetch(frontend, "/assets/icons/x.png") == b"icon"
    assert fetch(frontend, "/dashboard.js") == b"script"


def test_root_may_be_a_link_that_is_switched(panel: Path, tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.symlink_to(panel)
    frontend = Frontend(current)
    assert fetch(frontend, "/index.html") == b"public"
    write(tmp_path / "next" / "index.html", b"next")
    current.unlink()
    current.symlink_to(tmp_path / "next")
    assert fetch(frontend, "/index.html") == b"next"


def test_root_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Frontend(tmp_path / "missing")


def test_unreadable_file_is_missing_and_reported_once(panel: Path, caplog: pytest.LogCaptureFixture) -> None:
    (panel / "index.html").chmod(0)
    frontend = Frontend(panel)
    user = os.geteuid()
    if user == 0:  # who reads everything
        os.seteuid(65534)
    try:
        answers = [fetch(frontend, "/index.html") for _ in range(2)]
    finally:
        os.seteuid(user)
    assert answers == [None, None]
    assert len(caplog.records) == 1


def test_names_are_utf8_in_every_locale(panel: Path) -> None:
    write(panel / "assets" / "images" / "لوگو.webp", b"logo")
    code = (
        "import sys, pathlib; from compat.pages.files import Tree; "
        "found = Tree(pathlib.Path(sys.argv[1])).open('assets/images/\\u0644\\u0648\\u06af\\u0648.webp'); "
        "print(sys.getfilesystemencoding(), found.read()); found.close()"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": os.getcwd()}
    run = subprocess.run([sys.executable, "-c", code, panel], env=ascii_only, capture_output=True, check=True)
    assert run.stdout.split() == [b"ascii", b"b'logo'"]
