"""The measurement: rounds in which each request type is driven between two runs of the yardstick.

Machines are noisy and change their pace within seconds, so every figure is compared with the yardstick's just before
and after it, and what counts is the median over the rounds.
"""

import http.client
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.changes import BENCH_LINE, bench_line, changed_names
from bench.client import Job, Sample
from bench.memory import Growth, growth_of
from bench.php_server import PhpServer
from bench.processes import LoadClient, Server, cpu_seconds, database_processes
from core.storage.database import Database

HELLO = "hello"
LOGIN = "login"
DATES = "get_dates_with_data"
UNCACHED = "get_accounts, uncached"
SWITCHES = "user enable/disable"
# of one kind, before the other kind has its turn
_SWITCHES_IN_A_ROW = 25
SUCCESS = '"error":0'
PHP_MARK = "PHP: "
FIGURES = ("rate", "p50", "p99", "rss")


def php_name(name: str) -> str:
    """Of the row of what the scripts in PHP do."""
    return f"{PHP_MARK}{name}"


Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One request type that is driven with sessions; ``in_php``: the scripts in PHP have it as well."""

    name: str
    method: str
    path: str
    in_php: bool = False


STEPS = (
    Step("heartbeat GET", "GET", "/api/session_heartbeat.php", in_php=True),
    Step("heartbeat POST", "POST", "/api/session_heartbeat.php"),
    Step("get_user_info", "GET", "/api/get_user_info.php", in_php=True),
    Step(DATES, "GET", "/api/get_dates_with_data.php?type=transactions&start_date=2026-01-01&end_date=2026-12-31"),
    Step("get_plans", "GET", "/api/get_plans.php", in_php=True),
    Step("get_transactions", "GET", "/api/get_transactions.php?limit=100&viewAllAccounts=true", in_php=True),
    Step("get_accounts", "GET", "/api/get_accounts.php?viewAllAccounts=true", in_php=True),
)
_LIST = STEPS[-1]
_INFO = STEPS[2]


@dataclass(frozen=True)
class Plan:
    """How much is measured. ``seconds`` per run; ``logins``: (user, password), taken in turn by the sessions."""

    logins: Sequence[tuple[str, str]]
    sessions: int
    connections: int
    rounds: int
    seconds: float
    changes: int


@dataclass(frozen=True)
class Reading:
    """One run: answers per second, latencies in seconds, processor seconds per answer, MiB. ``db_cpu``: of all database
    servers of the machine."""

    rate: float
    p50: float
    p99: float
    cpu: float | None
    rss: float | None
    db_cpu: float | None = None


@dataclass
class Row:
    """All runs of one request type, and how each compares with the yardstick's neighbouring runs."""

    name: str
    readings: list[Reading] = field(default_factory=list)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    # how it compares with PHP's run of the same round
    against_php: dict[str, list[float]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    first_failure: str = ""
    body_bytes: int = 0

    def add(self, sample: Sample, reading: Reading) -> None:
        self.readings.append(reading)
        self.latencies += sample.latencies
        self.failures += sample.failures
        self.first_failure = self.first_failure or sample.first_failure
        self.body_bytes = max(self.body_bytes, sample.body_bytes)

    def compare(self, reading: Reading, yardsticks: Sequence[Reading]) -> None:
        for figure in (*FIGURES, "cpu"):
            ours = getattr(reading, figure)
            theirs = [value for value in (getattr(other, figure) for other in yardsticks) if value]
            if ours is not None and theirs:
                self.ratios.setdefault(figure, []).append(ours / statistics.mean(theirs))

    def compare_with_php(self, reading: Reading, php: Reading) -> None:
        for figure in ("rate", "p99", "cpu"):
            ours, theirs = getattr(reading, figure), getattr(php, figure)
            if ours is not None and theirs:
                self.against_php.setdefault(figure, []).append(ours / theirs)

    def ratio(self, figure: str, *, php: bool = False) -> float | None:
        """The median over the rounds of how it compares with the yardstick, or with PHP."""
        values = (self.against_php if php else self.ratios).get(figure)
        return statistics.median(values) if values else None

    def middle(self, figure: str) -> float | None:
        """The median over the runs; latencies instead over all answers of all runs."""
        if figure in ("p50", "p99"):
            return percentile(self.latencies, int(figure[1:]))
        values = [value for value in (getattr(reading, figure) for reading in self.readings) if value is not None]
        return statistics.median(values) if values else None


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that ``percent`` of them do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


class Bench:
    """Drives the panel and the yardstick with one load client; ``rows`` are the results by name."""

    def __init__(
        self,
        panel: Server,
        hello: Server,
        client: LoadClient,
        plan: Plan,
        progress: Progress,
        php: PhpServer | None = None,
    ) -> None:
        self._panel = panel
        self._hello = hello
        self._php = php
        self._databases = database_processes()
        self._client = client
        self._plan = plan
        self._progress = progress
        self.rows = {name: Row(name) for name in (HELLO, LOGIN, *(step.name for step in STEPS))}

    def warm_up(self) -> int:
        """Each request once per session, so that no run pays for first times; returns the length of the list."""
        cookies = self._log_in().cookies
        self._run_hello(count=self._plan.sessions)
        for step in STEPS:
            self._run_step(step, cookies, count=self._plan.sessions)
        self._php_cookies = self._log_in_to_php()
        listed = len(_json_answer(self._panel.port, _LIST, cookies[0])["accounts"]) if cookies else 0
        self._log_out(cookies)
        for row in self.rows.values():
            row.readings.clear()
            row.latencies.clear()
        return listed

    def round(self) -> None:
        """Every request type once, each between two runs of the yardstick, with sessions of this round."""
        before = self._run_hello()
        self._progress(LOGIN)
        sample = self._log_in()
        after = self._run_hello()
        self.rows[LOGIN].compare(self.rows[LOGIN].readings[-1], (before, after))
        for step in STEPS:
            before = after
            self._progress(step.name)
            reading = self._run_step(step, sample.cookies)
            after = self._run_hello()
            self.rows[step.name].compare(reading, (before, after))
            if step.in_php and self._php is not None:
                row = self.rows.setdefault(php_name(step.name), Row(php_name(step.name)))
                requests = [_message(step.method, step.path, cookie) for cookie in self._php_cookies]
                self._run(row, self._php, self._job(self._php.port, requests, SUCCESS, 0))
                self.rows[step.name].compare_with_php(reading, row.readings[-1])
        self._log_out(sample.cookies)

    def changes(self, database: Database) -> None:
        """The list when it must be built anew: a row is changed by SQL before each request, and must show."""
        row = self.rows[UNCACHED] = Row(UNCACHED)
        in_php = self.rows[php_name(UNCACHED)] = Row(php_name(UNCACHED))
        cookies = self._log_in().cookies
        newest = _json_answer(self._panel.port, _LIST, cookies[0])["accounts"][0]["id"]
        request = _message(_LIST.method, _LIST.path, cookies[0])
        for new_name in changed_names(database, newest, self._plan.changes):
            self._progress(UNCACHED)
            job = Job(self._panel.port, [request], 1, f'"full_name":"{new_name}"', count=1)
            self._run(row, self._panel, job)
            if self._php is not None:
                again = _message(_LIST.method, _LIST.path, self._php_cookies[0])
                self._run(in_php, self._php, replace(job, port=self._php.port, requests=[again]))
                row.compare_with_php(row.readings[-1], in_php.readings[-1])
        if self._php is None:
            del self.rows[in_php.name]
        self._log_out(cookies)

    def switches(self, database: Database) -> None:
        """A line of the Xtream API switched off and on, one request after the other, against as many get_user_info."""
        row, plain = Row(SWITCHES), Row(_INFO.name)
        self.rows[SWITCHES] = row
        cookies = self._log_in().cookies
        admins = [cookie for cookie in cookies if _json_answer(self._panel.port, _INFO, cookie)["user"]["super_user"]]
        if admins:
            ask = [_message(_INFO.method, _INFO.path, admins[0])]
            switch = [
                _message("GET", f"/api.php?action=user&sub={sub}&user_id={BENCH_LINE}", admins[0])
                for sub in ("disable", "enable")
            ]
            with bench_line(database):
                for _ in range(self._plan.changes):
                    self._progress(SWITCHES)
                    self._run(plain, self._panel, Job(self._panel.port, ask, 1, SUCCESS, count=_SWITCHES_IN_A_ROW))
                    self._run(row, self._panel, Job(self._panel.port, switch, 1, SUCCESS, count=_SWITCHES_IN_A_ROW))
                    row.compare(row.readings[-1], plain.readings[-1:])
        self._log_out(cookies)

    def memory(self, count: int) -> Growth:
        """What all kinds of requests in turn make of the panel's memory."""
        self._progress("mixed requests")
        cookies = self._log_in().cookies
        mixed = [_message(step.method, step.path, cookie) for cookie in cookies for step in STEPS]
        growth = growth_of(
            self._panel, self._client, mixed, connections=self._plan.connections, wanted=SUCCESS, count=count
        )
        self._log_out(cookies)
        return growth

    def _log_in(self) -> Sample:
        plan = self._plan
        logins = [plan.logins[number % len(plan.logins)] for number in range(plan.sessions)]
        requests = [_message("POST", "/login.php", body={"username": u, "password": p}) for u, p in logins]
        job = Job(self._panel.port, requests, plan.connections, SUCCESS, count=len(requests))
        return self._run(self.rows[LOGIN], self._panel, job)

    def _log_in_to_php(self) -> list[str]:
        if self._php is None:
            return []
        plan = self._plan
        users = [plan.logins[number % len(plan.logins)][0] for number in range(plan.sessions)]
        requests = [
            _message("POST", "/login.php", body={"username": user, "password": self._php.password}) for user in users
        ]
        job = Job(self._php.port, requests, plan.connections, SUCCESS, count=len(requests))
        sample = self._client.run(job)
        if sample.failures:
            raise RuntimeError(f"nobody could log in to PHP: {sample.first_failure}")
        # the renewed id is the last one that an answer sets
        return sample.cookies

    def _log_out(self, cookies: Sequence[str]) -> None:
        if cookies:
            requests = [_message("GET", "/logout.php", cookie) for cookie in cookies]
            self._client.run(Job(self._panel.port, requests, 1, SUCCESS, count=len(requests)))

    def _run_step(self, step: Step, cookies: Sequence[str], count: int = 0) -> Reading:
        requests = [_message(step.method, step.path, cookie) for cookie in cookies]
        if not requests:
            raise RuntimeError(f"nobody could log in: {self.rows[LOGIN].first_failure}")
        row = self.rows[step.name]
        self._run(row, self._panel, self._job(self._panel.port, requests, SUCCESS, count))
        return row.readings[-1]

    def _run_hello(self, count: int = 0) -> Reading:
        row = self.rows[HELLO]
        self._run(row, self._hello, self._job(self._hello.port, [_message("GET", "/hello")], HELLO, count))
        return row.readings[-1]

    def _job(self, port: int, requests: list[str], wanted: str, count: int) -> Job:
        return Job(port, requests, self._plan.connections, wanted, self._plan.seconds, count)

    def _run(self, row: Row, server: Server, job: Job) -> Sample:
        cpu_before, db_before = server.cpu_seconds(), cpu_seconds(self._databases)
        sample = self._client.run(job)
        cpu_after, db_after = server.cpu_seconds(), cpu_seconds(self._databases)
        answers = len(sample.latencies)
        reading = Reading(
            rate=answers / sample.elapsed if sample.elapsed else 0.0,
            p50=percentile(sample.latencies, 50),
            p99=percentile(sample.latencies, 99),
            cpu=_each(cpu_before, cpu_after, answers),
            rss=server.memory().get("rss"),
            db_cpu=_each(db_before, db_after, answers),
        )
        row.add(sample, reading)
        return sample


def _each(before: float | None, after: float | None, answers: int) -> float | None:
    return None if before is None or after is None or not answers else (after - before) / answers


def _message(method: str, path: str, cookie: str = "", body: object = None) -> str:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: showbox-bench",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
    ]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    content = "" if body is None else json.dumps(body)
    if content:
        lines.append("Content-Type: application/json")
    if method == "POST":
        lines.append(f"Content-Length: {len(content.encode())}")
    return "\r\n".join([*lines, "", content])


def _json_answer(port: int, step: Step, cookie: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(step.method, step.path, headers={"Cookie": cookie})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
