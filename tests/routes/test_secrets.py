"""Secrets at rest and on their way (issue "no way in", lines 3, 4, 5 and 7)."""

import os
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from huey.registry import Message

import wsgi
from core.administration.demo import USERS, demo_users
from core.config import Config, Server, load_config
from core.jobs import bell
from core.messages.sms.provider import DEFAULT_URL
from core.panel import CONNECTION_TESTS_PER_MINUTE, Panel
from core.security.key_files import kept_key
from core.storage import schema
from core.storage.private_files import make_private, private_directory, private_file, warn_if_readable
from core.storage.tables import MailSettings, SmsSettings, StalkerSetting, TelegramSettings
from core.storage.tables.devices import PORTAL_PASSWORD as PASSWORD_KEY
from core.storage.tables.secret_columns import COLUMNS, SMS, portal_place
from core.workers import workers
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from simulators.telegram import TOKEN, BotApi
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world
from tests.worlds.channels import Channels, channels_world
from tests.worlds.harness import World
from tests.worlds.mail_server import MailServer
from tests.worlds.sms import Sms, sms_world
from tests.worlds.stb import PORTAL_PASSWORD, Boxes
from tests.worlds.waiting import until

SAVE = "/update_stalker_settings.php"


@pytest.fixture
def sqlite_sms(make_world: MakeWorld) -> Iterator[Sms]:
    with sms_world(make_world, "sqlite") as made:
        yield made


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite") as made:
        yield made


@pytest.fixture
def channels(make_world: MakeWorld) -> Iterator[Channels]:
    with BotApi() as api, MailServer() as mail, channels_world(make_world, "sqlite", api, mail) as made:
        yield made


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _panel(tmp_path: Path) -> Panel:
    environment = {
        "SHOWBOX_DATABASE_URL": f"sqlite:///{tmp_path}/data/panel.db",
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "var"),
    }
    return Panel(load_config(None, environment))


def test_4_the_database_the_queue_and_their_directories_are_ours_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    panel = _panel(tmp_path)
    try:
        panel.layout  # noqa: B018 - creates the tables
        bell.bell(panel).ring()
        panel.sealer.sealed("x", "somewhere")
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"panel.db", "panel.db.jobs", "application.key"}
        assert {_mode(path) for path in files} == {0o600}
        assert {_mode(tmp_path / "data"), _mode(tmp_path / "var")} == {0o700}
    finally:
        panel.close()
        os.umask(before)


def test_4_what_others_could_read_is_put_right_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database, directory = tmp_path / "panel.db", tmp_path / "var"
    directory.mkdir(mode=0o755)
    for path in (database, tmp_path / "panel.db-wal"):
        path.write_bytes(b"")
        path.chmod(0o644)
    private_file(database)
    private_directory(directory)
    assert [_mode(path) for path in (database, tmp_path / "panel.db-wal", directory)] == [0o600, 0o600, 0o700]
    assert len(caplog.records) == 3
    assert str(tmp_path) not in caplog.text


def test_4_a_readable_configuration_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "config.ini"
    file.write_text("")
    file.chmod(0o600)
    warn_if_readable(file)
    assert caplog.records == []
    file.chmod(0o644)
    warn_if_readable(file)
    assert "chmod 600 config.ini" in caplog.text


def test_4_the_portals_password_is_sealed_in_a_database_of_our_own(light_boxes: Boxes) -> None:
    form = {"server_address": light_boxes.portals[0].server_address, "api_username": "apiuser"}
    form |= {"api_base_url": light_boxes.portals[0].base_url, "api_password": PORTAL_PASSWORD}
    assert light_boxes.post("admin", SAVE, form)["error"] == 0
    query = sa.select(StalkerSetting.setting_value).where(StalkerSetting.setting_key == "api_password")
    [row] = light_boxes.world.rows(query)
    assert row["setting_value"].startswith("sbx2:")
    assert light_boxes.world.panel.portal_settings.password.get_secret_value() == PORTAL_PASSWORD


def test_4_the_sms_token_is_sealed_and_still_works(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    token = "token-of-the-admin-0123456789"
    answer = sms.post("admin", "update_sms_settings", api_token=token, sender_number="+983000505")
    assert answer["error"] == 0, answer
    stored = {row["api_token"] for row in sms.world.rows(sa.select(SmsSettings.api_token)) if row["api_token"]}
    assert token not in stored
    assert any(text.startswith("sbx2:") for text in stored)
    assert sms.get("admin", "get_sms_settings.php")["settings"]["api_token"].endswith(token[-4:])


@pytest.mark.parametrize("length", [300, 500])
def test_4_a_token_of_any_length_is_sealed(sqlite_sms: Sms, length: int) -> None:
    answer = sqlite_sms.post("admin", "update_sms_settings", api_token="t" * length, sender_number="+983000505")
    assert answer["error"] == 0, answer
    [row] = sqlite_sms.world.rows(sa.select(SmsSettings.api_token).where(SmsSettings.user_id == 1))
    assert row["api_token"].startswith("sbx2:")
    assert sqlite_sms.panel.unsealed(row["api_token"], SMS.place({"base_url": DEFAULT_URL})) == "t" * length


PUBLIC = "https://billing.example.com"
CLEAR = "stored-in-clear-before"


def _store_in_clear(world: World) -> None:
    world.insert_all(
        [
            (MailSettings, [{"user_id": 1, "smtp_password": CLEAR}]),
            (SmsSettings, [{"user_id": 2, "api_token": CLEAR}]),
            (StalkerSetting, [{"setting_key": PASSWORD_KEY, "setting_value": CLEAR}]),
            (StalkerSetting, [{"setting_key": "server_address", "setting_value": "http://portal.example.com"}]),
            (TelegramSettings, [{"bot_token": CLEAR, "webhook_secret": CLEAR}]),
        ]
    )


def _stored_secrets(world: World) -> list[tuple[str, str]]:
    """Every stored secret, and the place that it is for."""
    found = [
        (row[one.secret.name], one.place(row))
        for one in COLUMNS
        for row in world.rows(sa.select(*one.secret.class_.__table__.c))
        if row[one.secret.name]
    ]
    rows = world.rows(sa.select(StalkerSetting.setting_key, StalkerSetting.setting_value))
    settings = {row["setting_key"]: row["setting_value"] for row in rows}
    return [*found, (settings[PASSWORD_KEY], portal_place(settings))]


def test_4_what_stands_in_clear_is_sealed_at_start_once(sqlite_sms: Sms, caplog: pytest.LogCaptureFixture) -> None:
    world = sqlite_sms.world
    _store_in_clear(world)
    workers.seal_stored(world.panel)
    assert "5 stored passwords and tokens" in caplog.text
    assert CLEAR not in caplog.text
    found = _stored_secrets(world)
    assert [text.partition(":")[0] for text, _ in found] == ["sbx2"] * 5
    assert {world.panel.unsealed(text, place) for text, place in found} == {CLEAR}
    caplog.clear()
    workers.seal_stored(world.panel)
    assert caplog.records == []
    assert _stored_secrets(world) == found


def test_4_in_a_panels_database_they_stay_as_php_reads_them(sqlite_sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    _store_in_clear(sqlite_sms.world)
    monkeypatch.setattr(sqlite_sms.panel.sealer, "is_ours", False)
    workers.seal_stored(sqlite_sms.panel)
    assert {"smtp_password": CLEAR} in sqlite_sms.world.rows(sa.select(MailSettings.smtp_password))


def test_4_every_directory_on_the_way_is_ours_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    try:
        make_private(shared / "uploads" / "receipts")
        private_directory(tmp_path / "var" / "backups" / "exports")
    finally:
        os.umask(before)
    made = [*(tmp_path / "var").rglob("*"), tmp_path / "var", *shared.rglob("*")]
    assert {_mode(path) for path in made} == {0o700}
    assert _mode(shared) == 0o755


def test_4_a_key_that_others_could_read_is_put_right(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = tmp_path / "application.key"
    key.write_bytes(b"k")
    key.chmod(0o644)
    assert kept_key(tmp_path, key.name, lambda: b"another") == b"k"
    assert _mode(key) == 0o600
    assert "application.key" in caplog.text


def test_11_db_check_writes_nothing_not_even_an_empty_file(tmp_path: Path) -> None:
    panel = _panel(tmp_path)
    try:
        assert schema.check(panel.database).lines
    finally:
        panel.close()
    assert list(tmp_path.rglob("*")) == []


# a stored secret is sent nowhere else


@pytest.mark.parametrize("field", ["server_address", "server_2_address", "api_base_url", "api_2_base_url"])
@pytest.mark.parametrize("extra", [{"test_connection": "1"}, {"dual_server_mode_enabled": "0"}, {}])
def test_3_a_stored_password_goes_to_no_other_server(light_boxes: Boxes, field: str, extra: dict[str, str]) -> None:
    with StalkerPortal() as catcher:
        form = {"server_address": light_boxes.portals[0].server_address, "api_username": "apiuser"}
        form |= {"api_password": "********", field: catcher.base_url, **extra}
        answer = light_boxes.post("admin", SAVE, form)
        assert (answer["error"], answer["code"]) == (1, 6)
        assert "password" in answer["message"]
        assert catcher.requests == []
    assert light_boxes.settings == {}


def test_3_another_scheme_or_port_is_another_server(light_boxes: Boxes) -> None:
    address = light_boxes.portals[0].server_address.rstrip("/")
    for other in (address.replace("http:", "https:"), address.rpartition(":")[0]):
        form = {"server_address": other, "api_username": "apiuser", "api_password": ""}
        assert light_boxes.post("admin", SAVE, form)["code"] == 6


def test_3_tests_of_connections_tell_nothing_and_are_few(light_boxes: Boxes) -> None:
    with StalkerPortal() as refuses:
        refuses.settings.user = "somebody"
        places = [refuses.server_address, "http://127.0.0.1:9", light_boxes.world.url]
        texts = set()
        for place in places:
            form = {"server_address": place, "api_username": "u", "api_password": "p", "test_connection": "1"}
            texts.add(light_boxes.post("admin", SAVE, form)["message"])
        assert len(texts) == 1
        client = light_boxes.client("admin")
        answers = [client.post(SAVE, form) for _ in range(CONNECTION_TESTS_PER_MINUTE)]
        assert [answer.json()["error"] for answer in answers] == [1] * len(answers)
        assert answers[-1].status_code == 429
        assert "Too many connection tests" in answers[-1].json()["message"]


def test_3_the_theme_key_goes_to_no_server_that_the_configuration_does_not_name(accounts: Accounts) -> None:
    with StalkerPortal(user="apiuser", password="another", dialect=Dialect.PANEL) as catcher:
        catcher.add_user("user001", MAC("01"), status=1)
        form = {"server_address": catcher.server_address, "api_base_url": catcher.base_url}
        form |= {"server_2_address": catcher.server_address, "api_2_base_url": catcher.base_url}
        answer = accounts.post("admin", SAVE[1:-4], **form, api_username="apiuser", api_password="another")
        assert answer["error"] == 0, answer
        answer = accounts.post("admin", "edit_account", username="user001", name="Another Name")
        assert (answer["error"], answer["warning"]) == (0, 1), answer
        assert catcher.requests
        assert "theme-key" not in "".join(f"{request.path} {request.fields}" for request in catcher.requests)


def test_3_a_mail_password_is_saved_for_no_other_server(channels: Channels) -> None:
    server = {"smtp_host": "127.0.0.1", "smtp_port": channels.mail.port, "smtp_secure": "tls", "smtp_username": "u"}
    assert channels.post("admin", "update_mail_settings", "json", **server, smtp_password=CLEAR)["error"] == 0
    before = channels.rows(MailSettings)
    with MailServer() as catcher:
        for other in (
            {"smtp_host": "localhost"},
            {"smtp_port": catcher.port},
            {"smtp_secure": "none"},
            {"smtp_host": "127.0.0.2", "smtp_password": ""},
        ):
            answer = channels.post("admin", "update_mail_settings", "json", **{**server, **other})
            assert (answer["error"], answer["code"]) == (1, 6), other
            assert "smtp_password" in answer["message"]
        assert channels.rows(MailSettings) == before
        assert catcher.counts == {}
    # with the password it is another server's, and what is no server's can be changed without
    assert channels.post("admin", "update_mail_settings", "json", **server, from_name="Panel")["error"] == 0
    moved = {**server, "smtp_host": "localhost", "smtp_password": "another"}
    assert channels.post("admin", "update_mail_settings", "json", **moved)["error"] == 0


def test_3_an_sms_token_that_is_entered_again_may_go_elsewhere(sqlite_sms: Sms) -> None:
    account = {"api_token": "token-0123456789", "sender_number": "+983000505"}
    assert sqlite_sms.post("admin", "update_sms_settings", **account)["error"] == 0
    elsewhere = {"base_url": f"{sqlite_sms.provider.base_url}/another"}
    assert sqlite_sms.post("admin", "update_sms_settings", **elsewhere)["code"] == 6
    answer = sqlite_sms.post("admin", "update_sms_settings", **account, **elsewhere)
    assert answer["error"] == 0, answer


def test_3_asking_whose_bot_a_token_is_has_a_limit_too(channels: Channels) -> None:
    answers = [
        channels.post("admin", "telegram/verify_bot", bot_token=TOKEN) for _ in range(CONNECTION_TESTS_PER_MINUTE + 1)
    ]
    assert [answer["error"] for answer in answers] == [*[0] * CONNECTION_TESTS_PER_MINUTE, 1]
    assert "Too many" in answers[-1]["message"]


# the queue


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_5_the_queue_carries_json_and_runs_nothing_that_others_put_in(tmp_path: Path) -> None:
    panel, rung = _panel(tmp_path), []
    panel.layout  # noqa: B018 - creates the tables
    queue = bell.bell(panel)
    storage = queue._huey.storage
    try:
        storage.enqueue(pickle.dumps(Message("x", "ring", None, args=(), kwargs={"x": _Bomb(tmp_path / "ran")})))
        storage.enqueue(pickle.dumps(_Bomb(tmp_path / "ran")))
        storage.enqueue(b'{"id":"x","name":"no such","eta":null}')
        queue.ring()
        assert orjson.loads(storage.enqueued_items()[-1])["name"].endswith("ring")
        queue.attach(lambda: rung.append(True))
        queue.ring(delay=0.01)
        until(lambda: rung, "the bell was heard")
        assert not (tmp_path / "ran").exists()
    finally:
        panel.close()


# the demo


def test_7_off_loopback_the_demo_has_passwords_that_nobody_knows() -> None:
    open_to_all = demo_users(only_here=False)
    assert {user.username for user in open_to_all} == {user.username for user in USERS}
    assert not {user.password for user in open_to_all} & {user.password for user in USERS}
    assert len({user.password for user in open_to_all}) == len(USERS)
    assert demo_users(only_here=True) == USERS
    for host, here in (("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)):
        assert wsgi.is_only_here(Config(server=Server(host=host))) is here
    # a proxy or an address for browsers leads others there, whatever is listened at
    for name, value in (("SHOWBOX_SERVER_TRUSTED_PROXIES", "127.0.0.1"), ("SHOWBOX_SECURITY_PUBLIC_URL", PUBLIC)):
        assert not wsgi.is_only_here(load_config(None, {name: value}))
