"""Eight who save the same settings at once, none of whom is told that it failed; first there is no row, then there is.

Source: issue "Nothing lost", line 3.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from legacy_routes.app import all_endpoints
from simulators.telegram import TOKEN, BotApi
from tests.conftest import MakeWorld
from tests.worlds.channels import Channels, channels_world
from tests.worlds.harness import php_encode
from tests.worlds.mail_server import MailServer
from tests.worlds.waiting import PATIENCE_SECONDS

EIGHT = 8
_AS_ADMIN = php_encode({"login": 1, "username": "admin"})
_SETTINGS = re.compile(r"settings|template|theme")
_MAIL = {"smtp_host": "127.0.0.1", "smtp_port": 25, "smtp_secure": "none", "from_email": "panel@example.com"}
_PORTAL = "http://127.0.0.1:9/stalker_portal/"
_SAVED: dict[str, dict[str, Any]] = {
    "auto_logout_settings": {"timeout": "9"},
    "update_reminder_settings": {"days_before_expiry": "9", "message_template": "Dear {name}"},
    "update_stalker_settings": {"server_address": _PORTAL, "api_username": "a", "api_password": "b"},
    "update_sms_settings": {
        "api_token": "a-token-of-twenty-1234",
        "sender_number": "+985000",
        "auto_send_enabled": "1",
    },
    "save_sms_template": {"name": "Eight", "template": "Dear {name}"},
    "update_mail_settings": _MAIL,
    "save_mail_template": {"name": "Eight", "subject": "S", "body_html": "<p>B</p>", "body_plain": "B"},
    "telegram/update_settings": {"bot_token": TOKEN},
    "telegram/save_bot_settings": {"bot_token": TOKEN},
    "telegram/update_notification_settings": {"notify_login": "1"},
    "update_reseller_accounts_theme": {"reseller_id": "7", "theme": "smart_launcher"},
}
# of these a second that runs at the same time is refused on purpose
_ONE_AT_A_TIME = {"update_reseller_accounts_theme"}


@pytest.fixture
def channels(make_world: MakeWorld) -> Iterator[Channels]:
    with BotApi() as api, MailServer() as mail, channels_world(make_world, "mariadb", api, mail) as channels:
        yield channels


def test_every_endpoint_that_saves_settings_is_tried() -> None:
    posts = {one.name for one in all_endpoints() if _SETTINGS.search(one.name) and one.is_write("POST")}
    read = {name for name in posts if name.rpartition("/")[2].startswith(("get_", "delete_"))}
    assert posts - read == set(_SAVED)


@pytest.mark.parametrize("name", sorted(set(_SAVED) - _ONE_AT_A_TIME))
def test_eight_save_the_same_settings_at_once(channels: Channels, name: str) -> None:
    clients = [channels.world.php_session(_AS_ADMIN, f"session{number:019}") for number in range(EIGHT)]
    for round in range(2):
        together = Barrier(EIGHT, timeout=PATIENCE_SECONDS)

        def save(number: int, round: int = round, together: Barrier = together) -> dict[str, Any]:
            sent = _SAVED[name]
            if "name" in sent:
                # of two templates with one name the second is refused on purpose
                sent = {**sent, "name": f"Eight {round} {number}"}
            together.wait()
            answer: dict[str, Any] = clients[number].post(f"/api/{name}.php", sent, "multipart").json()
            return answer

        with ThreadPoolExecutor(EIGHT) as pool:
            answers = list(pool.map(save, range(EIGHT)))
        assert [answer["error"] for answer in answers] == [0] * EIGHT, answers
