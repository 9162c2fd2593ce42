"""``/_health``, ``/_metrics`` and the log lines of requests (ours; issue "at home", line 11)."""

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client as Local

from compat.watching.log_lines import JsonLines, TextLines, configure, request_id
from core.config import load_config
from core.panel import Panel
from core.storage.tables import User
from legacy_routes.app import create_app
from tests.conftest import MakeWorld
from tests.worlds.harness import Client, World, user_row
from tests.worlds.places import ROOT

KEY = "a-key-of-the-one-who-watches"
HERE = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world("sqlite")


def test_health_is_200_without_a_login_and_leaves_no_session(world: World) -> None:
    answer = world.client().get("/_health")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"].startswith("no-store")
    assert world.client().request("HEAD", "/_health").status_code == 200
    assert world.client().post("/_health").status_code == 405


def _away(tmp_path: Path, **settings: str) -> Local:
    """An application whose database is away."""
    variables = {
        "SHOWBOX_DATABASE_URL": "mysql://u:hunter2@127.0.0.1:9/x",
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path),
    }
    return Local(create_app(Panel(load_config(None, variables | settings))))


def test_health_is_503_without_details_while_the_database_is_away(tmp_path: Path) -> None:
    answer = _away(tmp_path).get("/_health")
    assert (answer.status_code, answer.text) == (503, "not available\n")


def test_metrics_count_requests_and_jobs(world: World) -> None:
    world.client().get("/get_user_info.php")
    world.client().get("/whatever-somebody-thinks-of")
    told = world.client().get("/_metrics")
    assert (told.status_code, told.headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    [count] = re.findall(
        r'^showbox_requests_total\{method="GET",path="/get_user_info.php",status="200"\} ([0-9.]+)',
        told.text,
        re.MULTILINE,
    )
    assert float(count) >= 1
    assert 'showbox_request_seconds_bucket{le="0.1",path="/get_user_info.php"}' in told.text
    assert "# TYPE showbox_jobs gauge" in told.text
    assert "process_resident_memory_bytes" in told.text
    assert "whatever-somebody" not in told.text


def test_metrics_are_told_while_the_database_is_away(tmp_path: Path) -> None:
    answer = _away(tmp_path).get("/_metrics", environ_overrides=HERE)
    assert answer.status_code == 200
    assert "showbox_requests_total" in answer.text


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({}, 200),
        ({"HTTP_HOST": "localhost:8000"}, 200),
        ({"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"}, 200),
        ({"REMOTE_ADDR": "203.0.113.9"}, 404),
        ({"REMOTE_ADDR": "10.0.0.9"}, 404),
        ({"HTTP_HOST": "billing.example.com"}, 404),
        *(
            ({header: "127.0.0.1"}, 404)
            for header in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA")
        ),
    ],
    ids=str,
)
def test_metrics_are_for_this_machine_and_not_for_who_comes_through_a_proxy_on_it(
    tmp_path: Path, environ: dict[str, str], status: int
) -> None:
    assert _away(tmp_path).get("/_metrics", environ_overrides=HERE | environ).status_code == status


def test_metrics_with_a_key_are_for_who_knows_it_and_for_nobody_else(tmp_path: Path) -> None:
    local = _away(tmp_path, SHOWBOX_SECURITY_METRICS_KEY=KEY)
    far = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "billing.example.com"}
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-Metrics-Key": KEY}):
        assert local.get("/_metrics", headers=headers, environ_overrides=far).status_code == 200
    for refused in ({}, {"X-Metrics-Key": KEY[:-1]}, {"Authorization": "Bearer "}, {"X-Metrics-Key": "é"}):
        assert local.get("/_metrics", headers=refused, environ_overrides=HERE).status_code == 404


def test_metrics_of_several_processes_are_summed(tmp_path: Path) -> None:
    # both forked from one that has imported all, as WSGI servers do it
    program = """
import os, sys
from tests.routes.test_operating import HERE, _away
from pathlib import Path
for _ in range(2):
    if os.fork() == 0:
        local = _away(Path(sys.argv[1]))
        local.get("/dashboard.php", environ_overrides=HERE)
        print(local.get("/_metrics", environ_overrides=HERE).text, end="", flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
    print("--- the next", flush=True)
"""
    (tmp_path / "counts").mkdir()
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counts")}
    command = [sys.executable, "-c", program, str(tmp_path)]
    told = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=True).stdout
    first, second, _ = told.split("--- the next\n")
    counted = r'^showbox_requests_total\{.*path="/<path:path>".*\} ([0-9.]+)$'
    assert [re.findall(counted, text, re.MULTILINE) for text in (first, second)] == [["1.0"], ["2.0"]]


# log lines


@pytest.fixture
def lines(world: World) -> Iterator[io.StringIO]:
    """What is logged as JSON meanwhile."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    yield text
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(level)


def _told(lines: io.StringIO, logger: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in found if line["logger"] == logger]


def test_the_access_line_says_what_was_asked_and_no_query_body_or_header(
    make_world: MakeWorld, lines: io.StringIO
) -> None:
    world = make_world("sqlite", SHOWBOX_LOG_ACCESS="yes")
    answer = world.client().get(
        "/get_user_info.php?secret=hunter2", headers={"Cookie": "PHPSESSID=hunter2hunter2hunter2"}
    )
    world.client().get("/live/hunter2/hunter2/1.ts")
    first, second = _told(lines, "showbox.access")
    assert {key: first[key] for key in ("method", "path", "status", "bytes", "address", "request_id")} == {
        "method": "GET",
        "path": "/get_user_info.php",
        "status": 200,
        "bytes": len(answer.content),
        "address": "127.0.0.1",
        "request_id": answer.headers["X-Request-ID"],
    }
    assert second["path"] == "/<path:path>"
    assert "hunter2" not in lines.getvalue()


def test_no_access_line_unless_it_is_asked_for(world: World, lines: io.StringIO) -> None:
    world.client().get("/get_user_info.php")
    assert _told(lines, "showbox.access") == []


def test_lines_of_a_request_bear_its_id(make_world: MakeWorld, lines: io.StringIO) -> None:
    world = make_world("sqlite", SHOWBOX_SECURITY_LOG_REFUSALS="yes")
    answers = [world.client().get("/get_user_info.php") for _ in range(2)]
    told = [line["request_id"] for line in _told(lines, "showbox.security")]
    assert told == [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(told)) == 2


def test_an_id_is_taken_from_a_trusted_proxy_alone(make_world: MakeWorld, world: World) -> None:
    def told(world: World, said: str) -> str:
        return world.client().get("/_health", headers={"X-Request-ID": said}).headers["X-Request-ID"]

    trusting = make_world("sqlite", SHOWBOX_SERVER_TRUSTED_PROXIES="127.0.0.1")
    assert told(trusting, "Ab.1-2") == "Ab.1-2"
    assert told(trusting, "x" * 65) != "x" * 65
    assert re.fullmatch("[0-9a-f]{16}", told(trusting, "a b"))
    assert told(world, "Ab.1-2") != "Ab.1-2"


def test_lines_are_text_or_json_of_the_level_that_is_configured(capsys: pytest.CaptureFixture[str]) -> None:
    request_id.set("")
    root = logging.getLogger()
    before, handlers = root.level, list(root.handlers)
    try:
        configure("json", "warning")
        logging.getLogger("x").info("not this")
        logging.getLogger("x").warning("two\nlines")
        configure("text", "error")
        logging.getLogger("x").warning("nor this")
        token = request_id.set("abc")
        logging.getLogger("x").error("and %s", "this")
        request_id.reset(token)
    finally:
        root.setLevel(before)
        root.handlers[:] = handlers
    first, second = capsys.readouterr().err.splitlines()
    line = json.loads(first)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", line.pop("time"))
    assert line == {"level": "WARNING", "logger": "x", "message": "two\nlines"}
    assert re.fullmatch(r"[\d-]+ [\d:,]+ ERROR x \[abc\]: and this", second)


def test_a_text_line_outside_of_a_request_bears_no_id() -> None:
    request_id.set("")
    record = logging.LogRecord("x", logging.INFO, "", 0, "hello", (), None)
    assert TextLines().format(record).endswith(" INFO x: hello")


# below a path


@pytest.fixture
def below(make_world: MakeWorld, tmp_path: Path) -> Client:
    """Somebody whose proxy puts ``/billing`` before our paths, and takes it away as most do."""
    (tmp_path / "dashboard.html").write_text("x")
    settings = {"SHOWBOX_SERVER_TRUSTED_PROXIES": "127.0.0.1", "SHOWBOX_FRONTEND_ROOT": str(tmp_path)}
    world = make_world("sqlite", **settings)
    world.insert(User, [user_row(1, "admin", super_user=1)])
    return world.client(X_Forwarded_Prefix="/billing")


@pytest.mark.parametrize("left", ["", "/billing"], ids=["taken away", "left in the path"])
def test_below_a_path_login_pages_and_logout_work(below: Client, left: str) -> None:
    answer = below.post(f"{left}/api//login.php", {"username": "admin", "password": "admin123"})
    assert answer.json()["error"] == 0
    assert "Path=/;" in answer.headers["Set-Cookie"] + ";"
    assert below.get(f"{left}/get_user_info.php").json()["error"] == 0
    assert below.get(f"{left}/dashboard.html").text == "x"
    assert below.get(f"{left}/dashboard.php").headers["Location"] == "/billing/dashboard.html"
    assert below.get(f"{left}/reseller.php").headers["Location"] == "/billing/dashboard.php"
    assert below.get(f"{left}/logout.php").headers["Location"] == "/billing/index.html"


@pytest.mark.parametrize(
    "prefix",
    ["//evil.example", "/..", "/a/../b", "/.x", "evil.example", "/a b", "/a\\b", "/a%2f", "https://x", "/", ""],
)
def test_a_prefix_that_is_no_plain_path_is_none(below: Client, prefix: str) -> None:
    answer = below.get("/logout.php", headers={"X-Forwarded-Prefix": prefix})
    assert answer.headers["Location"] == "/index.html"


def test_a_prefix_is_believed_of_trusted_proxies_alone(world: World) -> None:
    answer = world.client(X_Forwarded_Prefix="/billing").get("/logout.php")
    assert answer.headers["Location"] == "/index.html"
