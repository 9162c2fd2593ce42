"""The audit log at some volume: few statements, each over an index, and the same pages from either end."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.access import audit_digest
from core.access.actors import Actor, bare_actor
from core.access.audit_log import Wanted, read_audit_log
from core.panel import Panel
from core.storage.tables import AuditDigest, AuditEntry, User
from tests.conftest import MakeWorld
from tests.worlds.harness import World, user_row
from tests.worlds.rows import analyse
from tests.worlds.statements import statements

ENTRIES = 10_000
START = datetime.fromisoformat("2024-01-01 00:00:00")
ACTIONS = ("create", "update", "delete", "send")
TYPES = ("account", "user", "credit", "sms", "plan")
ADMIN, OWN = bare_actor(1, "admin", super_user=True), bare_actor(7, "user7")
FILTERS = {
    "everything": Wanted(1, 10),
    "the middle": Wanted(ENTRIES // 20, 10),
    "the last page": Wanted(ENTRIES // 10, 10),
    "a user": Wanted(2, 10, user_id="7"),
    "an action": Wanted(2, 10, action="send"),
    "a kind of target": Wanted(2, 10, target_type="sms"),
    "an action on a kind": Wanted(1, 10, action="send", target_type="sms"),
    "a user's action": Wanted(1, 10, user_id="7", action="send"),
    "a day": Wanted(1, 10, first_day=(START + timedelta(days=30)).date(), last_day=(START + timedelta(days=30)).date()),
    "a user's month": Wanted(1, 10, user_id="7", first_day=START.date(), last_day=(START + timedelta(days=30)).date()),
}


def row(number: int) -> dict[str, Any]:
    """One each half hour, of everybody and everything in turn, at different paces."""
    user = number // 7 % 40 + 1
    return {
        "timestamp": START + timedelta(minutes=30 * number),
        "user_id": user,
        "username": f"user{user}",
        "action": ACTIONS[number % 4],
        "target_type": TYPES[number // 3 % 5],
        "target_id": str(number),
        "details": "x" * 200,
    }


@pytest.fixture(scope="module")
def _filled() -> dict[str, World]:
    return {}


@pytest.fixture
def panel(_worlds: MakeWorld, _filled: dict[str, World], kind: str) -> Panel:
    """A panel with the entries, filled once for each database."""
    if kind not in _filled:
        world = _worlds(kind, SHOWBOX_PANEL_NAME="Volume")
        world.insert_all(
            [
                (User, [user_row(1, "admin", super_user=1)]),
                (AuditEntry, [row(number) for number in range(ENTRIES)]),
            ]
        )
        analyse(world.panel.database.engine, "_audit_log")
        audit_digest.carry_on(world.panel)
        _filled[kind] = world
    return _filled[kind].panel


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("actor", [ADMIN, OWN], ids=["admin", "reseller"])
def test_a_page_takes_few_statements_and_none_reads_the_whole_table(panel: Panel, actor: Actor, name: str) -> None:
    read_audit_log(panel, actor, FILTERS[name])
    with statements(panel) as seen, plans(panel) as found:
        page = read_audit_log(panel, actor, FILTERS[name])
    assert page.entries or actor is OWN
    assert len(selects(seen)) <= 5
    assert found
    for statement, plan in found:
        assert not reads_all(panel.database.dialect, plan), (statement, plan)


def test_the_first_page_after_a_start_takes_five_statements(panel: Panel) -> None:
    panel.own(audit_digest._Kept).digest = ((0, 0), ())
    with statements(panel) as seen:
        read_audit_log(panel, ADMIN, FILTERS["everything"])
    assert len(selects(seen)) <= 5


def selects(seen: list[str]) -> list[str]:
    """Without what begins a transaction."""
    return [statement for statement in seen if statement.startswith("SELECT")]


def plans(panel: Panel) -> Any:
    return _Plans(panel)


class _Plans:
    """How the database carries out what is asked of the log while the block runs."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._asked: list[tuple[str, Any]] = []
        self._found: list[tuple[str, str]] = []

    def __enter__(self) -> list[tuple[str, str]]:
        sa.event.listen(self._panel.database.engine, "before_cursor_execute", self._note)
        return self._found

    def __exit__(self, *_: object) -> None:
        sa.event.remove(self._panel.database.engine, "before_cursor_execute", self._note)
        word = "EXPLAIN QUERY PLAN" if self._panel.database.dialect == "sqlite" else "EXPLAIN"
        with self._panel.database.engine.connect() as connection:
            for statement, parameters in self._asked:
                rows = connection.exec_driver_sql(f"{word} {statement}", parameters)
                self._found.append((statement, "\n".join(str(tuple(row)) for row in rows)))

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "_audit_log" in statement and statement.startswith("SELECT"):
            self._asked.append((statement, parameters))


def reads_all(dialect: str, plan: str) -> bool:
    """Whether rows of the log are found by reading all of them."""
    if dialect == "sqlite":
        return any("SCAN _audit_log" in line and "INDEX" not in line for line in plan.splitlines())
    if dialect == "postgresql":
        return "Seq Scan on _audit_log" in plan
    return any("'_audit_log'" in line and "'ALL'" in line for line in plan.splitlines())


def test_the_check_can_fail(panel: Panel) -> None:
    with plans(panel) as found, panel.database.read() as connection:
        connection.execute(sa.select(AuditEntry.id).where(AuditEntry.details == "y")).all()
    assert [reads_all(panel.database.dialect, plan) for _, plan in found] == [True]


def test_the_digest_says_what_counting_says(panel: Panel) -> None:
    with panel.database.read() as connection:
        counted = connection.scalar(sa.select(sa.func.sum(AuditDigest.entries)))
    assert int(counted or 0) == ENTRIES
    for wanted in FILTERS.values():
        total = read_audit_log(panel, ADMIN, wanted).total
        days = (wanted.first_day or START.date(), wanted.last_day or (START + timedelta(days=ENTRIES)).date())
        assert total == sum(
            (wanted.user_id in ("", str(entry["user_id"])))
            and (wanted.action in ("", entry["action"]))
            and (wanted.target_type in ("", entry["target_type"]))
            and days[0] <= entry["timestamp"].date() <= days[1]
            for entry in map(row, range(ENTRIES))
        )


@pytest.mark.parametrize("page", [1, 2, 499, 500, 501, 999, 1000])
def test_pages_follow_one_another_from_either_end(panel: Panel, page: int) -> None:
    entries = read_audit_log(panel, ADMIN, Wanted(page, 10)).entries
    newest = ENTRIES - 10 * (page - 1) - 1
    assert [entry.target_id for entry in entries] == [str(number) for number in range(newest, newest - 10, -1)]
