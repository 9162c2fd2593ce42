"""``dashboard.php`` without PHP (contract chapter 10, sections 6.3 and 6.4)."""

import gzip
import logging
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from compat.pages import Frontend
from compat.pages.complete_pages import BrokenPage
from compat.pages.dashboard import compile_dashboard

GATE = b"""<?php
session_start();
include('config.php'); // password: hunter2
if (!isset($_SESSION['login']) || $_SESSION['login'] != 1) {
    header('Location: index.html');
    exit;
}
?>
"""
PAGE = b"""<!DOCTYPE html>
<html><head><title>\xd9\xbe\xd9\x86\xd9\x84</title>
<link rel="stylesheet" href="dashboard.css?v=<?php echo filemtime('dashboard.css'); ?>">
</head><body>
<script src="dashboard.js?v=<?php echo filemtime('dashboard.js'); ?>"></script>
<script src="sms-functions.js?v=<?php echo filemtime('sms-functions.js'); ?>"></script>
</body></html>
"""
STAMPS = {"dashboard.css": 1732547600, "dashboard.js": 1732547601, "sms-functions.js": 1732547602}


def rendered(source: bytes, stamps: dict[str, int] | None = None) -> bytes:
    page = compile_dashboard(source)
    return page.render([(stamps or {}).get(name) for name in page.assets])


def test_untouched_page() -> None:
    body = rendered(GATE + PAGE, STAMPS)
    assert body.startswith(b"<!DOCTYPE html>\n")
    assert b'href="dashboard.css?v=1732547600"' in body
    assert b'src="dashboard.js?v=1732547601"' in body
    assert b'src="sms-functions.js?v=1732547602"' in body
    assert b"<?" not in body
    unstamped = re.sub(rb"<\?php echo filemtime\('([^']+)'\); \?>", lambda m: b"%d" % STAMPS[m[1].decode()], PAGE)
    assert body == unstamped


@pytest.mark.parametrize(
    "region",
    [
        b"<?php echo filemtime('dashboard.css'); ?>",
        b"<?php echo filemtime('dashboard.css') ?>",
        b"<?= filemtime('dashboard.css') ?>",
        b"<?=filemtime('dashboard.css');?>",
        b"<?php\n  echo  filemtime ( 'dashboard.css' ) ;\n?>",
        b"<?php echo @filemtime('dashboard.css'); ?>",
        b"<?php echo filemtime(__DIR__ . '/dashboard.css'); ?>",
        b"<?= @filemtime(__DIR__.'/dashboard.css') ?>",
        b"<?PHP ECHO FileMTime('dashboard.css'); ?>",
    ],
)
def test_forms_of_a_stamp(region: bytes) -> None:
    assert rendered(b'"' + region + b'"', STAMPS) == b'"1732547600"'


@pytest.mark.parametrize(
    "region",
    [
        b"<?php echo filemtime('../config.php'); ?>",
        b"<?php echo filemtime('api/x.js'); ?>",
        b"<?php echo filemtime('/etc/passwd'); ?>",
        b"<?php echo filemtime('..'); ?>",
        b"<?php echo filemtime('.env'); ?>",
        b"<?php echo filemtime(__DIR__ . 'dashboard.css'); ?>",
        b"<?php echo filemtime($file); ?>",
        b"<?php echo filemtime('dashboard.css') . secret(); ?>",
        b"<?php echo filemtime('dashboard.css'); echo 'secret'; ?>",
        b"<?php echo filesize('dashboard.css'); ?>",
        b"<?php echo $secret; ?>",
        b"<? echo $secret; ?>",
        b"<?= $secret ?>",
        b"<?php ?>",
        b"<?php?>",
    ],
)
def test_other_regions_give_nothing(region: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert rendered(b"a" + region + b"b", STAMPS) == b"ab"
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"<?php x ?>\nA", b"A"),
        (b"<?php x ?>\r\nA", b"A"),
        (b"<?php x ?>\n\nA", b"\nA"),
        (b"<?php x ?> \nA", b" \nA"),
        (b"A\n<?php x ?>\nB\n", b"A\nB\n"),
        (b"A<?php x", b"A"),
        (b"A<?php", b"A"),
        (b"A<?", b"A"),
        (b"A<?php echo filemtime('dashboard.css');", b"A1732547600"),
        (b"<?php x", b""),
        (b"", b""),
        (b"no code", b"no code"),
        (b"\r\nkept\r\n", b"\r\nkept\r\n"),
        (b"\xff\xfe<?php x ?>\xff", b"\xff\xfe\xff"),
        (b"<?php a ?><?php b ?>C", b"C"),
        (b'<?xml version="1.0"?>A', b'<?xml version="1.0"?>A'),
    ],
)
def test_edges_of_regions(source: bytes, expected: bytes) -> None:
    assert rendered(source, STAMPS) == expected


@pytest.mark.parametrize(
    "code",
    [
        b"$x = '?> secret';",
        b'$x = "?> secret";',
        b"$x = 'it\\'s ?> secret';",
        b"/* ?> secret */",
        b"$x = `?> secret`;",
        b"$x = <<<SQL\nsecret ?> it's\nSQL;",
        b"$x = <<<'SQL'\n?> secret\n  SQL;",
        b"$x = <<<SQL\nSQL;",
        b"// it's\n",
        b"# it's\n",
        b"#[Attribute('?> secret')]\n",
    ],
)
def test_closing_tag_within_code_closes_nothing(code: bytes) -> None:
    assert rendered(b"<?php " + code + b" ?>\n<!DOCTYPE html>") == b"<!DOCTYPE html>"


def test_closing_tag_ends_a_line_comment() -> None:
    assert rendered(b"<?php // gate, don't cache ?>A") == b"A"


@pytest.mark.parametrize("quote", [b"'", b'"', b"`", b"/*", b"<<<X\n"])
def test_unfinished_code_is_no_page_as_for_php(quote: bytes) -> None:
    with pytest.raises(BrokenPage, match="ends within"):
        rendered(b"A<?php $x = " + quote + b"secret ?> secret")


@pytest.mark.parametrize(
    "source", [b"A<<?php ?>?php secret", b"A<<?= filemtime('gone') ?>?= secret", b"A<<? ?>?= secret"]
)
def test_opening_tag_joined_from_remains_is_no_page(source: bytes) -> None:
    with pytest.raises(BrokenPage, match="opening tag is left after 1 bytes"):
        rendered(source)


TOKENS = st.sampled_from(
    [
        *(b"<?php ", b"<?=", b"<?", b"?>", b"<", b"?", b"php", b"echo filemtime('a.js');", b"text", b"\xff"),
        *(b"'", b'"', b"`", b"\\", b"/*", b"*/", b"//", b"#", b"<<<X\n", b"X", b"\n", b"\r\n"),
    ]
)


@given(st.lists(TOKENS, max_size=30).map(b"".join) | st.binary(max_size=100))
def test_no_opening_tag_is_ever_left(source: bytes) -> None:
    try:
        body = rendered(source, {"a.js": 1})
    except BrokenPage:
        return
    assert not re.search(rb"<\?(?!xml\b)", body, re.IGNORECASE)


def test_large_hostile_page_is_compiled_in_time() -> None:
    with pytest.raises(BrokenPage):
        rendered(b"<?php " + b"'\\\"/*<<<" * 100_000 + b"\n")
    assert rendered(b"<?php " + b"'it\\'s'/**/<<<X\nX\n" * 50_000 + b"\n") == b""
    assert rendered(b"<" * 500_000) == b"<" * 500_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dashboard.php").write_bytes(GATE + PAGE)
    for name, stamp in STAMPS.items():
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (stamp, stamp))
    return tmp_path


def ask(frontend: Frontend, **headers: str) -> Response:
    answer = frontend.dashboard(Request(EnvironBuilder("/dashboard.php?tab=accounts", headers=headers).get_environ()))
    assert answer is not None
    return answer


def test_response(root: Path) -> None:
    answer = ask(Frontend(root))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "ETag" not in answer.headers
    assert "Last-Modified" not in answer.headers
    assert answer.get_data() == rendered(GATE + PAGE, STAMPS)


def test_stamps_and_page_follow_the_files(root: Path) -> None:
    frontend = Frontend(root)
    for headers in ({}, {"Accept-Encoding": "gzip"}):

        def body(headers: dict[str, str] = headers) -> bytes:
            answer = ask(frontend, **headers)
            return gzip.decompress(answer.get_data()) if "Content-Encoding" in answer.headers else answer.get_data()

        os.utime(root / "dashboard.css", (1732547600, 1732547600))
        assert b"dashboard.css?v=1732547600" in body()
        os.utime(root / "dashboard.css", (1800000000.9, 1800000000.9))
        assert b"dashboard.css?v=1800000000" in body()
        (root / "dashboard.js").rename(root / "away.js")
        assert b'dashboard.js?v="' in body()
        (root / "away.js").rename(root / "dashboard.js")
        assert b"dashboard.js?v=1732547601" in body()
        (root / "dashboard.php").write_bytes(GATE + b"changed")
        assert body() == b"changed"
        (root / "dashboard.php").write_bytes(GATE + PAGE)


def test_stamp_of_a_file_outside_the_root_is_empty(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "dashboard.css"
    outside.write_bytes(b"x")
    (root / "dashboard.css").unlink()
    (root / "dashboard.css").symlink_to(outside)
    assert b'dashboard.css?v="' in ask(Frontend(root)).get_data()


def test_unknown_region_is_logged_once_and_the_gate_never(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "dashboard.php").write_bytes(GATE + PAGE + b"<?php echo $hunter2; ?><?php other(); ?>")
    frontend = Frontend(root)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            assert b"hunter2" not in ask(frontend).get_data()
    assert len(caplog.records) == 2
    assert "hunter2" not in caplog.text


BROKEN = {
    "nothing but the gate": (GATE, "it is empty"),
    "no byte": (b"", "it is empty"),
    "blank lines": (GATE + b" \n\n", "it is empty"),
    "an upload that broke off": (GATE + PAGE[:-10], "its end is missing"),
    "code that broke off": (GATE + PAGE + b"<?php $x = 'hunter2", "ends within a string"),
    "a tag joined together": (GATE + PAGE + b"<<?php ?>?php hunter2", "an opening tag is left"),
}


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}], ids=["plain", "gzip"])
@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_empty_or_cut_page_is_a_500_with_a_text_never_200(
    root: Path, source: bytes, reason: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    (root / "dashboard.php").write_bytes(source)
    frontend = Frontend(root)
    for _ in range(2):
        answer = ask(frontend, **headers)
        assert (answer.status_code, answer.content_type) == (500, "text/plain; charset=utf-8")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.get_data(as_text=True).startswith("This page cannot be shown: ")
        assert reason in answer.get_data(as_text=True)
        assert b"hunter2" not in answer.get_data()
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.getMessage().startswith("dashboard.php of the frontend cannot be shown: ")
    (root / "dashboard.php").write_bytes(GATE + PAGE)
    assert ask(frontend, **headers).status_code == 200


@pytest.mark.parametrize("name", ["index.html", "dashboard.html"])
@pytest.mark.parametrize("body", [b"", b"\n", PAGE[:-10]], ids=["no byte", "blank", "broken off"])
def test_so_is_an_empty_or_cut_static_page(root: Path, name: str, body: bytes) -> None:
    (root / name).write_bytes(body)
    answer = Frontend(root).file(Request(EnvironBuilder(f"/{name}").get_environ()))
    assert answer is not None
    assert (answer.status_code, answer.content_type) == (500, "text/plain; charset=utf-8")


def test_no_dashboard_page_in_the_root(tmp_path: Path) -> None:
    assert Frontend(tmp_path).dashboard(Request(EnvironBuilder("/dashboard.php").get_environ())) is None


@pytest.mark.parametrize(
    ("present", "php_leads_to", "html_leads_to"),
    [
        (["dashboard.php"], None, "/dashboard.php"),
        (["dashboard.html"], "/dashboard.html", None),
        (["dashboard.php", "dashboard.html"], None, None),
        ([], None, None),
    ],
)
def test_counterpart(tmp_path: Path, present: list[str], php_leads_to: str | None, html_leads_to: str | None) -> None:
    for name in present:
        (tmp_path / name).write_bytes(b"x")
    frontend = Frontend(tmp_path)
    assert frontend.counterpart("/dashboard.php") == php_leads_to
    assert frontend.counterpart("/dashboard.html") == html_leads_to
    assert frontend.counterpart("/index.html") is None
