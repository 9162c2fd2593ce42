"""Events: one job for each listener of just that class, in the transaction, and every listener is known to workers."""

import ast
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.accounts.events import AccountCreated, AccountRemoved, AccountRenewed
from core.jobs import events, jobs
from core.jobs.events import announce, hears
from core.jobs.jobs import Work
from core.ledger.events import PaymentRecorded
from core.storage.tables import Job
from core.workers import workers
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.places import ROOT

WHO = (7, "user007", "00:1A:79:00:00:07", "Ann", 2, 1, "admin")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world("sqlite", SHOWBOX_JOBS_IN_PROCESS="no")


@pytest.fixture
def heard() -> Iterator[list[AccountRemoved]]:
    """What a listener of this test's own heard."""
    found: list[AccountRemoved] = []

    @hears(AccountRemoved, job="test_listener", only=lambda event: event.account_id > 1)
    def listen(work: Work, event: AccountRemoved) -> None:
        found.append(event)

    try:
        yield found
    finally:
        del events.KINDS["test_listener"]
        events._LISTENERS[AccountRemoved].pop()


def _announce(world: World, *what: events.Event) -> None:
    with world.panel.database.write() as connection:
        for event in what:
            announce(world.panel, connection, event)


def test_a_listener_hears_its_own_class_of_events_as_a_job(world: World, heard: list[AccountRemoved]) -> None:
    removed = AccountRemoved(*WHO, plan_name="1 Month", end_date=date(2026, 12, 22))
    _announce(world, removed, AccountRemoved(1, *WHO[1:]))
    assert heard == []
    assert world.rows(sa.select(Job.kind, Job.actor_id)) == [{"kind": "test_listener", "actor_id": 1}]
    assert jobs.work_off(world.panel, events.KINDS) == 1
    assert heard == [removed]


def test_what_is_rolled_back_was_never_announced(world: World, heard: list[AccountRemoved]) -> None:
    def fail() -> None:
        with world.panel.database.write() as connection:
            announce(world.panel, connection, AccountRemoved(*WHO))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert jobs.open_jobs(world.panel) == []


def test_a_listener_without_a_number_to_write_to_gets_no_job(world: World) -> None:
    _announce(world, AccountRenewed(*WHO), AccountRenewed(*WHO, phone="+441234567890"))
    kinds = [row["kind"] for row in world.rows(sa.select(Job.kind))]
    assert kinds.count("renewal_sms") == 1


def test_two_listeners_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="welcome_sms"):
        hears(AccountCreated, job="welcome_sms")(lambda work, event: None)


def test_every_event_survives_its_storage_and_older_ones_are_read() -> None:
    renewed = AccountRenewed(*WHO, plan_name="1 Month", end_date=date(2026, 12, 22), phone="+44")
    payment = PaymentRecorded(1, 3, 2, Decimal("1500.00"), "IRR", date(2026, 12, 22))
    assert AccountRenewed.read(renewed.stored()) == renewed
    assert AccountRenewed.read({**renewed.stored(), "kind": "renewed"}) == renewed
    assert PaymentRecorded.read(payment.stored()) == payment
    before = {"payment_id": 3, "reseller_id": 2, "amount": "1,500 IRR", "date": "2026-12-22"}
    assert PaymentRecorded.read(before) == PaymentRecorded(0, 3, 2, Decimal(1500), "IRR", date(2026, 12, 22))


def _listening(source: str) -> list[str]:
    """The jobs of the listeners that a module declares."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [
        keyword.value.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "hears"
        for keyword in call.keywords
        if keyword.arg == "job" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    ]


def test_every_listener_of_the_core_is_known_to_the_workers() -> None:
    assert _listening('@hears(AccountCreated, job="x")\ndef f(): ...') == ["x"]
    declared = {job for path in (ROOT / "core").rglob("*.py") for job in _listening(path.read_text())}
    assert {"welcome_device", "welcome_sms", "renewal_sms", "push_payment"} <= declared <= set(workers.KINDS)
    # and by the modules that the workers name, not because a test has imported another one
    named = {job for module in workers.LISTENING for job in _listening((ROOT / _path(module.__name__)).read_text())}
    assert named == declared


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"
