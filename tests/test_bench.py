"""The measurement runs, counts wrong answers, and can tell a stale list (``python -m bench``, tiny counts)."""

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from bench import __main__ as bench
from bench import processes
from bench.client import Checker, Job, run
from bench.measure import HELLO, LOGIN, STEPS, SWITCHES, UNCACHED, Row, percentile, php_name
from bench.php_server import programs
from bench.report import BUDGETS, Budget
from tests.worlds.databases import require
from tests.worlds.places import ROOT
from tests.worlds.servers import server_url
from tests.worlds.started import start_warm

RunBench = Callable[..., tuple[int, str]]

TINY = (
    "--accounts",
    "30",
    "--sessions",
    "3",
    "--connections",
    "2",
    "--rounds",
    "1",
    "--seconds",
    "0.05",
    "--changes",
    "2",
    "--settle",
    "0",
    "--mixed",
    "40",
)
_OPTIONS = {name: TINY[TINY.index(name) + 1] for name in TINY[::2]}


@pytest.fixture
def run_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunBench:
    """``python -m bench`` with tiny counts and these options, in this process: its exit code, and what it printed."""
    start_warm(monkeypatch, processes)
    # watches over bars that stand still, in a thread that stays
    monkeypatch.setattr(tqdm, "monitor_interval", 0)

    def done(*options: str) -> tuple[int, str]:
        code = bench.main([*TINY, *options])
        return code, "".join(capsys.readouterr())

    return done


def test_measures_every_request_type(run_bench: RunBench, tmp_path: Path) -> None:
    code, told = run_bench("--only", "sqlite", "--json", str(tmp_path / "result.json"))
    assert code == 0, told
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["plan"]["accounts"] == int(_OPTIONS["--accounts"])
    rows = result["rows"]
    assert set(rows) == {HELLO, LOGIN, UNCACHED, SWITCHES, *(step.name for step in STEPS)}
    assert all(row["answers"] > 0 and row["failures"] == 0 and row["rate"] > 0 for row in rows.values())
    assert all(rows[step.name]["rate_ratio"] > 0 for step in STEPS)
    assert rows[SWITCHES]["answers"] == 25 * int(_OPTIONS["--changes"])
    assert rows[UNCACHED]["answers"] == int(_OPTIONS["--changes"])
    for budget in BUDGETS:
        assert f"{budget.row}:" in told
    growth = result["growth"]
    assert (growth["requests"], growth["failures"]) == (40, 0)
    assert "memory of the panel:" in told
    assert growth["after"] > 20


def test_several_processes_are_measured_with_what_the_panel_has_by_default_and_the_faster_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: name)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    none, given = bench._options([]), bench._options(["--processes", "3", "--engine", "granian"])
    assert bench._servers(none, "sqlite:///panel.db") == [(1, "waitress")]
    assert bench._servers(none, "mysql://host/panel") == [(1, "waitress"), (2, "waitress"), (2, "granian")]
    assert bench._servers(given, "mysql://host/panel") == [(3, "granian")]
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    assert bench._servers(none, "mysql://host/panel") == [(1, "waitress"), (2, "waitress")]


def test_measures_mariadb_and_php_beside_it(run_bench: RunBench, tmp_path: Path) -> None:
    require("mariadb")
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- written by the bench -->\nold\n<!-- end of what the bench writes -->\nafter\n")
    file = tmp_path / "result.json"
    server = ("--mariadb", server_url("mariadb"), "--only", "mariadb", "--processes", "2", "--engine", "waitress")
    code, told = run_bench(*server, "--json", str(file), "--readme", str(readme))
    assert code == 0, told
    result = json.loads(file.read_text())
    assert (result["plan"]["database"], result["plan"]["processes"]) == ("mysql", 2)
    in_php = {php_name(step.name) for step in STEPS if step.in_php} | {php_name(UNCACHED)}
    assert in_php <= set(result["rows"]) or programs() is None
    assert all(row["answers"] > 0 and row["failures"] == 0 for row in result["rows"].values())
    text = readme.read_text()
    assert "| hello |" in text
    assert "| asked | MariaDB, 2 processes |" in text
    assert "heartbeat GET, at least 0.45 of hello's" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| requests/s | MariaDB, 2 processes |" in text
    assert "get_accounts" in text
    assert "old" not in text


def test_a_server_that_does_not_answer_is_named(run_bench: RunBench) -> None:
    code, told = run_bench("--only", "mariadb", "--mariadb", "mysql://root:secret@127.0.0.1:1/")
    assert code == 1
    assert told == "no MariaDB server answers at mysql://root:***@127.0.0.1:1/\n"


def test_wrong_answers_fail_the_run(run_bench: RunBench) -> None:
    code, told = run_bench("--only", "sqlite", "--login", "admin:not the password")
    assert code == 1
    assert "Invalid username or password" in told


def test_existing_database_needs_a_login() -> None:
    command = [sys.executable, "-m", "bench", "--database-url", "sqlite:///nowhere.db"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--login" in done.stderr


class _Answers(socketserver.BaseRequestHandler):
    """Answers a request with the next of the server's canned answers; closes when there is none."""

    def handle(self) -> None:
        while self.request.recv(65536) and self.server.canned:  # type: ignore[attr-defined]
            self.request.sendall(self.server.canned.pop(0))  # type: ignore[attr-defined]


@pytest.fixture
def canned() -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Length: %d\r\nSet-Cookie: PHPSESSID=abc; Path=/\r\n\r\n" % len(body)
        + body
    )


def test_client_counts_right_and_wrong_answers(canned: Any) -> None:
    canned.canned = [answer(b'{"error":0}'), answer(b'{"error":1}'), answer(b'{"error":0}', b"500 No")]
    sample = run(Job(canned.server_address[1], ["GET / HTTP/1.1\r\n\r\n"], 1, '"error":0', count=3))
    assert (len(sample.latencies), sample.failures) == (1, 2)
    assert '"error":1' in sample.first_failure
    assert sample.cookies == ["PHPSESSID=abc"]


def test_client_counts_a_closed_connection_and_goes_on(canned: Any) -> None:
    canned.canned = []
    sample = run(Job(canned.server_address[1], ["GET / HTTP/1.1\r\n\r\n"], 1, "x", count=2))
    assert (len(sample.latencies), sample.failures) == (0, 2)


def test_a_stale_body_is_wrong_for_the_next_expectation() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert Checker("Bench 1").is_right(head, b"Bench 1")
    assert not Checker("Bench 2").is_right(head, b"Bench 1")


@pytest.mark.parametrize(("percent", "expected"), [(50, 2.0), (99, 4.0), (100, 4.0)])
def test_percentile(percent: int, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == expected


def test_budget_without_answers_is_missed() -> None:
    assert not Budget(UNCACHED, at_most=60.0).is_met({UNCACHED: Row(UNCACHED)})
