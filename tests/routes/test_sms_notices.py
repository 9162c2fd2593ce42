"""Text messages that follow a new account and a renewal (golden case 54), and what new users start with (53)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs import jobs
from core.jobs.claims import INTERRUPTED
from core.messages.sms.first_templates import STAGES, give_missing_stages, initialise_reseller, initialise_super_admin
from core.storage.tables import Job, SmsLog, SmsSettings, SmsStagesGiven, SmsTemplate
from core.workers import workers
from simulators.faults import Hang
from simulators.sms_provider import SmsProvider
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account
from tests.worlds.sms import SENDER, TOKEN, configured

WELCOME, RENEWAL = "New Account Welcome", "Renewal Confirmation"
PHONE = "+440000000009"


@contextmanager
def _world(make_world: MakeWorld, kind: str) -> Iterator[tuple[Accounts, SmsProvider]]:
    """Accounts with admin's SMS settings and templates; jobs run when the test says so."""
    with (
        accounts_world(make_world, kind, SHOWBOX_JOBS_IN_PROCESS="no") as accounts,
        SmsProvider() as provider,
        configured(accounts.world, provider),
    ):
        row = {"user_id": 1, "api_token": TOKEN, "sender_number": SENDER, "base_url": provider.base_url}
        accounts.world.insert(SmsSettings, [row])
        texts = {WELCOME: "Welcome {name} {mac} {expiry_date}", RENEWAL: "Renewed {name} {expiry_date}"}
        accounts.world.insert(SmsTemplate, [{"user_id": 1, "name": n, "template": t} for n, t in texts.items()])
        yield accounts, provider


def _work(accounts: Accounts) -> int:
    return jobs.work_off(accounts.panel, workers.KINDS)


def _logs(accounts: Accounts) -> list[dict[str, Any]]:
    return accounts.world.rows(sa.select(*SmsLog.__table__.c).order_by(SmsLog.id))


def test_54_a_new_account_is_welcomed_by_the_super_admins_settings(make_world: MakeWorld, kind: str) -> None:
    with _world(make_world, kind) as (accounts, provider):
        # no phone number, no message
        assert accounts.post("reseller1", "add_account", **new_account(0x11, plan="78-GBP"))["error"] == 0
        _work(accounts)
        assert provider.requests == []
        answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP", phone=PHONE))
        assert (answer["error"], provider.requests) == (0, [])
        _work(accounts)
        assert provider.texts == [(PHONE, f"Welcome Ann {MAC('10')} 2025-02-16")]
        [row] = _logs(accounts)
        assert (row["sent_by"], row["message_type"], row["status"]) == (1, "new_account", "sent")
        assert (row["account_id"], row["mac"], row["recipient_name"]) == (answer["account_id"], MAC("10"), "Ann")
        # a job that is run again sends nothing again
        accounts.world.execute(sa.update(Job).values(state="waiting", due_at=0))
        _work(accounts)
        assert len(provider.sent) == 1


def test_an_owner_with_settings_sends_the_own_texts(make_world: MakeWorld, kind: str) -> None:
    with _world(make_world, kind) as (accounts, provider):
        row = {"user_id": 2, "api_token": "own-token", "sender_number": "+449", "base_url": provider.base_url}
        accounts.world.insert(SmsSettings, [row])
        fields = new_account(plan="78-GBP", phone=PHONE, name="")
        assert accounts.post("reseller1", "add_account", **fields)["error"] == 0
        _work(accounts)
        # without a template of that name: nothing, and no log
        assert (provider.requests, _logs(accounts)) == ([], [])
        accounts.world.insert(SmsTemplate, [{"user_id": 2, "name": WELCOME, "template": "Own {name} {username}"}])
        fields = new_account(0x11, plan="78-GBP", phone=PHONE, name="")
        assert accounts.post("reseller1", "add_account", **fields)["error"] == 0
        _work(accounts)
        assert [(item.text, item.token) for item in provider.sent] == [("Own Customer new11", "own-token")]
        assert _logs(accounts)[0]["sent_by"] == 2


@pytest.mark.every_kind
def test_a_renewal_is_confirmed_when_the_request_gives_a_number(make_world: MakeWorld, kind: str) -> None:
    with _world(make_world, kind) as (accounts, provider):
        for fields, texts in [
            ({"plan": "78-GBP"}, []),
            ({"phone": PHONE}, []),
            ({"plan": "78-GBP", "phone": PHONE}, [(PHONE, "Renewed John Doe 2025-04-16")]),
        ]:
            answer = accounts.post("reseller1", "edit_account", username="user001", **fields)
            assert answer["error"] == 0, fields
            _work(accounts)
            assert provider.texts == texts, fields
        [row] = _logs(accounts)
        assert (row["message_type"], row["sent_by"], row["account_id"]) == ("renewal", 1, 10)


def test_a_provider_that_is_down_delays_and_fails_nothing(make_world: MakeWorld) -> None:
    with _world(make_world, "sqlite") as (accounts, provider):
        provider.stop_listening()
        assert accounts.post("reseller1", "add_account", **new_account(plan="78-GBP", phone=PHONE))["error"] == 0
        _work(accounts)
        [row] = _logs(accounts)
        assert (row["status"], row["error_message"]) == ("failed", "The SMS provider cannot be reached")
        # one job for each channel that hears of a new account; which others there are is no matter of this one
        states = {row["kind"]: row["state"] for row in accounts.world.rows(sa.select(Job.kind, Job.state))}
        assert states["welcome_sms"] == "done"
        assert set(states.values()) == {"done"}


@pytest.mark.every_kind
def test_a_message_whose_sending_was_cut_short_is_not_repeated(
    make_world: MakeWorld, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends while the provider has the message: as it looks to the one that takes the job up."""

    def die(*_: Any, **__: Any) -> None:
        raise SystemExit

    with _world(make_world, kind) as (accounts, provider):
        assert accounts.post("reseller1", "add_account", **new_account(plan="78-GBP", phone=PHONE))["error"] == 0
        provider.fail(Hang(effect=True), times=None)
        with monkeypatch.context() as context:
            context.setattr("core.messages.sms.notices._CALL_SECONDS", 0.3)
            context.setattr("core.messages.delivery.Outbox._settle", die)
            with pytest.raises(SystemExit):
                _work(accounts)
        assert [row["status"] for row in _logs(accounts)] == ["pending"]
        accounts.world.execute("UPDATE _sbx_jobs SET owner = 'gone', lease_until = 0")
        accounts.world.execute("UPDATE _sbx_claims SET lease_until = 0")
        _work(accounts)
        assert len(provider.sent) == 1
        assert [(row["status"], row["error_message"]) for row in _logs(accounts)] == [("failed", INTERRUPTED)]


def _templates(accounts: Accounts, user_id: int) -> list[str]:
    rows = accounts.world.rows(sa.select(SmsTemplate.name).where(SmsTemplate.user_id == user_id).order_by("id"))
    return [row["name"] for row in rows]


@pytest.mark.every_kind
def test_53_what_users_start_with(make_world: MakeWorld, kind: str) -> None:
    with accounts_world(make_world, kind) as accounts:
        panel = accounts.panel
        for _ in range(2):
            with panel.database.write() as connection:
                initialise_reseller(panel, connection, 2)
                initialise_super_admin(panel, connection, 1)
        assert (len(_templates(accounts, 2)), len(_templates(accounts, 1))) == (8, 4)
        settings = accounts.world.rows(sa.select(SmsSettings.user_id, SmsSettings.auto_send_enabled))
        assert sorted(row["user_id"] for row in settings) == [1, 2]
        assert {row["auto_send_enabled"] for row in settings} == {0}
        # the upgrade gives the stages to those who lack them, once
        accounts.world.insert(SmsTemplate, [{"user_id": 3, "name": STAGES[0], "template": "own"}])
        assert give_missing_stages(panel) == 4 + 3 + 4 + 4
        assert _templates(accounts, 3) == list(STAGES)
        assert len(_templates(accounts, 2)) == 8
        accounts.world.execute(sa.delete(SmsTemplate).where(SmsTemplate.user_id == 3))
        assert give_missing_stages(panel) == 0
        # and who deleted one before the upgrade does not get it back
        accounts.world.execute(sa.delete(SmsStagesGiven).where(SmsStagesGiven.user_id == 1))
        [row] = accounts.world.rows(
            sa.select(SmsTemplate.id).where(SmsTemplate.user_id == 1, SmsTemplate.name == STAGES[0])
        )
        assert accounts.post("admin", "delete_sms_template", template_id=row["id"])["error"] == 0
        assert give_missing_stages(panel) == 0
