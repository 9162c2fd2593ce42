"""The one outbox on each database: each message at most once, whatever becomes of the call or of the process."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import DatabaseFailed
from core.jobs.claims import INTERRUPTED
from core.messages.delivery import (
    Channel,
    Claimed,
    Delivery,
    Outbox,
    Outcome,
    claimed_names,
    forget_old,
    settle_interrupted,
)
from core.panel import Panel
from core.storage import database as storage
from core.storage import schema
from core.storage.database import Database
from core.storage.tables import Claim, MailLog, SmsLog
from core.storage.writing import insert_row
from tests.conftest import MakeWorld
from tests.worlds.databases import KINDS, create_database, drop_database
from tests.worlds.harness import World
from tests.worlds.notices import notices_world

GONE = "gone:1:2:3"
SENT, LOST = Delivery(Outcome.SENT), Delivery(Outcome.UNKNOWN, "no answer")
REFUSED, DEAD = Delivery(Outcome.REFUSED, "no"), Delivery(Outcome.REFUSED, "unreachable", is_hopeless=True)


class _Letters(Channel[str, Delivery]):
    """Its rows are those of ``_mail_logs``; who is named "known" was written to by somebody who knows no claims."""

    name = "letters"

    def claim_name(self, message: str) -> str:
        return message

    def write_down(self, connection: Connection, message: str) -> int | None:
        if message == "known":
            return None
        values: dict[str, Any] = {
            "recipient_email": message,
            "subject": "",
            "body": "",
            "sent_by": 1,
            "message_type": "manual",
        }
        return insert_row(connection, MailLog, {**values, "status": "pending"})

    def settle(self, connection: Connection, claimed: Sequence[Claimed[str]], delivery: Delivery) -> None:
        ids = [row_id for _, row_id in claimed]
        row = sa.update(MailLog).where(MailLog.id.in_(ids))
        status = "sent" if delivery.outcome is Outcome.SENT else "failed"
        connection.execute(row.values(status=status, error_message=delivery.error))

    @classmethod
    def interrupted(cls, panel: Panel, connection: Connection, row_ids: Sequence[int]) -> None:
        row = sa.update(MailLog).where(MailLog.id.in_(row_ids), MailLog.status == "pending")
        connection.execute(row.values(status="failed", error_message=INTERRUPTED))


class _Forgetful(_Letters):
    name = "forgetful"
    keeps_claims = False


CHANNELS = pytest.mark.parametrize("channel", [_Letters, _Forgetful])


class _Desk:
    """Calls are remembered, and answered with ``delivery``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[str] = []
        self.delivery = SENT

    def outbox(self, channel: type[_Letters] = _Letters) -> Outbox[str, Delivery]:
        return Outbox(self.world.panel, channel())

    def call(self, messages: Sequence[str]) -> Delivery:
        self.calls.append("+".join(messages))
        return self.delivery

    @property
    def claims(self) -> list[tuple[str, bool]]:
        """Names, and whether somebody is at work on them."""
        rows = self.world.rows(sa.select(Claim.name, Claim.owner).order_by(Claim.name))
        return [(row["name"], row["owner"] is not None) for row in rows]

    @property
    def logs(self) -> list[tuple[str, str, str | None]]:
        columns = (MailLog.recipient_email, MailLog.status, MailLog.error_message)
        return [tuple(row.values()) for row in self.world.rows(sa.select(*columns).order_by(MailLog.id))]  # type: ignore[misc]


@pytest.fixture
def desk(make_world: MakeWorld, kind: str) -> _Desk:
    return _Desk(make_world(kind))


@pytest.fixture
def light_desk(make_world: MakeWorld) -> _Desk:
    return _Desk(make_world("sqlite"))


@CHANNELS
def test_what_was_refused_is_sent_again_and_nothing_else(desk: _Desk, channel: type[_Letters]) -> None:
    for delivery in (REFUSED, LOST, SENT):
        desk.delivery = delivery
        assert desk.outbox(channel).deliver([delivery.outcome.value], desk.call) == (1, delivery)
    kept = [] if channel is _Forgetful else [("sent", False), ("unknown", False)]
    assert desk.claims == kept
    assert desk.logs == [("refused", "failed", "no"), ("unknown", "failed", "no answer"), ("sent", "sent", None)]
    assert desk.outbox(channel).deliver(["refused"], desk.call) == (1, SENT)
    if channel is _Letters:
        assert desk.outbox().deliver(["sent", "unknown"], desk.call) == (0, None)
        with desk.world.panel.database.read() as connection:
            assert claimed_names(connection, _Letters, ["sent", "unknown", "other"]) == {"sent", "unknown"}
            assert claimed_names(connection, _Forgetful, ["sent"]) == set()


def test_what_somebody_without_claims_has_sent_is_left_out_of_its_batch(desk: _Desk) -> None:
    assert desk.outbox().deliver(["a", "known", "b"], desk.call) == (2, SENT)
    assert (desk.calls, desk.claims) == (["a+b"], [("a", False), ("b", False)])


def test_three_hopeless_calls_and_the_rest_is_given_up(light_desk: _Desk) -> None:
    desk, outbox = light_desk, light_desk.outbox()
    for name, delivery in (("1", DEAD), ("2", DEAD), ("3", REFUSED), ("4", DEAD), ("5", DEAD), ("6", DEAD)):
        desk.delivery = delivery
        outbox.deliver([name], desk.call)
    assert outbox.is_given_up
    _, told = outbox.deliver(["7"], desk.call)
    assert told == Delivery(Outcome.REFUSED, "Not tried: unreachable", is_hopeless=True)
    outbox.deliver(["8"], desk.call)
    assert desk.calls == ["1", "2", "3", "4", "5", "6"]
    assert desk.logs[-1] == ("8", "failed", "Not tried: unreachable")
    # nothing of it is lost: the next run tries all of them
    desk.delivery = SENT
    assert desk.outbox().deliver(list("12345678"), desk.call) == (8, SENT)


def test_of_many_at_once_each_message_goes_out_once(desk: _Desk) -> None:
    names = [f"m{number}" for number in range(12)]
    outboxes = [desk.outbox() for _ in range(4)]

    def run(outbox: Outbox[str, Delivery], order: Sequence[str]) -> None:
        for name in order:
            outbox.deliver([name], desk.call)

    threads = [
        threading.Thread(target=run, args=(outbox, names if number % 2 else names[::-1]))
        for number, outbox in enumerate(outboxes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(desk.calls) == sorted(names)
    assert desk.claims == sorted((name, False) for name in names)


@CHANNELS
def test_what_a_dead_process_left_is_closed_and_not_repeated(desk: _Desk, channel: type[_Letters]) -> None:
    def die(_: Sequence[str]) -> Delivery:
        raise SystemExit

    with pytest.raises(SystemExit):
        desk.outbox(channel).deliver(["a", "b"], die)
    assert settle_interrupted(desk.world.panel) == 0
    assert desk.logs == [("a", "pending", None), ("b", "pending", None)]
    desk.world.execute(sa.update(Claim).values(owner=GONE))
    desk.world.execute(sa.update(Claim).where(Claim.name == "a").values(lease_until=0))
    desk.world.execute(sa.update(Claim).where(Claim.name == "b").values(lease_until=2**31 - 1))
    # of a process on another machine nobody can tell whether it lives: its lease decides
    assert settle_interrupted(desk.world.panel) == 1
    assert desk.logs == [("a", "failed", INTERRUPTED), ("b", "pending", None)]
    assert desk.claims == ([("b", True)] if channel is _Forgetful else [("a", False), ("b", True)])
    assert settle_interrupted(desk.world.panel) == 0


def test_one_that_was_taken_for_dead_and_lives_tells_the_truth_in_the_end(desk: _Desk) -> None:
    def slow(_: Sequence[str]) -> Delivery:
        desk.world.execute(sa.update(Claim).values(lease_until=0))
        assert settle_interrupted(desk.world.panel) == 1
        return REFUSED

    desk.outbox().deliver(["a"], slow)
    assert (desk.logs, desk.claims) == ([("a", "failed", "no")], [])


def test_one_that_was_taken_for_dead_leaves_the_claim_of_its_successor(desk: _Desk) -> None:
    def slow(_: Sequence[str]) -> Delivery:
        desk.world.execute(sa.update(Claim).values(owner="another"))
        return REFUSED

    desk.outbox().deliver(["a"], slow)
    assert desk.claims == [("a", True)]


def test_a_failing_step_of_the_database_leaves_no_claim(light_desk: _Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise sa.exc.OperationalError("", {}, Exception("disk full"))

    monkeypatch.setattr(_Letters, "write_down", fail)
    with pytest.raises(DatabaseFailed):
        light_desk.outbox().deliver(["a"], light_desk.call)
    assert (light_desk.calls, light_desk.claims, light_desk.logs) == ([], [], [])


def test_the_victim_of_a_deadlock_is_tried_again(light_desk: _Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = iter((1, 2))
    usual = _Letters.write_down

    def fail(self: _Letters, connection: Connection, message: str) -> int | None:
        if next(rounds, None):
            raise sa.exc.OperationalError("", {}, Exception(1213))
        return usual(self, connection, message)

    monkeypatch.setattr(_Letters, "write_down", fail)
    assert light_desk.outbox().deliver(["a"], light_desk.call) == (1, SENT)
    assert light_desk.logs == [("a", "sent", None)]


class _Interrupting:
    """A settling that meets a fault so many ``times``; -1: each time."""

    def __init__(self, times: int, fault: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self._fault = times, fault
        usual = _Letters.settle

        def settle(letters: _Letters, *arguments: Any, **named: Any) -> None:
            if self.left:
                self.left -= 1
                raise self._fault()
            usual(letters, *arguments, **named)

        monkeypatch.setattr(_Letters, "settle", settle)
        monkeypatch.setattr("core.messages.delivery._POLL_SECONDS", 0.001)


def test_what_became_of_it_is_written_when_the_database_is_back(
    light_desk: _Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PAUSES", (0.001,))
    gone = _Interrupting(9, lambda: sa.exc.OperationalError("", {}, Exception("disk full")), monkeypatch)
    light_desk.delivery = LOST
    outbox = light_desk.outbox()
    assert outbox.deliver(["a"], light_desk.call) == (1, LOST)
    assert (gone.left, outbox.is_recorded) == (0, True)
    assert (light_desk.logs, light_desk.claims) == ([("a", "failed", "no answer")], [("a", False)])


def test_a_database_that_does_not_come_back_is_waited_for_with_an_end(
    light_desk: _Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Interrupting(-1, lambda: sa.exc.OperationalError("", {}, Exception("disk full")), monkeypatch)
    monkeypatch.setattr("core.messages.delivery.PATIENCE_SECONDS", 0.05)
    with pytest.raises(DatabaseFailed):
        light_desk.outbox().deliver(["a"], light_desk.call)
    # what is on its way may have arrived
    assert (light_desk.calls, light_desk.logs) == (["a"], [("a", "pending", None)])
    light_desk.world.execute(sa.update(Claim).values(lease_until=0))
    assert settle_interrupted(light_desk.world.panel) == 1
    assert light_desk.logs == [("a", "failed", INTERRUPTED)]


@CHANNELS
@pytest.mark.parametrize("became", [SENT, REFUSED], ids=["sent", "refused"])
def test_what_the_database_never_takes_ends_all_the_same(
    light_desk: _Desk, channel: type[_Letters], became: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Interrupting(-1, lambda: sa.exc.DataError("", {}, Exception("too long")), monkeypatch)
    light_desk.delivery = became
    outbox = light_desk.outbox(channel)
    assert outbox.deliver(["a"], light_desk.call) == (1, became)
    assert not outbox.is_recorded
    is_kept = became is SENT and channel is _Letters
    assert light_desk.claims == ([("a", False)] if is_kept else [])


def test_what_cannot_be_written_down_is_not_sent(light_desk: _Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise sa.exc.DataError("", {}, Exception("too long"))

    outbox = light_desk.outbox()
    outbox.deliver(["a"], light_desk.call)
    with monkeypatch.context() as patched:
        patched.setattr(_Letters, "write_down", refuse)
        count, told = outbox.deliver(["b"], light_desk.call)
    assert (count, told and told.outcome, light_desk.calls) == (1, Outcome.REFUSED, ["a"])
    outbox.deliver(["b"], light_desk.call)
    assert light_desk.logs == [("a", "sent", None), ("b", "sent", None)]


def test_old_claims_are_forgotten_and_those_at_work_are_not(light_desk: _Desk) -> None:
    panel, old = light_desk.world.panel, light_desk.world.panel.clock.stamp() - 151 * 24 * 3600
    row = {"channel": "letters", "row_id": 0, "lease_until": 2**31 - 1}
    light_desk.world.insert(
        Claim,
        [
            {**row, "name": "old", "owner": None, "claimed_at": old},
            {**row, "name": "at work", "owner": GONE, "claimed_at": old},
            {**row, "name": "new", "owner": None, "claimed_at": old + 3 * 24 * 3600},
        ],
    )
    forget_old(panel)
    assert [name for name, _ in light_desk.claims] == ["at work", "new"]


@pytest.mark.parametrize("job", ["sms-stages", "sms-expiry", "mail-expiry", "push-expired", "reminders"])
def test_every_sweep_closes_what_was_interrupted_also_when_nothing_is_due(make_world: MakeWorld, job: str) -> None:
    """Killed at its very last message, a sweep leaves one on its way, and its successor nothing to send."""
    with notices_world(make_world, "sqlite") as panel:
        panel.world.execute("DELETE FROM _accounts")
        text = {"recipient_number": "+44", "message": "m", "sent_by": 1, "sent_at": panel.panel.clock.now()}
        panel.world.insert(SmsLog, [{"id": 1, **text}])
        panel.world.insert(
            Claim,
            [{"channel": "sms", "name": "last", "row_id": 1, "owner": GONE, "lease_until": 0, "claimed_at": 0}],
        )
        assert panel.job(job)[0] == 0
        assert [(row["status"], row["error_message"]) for row in panel.rows(SmsLog)] == [("failed", INTERRUPTED)]


@pytest.mark.parametrize("database_kind", KINDS)
def test_what_was_claimed_in_the_table_of_text_messages_stays_claimed(database_kind: str) -> None:
    url = create_database(database_kind, "old_claims")
    database = Database(url)
    try:
        schema.prepare(database)
        with database.write() as connection:
            connection.execute(sa.text("DROP TABLE _sbx_claims"))
            connection.execute(
                sa.text(
                    "CREATE TABLE _sbx_sms_claims (name varchar(150) PRIMARY KEY, log_id int NOT NULL, "
                    "owner varchar(64), claimed_at int NOT NULL)"
                )
            )
            connection.execute(sa.text("INSERT INTO _sbx_sms_claims VALUES ('expiry:x:5:2025-11-29', 7, NULL, 1000)"))
        schema.upgrade(database)
        with database.read() as connection:
            rows = connection.execute(sa.select(*Claim.__table__.c)).all()
        assert [tuple(row) for row in rows] == [("sms", "expiry:x:5:2025-11-29", 7, None, 1900, 1000)]
    finally:
        database.dispose()
        drop_database(url)
