"""``python -m bench``: starts the servers, measures, prints. Exit code 1 when an answer was wrong."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from tqdm import tqdm

from bench.grounds import is_there, mariadb_ground, settle, sqlite_ground
from bench.measure import PHP_MARK, STEPS, Bench, Plan, Row
from bench.memory import Growth
from bench.php_server import PhpServer, programs
from bench.processes import ROOT, LoadClient, NotStarted, hello_server, panel_server
from bench.report import Budget, as_json, budgets_of, readme_table, table, write_into
from core.administration.demo import USERS
from core.config import DatabaseSection, Server
from core.storage.database import Database
from core.values.database_urls import normal_url

ACCOUNTS = 5000
MARIADB = "mysql://root@127.0.0.1:3306/"
# every one of the sessions logs in at once, from one address
_LOGIN_ATTEMPTS = 10_000
_USUAL_ENGINE = Server().engine


@dataclass(frozen=True)
class Outcome:
    rows: Mapping[str, Row]
    memory: Mapping[str, Mapping[str, float]]
    listed: int
    growth: Growth | None = None

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows.values() if row.failures]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _options(arguments)
    try:
        results, code = _all(options)
    except (NotStarted, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        whole = results[0] if len(results) == 1 else {"grounds": results}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if options.readme:
        write_into(options.readme, readme_table(results))
    return code


def _all(options: argparse.Namespace) -> tuple[list[dict[str, Any]], int]:
    """What was measured on each ground by each server, and the exit code."""
    results, code = [], 0
    with ExitStack() as stack:
        for name, url in _grounds(options, stack):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="showbox-bench-")))
            for processes, engine in _servers(options, url):
                place = folder / f"{name}-{processes}-{engine}"
                place.mkdir()
                outcome = _measure(options, place, url, processes, engine)
                facts = {
                    "accounts": outcome.listed,
                    "database": normal_url(url).get_backend_name(),
                    "session_store": options.session_store,
                    "processes": processes,
                    "threads": options.threads,
                    "engine": engine,
                }
                budgets = budgets_of(facts, with_php=PHP_MARK in "".join(outcome.rows))
                result = as_json(_plan(options), outcome.rows, outcome.memory, facts, budgets)
                results.append(result | ({"growth": asdict(outcome.growth)} if outcome.growth else {}))
                _print(outcome, facts, budgets)
                missed = any(not budget.is_met(outcome.rows) for budget in budgets)
                missed = missed or (outcome.growth is not None and not outcome.growth.is_met)
                code = code or int(bool(outcome.failed) or (options.strict and missed))
    return results, code


def _grounds(options: argparse.Namespace, stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Names and addresses of what is measured on, one after the other."""
    if options.database_url:
        yield "given", options.database_url
        return
    if options.dump is None and options.only != "mariadb":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="showbox-bench-")))
        yield "sqlite", sqlite_ground(folder, options.accounts)
    if options.only == "sqlite":
        return
    if is_there(options.mariadb):
        yield "mariadb", stack.enter_context(mariadb_ground(options.mariadb, options.accounts, options.dump))
    elif options.only or options.dump:
        raise NotStarted(f"no MariaDB server answers at {make_url(options.mariadb)!r}")


def _servers(options: argparse.Namespace, url: str) -> list[tuple[int, str]]:
    """How many processes, and by which engine. A file is served by one; a server also by as many as there are
    processors: by what serves unless it is configured, and by the faster one where that is installed."""
    is_file = normal_url(url).get_backend_name() == "sqlite"
    several = options.processes or os.cpu_count() or 1
    if options.engine or is_file or several == 1:
        counts = [options.processes] if options.processes else sorted({1, 1 if is_file else several})
        return [(count, options.engine or _USUAL_ENGINE) for count in counts]
    engines = [_USUAL_ENGINE, *(["granian"] if find_spec("granian") else [])]
    return [*([] if options.processes else [(1, _USUAL_ENGINE)]), *((several, engine) for engine in engines)]


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        logins=options.login
        or [(user.username, user.password) for user in USERS if user.super_user or user.is_observer],
        sessions=options.sessions,
        connections=options.connections,
        rounds=options.rounds,
        seconds=options.seconds,
        changes=options.changes,
    )


def _measure(options: argparse.Namespace, folder: Path, url: str, processes: int, engine: str) -> Outcome:
    plan, database = _plan(options), Database(url, pool_size=1)
    # it takes long, and what customers have counts
    is_last = normal_url(url).get_backend_name() != "sqlite" or options.only == "sqlite"
    with_php = normal_url(url).get_backend_name() == "mysql" and programs() is not None and not options.no_php
    with ExitStack() as stack:
        stack.callback(database.dispose)
        settings = _settings(options, folder, url, processes, engine)
        panel = stack.enter_context(panel_server(folder, settings))
        hello = stack.enter_context(hello_server(folder, options.threads, processes, engine))
        php = stack.enter_context(PhpServer(url, options.connections)) if with_php else None
        client = stack.enter_context(LoadClient(folder))
        mixed = options.mixed if (processes, engine) == _servers(options, url)[-1] and is_last else 0
        steps = plan.rounds * (len(STEPS) + 1) + 2 * plan.changes + bool(mixed)
        bar = stack.enter_context(tqdm(total=steps, unit="step", file=sys.stderr))

        def advance(step: str) -> None:
            bar.set_description(step, refresh=False)
            bar.update()

        bench = Bench(panel, hello, client, plan, advance, php)
        listed = bench.warm_up()
        # as a panel's that nobody has just changed; what a change costs is measured by itself
        settle(database, options.settle)
        for _ in range(plan.rounds):
            bench.round()
        bench.changes(database)
        bench.switches(database)
        memory = {"panel": panel.memory(), "hello": hello.memory()} | ({"PHP": php.memory()} if php else {})
        return Outcome(bench.rows, memory, listed, bench.memory(mixed) if mixed else None)


def _settings(
    options: argparse.Namespace, folder: Path, url: str, processes: int, engine: str
) -> dict[str, dict[str, object]]:
    session: dict[str, object] = {"store": options.session_store, "redis_url": options.redis_url}
    if options.session_store == "php-files":
        session["php_save_path"] = folder / "sessions"
        (folder / "sessions").mkdir(mode=0o700)
    return {
        "server": {"threads": options.threads, "processes": processes, "engine": engine},
        "panel": {"data_directory": folder / "data"},
        "database": {"url": url},
        "session": session,
        "security": {"login_attempts_per_minute": _LOGIN_ATTEMPTS},
    }


def _print(outcome: Outcome, facts: Mapping[str, object], budgets: Sequence[Budget]) -> None:
    lines = [", ".join(f"{key}: {value}" for key, value in facts.items()), "", table(outcome.rows.values()), ""]
    for name, memory in outcome.memory.items():
        if memory:
            lines.append(f"Memory of {name} at the end: {memory['rss']:.0f} MiB, at most {memory['peak']:.0f} MiB")
    lines += ["", *(budget.sentence(outcome.rows) for budget in budgets)]
    lines += [outcome.growth.sentence()] if outcome.growth else []
    lines += [f"WRONG   {row.name}: {row.failures} answers, first: {row.first_failure}" for row in outcome.failed]
    sys.stdout.write("\n".join(lines) + "\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the panel against a bare Flask.")
    number, duration = _at_least_one, float
    add = parser.add_argument
    add("--accounts", type=number, default=ACCOUNTS, help="rows of the generated database (default: %(default)s)")
    add("--database-url", help="measure on this database instead; logs in there, renames an account and back")
    add("--mariadb", default=MARIADB, metavar="URL", help="the server to measure on as well (default: %(default)s)")
    add("--dump", type=Path, help="a panel's dump to fill MariaDB with, in place of generated rows")
    settled = DatabaseSection().longest_transaction_seconds + 2
    add(
        "--settle", type=float, default=settled, help="seconds that changes of MariaDB may take to settle (%(default)s)"
    )
    add("--only", choices=("sqlite", "mariadb"), help="one of the two")
    add("--processes", type=number, help="of both servers (default: SQLite 1, else 1 and one each processor)")
    engine = "of both servers (default: what the panel has by default; of several processes also granian, if installed)"
    add("--engine", choices=("waitress", "granian"), help=engine)
    add("--no-php", action="store_true", help="leave nginx and php-fpm out where they are installed")
    into = "write the table into README.md, or this file, between its marks"
    add("--readme", type=Path, nargs="?", const=ROOT / "README.md", metavar="FILE", help=into)
    add("--login", type=_login, action="append", metavar="USER:PASSWORD", help="who logs in; may be repeated")
    add("--session-store", choices=("sql", "redis", "php-files"), default="sql")
    add("--redis-url", default="redis://127.0.0.1:6379/0", help="for --session-store redis")
    add("--sessions", type=number, default=16, help="default: %(default)s")
    add("--connections", type=number, default=8, help="default: %(default)s")
    add("--threads", type=number, default=8, help="of both servers (default: %(default)s)")
    add("--rounds", type=number, default=3, help="runs of each request type (default: %(default)s)")
    add("--seconds", type=duration, default=1.0, help="length of one run (default: %(default)s)")
    add("--changes", type=number, default=40, help="rebuilt lists to measure (default: %(default)s)")
    mixed = "requests of all kinds, twice, to see the memory after each; 0: none (default: %(default)s)"
    add("--mixed", type=int, default=30_000, metavar="COUNT", help=mixed)
    add("--json", type=Path, metavar="FILE", help="write the results there as well")
    add("--strict", action="store_true", help="exit with 1 also when a budget is missed")
    options = parser.parse_args(arguments)
    if (options.database_url or options.dump) and not options.login:
        parser.error("--database-url and --dump need at least one --login")
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
