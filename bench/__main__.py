"""``python -m bench``: starts the servers, measures, prints. Exit code 1 when an answer was wrong."""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from tqdm import tqdm

from bench.measure import STEPS, Bench, Plan, Row
from bench.processes import LoadClient, NotStarted, hello_server, panel_server
from bench.report import BUDGETS, as_json, table
from core.administration.demo import USERS, fill_demo
from core.config import Config, DatabaseSection
from core.panel import Panel
from core.storage.database import Database
from core.values.database_urls import normal_url

ACCOUNTS = 5000
# every one of the sessions logs in at once, from one address
_LOGIN_ATTEMPTS = 10_000


@dataclass(frozen=True)
class Outcome:
    rows: Mapping[str, Row]
    memory: Mapping[str, Mapping[str, float]]
    listed: int

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows.values() if row.failures]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _options(arguments)
    plan = Plan(
        logins=options.login
        or [(user.username, user.password) for user in USERS if user.super_user or user.is_observer],
        sessions=options.sessions,
        connections=options.connections,
        rounds=options.rounds,
        seconds=options.seconds,
        changes=options.changes,
    )
    with tempfile.TemporaryDirectory(prefix="showbox-bench-") as name:
        folder = Path(name)
        url = options.database_url or _own_database(folder, options.accounts)
        try:
            outcome = _measure(options, plan, folder, url)
        except (NotStarted, RuntimeError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    facts = {
        "accounts": outcome.listed,
        "database": normal_url(url).get_backend_name(),
        "session_store": options.session_store,
        "threads": options.threads,
    }
    if options.json:
        result = as_json(plan, outcome.rows, outcome.memory, facts)
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _print(outcome, facts)
    missed = any(not budget.is_met(outcome.rows) for budget in BUDGETS)
    return 1 if outcome.failed or (options.strict and missed) else 0


def _measure(options: argparse.Namespace, plan: Plan, folder: Path, url: str) -> Outcome:
    database = Database(url, pool_size=1)
    try:
        with (
            panel_server(folder, _settings(options, folder, url)) as panel,
            hello_server(folder, options.threads) as hello,
            LoadClient(folder) as client,
            tqdm(total=plan.rounds * (len(STEPS) + 1) + 2 * plan.changes, unit="step", file=sys.stderr) as bar,
        ):

            def advance(step: str) -> None:
                bar.set_description(step, refresh=False)
                bar.update()

            bench = Bench(panel, hello, client, plan, advance)
            listed = bench.warm_up()
            for _ in range(plan.rounds):
                bench.round()
            bench.changes(database)
            bench.switches(database)
            return Outcome(bench.rows, {"panel": panel.memory(), "hello": hello.memory()}, listed)
    finally:
        database.dispose()


def _own_database(folder: Path, accounts: int) -> str:
    url = f"sqlite:///{folder}/panel.db"
    panel = Panel(Config(database=DatabaseSection(url=SecretStr(url))))
    try:
        fill_demo(panel, accounts=accounts)
    finally:
        panel.close()
    return url


def _settings(options: argparse.Namespace, folder: Path, url: str) -> dict[str, dict[str, object]]:
    session: dict[str, object] = {"store": options.session_store, "redis_url": options.redis_url}
    if options.session_store == "php-files":
        session["php_save_path"] = folder / "sessions"
        (folder / "sessions").mkdir(mode=0o700)
    return {
        "server": {"threads": options.threads},
        "database": {"url": url},
        "session": session,
        "security": {"login_attempts_per_minute": _LOGIN_ATTEMPTS},
    }


def _print(outcome: Outcome, facts: Mapping[str, object]) -> None:
    lines = [", ".join(f"{key}: {value}" for key, value in facts.items()), "", table(outcome.rows.values()), ""]
    for name, memory in outcome.memory.items():
        if memory:
            lines.append(f"Memory of {name} at the end: {memory['rss']:.0f} MiB, at most {memory['peak']:.0f} MiB")
    lines += ["", *(budget.sentence(outcome.rows) for budget in BUDGETS)]
    lines += [f"WRONG   {row.name}: {row.failures} answers, first: {row.first_failure}" for row in outcome.failed]
    sys.stdout.write("\n".join(lines) + "\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the panel against a bare Flask.")
    number, duration = _at_least_one, float
    add = parser.add_argument
    add("--accounts", type=number, default=ACCOUNTS, help="rows of the generated database (default: %(default)s)")
    add("--database-url", help="measure on this database instead; logs in there, renames an account and back")
    add("--login", type=_login, action="append", metavar="USER:PASSWORD", help="who logs in; may be repeated")
    add("--session-store", choices=("sql", "redis", "php-files"), default="sql")
    add("--redis-url", default="redis://127.0.0.1:6379/0", help="for --session-store redis")
    add("--sessions", type=number, default=16, help="default: %(default)s")
    add("--connections", type=number, default=8, help="default: %(default)s")
    add("--threads", type=number, default=8, help="of both servers (default: %(default)s)")
    add("--rounds", type=number, default=7, help="runs of each request type (default: %(default)s)")
    add("--seconds", type=duration, default=1.0, help="length of one run (default: %(default)s)")
    add("--changes", type=number, default=40, help="rebuilt lists to measure (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the results there as well")
    add("--strict", action="store_true", help="exit with 1 also when a budget is missed")
    options = parser.parse_args(arguments)
    if options.database_url and not options.login:
        parser.error("--database-url needs at least one --login")
    return options


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _login(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("expected USER:PASSWORD")
    return user, password


if __name__ == "__main__":
    sys.exit(main())
