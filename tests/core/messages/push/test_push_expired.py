"""Job J2, push of expired accounts: golden cases 29 and 30 of contract chapter 60, cron cases of chapter 70."""

import datetime
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.config import Config
from core.messages.push.vapid import FILE, vapid_keys
from core.panel import Panel
from core.storage.tables import Account, PushExpiryTracking, PushSubscription, User
from simulators.faults import Answer, HangUp
from simulators.push_service import PushService
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.notices import Notices, notices_world
from tests.worlds.reminders import MAC

ADMIN, RES1, RADM, STBRES = 1, 2, 3, 4


@pytest.fixture
def service() -> Iterator[PushService]:
    with PushService() as service:
        yield service


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> Iterator[Notices]:
    with notices_world(make_world, kind) as notices:
        yield notices


@pytest.fixture
def sqlite_panel(make_world: MakeWorld) -> Iterator[Notices]:
    with notices_world(make_world, "sqlite") as notices:
        yield notices


def _subscribed(panel: Notices, service: PushService) -> None:
    for user_id, name in ((ADMIN, "admin"), (RES1, "res1"), (RADM, "radm"), (STBRES, "stbres")):
        panel.subscribe(user_id, service.subscribe(name))


def _counts(text: str) -> str:
    """The part of the last line that logs are searched for."""
    return text.splitlines()[-1].partition(". ")[2]


def test_29_who_is_told_what_and_once(panel: Notices, service: PushService) -> None:
    """Also case 1 and 2 of chapter 70."""
    _subscribed(panel, service)
    code, text = panel.job("push-expired")
    assert code == 0
    assert text == "2025-11-22 09:00:00 - Expired accounts reported by push. Sent: 1, Skipped: 0, Failed: 0"
    assert sorted(item.device for item in service.shown) == ["radm", "res1"]
    shown = service.shown[0]
    assert shown.payload == {
        "title": "⚠️ Account expired",
        "body": "⚠️ Yes Example has expired (2025-11-21)",
        "icon": "/assets/icons/icon-192x192.png",
        "badge": "/assets/icons/icon-72x72.png",
        "type": f"expiry-{MAC(5)}-2025-11-21",
        "tag": f"expiry-{MAC(5)}-2025-11-21",
        "data": {
            "type": "expiry",
            "account": "Yes Example",
            "username": "uyest",
            "expiry": "2025-11-21",
            "url": "/dashboard.php?tab=accounts",
        },
        "timestamp": int(panel.moment * 1000),
    }
    wanted = {"ttl": "2419200", "content-encoding": "aes128gcm", "urgency": "high"}
    assert {name: shown.headers[name] for name in wanted} == wanted
    assert "topic" not in shown.headers
    assert shown.headers["authorization"].endswith(f", k={vapid_keys(panel.panel).public}")
    assert panel.moment < shown.claims["exp"] <= panel.moment + 12 * 3600
    assert panel.told == [(15, "2025-11-21", MAC(5))]

    service.forget()
    assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 1, Failed: 0"
    # as a sync of the PHP panel leaves it
    panel.change(15, id=115)
    assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 1, Failed: 0"
    assert service.requests == []
    # a panel that writes no MAC
    panel.world.execute(sa.update(PushExpiryTracking).values(mac=None, account_id=115))
    assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 1, Failed: 0"


def test_30_from_midnight_on(panel: Notices, service: PushService) -> None:
    _subscribed(panel, service)
    panel.at("2025-11-22T23:59:59")
    panel.job("push-expired")
    assert {item.payload["data"]["username"] for item in service.shown} == {"uyest"}
    service.forget()
    panel.at("2025-11-23T00:00:05")
    assert _counts(panel.job("push-expired")[1]) == "Sent: 1, Skipped: 0, Failed: 0"
    assert {item.payload["data"]["username"] for item in service.shown} == {"utoday"}


def test_70_cron_3_other_days(panel: Notices, service: PushService) -> None:
    """Also the window, and rows that are forgotten."""
    _subscribed(panel, service)
    for day in ("2025-11-22", "2025-11-23", "2025-11-10", None):
        panel.change(15, end_date=day and datetime.date.fromisoformat(day))
        assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 0, Failed: 0", day
    panel.change(15, end_date=datetime.date(2025, 11, 20))
    panel.configure(push={"expired_hours": 48})
    old, fresh = (panel.panel.clock.now() - datetime.timedelta(days=days) for days in (31, 29))
    row = {"expiry_date": datetime.date(2025, 10, 20)}
    panel.world.insert(
        PushExpiryTracking, [{"account_id": n, "notified_at": at, **row} for n, at in ((1, old), (2, fresh))]
    )
    assert _counts(panel.job("push-expired")[1]) == "Sent: 1, Skipped: 0, Failed: 0"
    assert [account for account, *_ in panel.told] == [2, 15]


def test_70_cron_4_owners_and_devices(panel: Notices, service: PushService) -> None:
    assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 1, Failed: 0"
    assert panel.told == []
    # somebody subscribes within the day; a permission string of one field makes nobody a reseller admin
    panel.subscribe(RES1, service.subscribe("res1"))
    panel.world.execute(sa.update(User).where(User.id == STBRES).values(permissions="1"))
    panel.subscribe(STBRES, service.subscribe("stbres"))
    # of a user who is gone
    panel.subscribe(99, service.subscribe("gone"))
    assert _counts(panel.job("push-expired")[1]) == "Sent: 1, Skipped: 0, Failed: 0"
    assert [item.device for item in service.shown] == ["res1"]
    assert panel.devices == [RES1, STBRES]
    _subscribed(panel, service)
    for owner in (ADMIN, None, 0, RADM):
        panel.world.execute(sa.delete(PushExpiryTracking))
        service.forget()
        panel.change(15, reseller=owner)
        assert _counts(panel.job("push-expired")[1]) == "Sent: 1, Skipped: 0, Failed: 0", owner
        assert [item.device for item in service.shown] == ["radm"], owner


def test_what_push_services_answer(panel: Notices, service: PushService) -> None:
    """Case 4 of chapter 70's cron and of its helper: dead subscriptions go, others stay; only what arrived counts."""
    panel.subscribe(RES1, service.subscribe("res1"))
    service.fail(Answer(Response(b"x" * 100_000, 500)), times=None)
    assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 0, Failed: 1"
    assert (panel.job("push-expired", strict=True)[0], panel.told) == (2, [])
    assert len(service.requests) == 6
    for status, tries, stays in ((400, 1, True), (403, 1, True), (429, 3, True), (404, 1, False), (410, 1, False)):
        service.forget()
        if not panel.devices:
            panel.subscribe(RES1, service.subscribe("res1"))
        service.fail(Answer(Response(b"", status, headers={"Retry-After": "0"})), times=None)
        assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 0, Failed: 1", status
        assert (len(service.requests), panel.devices == [RES1]) == (tries, stays), status
        assert panel.told == []
    for faults in ([Answer(Response(b"", 503))] * 2, [HangUp(), HangUp(reset=True)], [Answer(Response(b"", 413))]):
        service.forget()
        panel.world.execute(sa.delete(PushExpiryTracking))
        panel.world.execute(sa.delete(PushSubscription))
        panel.subscribe(RES1, service.subscribe("res1"))
        for fault in faults:
            service.fail(fault)
        assert _counts(panel.job("push-expired")[1]) == "Sent: 1, Skipped: 0, Failed: 0", faults
        assert len(service.shown) == 1
    assert service.shown[0].payload["data"] == {"type": "expiry", "url": "/dashboard.php?tab=accounts"}


def test_one_device_reached_is_enough(sqlite_panel: Notices, service: PushService) -> None:
    panel = sqlite_panel
    _subscribed(panel, service)
    browser = service.subscribe("broken")
    for p256dh, auth in (("x", browser.auth), (browser.p256dh, "AAAA"), ("B" + "A" * 86, browser.auth)):
        panel.subscribe(RADM, service.subscribe("broken"), p256dh=p256dh, auth=auth)
    panel.subscribe(RADM, browser, endpoint="not an address")
    # standard base64 with padding, and one address twice
    other = service.subscribe("standard")
    padded = other.p256dh.replace("-", "+").replace("_", "/") + "="
    panel.subscribe(RES1, other, p256dh="x")
    panel.subscribe(RADM, other, p256dh=padded)
    assert _counts(panel.job("push-expired")[1]) == "Sent: 1, Skipped: 0, Failed: 0"
    assert sorted(item.device for item in service.shown) == ["radm", "res1", "standard"]
    assert len(panel.devices) == 10


def test_private_addresses_are_not_called(sqlite_panel: Notices, service: PushService) -> None:
    """Case 7 of chapter 70's helper."""
    panel = sqlite_panel
    panel.configure(push={"allow_insecure": False})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            panel.subscribe(RES1, service.subscribe("x"), endpoint=f"https://{host}:{port}/x")
        panel.subscribe(RES1, service.subscribe("x"))
        assert _counts(panel.job("push-expired")[1]) == "Sent: 0, Skipped: 0, Failed: 1"
        with pytest.raises(TimeoutError):
            listener.accept()
    assert service.requests == []
    assert len(panel.devices) == 4


def test_names_and_hours(sqlite_panel: Notices, service: PushService) -> None:
    panel = sqlite_panel
    panel.subscribe(RES1, service.subscribe("res1"))
    panel.change(15, full_name="")
    panel.change(14, full_name=f"A\nB\x1b{'ا' * 250}")
    panel.world.execute("UPDATE _accounts SET end_date = '2025-11-21 18:30:00' WHERE id = 14")
    panel.job("push-expired")
    bodies = [item.payload["body"] for item in service.shown]
    assert bodies == [
        f"⚠️ {'A B' + 'ا' * 197} has expired (2025-11-21 18:30)",
        "⚠️ uyest has expired (2025-11-21)",
    ]


def test_dry_run_and_missing_tables(sqlite_panel: Notices, service: PushService) -> None:
    _subscribed(sqlite_panel, service)
    assert sqlite_panel.job("push-expired", dry_run=True) == (0, "Would send: 1")
    assert (service.requests, sqlite_panel.told) == ([], [])


def test_two_runs_at_once_tell_once(panel: Notices, service: PushService) -> None:
    _subscribed(panel, service)
    with ThreadPoolExecutor(4) as pool:
        codes = [code for code, _ in pool.map(lambda _: panel.job("push-expired"), range(4))]
    assert codes == [0] * 4
    assert set(service.counts.values()) == {1}
    assert len(service.shown) == 2


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    """Cases 1 and 2 of get_vapid_key: the pair, whoever asks first."""
    config = Config.model_validate({"panel": {"data_directory": tmp_path / "data"}})
    start, keys = threading.Barrier(8), []

    def ask(_: int) -> None:
        start.wait()
        keys.append(vapid_keys(Panel(config)).public)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(set(keys)) == 1
    assert (len(keys[0]), keys[0][0]) == (87, "B")
    files = list((tmp_path / "data").iterdir())
    assert [path.name for path in files] == [FILE]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_a_panels_pair_can_be_kept(tmp_path: Path) -> None:
    """A pair of RFC 8291, appendix A."""
    config = Config.model_validate(
        {
            "panel": {"data_directory": tmp_path},
            "push": {"vapid_private_key": "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"},
        }
    )
    keys = vapid_keys(Panel(config))
    assert keys.public == "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    assert list(tmp_path.iterdir()) == []


def test_keys_that_cannot_be_kept(sqlite_panel: Notices, service: PushService, tmp_path: Path) -> None:
    """No path, and no traceback."""
    _subscribed(sqlite_panel, service)
    (tmp_path / "file").write_text("")
    section = sqlite_panel.panel.config.panel.model_copy(update={"data_directory": tmp_path / "file" / "data"})
    sqlite_panel.panel.config = sqlite_panel.panel.config.model_copy(update={"panel": section})
    code, text = sqlite_panel.job("push-expired")
    assert (code, text.startswith("ERROR: push-expired: ")) == (1, True)
    assert str(tmp_path) not in text
    assert sqlite_panel.told == []


def test_nothing_of_a_device_is_logged(
    sqlite_panel: Notices, service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser = service.subscribe("res1")
    sqlite_panel.subscribe(RES1, browser)
    service.fail(Answer(Response(b"", 403)))
    sqlite_panel.job("push-expired")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("core"))
    assert "push by 127.0.0.1: status 403" in ours
    for secret in (browser.endpoint.rpartition("/")[2], browser.auth, browser.p256dh, "vapid t="):
        assert secret not in ours


def test_accounts_are_not_touched(sqlite_panel: Notices, service: PushService) -> None:
    before = sqlite_panel.rows(Account)
    _subscribed(sqlite_panel, service)
    sqlite_panel.job("push-expired")
    assert sqlite_panel.rows(Account) == before
