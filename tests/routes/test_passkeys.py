"""Passkeys beyond the golden cases: forged, replayed, stolen, copied; several at once; proxies; PHP's sessions."""

import base64
import re
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from commands.users import user_command
from core.access.passkeys.challenges import LIFETIME_SECONDS
from core.access.passkeys.login import CHALLENGES_PER_MINUTE
from core.access.passkeys.registration import MOST_PER_USER
from core.storage.schema import Layout
from core.storage.tables import AuditEntry, LoginHistory, Passkey, PasskeyChallenge, User, WebauthnCredential
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.routes.test_passkeys_golden import (
    ALREADY,
    AUTHENTICATED,
    EXPIRED,
    INVALID,
    NONE,
    NOT_YOURS,
    REGISTERED,
    UNVERIFIED,
    refused,
    store,
)
from tests.worlds import passkey_vector as vector
from tests.worlds.authenticators import (
    HOST,
    ORIGIN,
    VERIFIED,
    Authenticator,
    Ceremony,
    at_host,
    b64,
    log_in,
    offered,
    register,
    send,
)
from tests.worlds.harness import NOT_LOGGED_IN, Client, World, php_encode
from tests.worlds.logged_in import logged_in

NEEDS_NAME = refused("Passkeys need a host name: open the panel by its name instead of its IP address", 1)


@pytest.fixture
def resa(sqlite_world: World) -> Client:
    return at_host(logged_in(sqlite_world, "resa"))


@pytest.fixture
def device(resa: Client) -> Authenticator:
    """Resa's."""
    made = Authenticator()
    assert register(resa, made) == REGISTERED
    return made


def anybody(world: World, host: str = HOST) -> Client:
    return at_host(world.client(), host)


def rows(world: World) -> list[dict[str, Any]]:
    return world.rows(sa.select(WebauthnCredential.__table__).order_by(WebauthnCredential.id))


# attacks on a login


FORGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "an altered signature": lambda sent: sent | {"signature": sent["signature"][:-4] + "AAAA"},
    "no signature": lambda sent: sent | {"signature": ""},
    "altered data": lambda sent: sent | {"authenticator_data": sent["authenticator_data"][:-2] + "_w"},
    "an unknown id": lambda sent: sent | {"credential_id": b64(b"nobody's")},
    "an id that is none": lambda sent: sent | {"credential_id": "x"},
    "a challenge that nobody gave": lambda sent: sent | {"client_data_json": vector.GET_CLIENT_DATA},
    "no client data": lambda sent: sent | {"client_data_json": ""},
    "junk": lambda sent: dict.fromkeys(sent, "!"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_login_lets_nobody_in(
    sqlite_world: World, device: Authenticator, forge: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    client = anybody(sqlite_world)
    answer = send(client, forge(device.signs(offered(client, "resa"))))
    assert (answer["error"], answer["code"]) == (1, 2)
    assert client.get("/get_user_info.php").json() == NOT_LOGGED_IN
    assert rows(sqlite_world)[0]["last_used"] is None


@pytest.mark.parametrize(
    "ceremony",
    [
        Ceremony(origin="https://evil.example"),
        Ceremony(rp_id="evil.example"),
        Ceremony(kind="webauthn.create"),
        Ceremony(flags=VERIFIED),
        Ceremony(client_more=(("crossOrigin", True),)),
    ],
    ids=["origin", "host", "kind", "absent", "frame"],
)
def test_a_login_made_elsewhere_is_refused_and_its_challenge_gone(
    sqlite_world: World, device: Authenticator, ceremony: Ceremony
) -> None:
    client = anybody(sqlite_world)
    sent = device.signs(offered(client, "resa"), ceremony)
    assert send(client, sent) == INVALID
    assert send(client, sent) == EXPIRED
    [failed] = sqlite_world.rows(sa.select(LoginHistory.__table__).where(LoginHistory.login_method == "biometric"))
    assert (failed["status"], failed["user_id"], failed["username"]) == ("failed", 2, "resa")
    assert failed["failure_reason"] == "Invalid credentials"


def test_a_stolen_id_of_another_user_opens_neither_account(sqlite_world: World, device: Authenticator) -> None:
    own = Authenticator()
    register(at_host(logged_in(sqlite_world, "noname")), own)
    client = anybody(sqlite_world)
    # one's own key under the name of another's passkey, and the other way round
    assert send(client, own.signs(offered(client, "resa"))) == INVALID
    assert send(client, own.signs(offered(client, "resa")) | {"credential_id": b64(device.credential_id)}) == INVALID
    assert send(client, own.signs(offered(client, "noname")) | {"credential_id": b64(device.credential_id)}) == INVALID
    assert client.get("/get_user_info.php").json() == NOT_LOGGED_IN


def test_a_challenge_for_registering_is_none_for_a_login(
    sqlite_world: World, resa: Client, device: Authenticator
) -> None:
    options = resa.get("/webauthn_register.php").json()
    client = anybody(sqlite_world)
    assert send(client, device.signs(options)) == EXPIRED
    offer = offered(client, "resa") | {"rp": {"id": HOST}, "user": options["user"]}
    assert resa.post("/webauthn_register.php", Authenticator().registers(offer), "json").json() == EXPIRED


@pytest.mark.every_kind
def test_one_of_two_replays_at_once_succeeds(world: World) -> None:
    device = Authenticator(counts=False)
    register(at_host(logged_in(world, "resa")), device)
    sent = device.signs(offered(anybody(world), "resa"))
    answers = together(6, lambda _: send(anybody(world), sent))
    assert sorted(answer["error"] for answer in answers) == [0, 1, 1, 1, 1, 1]


def together(count: int, act: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(act(n))) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# counters


@pytest.mark.parametrize(
    ("stored", "sent", "is_fine"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 2**32 - 1, True), (5, 5, False), (5, 0, False), (5, 4, False)],
)
def test_a_counter_rises_or_stays_nought(world: World, stored: int, sent: int, is_fine: bool) -> None:
    device = Authenticator(counts=False)
    register(at_host(logged_in(world, "resa")), device)
    if stored:
        assert log_in(anybody(world), device, "resa", Ceremony(counter=stored)) == AUTHENTICATED
    answer = log_in(anybody(world), device, "resa", Ceremony(counter=sent))
    assert answer == (AUTHENTICATED if is_fine else INVALID)
    [known] = world.rows(sa.select(Passkey.sign_count))
    assert known["sign_count"] == (sent if is_fine else stored)
    # what the panel's column can hold
    assert rows(world)[0]["counter"] == min(known["sign_count"], 2**31 - 1)


@pytest.mark.every_kind
def test_one_counter_counts_once_also_for_two_at_once(world: World) -> None:
    device = Authenticator(counts=False)
    register(at_host(logged_in(world, "resa")), device)
    clients = [anybody(world) for _ in range(4)]
    signed = [device.signs(offered(client, "resa"), Ceremony(counter=7)) for client in clients]
    answers = together(4, lambda n: send(clients[n], signed[n]))
    assert sorted(answer["error"] for answer in answers) == [0, 1, 1, 1]


@pytest.mark.every_kind
def test_apples_counter_stays_nought_for_many_at_once(world: World) -> None:
    device = Authenticator(counts=False)
    register(at_host(logged_in(world, "resa")), device)
    clients = [anybody(world) for _ in range(4)]
    signed = [device.signs(offered(client, "resa")) for client in clients]
    assert together(4, lambda n: send(clients[n], signed[n])) == [AUTHENTICATED] * 4


def test_a_panels_counter_came_from_the_client_and_is_not_believed_once(sqlite_world: World) -> None:
    device = php_device(sqlite_world, counter=2**31 - 1)
    assert log_in(anybody(sqlite_world), device, "resa", Ceremony(counter=3)) == AUTHENTICATED
    assert log_in(anybody(sqlite_world), device, "resa", Ceremony(counter=3)) == INVALID
    assert log_in(anybody(sqlite_world), device, "resa", Ceremony(counter=4)) == AUTHENTICATED


def php_device(world: World, **values: Any) -> Authenticator:
    """A passkey of resa as a PHP panel stored it."""
    device = Authenticator()
    device.registers({"rp": {"id": HOST}, "user": {"id": "Ml9yZXNh"}, "challenge": b64(bytes(32))})
    store(world, 2, device.spki, credential_id=b64(device.credential_id), **values)
    return device


# registering


def test_both_algorithms_and_both_paths(sqlite_world: World) -> None:
    for prefix in ("/", "/api/"):
        for is_rsa in (False, True):
            device = Authenticator(is_rsa=is_rsa)
            assert register(at_host(logged_in(sqlite_world, "obs")), device, path=prefix) == REGISTERED
            assert log_in(anybody(sqlite_world), device, "obs", path=prefix) == AUTHENTICATED


@pytest.mark.parametrize(
    "ceremony",
    [
        Ceremony(origin="https://evil.example"),
        Ceremony(rp_id="evil.example"),
        Ceremony(kind="webauthn.get"),
        Ceremony(flags=VERIFIED),
    ],
    ids=["origin", "host", "kind", "absent"],
)
def test_a_registration_made_elsewhere_is_refused(sqlite_world: World, resa: Client, ceremony: Ceremony) -> None:
    assert register(resa, Authenticator(), ceremony) == UNVERIFIED
    assert rows(sqlite_world) == []


@pytest.mark.parametrize("half", ["client_data_json", "attestation_object"])
@pytest.mark.parametrize("value", ["", "!", "AAAA"])
def test_half_a_proof_is_none(sqlite_world: World, resa: Client, half: str, value: str) -> None:
    sent = Authenticator().registers(resa.get("/webauthn_register.php").json()) | {half: value}
    answer = resa.post("/webauthn_register.php", sent, "json").json()
    assert (answer["error"], answer["code"] in (2, 6)) == (1, True)
    assert rows(sqlite_world) == []


def test_a_challenge_is_for_its_session_and_for_five_minutes(sqlite_world: World, resa: Client) -> None:
    device = Authenticator()
    sent = device.registers(resa.get("/webauthn_register.php").json())
    other = at_host(logged_in(sqlite_world, "resa"))
    assert other.post("/webauthn_register.php", sent, "json").json() == EXPIRED
    expire(sqlite_world)
    assert resa.post("/webauthn_register.php", sent, "json").json() == EXPIRED
    assert register(resa, device) == REGISTERED
    client = anybody(sqlite_world)
    signed = device.signs(offered(client, "resa"))
    expire(sqlite_world)
    assert send(client, signed) == EXPIRED
    offered(client, "resa")
    assert len(sqlite_world.rows(sa.select(PasskeyChallenge.challenge))) == 1


def expire(world: World) -> None:
    """Five minutes pass."""
    sooner = PasskeyChallenge.expires_at - LIFETIME_SECONDS - 1
    world.execute(sa.update(PasskeyChallenge).values(expires_at=sooner))


def test_several_registrations_may_be_under_way(resa: Client) -> None:
    first, second = (resa.get("/webauthn_register.php").json() for _ in range(2))
    device = Authenticator()
    assert resa.post("/webauthn_register.php", device.registers(first), "json").json() == REGISTERED
    # a success clears the list
    assert resa.post("/webauthn_register.php", Authenticator().registers(second), "json").json() == EXPIRED


@pytest.mark.every_kind
def test_one_credential_registered_many_times_at_once_is_there_once(world: World) -> None:
    client = at_host(logged_in(world, "resa"))
    device = Authenticator()
    sent = [
        device.registers(client.get("/webauthn_register.php").json(), anew=device.credential_id is None)
        for _ in range(4)
    ]
    answers = together(4, lambda n: client.post("/webauthn_register.php", sent[n], "json").json())
    assert [answer["error"] for answer in answers].count(0) == 1
    assert all(answer in (REGISTERED, ALREADY, EXPIRED) for answer in answers)
    assert len(rows(world)) == 1


@pytest.mark.parametrize("encoding", ["json", "form", "multipart"])
def test_every_encoding_is_read(sqlite_world: World, resa: Client, encoding: str) -> None:
    device = Authenticator()
    sent = device.registers(resa.get("/webauthn_register.php").json())
    assert resa.post("/webauthn_register.php", sent, encoding).json() == REGISTERED
    client = anybody(sqlite_world)
    signed = device.signs(offered(client, "resa"))
    assert client.post("/webauthn_authenticate.php", signed, encoding).json() == AUTHENTICATED


def test_json_under_curls_default_type(sqlite_world: World, resa: Client) -> None:
    resa.get("/webauthn_register.php")
    body = (
        '{"credential_id":"base64-encoded-credential-id","public_key":"base64-encoded-public-key",'
        '"device_name":"iPhone 15 Pro"}'
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = resa.request("POST", "/api/webauthn_register.php", data=body, headers=headers).json()
    assert answer == REGISTERED
    [row] = rows(sqlite_world)
    assert (row["public_key"], row["device_name"]) == ("base64-encoded-public-key", "iPhone 15 Pro")
    # kept, as the document promises, but it can never log anybody in
    assert offered(anybody(sqlite_world), "resa") == NONE
    removed = resa.request("DELETE", "/webauthn_manage.php", json={"credential_id": row["id"]}).json()
    assert removed["error"] == 0


def test_the_short_form_with_a_real_key_logs_in(sqlite_world: World, resa: Client) -> None:
    device = Authenticator()
    sent = device.registers(resa.get("/webauthn_register.php").json())
    short = {name: sent[name] for name in ("credential_id", "public_key", "device_name")}
    assert resa.post("/webauthn_register.php", short, "json").json() == REGISTERED
    assert log_in(anybody(sqlite_world), device, "resa", Ceremony(counter=9)) == AUTHENTICATED
    assert log_in(anybody(sqlite_world), device, "resa", Ceremony(counter=9)) == INVALID


def test_a_strict_panel_takes_no_short_form(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SECURITY_STRICT_PASSKEYS="yes"))
    client = at_host(logged_in(world, "resa"))
    sent = Authenticator().registers(client.get("/webauthn_register.php").json())
    short = {name: sent[name] for name in ("credential_id", "public_key", "device_name")}
    assert client.post("/webauthn_register.php", short, "json").json() == UNVERIFIED
    assert register(client, Authenticator()) == REGISTERED


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "Missing field: credential_id"),
        ({"credential_id": " ", "public_key": "x"}, "Missing field: credential_id"),
        ({"credential_id": "AAAA"}, "Missing field: public_key"),
        ({"credential_id": "AAAA", "public_key": None}, "Missing field: public_key"),
        ({"credential_id": "AAAA", "public_key": ""}, "Missing field: public_key"),
        ({"credential_id": "a", "public_key": "x"}, "Invalid value for credential_id: expected base64 of at most"),
        ({"credential_id": "A" * 1368, "public_key": "x"}, "Invalid value for credential_id: expected base64"),
        ({"credential_id": "AAAA", "public_key": "x" * 16385}, "Invalid value for public_key: at most 16384 char"),
        ({"credential_id": ["AAAA"], "public_key": "x"}, "Invalid value for credential_id: expected text"),
        ({"credential_id": "AAAA", "public_key": {"a": 1}}, "Invalid value for public_key: expected text"),
    ],
)
def test_bad_registrations_are_told_which_field(
    sqlite_world: World, resa: Client, fields: dict[str, Any], text: str
) -> None:
    resa.get("/webauthn_register.php")
    answer = resa.post("/webauthn_register.php", fields, "json").json()
    assert (answer["error"], answer["code"]) == (1, 6)
    assert answer["message"].startswith(text)
    assert rows(sqlite_world) == []


@pytest.mark.parametrize("name", ["credential_id", "authenticator_data", "client_data_json", "signature"])
def test_a_login_that_lacks_a_field_is_told(sqlite_world: World, name: str) -> None:
    sent = {key: value for key, value in vector.LOGIN.items() if key != name}
    assert send(anybody(sqlite_world), sent) == refused(f"Missing field: {name}", 6)


UNREADABLE = "The request body cannot be read: it "


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "Missing field: credential_id"),
        ("{", f"{UNREADABLE}is not valid JSON"),
        ("[1]", f"{UNREADABLE}must be a JSON object"),
        ("null", f"{UNREADABLE}must be a JSON object"),
    ],
)
@pytest.mark.parametrize("name", ["webauthn_register", "webauthn_authenticate"])
def test_broken_bodies_are_told_as_such(resa: Client, name: str, body: str, text: str) -> None:
    answer = resa.request("POST", f"/{name}.php", data=body, headers={"Content-Type": "application/json"}).json()
    assert answer == refused(text, 6)


@pytest.mark.parametrize("value", [True, "x", 1.5, [1], {"a": 1}, 2**40, -(2**40)])
def test_no_such_number_of_a_passkey(resa: Client, device: Authenticator, value: object) -> None:
    answer = resa.request("DELETE", "/webauthn_manage.php", json={"credential_id": value}).json()
    assert (answer["error"], answer["code"]) == (1, 6)
    assert "credential_id" in answer["message"]
    assert resa.get("/webauthn_manage.php").json()["count"] == 1


def test_a_user_has_only_so_many(sqlite_world: World, resa: Client) -> None:
    store_many = [{"user_id": 2, "credential_id": b64(b"%d" % n), "public_key": "x"} for n in range(MOST_PER_USER)]
    sqlite_world.insert(WebauthnCredential, store_many)
    answer = register(resa, Authenticator())
    assert answer == refused("There are already 50 biometrics; please remove one first", 1)
    assert len(rows(sqlite_world)) == MOST_PER_USER
    assert sqlite_world.rows(sa.select(Passkey.credential_hash)) == []


# names of devices, which pages insert as HTML


def test_a_devices_name_is_harmless_on_the_way_in_and_out(sqlite_world: World, resa: Client) -> None:
    device = Authenticator()
    sent = device.registers(resa.get("/webauthn_register.php").json())
    sent["device_name"] = "<img src=x onerror='a'>\n\"&" + "x" * 300
    resa.post("/webauthn_register.php", sent, "json")
    [row] = rows(sqlite_world)
    assert row["device_name"] == ("img src=x onerror=a" + "x" * 300)[:255]
    store(sqlite_world, 2, device_name="<b>Mac</b>", created_at=datetime.fromisoformat("2020-01-01"))
    listed = resa.get("/webauthn_manage.php").json()["credentials"]
    assert [listed[1]["device_name"], listed[1]["created_at"]] == ["&lt;b&gt;Mac&lt;/b&gt;", "2020-01-01 00:00:00"]


def test_a_device_without_a_name(sqlite_world: World, resa: Client) -> None:
    sent = Authenticator().registers(resa.get("/webauthn_register.php").json()) | {"device_name": " <> "}
    resa.post("/webauthn_register.php", sent, "json")
    assert rows(sqlite_world)[0]["device_name"] == "Unknown Device"


# what is written down


def test_registering_and_removing_are_audited(sqlite_world: World, resa: Client, device: Authenticator) -> None:
    [row] = rows(sqlite_world)
    resa.request("DELETE", "/webauthn_manage.php", json={"credential_id": row["id"]})
    entries = sqlite_world.rows(sa.select(AuditEntry.__table__).order_by(AuditEntry.id))
    assert [(e["action"], e["target_type"], e["target_id"], e["target_name"], e["username"]) for e in entries] == [
        ("create", "webauthn_credential", str(row["id"]), "Windows", "resa"),
        ("delete", "webauthn_credential", str(row["id"]), "Windows", "resa"),
    ]


def test_a_removed_user_leaves_no_passkey(sqlite_world: World, device: Authenticator) -> None:
    offered(anybody(sqlite_world), "resa")
    sqlite_world.execute("DELETE FROM _accounts")
    answer = logged_in(sqlite_world, "admin").post("/remove_reseller.php", {"id": 2}).json()
    assert answer["error"] == 0
    for model in (WebauthnCredential, Passkey, PasskeyChallenge):
        assert sqlite_world.rows(sa.select(model.__table__)) == []


def test_a_user_who_is_gone_logs_in_no_more(sqlite_world: World, device: Authenticator) -> None:
    client = anybody(sqlite_world)
    sent = device.signs(offered(client, "resa"))
    sqlite_world.execute(sa.delete(User).where(User.id == 2))
    assert send(client, sent) == EXPIRED


# throttling


@pytest.fixture
def strict(make_world: MakeWorld) -> World:
    return fill_chapter_10(make_world("sqlite", SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE="5"))


def test_attempts_are_throttled_like_passwords(strict: World) -> None:
    device = Authenticator()
    register(at_host(logged_in(strict, "resa")), device)
    client = anybody(strict)
    statuses = []
    for _ in range(7):
        sent = device.signs(offered(client, "resa")) | {"signature": "AAAA"}
        statuses.append(client.post("/webauthn_authenticate.php", sent, "json").status_code)
    assert statuses == [200] * 5 + [429] * 2
    # of one counter with passwords, either way
    assert client.post("/login.php", {"username": "resa", "password": "resa-pass"}).status_code == 429
    assert log_in(client, device, "resa")["error"] == 1


def test_guessing_challenges_is_throttled_too(strict: World) -> None:
    client = anybody(strict)
    statuses = [client.post("/webauthn_authenticate.php", vector.LOGIN, "json").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_a_login_page_may_ask_often_but_not_without_end(strict: World) -> None:
    client = anybody(strict)
    statuses = {client.get("/webauthn_authenticate.php?username=x").status_code for _ in range(CHALLENGES_PER_MINUTE)}
    assert statuses == {200}
    response = client.get("/webauthn_authenticate.php?username=x")
    assert (response.status_code, response.json()["error"]) == (429, 1)
    assert int(response.headers["Retry-After"]) > 0


# hosts and proxies


def test_by_ip_address_every_endpoint_says_why_not(sqlite_world: World) -> None:
    resa, client = logged_in(sqlite_world, "resa"), sqlite_world.client()
    assert resa.get("/webauthn_register.php").json() == NEEDS_NAME
    assert resa.post("/webauthn_register.php", vector.REGISTRATION, "json").json() == NEEDS_NAME
    assert client.get("/webauthn_authenticate.php?username=resa").json() == NEEDS_NAME
    assert send(client, vector.LOGIN) == NEEDS_NAME
    # one's list can be seen and shortened all the same
    assert resa.get("/webauthn_manage.php").json()["error"] == 0


PROXIES: dict[str, tuple[dict[str, str], dict[str, str], Ceremony]] = {
    "the proxy passes the host": ({}, {"Host": HOST}, Ceremony()),
    "with the port written out": ({}, {"Host": f"{HOST}:443"}, Ceremony()),
    "on another port": ({}, {"Host": f"{HOST}:8443"}, Ceremony(origin=f"{ORIGIN}:8443")),
    "it forwards the host": (
        {"SHOWBOX_SERVER_TRUSTED_PROXIES": "127.0.0.1"},
        {"Host": "10.0.0.7:8000", "X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https"},
        Ceremony(),
    ),
    "it forwards host and port": (
        {"SHOWBOX_SERVER_TRUSTED_PROXIES": "127.0.0.1"},
        {"Host": "10.0.0.7", "X-Forwarded-Host": f"{HOST}:443"},
        Ceremony(),
    ),
    "the address is configured": (
        {"SHOWBOX_SECURITY_PUBLIC_URL": f"{ORIGIN}/"},
        {"Host": "10.0.0.7:8000"},
        Ceremony(),
    ),
}


@pytest.mark.parametrize("name", PROXIES)
def test_behind_a_proxy(make_world: MakeWorld, name: str) -> None:
    settings, headers, ceremony = PROXIES[name]
    world = fill_chapter_10(make_world("sqlite", **settings))
    client = Client(world.url, logged_in(world, "resa").cookies, headers)
    device = Authenticator()
    assert register(client, device, ceremony) == REGISTERED
    assert log_in(Client(world.url, headers=headers), device, "resa", ceremony) == AUTHENTICATED


def test_a_forwarded_host_is_believed_of_trusted_proxies_only(sqlite_world: World) -> None:
    client = Client(sqlite_world.url, logged_in(sqlite_world, "resa").cookies, {"X-Forwarded-Host": HOST})
    assert client.get("/webauthn_register.php").json() == NEEDS_NAME


def test_cross_site_requests_are_refused(sqlite_world: World, resa: Client, device: Authenticator) -> None:
    evil = {"Origin": "https://evil.example"}
    for method, path in [
        ("POST", "/webauthn_register.php"),
        ("POST", "/webauthn_authenticate.php"),
        ("DELETE", "/webauthn_manage.php?credential_id=1"),
    ]:
        assert resa.request(method, path, json=vector.LOGIN, headers=evil).status_code == 403
    assert len(rows(sqlite_world)) == 1


# the session that is shared with PHP


MIRRORED = (
    r'webauthn_auth_challenge\|s:44:"([A-Za-z0-9+/]{43}=)";sbx_wa_auth\|s:44:"\1";webauthn_auth_username\|s:4:"Resa";'
)


def test_php_finds_our_challenges_in_the_session(sqlite_world: World, resa: Client, device: Authenticator) -> None:
    client = anybody(sqlite_world)
    challenge = offered(client, " Resa ")["challenge"]
    match = re.fullmatch(MIRRORED, sqlite_world.session_file(client.session_id).read_text())
    assert match is not None
    assert match[1] == challenge
    newest = offered(client, "resa")["challenge"]
    assert newest in sqlite_world.session_file(client.session_id).read_text()
    registering = resa.get("/webauthn_register.php").json()["challenge"]
    assert f'webauthn_challenge|s:44:"{registering}";' in sqlite_world.session_file(resa.session_id).read_text()
    register(resa, Authenticator())
    assert "webauthn_challenge" not in sqlite_world.session_file(resa.session_id).read_text()


def test_our_challenge_in_the_session_is_no_second_chance(sqlite_world: World, device: Authenticator) -> None:
    device.counts = False
    client = anybody(sqlite_world)
    sent = device.signs(offered(client, "resa"))
    mirrored = sqlite_world.session_file(client.session_id).read_bytes()
    assert send(client, sent) == AUTHENTICATED
    again = at_host(sqlite_world.php_session(mirrored))
    assert send(again, sent) == EXPIRED
    expire(sqlite_world)
    assert send(again, sent) == EXPIRED
    # nor for a session whose mark somebody dropped, while we still know that it was used
    sqlite_world.execute(sa.update(PasskeyChallenge).values(expires_at=2**31 - 1))
    unmarked = mirrored.replace(b"sbx_wa_auth", b"sbx_unknown")
    assert send(at_host(sqlite_world.php_session(unmarked)), sent) == EXPIRED


def _php_login(world: World, challenge: bytes, **more: str) -> Client:
    keys = {"webauthn_auth_challenge": base64.b64encode(challenge).decode(), "webauthn_auth_username": "RESA "} | more
    return at_host(world.php_session(php_encode(keys)))


def test_a_ceremony_that_php_began_is_finished_here_once(sqlite_world: World) -> None:
    device = php_device(sqlite_world)
    client = _php_login(sqlite_world, bytes(range(32)))
    file = sqlite_world.session_file(client.session_id).read_bytes()
    sent = device.signs({"challenge": b64(bytes(range(32)))})
    assert send(client, sent) == AUTHENTICATED
    assert client.get("/get_user_info.php").json()["user"]["username"] == "resa"
    assert send(at_host(sqlite_world.php_session(file)), sent) == EXPIRED


def test_a_challenge_that_php_gave_out_long_ago_counts_no_more(sqlite_world: World) -> None:
    device = php_device(sqlite_world)
    client = _php_login(sqlite_world, bytes(32))
    sent = device.signs({"challenge": b64(bytes(32))})
    with sqlite_world.later(LIFETIME_SECONDS + 1):
        assert send(client, sent) == EXPIRED


@pytest.mark.parametrize("username", ["nobody", ""])
def test_a_challenge_that_php_gave_to_nobody(sqlite_world: World, username: str) -> None:
    device = php_device(sqlite_world)
    client = _php_login(sqlite_world, bytes(32), webauthn_auth_username=username)
    assert send(client, device.signs({"challenge": b64(bytes(32))})) == EXPIRED


def test_a_registration_that_php_began_is_finished_here(sqlite_world: World) -> None:
    challenge = b64(bytes(range(32)))
    client = at_host(sqlite_world.php_login("resa", webauthn_challenge=challenge))
    options = {"rp": {"id": HOST}, "user": {"id": "Ml9yZXNh"}, "challenge": challenge}
    assert client.post("/webauthn_register.php", Authenticator().registers(options), "json").json() == REGISTERED
    assert client.post("/webauthn_register.php", Authenticator().registers(options), "json").json() == EXPIRED


def test_a_late_question_of_the_page_undoes_no_login(sqlite_world: World, device: Authenticator) -> None:
    client = anybody(sqlite_world)
    offer = offered(client, "resa")
    late = Client(client.url, dict(client.cookies), client.headers)
    assert send(client, device.signs(offer)) == AUTHENTICATED
    response = late.get("/webauthn_authenticate.php?username=resa")
    assert response.json()["biometric_available"] is True
    assert "Set-Cookie" not in response.headers
    during = client.get("/webauthn_authenticate.php?username=resa")
    assert "Set-Cookie" not in during.headers
    assert client.get("/get_user_info.php").json()["user"]["username"] == "resa"


def test_where_no_files_are_shared_a_question_makes_no_session(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SESSION_STORE="sql"))
    device = Authenticator()
    register(at_host(logged_in(world, "resa")), device)
    client = anybody(world)
    sent = device.signs(offered(client, "resa"))
    assert client.cookies == {}
    assert send(client, sent) == AUTHENTICATED
    assert client.get("/get_user_info.php").json()["error"] == 0


# passkeys of a PHP panel


def test_rows_of_php_may_be_made_to_register_again(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SECURITY_PHP_PASSKEYS="no"))
    php_device(world)
    assert offered(anybody(world), "resa") == NONE
    own, resa = Authenticator(), at_host(logged_in(world, "resa"))
    assert register(resa, own) == REGISTERED
    assert len(offered(anybody(world), "resa")["allowCredentials"]) == 1
    assert log_in(anybody(world), own, "resa") == AUTHENTICATED
    assert resa.get("/webauthn_manage.php").json()["count"] == 2


def test_the_operator_sees_which_passkeys_nobody_verified(sqlite_world: World) -> None:
    device = php_device(sqlite_world, created_at=datetime.fromisoformat("2025-01-02 03:04:05"))
    store(sqlite_world, 3, "")
    register(at_host(logged_in(sqlite_world, "noname")), Authenticator())
    seen = CliRunner().invoke(user_command(sqlite_world.panel), ["passkeys"]).output.splitlines()
    assert seen[0].startswith("obs: Mac, ")
    assert seen[0].endswith(", has no usable key")
    assert seen[1:] == ["resa: Mac, 2025-01-02 03:04:05, can log in", "2 passkeys that were not verified here."]
    assert log_in(anybody(sqlite_world), device, "resa") == AUTHENTICATED
    again = CliRunner().invoke(user_command(sqlite_world.panel), ["passkeys"]).output
    assert again.endswith("1 passkeys that were not verified here.\n")


@pytest.mark.parametrize("stored_id", ["abcde", "é", "", "!!!!"])
def test_an_undecodable_id_is_not_offered_and_hides_no_other(
    sqlite_world: World, device: Authenticator, stored_id: str
) -> None:
    store(sqlite_world, 2, credential_id=stored_id)
    offer = offered(anybody(sqlite_world), "resa")
    assert [item["id"] for item in offer["allowCredentials"]] == [b64(device.credential_id)]
    assert offer["allowCredentials"][0] == {
        "type": "public-key",
        "id": b64(device.credential_id),
        "transports": ["internal"],
    }


@pytest.mark.parametrize("spelling", ["padded", "standard"])
def test_whatever_spelling_php_stored_the_same_credential_is_not_registered_twice(
    sqlite_world: World, resa: Client, spelling: str
) -> None:
    device = Authenticator()
    sent = device.registers(resa.get("/webauthn_register.php").json())
    stored = sent["credential_id"] + "="
    if spelling == "standard":
        stored = stored.replace("-", "+").replace("_", "/")
    store(sqlite_world, 3, device.spki, credential_id=stored)
    assert resa.post("/webauthn_register.php", sent, "json").json() == ALREADY
    assert log_in(anybody(sqlite_world), device, "obs") == AUTHENTICATED


@pytest.mark.every_kind
def test_ids_that_differ_by_case_alone_are_two(world: World) -> None:
    client = at_host(logged_in(world, "resa"))
    for text in ("AAAAAAAA", "aaaaaaaa"):
        client.get("/webauthn_register.php")
        short = {"credential_id": text, "public_key": vector.PUBLIC_KEY}
        assert client.post("/webauthn_register.php", short, "json").json() == REGISTERED
    assert client.get("/webauthn_manage.php").json()["count"] == 2


def test_a_panel_without_the_table_has_no_passkeys(
    sqlite_world: World, resa: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = sqlite_world.panel.layout
    columns = {name: known for name, known in layout.columns.items() if name != "_webauthn_credentials"}
    monkeypatch.setattr(sqlite_world.panel, "_layout", Layout(columns, layout.origin))
    none_yet = refused("This database has no table for passkeys yet; run the database upgrade first", 7)
    assert resa.get("/webauthn_register.php").json() == none_yet
    assert resa.post("/webauthn_register.php", vector.REGISTRATION, "json").json() == none_yet
    assert offered(resa, "resa") == NONE
    assert resa.get("/webauthn_manage.php").json() == {"error": 0, "err_msg": "", "credentials": [], "count": 0}
    assert resa.request("DELETE", "/webauthn_manage.php", json={"credential_id": 1}).json() == NOT_YOURS
