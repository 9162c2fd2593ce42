"""The golden cases 43 to 51 of contract chapter 10 (passkeys), numbered as there, on every database."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import LoginHistory, Passkey, PasskeyChallenge, WebauthnCredential
from tests.worlds import passkey_vector as vector
from tests.worlds.authenticators import Authenticator, at_host, offered, register, send
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES, Client, World
from tests.worlds.logged_in import logged_in

REGISTERED = {"error": 0, "err_msg": "", "message": "Biometric registered successfully"}
AUTHENTICATED = {"error": 0, "err_msg": "", "message": "Authentication successful"}


def refused(text: str, code: int) -> dict[str, Any]:
    return {"error": 1, "err_msg": text, "message": text, "code": code}


INVALID = refused("Invalid credentials", 2)
EXPIRED = refused("This attempt has expired, please try again", 2)
ALREADY = refused("This biometric is already registered", 5)
UNVERIFIED = refused("This biometric could not be verified, please try again", 6)
NOT_YOURS = refused("Credential not found or does not belong to you", 4)
NONE = {
    "error": 0,
    "err_msg": "",
    "biometric_available": False,
    "message": "No biometric credentials found for this user",
}


def plant(world: World, purpose: str, challenge: str, client: Client | None = None) -> None:
    """Let the vector's challenge be outstanding, in the session of ``client`` or in none."""
    path, query = ("register", "") if purpose == "register" else ("authenticate", "?username=admin")
    (client or world.client()).get(f"/webauthn_{path}.php{query}", headers={"Host": vector.HOST})
    newest = sa.select(sa.func.max(PasskeyChallenge.issued_at)).scalar_subquery()
    [row] = world.rows(sa.select(PasskeyChallenge.challenge).where(PasskeyChallenge.issued_at == newest).limit(1))
    known = challenge.replace("+", "-").replace("/", "_").rstrip("=")
    world.execute(
        sa.update(PasskeyChallenge).where(PasskeyChallenge.challenge == row["challenge"]).values(challenge=known)
    )


def store(world: World, user_id: int = 1, public_key: str = vector.PUBLIC_KEY, **values: Any) -> None:
    """A row as a PHP panel wrote it."""
    row = {"user_id": user_id, "credential_id": vector.CREDENTIAL_ID, "public_key": public_key, "device_name": "Mac"}
    world.insert(WebauthnCredential, [row | values])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_43_what_a_browser_needs_to_register(world: World, prefix: str) -> None:
    client = at_host(logged_in(world, "admin"), "billing.example.com:8443")
    answer = client.get(f"{prefix}webauthn_register.php").json()
    challenge = answer.pop("challenge")
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", challenge)
    assert answer == {
        "error": 0,
        "err_msg": "",
        "rp": {"name": "ShowBox Billing", "id": "billing.example.com"},
        "user": {"id": "MV9hZG1pbg==", "name": "admin", "displayName": "Administrator"},
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
        "authenticatorSelection": {
            "authenticatorAttachment": "platform",
            "userVerification": "required",
            "residentKey": "preferred",
        },
        "timeout": 60000,
        "attestation": "none",
    }
    assert client.get(f"{prefix}webauthn_register.php").json()["challenge"] != challenge
    for method in ("GET", "POST"):
        assert world.client().request(method, f"{prefix}webauthn_register.php").json() == NOT_LOGGED_IN


@pytest.mark.parametrize("prefix", PREFIXES)
def test_44_the_vector_registers_once(world: World, prefix: str) -> None:
    client = at_host(logged_in(world, "admin"), vector.HOST)
    plant(world, "register", vector.REGISTRATION_CHALLENGE, client)
    post = f"{prefix}webauthn_register.php"
    assert client.post(post, vector.REGISTRATION, "json").json() == REGISTERED
    assert client.post(post, vector.REGISTRATION, "json").json() == ALREADY
    assert at_host(logged_in(world, "resa"), vector.HOST).post(post, vector.REGISTRATION, "json").json() == ALREADY
    [row] = world.rows(sa.select(WebauthnCredential.__table__))
    assert (row["user_id"], row["credential_id"], row["public_key"], row["counter"], row["device_name"]) == (
        1,
        vector.CREDENTIAL_ID,
        vector.PUBLIC_KEY,
        1,
        "Windows",
    )


def test_44_another_challenge_or_another_kind_is_refused(world: World) -> None:
    client = at_host(logged_in(world, "admin"), vector.HOST)
    client.get("/webauthn_register.php")
    assert client.post("/webauthn_register.php", vector.REGISTRATION, "json").json() == EXPIRED
    plant(world, "register", vector.LOGIN_CHALLENGE, client)
    login = vector.REGISTRATION | {"client_data_json": vector.GET_CLIENT_DATA}
    assert client.post("/webauthn_register.php", login, "json").json() == UNVERIFIED
    assert world.rows(sa.select(WebauthnCredential.id)) == []


@pytest.mark.parametrize("prefix", PREFIXES)
def test_45_the_documents_three_fields(world: World, prefix: str) -> None:
    client = at_host(logged_in(world, "admin"))
    short = {name: vector.REGISTRATION[name] for name in ("credential_id", "public_key", "device_name")}
    assert client.post(f"{prefix}webauthn_register.php", short, "json").json() == EXPIRED
    assert client.get(f"{prefix}webauthn_register.php").json()["error"] == 0
    assert client.post(f"{prefix}webauthn_register.php", short, "json").json() == REGISTERED


@pytest.mark.parametrize("prefix", PREFIXES)
def test_46_who_has_none_and_who_is_nobody_get_the_same(world: World, prefix: str) -> None:
    for username in ("nobody", "admin", " resa "):
        response = at_host(world.client()).get(f"{prefix}webauthn_authenticate.php", params={"username": username})
        assert response.json() == NONE
        assert "Set-Cookie" not in response.headers
    for query in ("", "?username=", "?username=%20"):
        answer = at_host(world.client()).get(f"{prefix}webauthn_authenticate.php{query}").json()
        assert answer == refused("Username is required", 6)
    assert world.rows(sa.select(PasskeyChallenge.challenge)) == []


@pytest.mark.parametrize("prefix", PREFIXES)
def test_47_any_outstanding_challenge_counts_and_none_twice(world: World, prefix: str) -> None:
    device = Authenticator()
    register(at_host(logged_in(world, "resa")), device, path=prefix)
    client = at_host(world.client())
    first, second = offered(client, "resa", prefix), offered(client, "RESA", prefix)
    assert first.pop("challenge") != second.pop("challenge")
    assert first == {
        "error": 0,
        "err_msg": "",
        "biometric_available": True,
        "rpId": "billing.example.com",
        "allowCredentials": second["allowCredentials"],
        "timeout": 60000,
        "userVerification": "required",
    }
    answers = [offered(client, "resa", prefix) for _ in range(2)]
    sent = device.signs(answers[0])
    assert send(client, sent, prefix) == AUTHENTICATED
    assert client.get("/get_user_info.php").json()["user"]["username"] == "resa"
    assert send(at_host(world.client()), sent, prefix) == EXPIRED
    assert send(client, sent, prefix) == EXPIRED


def test_48_a_listed_id_alone_lets_nobody_in(world: World) -> None:
    device = Authenticator()
    register(at_host(logged_in(world, "admin")), device)
    for empty in ({"signature": ""}, {"authenticator_data": ""}, {"signature": "", "authenticator_data": ""}):
        client = at_host(world.client())
        offer = offered(client, "admin")
        sent = device.signs(offer) | empty
        assert sent["credential_id"] == offer["allowCredentials"][0]["id"]
        assert send(client, sent) == INVALID
        assert client.get("/get_user_info.php").json() == NOT_LOGGED_IN


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("stored", [vector.PUBLIC_KEY, vector.ATTESTATION], ids=["key", "attestation object"])
def test_49_the_vector_logs_in(world: World, stored: str, prefix: str) -> None:
    store(world, public_key=stored)
    client = at_host(world.client(), vector.HOST)
    plant(world, "login", vector.LOGIN_CHALLENGE)
    before = client.cookies.get("PHPSESSID")
    sent = vector.LOGIN | {"counter": 4294967295}
    assert client.post(f"{prefix}webauthn_authenticate.php", sent, "json").json() == AUTHENTICATED
    assert client.session_id != before
    assert re.fullmatch(
        r'login\|i:1;username\|s:5:"admin";user_id\|i:1;super_user\|i:1;permissions\|s:13:"1\|1\|1\|1\|1\|1\|1";'
        r"last_activity\|i:\d{10};sbx_pw\|s:32:\"[0-9a-f]{32}\";sbx_started\|i:\d{10};",
        world.session_file(client.session_id).read_text(),
    )
    [row] = world.rows(sa.select(WebauthnCredential.__table__))
    assert row["counter"] == 2
    assert row["last_used"] is not None
    [known] = world.rows(sa.select(Passkey.__table__))
    assert (known["sign_count"], known["user_id"]) == (2, 1)
    [login] = world.rows(sa.select(LoginHistory.__table__))
    assert (login["login_method"], login["status"], login["user_id"]) == ("biometric", "success", 1)


def test_49_the_same_counter_again_is_a_copy(world: World) -> None:
    store(world)
    plant(world, "login", vector.LOGIN_CHALLENGE)
    assert send(at_host(world.client(), vector.HOST), vector.LOGIN) == AUTHENTICATED
    world.execute(sa.delete(PasskeyChallenge))
    plant(world, "login", vector.LOGIN_CHALLENGE)
    assert send(at_host(world.client(), vector.HOST), vector.LOGIN) == INVALID


@pytest.mark.parametrize("stored", ["", "junk", vector.PUBLIC_KEY[:-9]])
def test_50_a_row_without_a_key_is_no_passkey(world: World, stored: str) -> None:
    store(world, public_key=stored)
    assert offered(at_host(world.client(), vector.HOST), "admin") == NONE


@pytest.mark.parametrize("prefix", PREFIXES)
def test_51_ones_own_list(world: World, prefix: str) -> None:
    path = f"{prefix}webauthn_manage.php"
    client, other = at_host(logged_in(world, "admin")), at_host(logged_in(world, "resa"))
    assert client.get(path).json() == {"error": 0, "err_msg": "", "credentials": [], "count": 0}
    devices = [Authenticator(), Authenticator()]
    for device in devices:
        register(client, device)
    listed = client.get(path).json()
    assert [set(row) for row in listed["credentials"]] == [{"id", "device_name", "created_at", "last_used"}] * 2
    newest, oldest = listed["credentials"]
    assert (listed["count"], type(newest["id"]), newest["last_used"]) == (2, int, None)
    assert newest["id"] > oldest["id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", newest["created_at"])
    assert other.request("DELETE", path, json={"credential_id": oldest["id"]}).json() == NOT_YOURS
    assert client.request("DELETE", path, json={}).json() == refused("Missing field: credential_id", 6)
    removed = client.request("DELETE", path, json={"credential_id": oldest["id"]}).json()
    assert removed == {"error": 0, "err_msg": "", "message": "Biometric credential removed successfully"}
    assert client.request("DELETE", path, json={"credential_id": oldest["id"]}).json() == NOT_YOURS
    by_query = client.request("DELETE", path, params={"credential_id": str(newest["id"])}).json()
    assert by_query["error"] == 0
    assert client.get(path).json()["count"] == 0
    assert world.rows(sa.select(Passkey.credential_hash)) == []
    for method in ("GET", "DELETE"):
        assert world.client().request(method, path).json() == NOT_LOGGED_IN
