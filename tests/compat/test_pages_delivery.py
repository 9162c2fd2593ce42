"""Conditional requests, compression and headers of the pages, and our own welcome page."""

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from werkzeug.test import Client, EnvironBuilder
from werkzeug.wrappers import Request, Response

from compat.pages import Frontend
from compat.pages.delivery import CompressedBodies

SCRIPT = b"const accounts = [];\n" * 2000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("index.html", "dashboard.js", "service-worker.js"):
        (tmp_path / name).write_bytes(SCRIPT)
    (tmp_path / "favicon.png").write_bytes(b"\x89PNG" * 100)
    return tmp_path


@pytest.fixture
def client(root: Path) -> Client:
    return client_of(Frontend(root))


def client_of(frontend: Frontend) -> Client:
    @Request.application
    def app(request: Request) -> Response:
        return frontend.file(request) or Response(status=404)

    return Client(app)


@pytest.mark.parametrize("path", ["/", "/dashboard.js", "/service-worker.js", "/favicon.png"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_validators_give_304_until_the_file_changes(root: Path, client: Client, path: str, encoding: str) -> None:
    accept = {"Accept-Encoding": encoding}
    first = client.get(path, headers=accept)
    by_etag = {**accept, "If-None-Match": first.headers["ETag"]}
    by_date = {**accept, "If-Modified-Since": first.headers["Last-Modified"]}
    for condition in (by_etag, by_date):
        unchanged = client.get(path, headers=condition)
        assert (unchanged.status_code, unchanged.data) == (304, b"")
        assert unchanged.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert unchanged.headers["ETag"] == first.headers["ETag"]
        assert client.head(path, headers=condition).status_code == 304
    changed = root / ("index.html" if path == "/" else path[1:])
    changed.write_bytes(b"new")
    os.utime(changed, (2_000_000_000, 2_000_000_000))
    for condition in (by_etag, by_date):
        assert client.get(path, headers=condition).status_code == 200


def test_etags_of_compressed_and_plain_differ(client: Client) -> None:
    plain, packed = (client.get("/dashboard.js", headers={"Accept-Encoding": e}) for e in ("identity", "gzip"))
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br, zstd", "br;q=1, gzip;q=0.5", "*"])
def test_text_is_compressed_where_accepted(client: Client, accepted: str) -> None:
    answer = client.get("/dashboard.js", headers={"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.data) < len(SCRIPT) / 10
    assert gzip.decompress(answer.data) == SCRIPT
    assert answer.content_length == len(answer.data)


@pytest.mark.parametrize("accepted", [None, "", "br", "gzip;q=0", "identity", "*;q=0"])
def test_text_is_plain_where_not_accepted(client: Client, accepted: str | None) -> None:
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    answer = client.get("/dashboard.js", headers=headers)
    assert "Content-Encoding" not in answer.headers
    assert answer.data == SCRIPT


def test_images_are_never_compressed(client: Client) -> None:
    answer = client.get("/favicon.png", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers


def test_a_replaced_file_with_old_times_is_compressed_anew(root: Path, client: Client) -> None:
    """Deployments may restore modification times; the compressed copy must not outlive the file."""
    accept = {"Accept-Encoding": "gzip"}
    script = root / "dashboard.js"
    before = script.stat()
    assert gzip.decompress(client.get("/dashboard.js", headers=accept).data) == SCRIPT
    (root / "upload").write_bytes(SCRIPT.swapcase())
    (root / "upload").replace(script)
    os.utime(script, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert gzip.decompress(client.get("/dashboard.js", headers=accept).data) == SCRIPT.swapcase()


def test_ranges_are_ignored(client: Client) -> None:
    answer = client.get("/dashboard.js", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.data) == (200, SCRIPT)


def test_pages_may_not_be_framed(client: Client) -> None:
    page, script = client.get("/"), client.get("/dashboard.js")
    assert page.headers["X-Frame-Options"] == "DENY"
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
    assert policy["connect-src"] == policy["form-action"] == policy["base-uri"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert "Content-Security-Policy" not in script.headers


def test_content_security_policy_is_the_operators(root: Path) -> None:
    frontend = Frontend(root, content_security_policy="default-src 'self'")
    assert client_of(frontend).get("/").headers["Content-Security-Policy"] == "default-src 'self'"
    assert "Content-Security-Policy" not in client_of(Frontend(root, content_security_policy="")).get("/").headers


@pytest.mark.parametrize(
    ("scheme", "hsts", "sent"), [("https", True, True), ("http", True, False), ("https", False, False)]
)
def test_hsts_only_over_https(root: Path, scheme: str, hsts: bool, sent: bool) -> None:
    answer = client_of(Frontend(root, hsts=hsts)).get("/dashboard.js", base_url=f"{scheme}://billing.example.com")
    assert ("Strict-Transport-Security" in answer.headers) is sent


@pytest.mark.parametrize("path", ["/", "/dashboard.js", "/service-worker.js", "/favicon.png"])
def test_headers_that_break_frontends_are_never_sent(client: Client, path: str) -> None:
    headers = client.get(path, base_url="https://billing.example.com").headers
    for name in (
        "Cross-Origin-Opener-Policy",
        "Cross-Origin-Embedder-Policy",
        "Permissions-Policy",
        "Service-Worker-Allowed",
        "Access-Control-Allow-Origin",
        "Set-Cookie",
        "Location",
    ):
        assert name not in headers
    assert "*" not in headers.get("Vary", "")


def test_compressed_bodies_stay_within_their_limit() -> None:
    bodies = CompressedBodies(limit=1000)
    random = {version: os.urandom(300) for version in range(10)}
    for version, body in random.items():
        assert gzip.decompress(bodies.get(version, lambda body=body: body)) == body
    reread: list[int] = []
    for version in (9, 8, 0):
        bodies.get(version, lambda version=version: reread.append(version) or random[version])
    assert reread == [0]
    large = os.urandom(2000)
    for _ in range(2):
        assert gzip.decompress(bodies.get("large", lambda: large)) == large
    assert gzip.decompress(bodies.get(0, lambda: b"not asked")) == random[0]


def test_parallel_requests_get_whole_bodies(client: Client) -> None:
    def body(_: int) -> bytes:
        return gzip.decompress(client.get("/dashboard.js", headers={"Accept-Encoding": "gzip"}).data)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(body, range(64))) == {SCRIPT}


@pytest.mark.parametrize("path", ["/", "/index.html"])
def test_welcome_page_when_no_frontend_is_configured(path: str) -> None:
    answer = client_of(Frontend(None)).get(path)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    text = answer.get_data(as_text=True)
    for expected in ("ShowBox-compatible server", "[frontend]", "root = /path/to/panel", "/login.php", "curl"):
        assert expected in text
    for unwanted in ("<script", "src=", "@import", "url(", "Werkzeug", "Flask", "waitress"):
        assert unwanted not in text


def test_nothing_but_the_welcome_page_without_a_frontend() -> None:
    frontend = Frontend(None)
    client = client_of(frontend)
    for path in ("/dashboard.js", "/welcome.html", "/service-worker.js", "/static_host.py", "/x"):
        assert client.get(path).status_code == 404
    assert frontend.dashboard(Request(EnvironBuilder("/dashboard.php").get_environ())) is None
    assert frontend.counterpart("/dashboard.php") is None


def test_a_configured_root_never_shows_the_welcome_page(tmp_path: Path) -> None:
    assert client_of(Frontend(tmp_path)).get("/").status_code == 404
