"""The key and the devices of push notifications: the golden cases of contract chapter 70, and who may do what."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from core.config import Push
from core.messages.push.subscriptions import MOST_DEVICES
from core.panel import Panel
from core.storage.tables import PushSubscription, User
from tests.conftest import MakeWorld
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES, Client, World, user_row

# RFC 8291, appendix A
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
KEYS = {"p256dh": P256DH, "auth": AUTH}
FIRST = "https://push.example.com/s/1"
SUBSCRIBED = {"error": 0, "message": "Subscribed to notifications"}
UNSUBSCRIBED = {"error": 0, "message": "Unsubscribed from notifications"}
BOB, RITA, OBSERVER = "reseller1", "radm", "obs"
NAMES = {1: "admin", 5: RITA, 7: BOB, 8: OBSERVER}


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return _filled(make_world(kind))


@pytest.fixture
def light(make_world: MakeWorld) -> World:
    return _filled(make_world("sqlite"))


@pytest.fixture
def insecure(light: World) -> Iterator[World]:
    original = light.panel.config
    light.panel.config = original.model_copy(update={"push": Push(allow_insecure=True)})
    yield light
    light.panel.config = original


def _filled(world: World) -> World:
    permissions = {"admin": "1|1|1|1|1|1|1", RITA: "1|1|1|1|1|1|1", BOB: "1|1|0|0|0|0|0", OBSERVER: "0|0|0|0|0"}
    world.insert(
        User,
        [
            user_row(
                id, name, permissions=permissions[name], super_user=int(id == 1), is_observer=int(name == OBSERVER)
            )
            for id, name in NAMES.items()
        ],
    )
    return world


def _send(client: Client, method: str, body: Any = None, path: str = "/api/push_subscribe.php") -> dict[str, Any]:
    options = {} if body is None else {"data": body} if isinstance(body, str) else {"json": body}
    response = client.request(method, path, **options)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def _enter(client: Client, endpoint: str, **more: Any) -> dict[str, Any]:
    return _send(client, "POST", {"endpoint": endpoint, "keys": KEYS, **more})


def _count(client: Client) -> int:
    answer = _send(client, "GET")
    assert answer == {"error": 0, "subscribed": answer["count"] > 0, "count": answer["count"]}
    return int(answer["count"])


def _rows(world: World) -> list[dict[str, Any]]:
    return world.rows(sa.select(*PushSubscription.__table__.c).order_by(PushSubscription.id))


class TestKey:
    def test_1_anybody_gets_the_same_key_without_a_session(self, light: World) -> None:
        found = []
        for path in ("/api/get_vapid_key.php", "/get_vapid_key.php"):
            response = Client(light.url).get(path)
            assert (response.status_code, response.json()["error"]) == (200, 0)
            assert "Set-Cookie" not in response.headers
            found.append(response.json()["publicKey"])
        # as after a restart
        from core.messages.push.vapid import vapid_keys

        assert found == [vapid_keys(Panel(light.config)).public] * 2

    def test_2_the_key_is_a_point_of_the_curve_in_the_browsers_spelling(self, light: World) -> None:
        key = Client(light.url).get("/get_vapid_key.php").json()["publicKey"]
        assert len(key) == 87
        point = base64.urlsafe_b64decode(key + "=")
        assert (len(point), point[0]) == (65, 4)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)

    def test_3_other_methods(self, light: World) -> None:
        for method in ("DELETE", "POST", "PUT"):
            response = Client(light.url).request(method, "/api/get_vapid_key.php")
            assert (response.status_code, response.json()["error"]) == (405, 1)
        assert Client(light.url).request("HEAD", "/api/get_vapid_key.php").status_code == 200

    def test_a_key_that_cannot_be_stored_is_a_failure_that_pages_can_read(
        self, light: World, tmp_path: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        original = light.panel.config
        section = original.panel.model_copy(update={"data_directory": tmp_path / "file" / "data"})
        light.panel.config = original.model_copy(update={"panel": section})
        try:
            response = Client(light.url).get("/get_vapid_key.php")
        finally:
            light.panel.config = original
        answer = response.json()
        assert (response.status_code, answer["error"], answer["code"], answer["publicKey"]) == (200, 1, 1, "")
        assert str(tmp_path) not in response.text + caplog.text


class TestDevices:
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_1_without_a_session(self, light: World, method: str) -> None:
        for prefix in PREFIXES:
            assert _send(Client(light.url), method, path=f"{prefix}push_subscribe.php") == NOT_LOGGED_IN

    def test_2_to_4_one_device_belongs_to_who_entered_it_last(self, world: World) -> None:
        bob, rita = world.client(BOB), world.client(RITA, User_Agent="rita's browser")
        assert _send(bob, "GET") == {"error": 0, "subscribed": False, "count": 0}
        assert _enter(bob, FIRST) == SUBSCRIBED
        assert _send(bob, "GET") == {"error": 0, "subscribed": True, "count": 1}
        before = _rows(world)
        assert _enter(bob, FIRST, expirationTime=None) == SUBSCRIBED
        # a page does so at each load: nothing was written
        assert _rows(world) == before
        assert _enter(rita, FIRST) == SUBSCRIBED
        assert (_count(bob), _count(rita)) == (0, 1)
        [row] = _rows(world)
        assert (row["id"], row["user_id"], row["user_agent"]) == (before[0]["id"], 5, "rita's browser")

    def test_new_keys_are_kept_with_the_device(self, world: World) -> None:
        bob = world.client(BOB)
        _enter(bob, FIRST)
        assert _send(bob, "POST", {"endpoint": FIRST, "keys": {"p256dh": "other", "auth": "new"}}) == SUBSCRIBED
        assert [(row["p256dh"], row["auth"], row["user_id"]) for row in _rows(world)] == [("other", "new", 7)]

    def test_5_shortened_keys_of_the_documents_sample(self, light: World) -> None:
        sample = {
            "endpoint": "https://web.push.apple.com/...",
            "keys": {"p256dh": "BCUMMfFN9hJhT-OHBzsECLWdkHhhL9...", "auth": "Bq6Z4f648pjawdPm6QoQ"},
        }
        assert _send(light.client(BOB), "POST", sample) == SUBSCRIBED

    @pytest.mark.parametrize(
        "body",
        [
            {"endpoint": "https://push.example.com/s/2"},
            {"keys": KEYS},
            {"endpoint": FIRST, "keys": "x"},
            {"endpoint": FIRST, "keys": ["x", "y"]},
            {"endpoint": FIRST, "keys": {"p256dh": "x"}},
            {"endpoint": FIRST, "keys": {"p256dh": "", "auth": "y"}},
            {"endpoint": FIRST, "keys": {"p256dh": "x", "auth": 5}},
            {"endpoint": FIRST, "keys": {"p256dh": "x" * 256, "auth": "y"}},
            {"endpoint": 5, "keys": KEYS},
            {"endpoint": True, "keys": KEYS},
            {"endpoint": ["https://push.example.com"], "keys": KEYS},
            {"endpoint": "", "keys": KEYS},
            {"endpoint": "javascript:1", "keys": KEYS},
            {"endpoint": "http://push.example.com/s/2", "keys": KEYS},
            {"endpoint": "https:///s/2", "keys": KEYS},
            {"endpoint": "https://user:pass@push.example.com/s", "keys": KEYS},
            {"endpoint": "https://push.example.com/a b", "keys": KEYS},
            {"endpoint": "https://push.example.com/\x7f", "keys": KEYS},
            {"endpoint": "https://push.example.com:port/", "keys": KEYS},
            {"endpoint": "https://[::1/", "keys": KEYS},
            {"endpoint": "https://push.example.com/" + "x" * 2048, "keys": KEYS},
            [],
            "not json",
            "{broken",
            '"text"',
            "",
        ],
        ids=lambda body: str(body)[:60],
    )
    def test_6_what_is_no_subscription(self, light: World, body: Any) -> None:
        bob = light.client(BOB)
        for headers in ({}, {"Content-Type": "application/json"}):
            bob.headers = headers
            answer = _send(bob, "POST", body)
            assert (answer["error"], answer["code"]) == (1, 6)
            assert answer["message"] == answer["err_msg"] != ""
        bob.headers = {}
        assert (_count(bob), _rows(light)) == (0, [])

    def test_6_plain_http_is_for_trials(self, insecure: World) -> None:
        assert _enter(insecure.client(BOB), "http://127.0.0.1:9/s") == SUBSCRIBED

    @pytest.mark.parametrize("kind_of_body", ["curl", "text/plain", "none", "form", "multipart", "query"])
    def test_7_every_way_in_which_clients_send(self, light: World, kind_of_body: str) -> None:
        bob = light.client(BOB)
        text = f'{{"endpoint":"{FIRST}","keys":{{"p256dh":"{P256DH}","auth":"{AUTH}"}}}}'
        fields = {"endpoint": FIRST, "keys[p256dh]": P256DH, "keys[auth]": AUTH}
        types = {"curl": "application/x-www-form-urlencoded", "text/plain": "text/plain", "none": ""}
        if kind_of_body in types:
            headers = {"Content-Type": types[kind_of_body]} if types[kind_of_body] else {}
            response = bob.request("POST", "/push_subscribe.php", data=text.encode(), headers=headers)
        else:
            response = bob.post("/push_subscribe.php", fields, kind_of_body)
        assert response.json() == SUBSCRIBED
        assert [(row["endpoint"], row["auth"]) for row in _rows(light)] == [(FIRST, AUTH)]

    @pytest.mark.every_kind
    def test_8_only_ones_own_device_is_removed(self, world: World) -> None:
        bob, rita = world.client(BOB), world.client(RITA)
        _enter(rita, FIRST)
        assert _send(bob, "DELETE", {"endpoint": FIRST}) == UNSUBSCRIBED
        assert _count(rita) == 1
        assert _send(rita, "DELETE", {"endpoint": FIRST.upper()}) == UNSUBSCRIBED
        assert _send(rita, "DELETE", {"endpoint": ""}) == UNSUBSCRIBED
        assert _count(rita) == 1
        assert _send(rita, "DELETE", {"endpoint": FIRST}) == UNSUBSCRIBED
        assert _count(rita) == 0

    @pytest.mark.parametrize("body", [None, {}, {"endpoint": None}, {"other": 1}], ids=str)
    def test_9_without_a_device_all_of_ones_own(self, light: World, body: Any) -> None:
        bob, rita = light.client(BOB), light.client(RITA)
        _enter(bob, FIRST)
        for number in (2, 3, 4):
            _enter(rita, f"https://push.example.com/s/{number}")
        assert _count(rita) == 3
        assert _send(rita, "DELETE", body) == UNSUBSCRIBED
        assert (_count(rita), _count(bob)) == (0, 1)

    @pytest.mark.parametrize(
        "body", ["{broken", "[]", "null", '"x"', "garbage", "a=b", {"endpoint": 5}, {"endpoint": []}]
    )
    def test_9_a_garbled_body_removes_nothing(self, light: World, body: Any) -> None:
        rita = light.client(RITA)
        _enter(rita, FIRST)
        types = ("application/json", "text/plain", "application/x-www-form-urlencoded", "")
        for content_type in types if isinstance(body, str) else ("",):
            rita.headers = {"Content-Type": content_type} if content_type else {}
            answer = _send(rita, "DELETE", body)
            assert (answer["error"], answer["code"]) == (1, 6), content_type
        rita.headers = {}
        assert _count(rita) == 1

    @pytest.mark.every_kind
    def test_10_many_at_once_make_one_row(self, world: World) -> None:
        clients = [world.client(BOB) for _ in range(4)] + [world.client(RITA) for _ in range(4)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: _enter(clients[number % 8], FIRST), range(24)))
        assert answers == [SUBSCRIBED] * 24
        assert len(_rows(world)) == 1

    def test_11_other_methods(self, light: World) -> None:
        for method in ("PUT", "PATCH"):
            response = light.client(BOB).request(method, "/api/push_subscribe.php")
            assert (response.status_code, response.json()["error"]) == (405, 1)

    def test_everybody_may_who_is_logged_in(self, light: World) -> None:
        for number, name in enumerate(NAMES.values()):
            client = light.client(name)
            assert _enter(client, f"https://push.example.com/s/{number}") == SUBSCRIBED
            assert _count(client) == 1
            assert _send(client, "DELETE") == UNSUBSCRIBED

    def test_another_site_can_neither_enter_nor_remove(self, light: World) -> None:
        bob = light.client(BOB)
        _enter(bob, FIRST)
        bob.headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for method in ("POST", "DELETE"):
            assert bob.request(method, "/api/push_subscribe.php", json={}).status_code == 403
        bob.headers = {}
        assert _count(bob) == 1

    def test_addresses_are_told_apart_by_case(self, world: World) -> None:
        bob = world.client(BOB)
        for endpoint in ("https://push.example.com/s/a", "https://push.example.com/s/A"):
            assert _enter(bob, endpoint) == SUBSCRIBED
        assert _count(bob) == 2

    def test_the_oldest_of_too_many_devices_goes(self, light: World) -> None:
        bob = light.client(BOB)
        for number in range(MOST_DEVICES + 2):
            _enter(bob, f"https://push.example.com/s/{number}")
        kept = [row["endpoint"].rpartition("/")[2] for row in _rows(light)]
        assert kept == [str(number) for number in range(2, MOST_DEVICES + 2)]

    @pytest.mark.every_kind
    def test_what_a_panel_stored_twice_becomes_one_row(self, world: World) -> None:
        row = {"user_id": 7, "endpoint": FIRST, "p256dh": "x", "auth": "y"}
        world.insert(PushSubscription, [row, row, {**row, "endpoint": "https://push.example.com/other"}])
        assert _enter(world.client(BOB), FIRST) == SUBSCRIBED
        assert sorted(row["endpoint"] for row in _rows(world)) == [FIRST, "https://push.example.com/other"][::-1]

    def test_no_answer_and_no_log_names_a_device(self, light: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        bob = light.client(BOB)
        texts = [bob.request("POST", "/push_subscribe.php", json={"endpoint": FIRST, "keys": KEYS}).text]
        texts += [bob.request(method, "/push_subscribe.php").text for method in ("GET", "DELETE")]
        ours = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
        for secret in (FIRST, "/s/1", P256DH, AUTH):
            assert secret not in "\n".join(texts + ours)
