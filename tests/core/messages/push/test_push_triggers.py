"""What is told by push as it happens: helper cases 1 to 7 of contract chapter 70, sent as jobs through the outbox."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.config import Push
from core.jobs import jobs
from core.messages.push.vapid import vapid_keys
from core.storage.tables import Job, PushSubscription, User
from core.workers import workers
from simulators.faults import Answer, Hang
from simulators.push_service import PushService
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account

ADMIN, BOB, RITA, SAM = 1, 2, 3, 4
DEVICES = {ADMIN: "admin", BOB: "bob", RITA: "rita", SAM: "sam"}


class _Push:
    """One served panel, a device of each user; jobs run when the test says so."""

    def __init__(self, accounts: Accounts, service: PushService) -> None:
        self.accounts = accounts
        self.service = service

    def work(self) -> int:
        return jobs.work_off(self.accounts.panel, workers.KINDS)

    def add(self, who: str = "reseller1", number: int = 0x10, **fields: Any) -> None:
        wish = new_account(number) | {"name": "Test Customer", "plan": "78-GBP"} | fields
        answer = self.accounts.post(who, "add_account", **wish)
        assert answer["error"] == 0, answer

    def configure(self, **values: Any) -> None:
        panel = self.accounts.panel
        push = panel.config.push.model_copy(update=values)
        panel.config = panel.config.model_copy(update={"push": push})

    @property
    def told(self) -> list[tuple[str, str]]:
        """Device and text."""
        return sorted((item.device, item.payload["body"]) for item in self.service.shown)

    @property
    def users(self) -> list[int]:
        """Whose devices there are."""
        return [row["user_id"] for row in self.accounts.world.rows(sa.select(PushSubscription.user_id))]

    def jobs(self, kind: str) -> list[dict[str, Any]]:
        return self.accounts.world.rows(sa.select(Job.state, Job.due_at, Job.created_at).where(Job.kind == kind))


@contextmanager
def _pushing(make_world: MakeWorld, kind: str) -> Iterator[_Push]:
    with accounts_world(make_world, kind, SHOWBOX_JOBS_IN_PROCESS="no") as accounts, PushService() as service:
        names = {BOB: "Bob Reseller", RITA: "Rita RA", SAM: ""}
        for id, name in names.items():
            accounts.world.execute(sa.update(User).where(User.id == id).values(name=name))
        accounts.world.execute(sa.update(User).where(User.id == SAM).values(permissions="1|1|0|1|1"))
        accounts.world.execute(sa.update(User).where(User.id == BOB).values(max_users=0))
        accounts.world.insert(
            PushSubscription, [{"user_id": id, **service.subscribe(name).keys} for id, name in DEVICES.items()]
        )
        push = _Push(accounts, service)
        push.configure(allow_insecure=True, retry_seconds=(0.0, 0.0))
        yield push


@pytest.fixture
def push(make_world: MakeWorld, kind: str) -> Iterator[_Push]:
    with _pushing(make_world, kind) as push:
        yield push


@pytest.fixture
def light_push(make_world: MakeWorld) -> Iterator[_Push]:
    with _pushing(make_world, "sqlite") as push:
        yield push


def test_1_a_new_account_is_told_to_admins_and_to_who_made_it(push: _Push) -> None:
    push.add()
    assert push.service.requests == []
    push.work()
    text = "📱 Bob Reseller added: Test Customer (Premium Monthly)"
    assert push.told == [("admin", text), ("bob", text), ("rita", text)]
    shown = push.service.shown[0]
    moment = shown.payload["timestamp"] / 1000
    assert shown.payload == {
        "title": "📱 New account",
        "body": text,
        "icon": "/assets/icons/icon-192x192.png",
        "badge": "/assets/icons/icon-72x72.png",
        "type": f"new_account-{MAC('10')}",
        "tag": f"new_account-{MAC('10')}",
        "data": {
            "type": "new_account",
            "actor": "Bob Reseller",
            "account": "Test Customer",
            "plan": "Premium Monthly",
            "url": "/dashboard.php?tab=accounts",
        },
        "timestamp": shown.payload["timestamp"],
    }
    assert abs(moment - push.accounts.now()) < 60
    wanted = {"ttl": "2419200", "content-encoding": "aes128gcm", "urgency": "normal"}
    assert {name: shown.headers[name] for name in wanted} == wanted
    scheme, _, permit = shown.headers["authorization"].partition(" ")
    assert (scheme, permit.rpartition("k=")[2]) == ("vapid", vapid_keys(push.accounts.panel).public)
    assert shown.claims["aud"] == push.service.origin
    assert 0 < shown.claims["exp"] - moment <= 24 * 3600


def test_2_a_renewal_is_told_and_an_edit_is_not(push: _Push) -> None:
    accounts = push.accounts
    accounts.world.execute(sa.update(User).where(User.id == SAM).values(currency_id="GBP", balance=100, plans="78-GBP"))
    accounts.world.execute("UPDATE _accounts SET reseller = 4 WHERE username = 'user001'")
    fields = {"username": "user001", "name": "Test Customer"}
    assert accounts.post("reseller2", "edit_account", plan="0", **fields)["error"] == 0
    push.work()
    assert push.told == []
    assert accounts.post("reseller2", "edit_account", plan="78-GBP", **fields)["error"] == 0
    push.work()
    end = str(accounts.row("user001")["end_date"])  # type: ignore[index]
    text = f"🔄 reseller2 renewed: Test Customer (Premium Monthly) until {end}"
    assert push.told == [("admin", text), ("rita", text), ("sam", text)]
    payload = push.service.shown[0].payload
    assert (payload["title"], payload["tag"]) == ("🔄 Account renewed", f"renewal-{MAC('01')}-{end}")
    assert payload["data"] == {
        "type": "renewal",
        "actor": "reseller2",
        "account": "Test Customer",
        "plan": "Premium Monthly",
        "url": "/dashboard.php?tab=accounts",
        "expiry": end,
    }


def test_3_who_is_admin_and_actor_gets_one_message(light_push: _Push) -> None:
    light_push.add("admin")
    light_push.work()
    assert [device for device, _ in light_push.told] == ["admin", "rita"]


def test_without_a_plan_and_without_a_name(light_push: _Push) -> None:
    answer = light_push.accounts.post("admin", "add_account", **(new_account(plan="0") | {"name": ""}))
    assert answer["error"] == 0, answer
    light_push.work()
    assert {text for _, text in light_push.told} == {"📱 Admin added: new10 (Unlimited)"}


def test_4_what_services_answer(push: _Push) -> None:
    """410 removes the device, 403 none; 503 is tried again, twice."""
    _answer(push, "rita", 410)
    push.add()
    push.work()
    assert push.users == [ADMIN, BOB, SAM]
    push.service.forget()
    _answer(push, None, 403, times=None)
    push.add(number=0x11)
    push.work()
    assert (push.users, push.told) == ([ADMIN, BOB, SAM], [])
    push.service.forget()
    _answer(push, "bob", 503, times=2)
    push.add(number=0x12, name="Late")
    push.work()
    assert [device for device, _ in push.told] == ["admin", "bob"]
    # the others were not told again
    assert set(push.service.counts.values()) == {1}
    assert len(push.jobs("push_again")) == 2


def test_4_three_tries_and_no_more(light_push: _Push) -> None:
    push = light_push
    _answer(push, "bob", 500, times=None)
    push.add()
    push.work()
    assert [device for device, _ in push.told] == ["admin", "rita"]
    assert sum(request.path.startswith("/push/bob") for request in push.service.requests) == 3
    assert jobs.open_jobs(push.accounts.panel) == []


@pytest.mark.parametrize(
    ("said", "waits"), [("70", 70), (None, 60), ("99999", 600), ("soon", 60), ("Fri, 17 Jan 2025 09:00:00 GMT", 600)]
)
def test_4_a_service_that_asks_for_patience_gets_it_and_no_worker_waits(
    light_push: _Push, said: str | None, waits: int
) -> None:
    push = light_push
    push.configure(retry_seconds=(60.0, 80.0))
    _answer(push, "bob", 429, headers={} if said is None else {"Retry-After": said})
    push.add()
    started = time.monotonic()
    push.work()
    assert time.monotonic() - started < 60
    [job] = push.jobs("push_again")
    assert (job["state"], job["due_at"] - job["created_at"]) == ("waiting", waits)
    push.accounts.forward += waits + 1
    push.work()
    assert [device for device, _ in push.told] == ["admin", "bob", "rita"]


def test_4_what_is_too_large_is_sent_shorter(light_push: _Push) -> None:
    _answer(light_push, "bob", 413)
    light_push.add()
    light_push.work()
    [short] = [item.payload for item in light_push.service.shown if item.device == "bob"]
    assert short["data"] == {"type": "new_account", "url": "/dashboard.php?tab=accounts"}


def _answer(push: _Push, device: str | None, status: int, *, times: int | None = 1, **options: Any) -> None:
    """The service answers so to this device, None: to all."""

    def match(request: Any) -> bool:
        return device is None or f"/push/{device}-" in request.path

    push.service.fail(Answer(Response(b"", status, **options)), match, times=times)


def test_5_a_service_that_hangs_delays_no_request(light_push: _Push) -> None:
    push = light_push
    push.service.fail(Hang(), times=None)
    started = time.monotonic()
    push.add()
    assert time.monotonic() - started < 50
    assert push.service.requests == []


def test_6_who_is_no_reseller_admin_gets_nothing_as_one(light_push: _Push) -> None:
    world = light_push.accounts.world
    for number, permissions in enumerate(("1", "0|1", "1|1", "1|1|0|1", "", "1|1|1x|"), start=0x20):
        world.execute(sa.update(User).where(User.id == SAM).values(permissions=permissions))
        light_push.service.forget()
        light_push.add(number=number)
        light_push.work()
        assert [device for device, _ in light_push.told] == ["admin", "bob", "rita"], permissions
    world.execute(sa.update(User).where(User.id == SAM).values(permissions="1|1|1|1|1"))
    light_push.service.forget()
    light_push.add("admin", 0x31)
    light_push.work()
    assert [device for device, _ in light_push.told] == ["admin", "rita", "sam"]


def test_7_no_connection_to_what_is_not_public(light_push: _Push) -> None:
    push = light_push
    push.configure(allow_insecure=False)
    port = push.service.origin.rpartition(":")[2]
    hosts = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "[64:ff9b::7f00:1]", "[2002:7f00:1::]")
    push.accounts.world.execute(sa.delete(PushSubscription))
    browser = push.service.subscribe("x")
    push.accounts.world.insert(
        PushSubscription,
        [{"user_id": ADMIN, **browser.keys, "endpoint": f"https://{host}:{port}/x"} for host in hosts],
    )
    push.add()
    push.work()
    assert push.service.requests == []
    assert push.jobs("push_again") == []
    assert len(push.users) == len(hosts)


def test_a_failed_addition_tells_nobody(light_push: _Push) -> None:
    assert light_push.accounts.post("reseller1", "add_account", **new_account(plan="999-GBP"))["error"] == 1
    assert light_push.work() == 0
    assert light_push.service.requests == []


def test_a_process_that_dies_while_it_tells_does_not_tell_again(push: _Push, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise SystemExit

    push.add()
    with monkeypatch.context() as context:
        context.setattr("core.messages.delivery.Outbox._settle", die)
        with pytest.raises(SystemExit):
            push.work()
    assert len(push.told) == 3
    push.accounts.world.execute("UPDATE _sbx_jobs SET owner = 'gone', lease_until = 0 WHERE state = 'running'")
    push.accounts.world.execute("UPDATE _sbx_claims SET owner = 'gone', lease_until = 0")
    push.work()
    assert set(push.service.counts.values()) == {1}
    assert jobs.open_jobs(push.accounts.panel) == []


def test_a_device_that_is_gone_meanwhile_is_not_tried_again(light_push: _Push) -> None:
    push = light_push
    push.configure(retry_seconds=(60.0, 80.0))
    _answer(push, "bob", 503)
    push.add()
    push.work()
    push.accounts.world.execute(sa.delete(PushSubscription).where(PushSubscription.user_id == BOB))
    push.accounts.forward += 120
    push.work()
    assert [device for device, _ in push.told] == ["admin", "rita"]
    assert jobs.open_jobs(push.accounts.panel) == []


def test_old_tables_without_devices_fail_nothing(light_push: _Push) -> None:
    push = light_push
    push.accounts.world.execute(sa.delete(PushSubscription))
    push.add()
    push.work()
    assert push.service.requests == []
    assert jobs.open_jobs(push.accounts.panel) == []


@pytest.mark.parametrize(
    "subject",
    [
        *("mailto:x@localhost", "mailto:x@panel.local", "mailto:x@LOCALHOST", "x@example.com", "mailto:", "mailto:x"),
        *(
            "https://localhost",
            "https://localhost:8443/x",
            "https://panel.local",
            "https://panel",
            "http://example.com",
        ),
        *("https://127.0.0.1", "https://[::1]/", "mailto:x@127.0.0.1", "mailto:x@example.com\nX: y", "example.com"),
    ],
)
def test_a_subject_that_services_refuse_is_refused_at_the_start(subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        Push(vapid_subject=subject)


@pytest.mark.parametrize(
    "subject", ["", "mailto:admin@example.com", "https://panel.example.com", "https://a.b.co:8443/x"]
)
def test_a_subject_by_which_somebody_can_be_reached(light_push: _Push, subject: str) -> None:
    light_push.configure(vapid_subject=Push(vapid_subject=subject).vapid_subject)
    light_push.add("admin")
    light_push.work()
    assert light_push.service.shown[0].claims.get("sub", "") == subject


@pytest.mark.parametrize(
    ("public_url", "subject"),
    [("https://panel.example.com", "https://panel.example.com"), ("http://localhost:8000", "")],
)
def test_without_a_subject_the_panels_own_address_serves(light_push: _Push, public_url: str, subject: str) -> None:
    panel = light_push.accounts.panel
    security = panel.config.security.model_copy(update={"public_url": public_url})
    panel.config = panel.config.model_copy(update={"security": security})
    light_push.add("admin")
    light_push.work()
    assert light_push.service.shown[0].claims.get("sub", "") == subject


def test_one_permit_serves_all_devices_of_a_service(light_push: _Push) -> None:
    light_push.add()
    light_push.work()
    permits = {item.headers["authorization"] for item in light_push.service.shown}
    assert len(permits) == 1
