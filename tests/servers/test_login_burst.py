"""A burst of real logins over HTTP, 50 at a time, leaves threads and processor for heartbeats.

There are 50 of them, with ``SHOWBOX_TEST_LOGINS=400`` so many. Source: issue "Nothing lost", line 17. The lanes by
themselves: tests/compat/test_serving.py.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bench.client import Job, Sample
from bench.measure import percentile
from bench.processes import LoadClient
from compat.serving import connections as serving
from core.administration.users import add_user
from core.config import load_config
from core.panel import Panel
from core.security import passwords
from legacy_routes.app import create_app, hashing_paths
from tests.worlds.databases import prepared_database
from tests.worlds.served import served
from tests.worlds.waiting import until

LOGINS, AT_ONCE = int(os.environ.get("SHOWBOX_TEST_LOGINS", "50")), 50
THREADS = 8
# more than all threads would take, were none held back; each is a hash of a twentieth of a second and more
AT_THE_THREADS = 2 * THREADS
USERS = [f"seller{number}" for number in range(8)]
PASSWORD = "burst-Pass-44"
# a heartbeat's p99 during the burst: so many times the idle one of the same run, and what hashing on all processors may
# add to a single answer; it was 1.8 s before
TIMES_IDLE, ADDED_SECONDS = 4.0, 0.25
_ROUND_SECONDS = 0.5


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Of a panel with users whose hashes are argon2."""
    variables = {
        "SHOWBOX_DATABASE_URL": prepared_database("sqlite", "burst"),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "data"),
        "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": "yes",
        "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "10000",
        "SHOWBOX_SERVER_THREADS": str(THREADS),
    }
    panel = Panel(load_config(None, variables))
    for name in USERS:
        add_user(panel, name, PASSWORD, permissions="1|1|0|1|1|1|1|1")
    panel.close()
    return variables


def _login(name: str) -> str:
    body = f"username={name}&password={PASSWORD}"
    head = "POST /login.php HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def _burst(port: int, count: int = LOGINS, at_once: int = AT_ONCE) -> Job:
    return Job(port, [_login(name) for name in USERS], at_once, '"error":0', count=count)


def _heartbeats(port: int) -> Job:
    fields = {"username": USERS[0], "password": PASSWORD}
    session = requests.post(f"http://127.0.0.1:{port}/login.php", data=fields, timeout=30)
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    request = f"GET /session_heartbeat.php HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
    return Job(port, [request], 1, '"error":0', seconds=_ROUND_SECONDS)


def test_17_heartbeats_go_on_in_a_burst_of_logins(settings: dict[str, str], tmp_path: Path) -> None:
    """Both clients are processes of their own, as is the server."""
    (tmp_path / "other").mkdir()
    with (
        served(tmp_path, **settings) as (url, _),
        LoadClient(tmp_path) as client,
        LoadClient(tmp_path / "other") as other,
        ThreadPoolExecutor(1) as beside,
    ):
        port = int(url.rpartition(":")[2])
        heartbeats = _heartbeats(port)
        idle = [client.run(heartbeats) for _ in range(2)]
        burst = beside.submit(other.run, _burst(port))
        during: list[Sample] = []
        while not burst.done():
            during.append(client.run(heartbeats))
        logins = burst.result()
    assert (len(logins.latencies), logins.first_failure) == (LOGINS, "")
    assert [sample.first_failure for sample in (*idle, *during) if sample.failures] == []
    usual, worst = _p99(idle), _p99(during)
    print(f"heartbeats' p99: idle {usual * 1e3:.0f} ms, in the burst {worst * 1e3:.0f} ms")
    assert worst <= TIMES_IDLE * usual + ADDED_SECONDS, f"{worst * 1e3:.0f} ms, idle {usual * 1e3:.0f} ms"


def _p99(samples: list[Sample]) -> float:
    return percentile([latency for sample in samples for latency in sample.latencies], 99)


class _Verifying:
    """Stands where a password is verified: counts who is there at once, until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = threading.Event()
        self.begun = self.most = self._now = 0
        self._lock = threading.Lock()
        self._verify = passwords.Passwords.verify
        monkeypatch.setattr(passwords.Passwords, "verify", lambda mine, *arguments: self._held(mine, *arguments))

    def _held(self, mine: passwords.Passwords, stored: str | None, password: str) -> bool:
        with self._lock:
            self.begun += 1
            self._now += 1
            self.most = max(self.most, self._now)
        self.let_go.wait(30)
        try:
            return self._verify(mine, stored, password)
        finally:
            with self._lock:
                self._now -= 1


@contextmanager
def _serving(settings: dict[str, str]) -> Iterator[int]:
    """The whole panel on the server of ``python wsgi.py``, in this process."""
    panel = Panel(load_config(None, settings))
    server = serving.create_server(
        create_app(panel),
        connections_per_address=0,
        held_back=hashing_paths(),
        host="127.0.0.1",
        port=0,
        threads=THREADS,
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: [channel.close() for channel in list(server._map.values())])
        thread.join(5)
        panel.close()


def test_17_logins_take_at_most_half_of_the_threads(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _serving(settings) as port, LoadClient(tmp_path) as client, ThreadPoolExecutor(1) as beside:
        heartbeats = _heartbeats(port)
        verifying = _Verifying(monkeypatch)
        try:
            burst = beside.submit(client.run, _burst(port, AT_THE_THREADS, AT_THE_THREADS))
            until(lambda: verifying.begun == THREADS // 2, "as many are at work as may be")
            (tmp_path / "other").mkdir()
            with LoadClient(tmp_path / "other") as other:
                answered = other.run(heartbeats)
            assert answered.latencies
            assert answered.first_failure == ""
            assert verifying.begun == THREADS // 2
        finally:
            verifying.let_go.set()
        assert len(burst.result().latencies) == AT_THE_THREADS
        assert verifying.most == THREADS // 2
