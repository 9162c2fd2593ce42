"""A sealed secret goes where it was entered for, whoever writes to the database (issue "no way in", line 3)."""

from collections.abc import Iterator
from typing import Any

import pytest

from core.security.sealing import Sealer
from core.storage.tables import MailSettings, SmsSettings, StalkerSetting, TelegramSettings
from core.storage.tables.devices import PORTAL_PASSWORD as PASSWORD_KEY
from core.storage.tables.secret_columns import BOT, MAIL, SMS, WEBHOOK, portal_place
from core.workers import workers
from simulators.stalker import StalkerPortal
from simulators.telegram import BotApi
from tests.conftest import MakeWorld
from tests.worlds.backups import dump_text, import_text
from tests.worlds.channels import Channels, channels_world
from tests.worlds.mail_server import PASSWORD, USER, MailServer

MANUAL = {"mode": "manual", "email": "c@example.com", "recipient_name": "", "subject": "Hi", "message": "x"}
ROW = {"smtp_host": "mail.example.com", "smtp_port": 587, "smtp_secure": "tls"}


@pytest.fixture
def channels(make_world: MakeWorld) -> Iterator[Channels]:
    with BotApi() as api, MailServer() as mail, channels_world(make_world, "sqlite", api, mail) as made:
        yield made


def _save_mail(channels: Channels) -> str:
    form = {"smtp_host": "127.0.0.1", "smtp_port": channels.mail.port, "smtp_secure": "none", "smtp_username": USER}
    answer = channels.post("admin", "update_mail_settings", "json", **form, smtp_password=PASSWORD)
    assert answer["error"] == 0, answer
    return str(channels.rows(MailSettings)[0]["smtp_password"])


def _upload(channels: Channels, text: str) -> dict[str, Any]:
    client = channels.world.php_login("admin")
    files = {"sql_file": ("dump.sql", text.encode())}
    answer: dict[str, Any] = client.request("POST", "/scripts/import_database.php", files=files).json()
    return answer


def test_3_a_dump_that_names_another_mail_server_takes_no_password_there(channels: Channels) -> None:
    _save_mail(channels)
    answer = channels.post("admin", "send_mail", "json", **MANUAL)
    assert answer["error"] == 0, answer
    assert channels.mail.logins
    with MailServer() as catcher:
        dump = dump_text(channels.world.panel)
        edited = dump.replace(f"{channels.mail.port}", f"{catcher.port}")
        assert edited != dump
        answer = _upload(channels, edited)
        assert answer["error"] == 0, answer
        assert channels.rows(MailSettings)[0]["smtp_port"] == catcher.port
        answer = channels.post("admin", "send_mail", "json", **MANUAL)
        assert PASSWORD not in str(answer)
        assert (catcher.logins, catcher.received) == ([], [])
    # the untouched one works as before
    assert _upload(channels, dump)["error"] == 0
    before = len(channels.mail.received)
    assert channels.post("admin", "send_mail", "json", **MANUAL)["error"] == 0
    assert len(channels.mail.received) == before + 1


def test_3_a_dump_that_names_another_portal_takes_no_password_there(channels: Channels) -> None:
    panel = channels.world.panel
    with (
        StalkerPortal(user="api", password="portal-pass") as portal,
        StalkerPortal(user="api", password="x") as catcher,
    ):
        form = {"server_address": portal.server_address, "api_base_url": portal.base_url}
        form |= {"api_username": "api", "api_password": "portal-pass"}
        assert channels.post("admin", "update_stalker_settings", **form)["error"] == 0
        assert panel.portal_settings.password.get_secret_value() == "portal-pass"
        edited = dump_text(panel).replace(portal.base_url, catcher.base_url)
        assert _upload(channels, edited)["error"] == 0
        channels.world.execute("UPDATE _stalker_settings SET updated_by = 1")
        assert panel.portal_settings.primary_api_url == catcher.base_url
        assert panel.portal_settings.password.get_secret_value() == ""


@pytest.mark.parametrize(
    ("place", "others"),
    [
        (
            MAIL.place(ROW),
            [
                MAIL.place(ROW | {name: value})
                for name, value in (("smtp_host", "x"), ("smtp_port", 25), ("smtp_secure", "none"))
            ],
        ),
        (SMS.place({"base_url": "https://a.example"}), [SMS.place({"base_url": "https://b.example"})]),
        (BOT.place({}), [WEBHOOK.place({}), MAIL.place(ROW)]),
        (
            portal_place({"server_address": "http://a", "api_base_url": "http://a/api"}),
            [
                portal_place({"server_address": "http://b", "api_base_url": "http://a/api"}),
                portal_place({"server_address": "http://a", "api_base_url": "http://b/api"}),
                portal_place(
                    {"server_address": "http://a", "api_base_url": "http://a/api", "api_2_base_url": "http://b"}
                ),
            ],
        ),
    ],
)
def test_3_what_is_sealed_for_one_place_is_read_at_no_other(channels: Channels, place: str, others: list[str]) -> None:
    panel = channels.world.panel
    stored = panel.sealer.sealed("secret", place)
    assert panel.unsealed(stored, place) == "secret"
    assert [panel.unsealed(stored, other) for other in others] == [""] * len(others)


def test_3_spellings_of_one_place_are_one() -> None:
    assert MAIL.place(ROW) == MAIL.place({"smtp_host": " Mail.Example.com", "smtp_port": "587", "smtp_secure": "tls"})
    assert SMS.place({"base_url": "https://a.example/"}) == SMS.place({"base_url": "https://a.example"})


def test_3_a_password_stays_readable_where_its_server_becomes_safer(channels: Channels) -> None:
    stored = _save_mail(channels)
    answer = channels.post("admin", "update_mail_settings", "json", smtp_port=channels.mail.port, smtp_secure="tls")
    assert answer["error"] == 0, answer
    [row] = channels.rows(MailSettings)
    assert row["smtp_secure"] == "tls"
    assert row["smtp_password"] != stored
    assert channels.world.panel.unsealed(row["smtp_password"], MAIL.place(row)) == PASSWORD


def _sealed_by_an_older_version(channels: Channels, text: str) -> str:
    sealer: Sealer = channels.world.panel.sealer
    return "sbx1:" + sealer._fernet.encrypt(text.encode()).decode()


def test_3_seals_of_an_older_version_are_bound_at_start(channels: Channels, caplog: pytest.LogCaptureFixture) -> None:
    world = channels.world
    old = _sealed_by_an_older_version(channels, PASSWORD)
    world.insert_all(
        [
            (MailSettings, [{"user_id": 1, "smtp_password": old, **ROW}]),
            (SmsSettings, [{"user_id": 1, "api_token": old, "base_url": "https://a.example"}]),
            (TelegramSettings, [{"bot_token": old, "webhook_secret": old}]),
            (StalkerSetting, [{"setting_key": PASSWORD_KEY, "setting_value": old}]),
        ]
    )
    # readable before, and after
    assert world.panel.unsealed(old, MAIL.place(ROW)) == PASSWORD
    workers.seal_stored(world.panel)
    [row] = channels.rows(MailSettings)
    assert row["smtp_password"].startswith("sbx2:")
    assert world.panel.unsealed(row["smtp_password"], MAIL.place(ROW)) == PASSWORD
    assert "stood in clear" not in caplog.text
    held = dump_text(world.panel)
    assert "sbx1:" not in held
    assert held.count("sbx2:") == 5


def test_3_seals_of_an_older_version_are_taken_from_the_operator_alone(channels: Channels) -> None:
    old = _sealed_by_an_older_version(channels, PASSWORD)
    channels.world.insert(MailSettings, [{"user_id": 1, "smtp_password": old, **ROW}])
    dump = dump_text(channels.world.panel)
    answer = _upload(channels, dump)
    assert answer["error"] == 0, answer
    assert any("1 passwords and tokens" in text for text in answer["skipped"])
    assert channels.rows(MailSettings)[0]["smtp_password"] == ""
    import_text(channels.world.panel, dump)
    assert channels.rows(MailSettings)[0]["smtp_password"] == old
