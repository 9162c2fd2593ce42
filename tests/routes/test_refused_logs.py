"""What went out was sent, whatever the database refuses to keep of it: the answer says both, and nothing stays open.

A trigger refuses a row as a server refuses a value that does not fit: each time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.jobs import jobs
from core.messages.reminders.settings import read_settings
from core.storage.tables import Account, Claim, Job
from legacy_routes.warnings import NOT_RECORDED
from tests.conftest import MakeWorld
from tests.worlds.deeds import Deed, Deeds, deeds_of, deeds_world


@dataclass(frozen=True)
class Sending:
    """``log``: the table of what it sends; ``sent``: how often the others have it. ``needs_log``: what has no row there
    is not sent; None: a row that is refused there is taken for another panel's."""

    log: str
    sent: Callable[[Deeds], int]
    needs_log: bool | None


_BOX = Sending("_stb_action_logs", lambda deeds: len(deeds.portal.snapshot()["events"]), needs_log=False)
SENDINGS = {
    "send_sms": Sending("_sms_logs", lambda deeds: len(deeds.provider.sent), needs_log=True),
    "send_mail": Sending("_mail_logs", lambda deeds: len(deeds.mail.received), needs_log=True),
    "telegram/send_message": Sending("_telegram_logs", lambda deeds: len(deeds.bot.messages), needs_log=True),
    "send_stb_event": _BOX,
    "send_stb_message": _BOX,
    "send_event": _BOX,
    "send_message": _BOX,
    "send_expiry_reminders": Sending("_expiry_reminders", _BOX.sent, needs_log=None),
}
DEEDS = {deed.name: deed for chapter in ("50", "60", "80") for deed in deeds_of(chapter)}
_LEFT = sa.select(Job.kind).where(Job.state != jobs.DONE)
_HELD = sa.select(Claim.name).where(Claim.owner.is_not(None))
pytestmark = pytest.mark.one_process("the triggers are those of one database")


@pytest.fixture
def deeds(make_world: MakeWorld) -> Iterator[Deeds]:
    with deeds_world(make_world, "sqlite", SHOWBOX_SESSION_STORE="sql", SHOWBOX_JOBS_IN_PROCESS="no") as deeds:
        due = deeds.panel.clock.today() + timedelta(days=read_settings(deeds.panel, 1).days)
        deeds.world.execute(sa.update(Account).where(Account.username == "user001").values(end_date=due))
        yield deeds


@contextmanager
def refusing(deeds: Deeds, what: str) -> Iterator[None]:
    """``what``: "INSERT ON table" or "UPDATE ON table"."""
    deeds.world.execute(f"CREATE TRIGGER never BEFORE {what} BEGIN SELECT RAISE(ABORT, 'refused'); END")
    try:
        yield
    finally:
        deeds.world.execute("DROP TRIGGER never")


def _sent_but(deeds: Deeds, deed: Deed, sending: Sending) -> None:
    answer = deeds.do(deed).json()
    assert (answer["error"], answer.get("warning_text"), sending.sent(deeds)) == (0, NOT_RECORDED, 1)
    assert (deeds.world.rows(_LEFT), deeds.world.rows(_HELD)) == ([], [])


@pytest.mark.parametrize("name", SENDINGS)
def test_the_audit_row_is_refused(deeds: Deeds, name: str) -> None:
    sending = SENDINGS[name]
    with refusing(deeds, "INSERT ON _audit_log"):
        _sent_but(deeds, DEEDS[name], sending)
    [row] = deeds.world.rows(sa.text(f"SELECT status FROM {sending.log}"))
    assert row["status"] in ("sent", "success")


@pytest.mark.parametrize("name", SENDINGS)
def test_the_outcome_is_refused(deeds: Deeds, name: str) -> None:
    sending = SENDINGS[name]
    with refusing(deeds, f"UPDATE ON {sending.log}"):
        _sent_but(deeds, DEEDS[name], sending)


@pytest.mark.parametrize("name", [name for name, sending in SENDINGS.items() if sending.needs_log is not None])
def test_the_whole_row_is_refused(deeds: Deeds, name: str) -> None:
    sending = SENDINGS[name]
    with refusing(deeds, f"INSERT ON {sending.log}"):
        if sending.needs_log:
            assert (deeds.do(DEEDS[name]).json()["error"], sending.sent(deeds)) == (1, 0)
        else:
            _sent_but(deeds, DEEDS[name], sending)
    assert deeds.world.rows(_HELD) == []
