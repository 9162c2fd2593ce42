"""A sync as a page asks for it, over HTTP, against a portal that takes as long for its lists as a real one does.

Heartbeats go on beside it, of one client that asks without a pause. The panel and the load client are processes of
their own, the portal (:mod:`simulators.stalker`) is in this one.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import requests
from pydantic import SecretStr

from bench.client import Job
from bench.measure import SUCCESS, percentile
from bench.processes import LoadClient, Server, panel_server
from core.administration.users import add_user
from core.config import Config, DatabaseSection, Portal
from core.panel import Panel
from simulators.stalker import StalkerPortal

UNCHANGED_AT_MOST = 1.0
# seconds of the answer itself, beyond what a page waits for
ANSWER_AT_MOST = 0.5
HEARTBEAT_AT_MOST = 3.0
# milliseconds of accounts/ and of stb/ for each account; measured at real portals: 1.6 to 14, and 0.04
LIST_DELAY, BOX_DELAY = 4.0, 0.04
_BOSS, _PASSWORD = "boss", "bench-Pass-55"
_KNOWN = 100
# at most so many, else as many as rounds
_IDLE_RUNS, _RUN_SECONDS = 6, 0.5
_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 900.0


@dataclass
class Seen:
    """Seconds; ``progress``: how far the job was each time that it had moved on. Latencies of heartbeats: ``idle``, and
    ``during`` the first sync."""

    unchanged: list[float] = field(default_factory=list)
    answered: float = 0.0
    finished: float = 0.0
    progress: list[tuple[int, int]] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)


def measure(folder: Path, url: str, accounts: int, rounds: int) -> Seen:
    """A first sync of ``accounts`` of which all but a hundred are new, then ``rounds`` in which nothing has changed.
    ``url``: an empty database. Raises RuntimeError when an answer was wrong."""
    seen = Seen()
    with (
        _portal(min(_KNOWN, accounts // 2)) as portal,
        _served(folder, url, portal) as server,
        LoadClient(folder) as client,
        requests.Session() as session,
    ):
        ask = _Asking(session, server)
        ask("login", username=_BOSS, password=_PASSWORD)
        ask("sync_accounts")
        _add(portal, len(portal.users), accounts)
        heartbeats = _heartbeats(server, session)
        for _ in range(min(_IDLE_RUNS, rounds)):
            seen.idle += client.run(heartbeats).latencies
        _first(ask, client, heartbeats, seen)
        for _ in range(rounds):
            began = time.perf_counter()
            answer = ask("sync_accounts")
            seen.unchanged.append(time.perf_counter() - began)
            if answer["synced"] != accounts or answer.get("pending"):
                raise RuntimeError(f"of {accounts} accounts {answer['synced']} were confirmed")
    return seen


def tell(accounts: int, seen: Seen) -> bool:
    """Whether all targets are met."""
    wait = Portal().sync_wait_seconds
    heartbeat = percentile(seen.during, 99)
    ratio = heartbeat / percentile(seen.idle, 99)
    unchanged = median(seen.unchanged)
    sys.stdout.write(f"{accounts} accounts at a portal that takes {LIST_DELAY} ms for each, over HTTP\n")
    lines = [
        (unchanged <= UNCHANGED_AT_MOST, f"same: answered in {unchanged:.2f} s (at most {UNCHANGED_AT_MOST})"),
        (
            seen.answered <= wait + ANSWER_AT_MOST,
            f"new: answered in {seen.answered:.2f} s (at most {wait + ANSWER_AT_MOST})",
        ),
        (
            len(seen.progress) > 1 or seen.finished <= wait,
            f"background: finished after {seen.finished:.1f} s, its progress moved on {len(seen.progress)} times",
        ),
        (
            ratio <= HEARTBEAT_AT_MOST,
            f"heartbeat: p99 {heartbeat * 1e3:.1f} ms of {len(seen.during)} meanwhile, "
            f"{ratio:.2f} of the idle one (at most {HEARTBEAT_AT_MOST})",
        ),
    ]
    for met, line in lines:
        sys.stdout.write(f"{'met   ' if met else 'MISSED'}  {line}\n")
    return all(met for met, _ in lines)


class _Asking:
    def __init__(self, session: requests.Session, server: Server) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{server.port}"

    def __call__(self, endpoint: str, **fields: object) -> dict[str, Any]:
        response = self._session.post(f"{self._base}/{endpoint}.php", data=fields, timeout=_LONGEST_SECONDS)
        answer: dict[str, Any] = response.json()
        if answer["error"] != 0:
            raise RuntimeError(f"{endpoint}: {answer['err_msg']}")
        return answer


@contextmanager
def _portal(known: int) -> Iterator[StalkerPortal]:
    with StalkerPortal(dialect="panel") as portal:
        portal.add_examples(known)
        portal.settings.list_delay_per_account = LIST_DELAY
        portal.settings.stb_delay_per_account = BOX_DELAY
        yield portal


def _add(portal: StalkerPortal, first: int, accounts: int) -> None:
    for number in range(first + 1, accounts + 1):
        mac = f"00:1A:79:10:{number >> 8:02X}:{number & 255:02X}"
        end = f"2031-{number % 12 + 1:02}-{number % 28 + 1:02} 00:00:00"
        portal.add_user(f"new{number:05}", mac, full_name=f"Customer {number}", tariff_plan="78", end_date=end)


@contextmanager
def _served(folder: Path, url: str, portal: StalkerPortal) -> Iterator[Server]:
    panel = Panel(Config(database=DatabaseSection(url=SecretStr(url))))
    add_user(panel, _BOSS, _PASSWORD, super_user=True)
    panel.close()
    settings: dict[str, dict[str, object]] = {
        "panel": {"data_directory": folder / "data"},
        "database": {"url": url},
        "portal": {"primary_api_url": portal.base_url},
    }
    with panel_server(folder, settings) as server:
        yield server


def _heartbeats(server: Server, session: requests.Session) -> Job:
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    request = f"GET /session_heartbeat.php HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
    return Job(server.port, [request], 1, SUCCESS, seconds=_RUN_SECONDS)


def _first(ask: _Asking, client: LoadClient, heartbeats: Job, seen: Seen) -> None:
    following = threading.Thread(target=_follow, args=(ask, seen))
    following.start()
    while following.is_alive():
        seen.during += client.run(heartbeats).latencies
    following.join()
    if not seen.finished:
        raise RuntimeError("the first sync was not finished")


def _follow(ask: _Asking, seen: Seen) -> None:
    began = time.perf_counter()
    answer = ask("sync_accounts")
    seen.answered = time.perf_counter() - began
    while answer.get("pending") and time.perf_counter() - began < _LONGEST_SECONDS:
        job = ask("get_job_status", id=answer["job_id"])["job"]
        if job["state"] not in ("waiting", "running"):
            break
        if job["total"] and (job["done"], job["total"]) not in seen.progress:
            seen.progress.append((job["done"], job["total"]))
        time.sleep(_LOOK_SECONDS)
    seen.finished = time.perf_counter() - began
