"""``python -m bench.sync``: a sync beside its floor, which is parsing the same JSON and one bulk upsert.

Both work on the same database in turn, in one process; the portal is a socket that sends a prepared answer at once.
How it is for those who use the panel meanwhile, and with a real portal's cost: :mod:`bench.real_portal`.
"""

import argparse
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from statistics import median

import orjson
from sqlalchemy import delete
from tqdm import tqdm

from bench import real_portal
from commands.sync import SYSTEM
from core.access.audit import By, Origin
from core.config import Config, DatabaseSection, Portal
from core.panel import Panel
from core.storage.tables import Account, AccountNote, ArchivedAccount
from core.sync.sync import Wish, synchronise

CHANGED_AT_MOST, UNCHANGED_AT_MOST = 4.0, 2.0
MEMORY_AT_MOST = 400.0
# how much more than the floor the many may grow, since the floor itself outgrows the processor's caches
LINEAR_AT_MOST = 1.5
_GENERATIONS = 3


class CannedPortal(ThreadingTCPServer):
    """Answers whatever is asked with ``body``."""

    daemon_threads = True
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/stalker_portal/api/"


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            while self.rfile.readline().strip():
                pass
            body = self.server.body  # type: ignore[attr-defined]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode())
            self.wfile.write(body)


@dataclass
class Times:
    """Seconds of each round."""

    floor: list[float] = field(default_factory=list)
    changed: list[float] = field(default_factory=list)
    unchanged: list[float] = field(default_factory=list)

    def ratio(self, name: str) -> float:
        """The median of the rounds' ratios to their own floor."""
        rounds: list[float] = getattr(self, name)
        return median(mine / floor for mine, floor in zip(rounds, self.floor, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 with --strict when a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.sync", description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=5000)
    parser.add_argument("--many", type=int, default=50_000, help="0: leave out (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--database-url", help="an empty database to work in (default: a new SQLite file)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a budget is missed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="showbox-bench-") as folder:
        url = options.database_url or f"sqlite:///{Path(folder) / 'sync.db'}"
        few = _measure(url, options.accounts, options.rounds)
        many = _measure(url, options.many, max(options.rounds // 3, 1)) if options.many else None
        with tempfile.TemporaryDirectory(prefix="showbox-bench-") as other:
            meanwhile = options.database_url or f"sqlite:///{Path(other) / 'panel.db'}"
            seen = real_portal.measure(Path(other), meanwhile, options.accounts, options.rounds)
    met = _tell(options.accounts, few)
    if many is not None:
        met = _tell_many(few, options.many, many) and met
    met = real_portal.tell(options.accounts, seen) and met
    return 1 if options.strict and not met else 0


def _measure(url: str, accounts: int, rounds: int) -> Times:
    times = Times()
    bodies = [answer_of(accounts, generation) for generation in range(_GENERATIONS)]
    with _panel(url) as (panel, portal), tqdm(total=rounds, unit="round", file=sys.stderr) as bar:
        portal.body = bodies[-1]
        _sync(panel)
        for number in range(rounds):
            # each writes what is not there yet
            mine, portal.body = (bodies[(2 * number + step) % _GENERATIONS] for step in (0, 1))
            times.floor.append(_timed(partial(_floor, panel, mine)))
            times.changed.append(_timed(partial(_sync, panel, accounts)))
            times.unchanged.append(_timed(partial(_sync, panel, 0)))
            bar.update()
        _empty(panel)
    return times


@contextmanager
def _panel(url: str) -> Iterator[tuple[Panel, CannedPortal]]:
    portal = CannedPortal()
    config = Config(database=DatabaseSection.model_validate({"url": url}), portal=Portal(primary_api_url=portal.url))
    panel = Panel(config)
    try:
        panel.layout  # noqa: B018 - makes the tables
        yield panel, portal
    finally:
        panel.close()
        portal.shutdown()
        portal.server_close()


def answer_of(accounts: int, generation: int) -> bytes:
    """A portal's list of ``accounts``, every one of which differs from that of another generation."""
    records: list[dict[str, object]] = [
        {
            "login": f"user{number:06}",
            "full_name": f"Customer {number} of generation {generation}",
            "phone": f"+4420{number:08}",
            "account_number": str(10000000 + number),
            "tariff_plan": "78" if number % 4 else "79",
            "stb_sn": "",
            "stb_mac": ":".join(f"{0x001A79000000 + number:012X}"[at : at + 2] for at in range(0, 12, 2)),
            "stb_type": "MAG254",
            "status": int(number % 10 != 0),
            "online": "0",
            "ip": "",
            "version": "",
            "comment": None,
            "end_date": f"203{generation}-{number % 12 + 1:02}-{number % 28 + 1:02} 00:00:00",
            "account_balance": "",
            "last_active": "0000-00-00 00:00:00",
            "subscribed": [],
            "subscribed_id": [],
        }
        for number in range(1, accounts + 1)
    ]
    return orjson.dumps({"status": "OK", "results": records})


_COLUMNS = ("id", "username", "mac", "phone_number", "full_name", "tariff_plan", "end_date", "status")


def _floor(panel: Panel, body: bytes) -> None:
    """The least that any sync does; the ids, which a sync has to find out, are given."""
    with panel.database.write() as connection:
        first = connection.exec_driver_sql("SELECT min(id) FROM _accounts").scalar_one()
        rows = [
            (
                first + place,
                told["login"],
                told["stb_mac"],
                told["phone"],
                told["full_name"],
                told["tariff_plan"],
                told["end_date"][:10],
                told["status"],
            )
            for place, told in enumerate(orjson.loads(body)["results"])
        ]
        connection.exec_driver_sql(_upsert(panel.database.dialect), rows)


def _upsert(dialect: str) -> str:
    marks = ", ".join("?" if dialect == "sqlite" else "%s" for _ in _COLUMNS)
    insert = f"INSERT INTO _accounts ({', '.join(_COLUMNS)}) VALUES ({marks})"
    if dialect == "mysql":
        return f"{insert} ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = VALUES({name})" for name in _COLUMNS)
    return f"{insert} ON CONFLICT (id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)


def _sync(panel: Panel, changed: int | None = None) -> None:
    """Raises RuntimeError when another number of accounts was changed: then something else was measured."""
    changes = synchronise(panel, By(SYSTEM, Origin("", "bench")), Wish(None, force=True))
    if changed is not None and (len(changes.updated), changes.synced) != (changed, changes.in_scope):
        raise RuntimeError(f"{len(changes.updated)} of {changes.synced} accounts were changed, not {changed}")


def _empty(panel: Panel) -> None:
    with panel.database.write() as connection:
        for table in (Account, AccountNote, ArchivedAccount):
            connection.execute(delete(table))


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _tell(accounts: int, times: Times) -> bool:
    floor = median(times.floor)
    sys.stdout.write(f"{accounts} accounts, floor {floor * 1e3:.0f} ms\n")
    met = [
        _line(name, times, at_most)
        for name, at_most in (("changed", CHANGED_AT_MOST), ("unchanged", UNCHANGED_AT_MOST))
    ]
    return all(met)


def _line(name: str, times: Times, at_most: float) -> bool:
    ratio = times.ratio(name)
    met = ratio <= at_most
    milliseconds = median(getattr(times, name)) * 1e3
    sys.stdout.write(f"{_verdict(met)}  {name}: {milliseconds:.0f} ms, {ratio:.2f} of the floor (at most {at_most})\n")
    return met


def _tell_many(few: Times, accounts: int, many: Times) -> bool:
    """The fastest rounds are compared, for a busy machine only ever slows down."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    met = [memory <= MEMORY_AT_MOST]
    sys.stdout.write(f"{accounts} accounts, floor {median(many.floor) * 1e3:.0f} ms\n")
    for name in ("changed", "unchanged"):
        fastest = min(getattr(many, name))
        growth = fastest / min(getattr(few, name)) / (min(many.floor) / min(few.floor))
        met.append(growth <= LINEAR_AT_MOST)
        verdict = _verdict(met[-1])
        bound = f"{growth:.2f} of the floor's growth (at most {LINEAR_AT_MOST})"
        sys.stdout.write(f"{verdict}  {name}: {fastest * 1e3:.0f} ms, {bound}\n")
    sys.stdout.write(f"{_verdict(met[0])}  memory: {memory:.0f} MiB (at most {MEMORY_AT_MOST:.0f})\n")
    return all(met)


def _verdict(met: bool) -> str:
    return "met   " if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
