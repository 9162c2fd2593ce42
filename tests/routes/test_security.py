"""Security over HTTP: fixation, cookies, cross-site requests, throttling, ended sessions, limits, hostile input."""

import itertools
import json
import re
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compat.endpoints import Endpoint
from core.storage.tables import Credential, LoginHistory, User
from legacy_routes.app import all_endpoints
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.worlds.harness import NOT_LOGGED_IN, Client, World, legacy_hash, php_encode

ALL_PATHS = [path for endpoint in all_endpoints() for path in endpoint.paths]
CHANGING = {
    "login": {"username": "admin", "password": "admin123"},
    "update_password": {"old_pass": "admin123", "new_pass": "abcdef"},
    "change_password": {"current_password": "admin123", "new_password": "abcdef"},
    "auto_logout_settings": {"timeout": 10},
}
EVIL = {"Origin": "https://evil.example"}


# methods and unknown paths


@pytest.mark.parametrize("endpoint", all_endpoints(), ids=lambda endpoint: str(endpoint.name))
def test_methods_outside_the_declaration(sqlite_world: World, endpoint: Endpoint) -> None:
    """One view stands behind all paths of an endpoint: each meets some of the methods, in turn."""
    client = sqlite_world.client()
    outside = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if method not in endpoint.methods]
    methods, paths = itertools.cycle(outside), itertools.cycle(endpoint.paths)
    for _ in range(max(len(outside), len(endpoint.paths))):
        method, path = next(methods), next(paths)
        response = client.request(method, path)
        assert (response.status_code, response.json()["error"]) == (405, 1), (method, path)
        assert response.headers["Allow"] == endpoint.allowed, (method, path)
    response = client.request("OPTIONS", next(paths))
    assert (response.status_code, response.content, response.headers["Allow"]) == (204, b"", endpoint.allowed)
    unheard_of = client.request("BREW", next(paths))
    assert (unheard_of.status_code, unheard_of.headers["Allow"]) == (405, endpoint.allowed)
    path = next(paths)
    head = client.request("HEAD", path)
    assert head.content == b""
    assert head.status_code == (405 if not endpoint.takes("HEAD") else client.get(path).status_code)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/nothing.php", "/api/nothing.php", "/api/", "/login.php/", "/LOGIN.PHP"])
def test_unknown_paths_get_the_envelope(sqlite_world: World, method: str, path: str) -> None:
    response = sqlite_world.client().request(method, path)
    assert response.status_code == 404
    assert response.json() == {"error": 1, "err_msg": "Not found", "message": "Not found", "code": 4}


# cookies


def test_the_cookie_is_secure_behind_a_trusted_https_proxy_only(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SERVER_TRUSTED_PROXIES="127.0.0.1"))
    fields = {"username": "admin", "password": "admin123"}
    by_https = world.client(X_Forwarded_Proto="https").post("/login.php", fields)
    assert re.fullmatch(
        r"PHPSESSID=[0-9a-v]{26}; Secure; HttpOnly; Path=/; SameSite=Lax", by_https.headers["Set-Cookie"]
    )
    assert "Secure" not in world.client().post("/login.php", fields).headers["Set-Cookie"]
    untrusting = fill_chapter_10(make_world("sqlite"))
    response = untrusting.client(X_Forwarded_Proto="https").post("/login.php", fields)
    assert "Secure" not in response.headers["Set-Cookie"]


def test_a_login_drops_the_old_session_completely(sqlite_world: World) -> None:
    client = sqlite_world.php_session('login|i:1;username|s:5:"admin";left_over|s:1:"x";')
    old = client.session_id
    client.login("resa", "resa-pass")
    assert client.session_id != old
    assert not sqlite_world.session_file(old).exists()
    assert "left_over" not in sqlite_world.session_file(client.session_id).read_text()


def test_after_a_login_the_file_holds_exactly_what_php_writes(sqlite_world: World) -> None:
    client = sqlite_world.client("resa")
    path = sqlite_world.session_file(client.session_id)
    assert re.fullmatch(
        r'login\|i:1;username\|s:4:"resa";user_id\|i:2;super_user\|i:0;permissions\|s:13:"1\|1\|0\|0\|1\|0\|0";'
        # and behind it what binds the session to the password and to its age, which PHP leaves alone
        r"last_activity\|i:\d{10};sbx_pw\|s:32:\"[0-9a-f]{32}\";sbx_started\|i:\d{10};",
        path.read_text(),
    )
    assert path.stat().st_mode & 0o777 == 0o600
    observer = sqlite_world.client("obs")
    assert 'permissions|s:0:"";' in sqlite_world.session_file(observer.session_id).read_text()


def test_anonymous_requests_get_no_cookie(sqlite_world: World) -> None:
    for path in ALL_PATHS:
        assert "Set-Cookie" not in sqlite_world.client().get(path).headers
    assert list(sqlite_world.session_directory.iterdir()) == []


# cross-site requests


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize(
    "headers",
    [EVIL, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=["origin", "null", "cross-site", "same-site"],
)
def test_cross_site_posts_change_nothing(sqlite_world: World, name: str, headers: dict[str, str]) -> None:
    world = sqlite_world
    client = world.client("admin")
    response = Client(world.url, client.cookies, headers).post(f"/api/{name}.php", CHANGING[name])
    assert response.status_code == 403
    assert (response.json()["error"], response.json()["code"]) == (1, 3)
    assert "Set-Cookie" not in response.headers
    assert world.user("admin")["password"] == legacy_hash("admin123")
    assert client.get("/auto_logout_settings.php").json()["auto_logout_timeout"] == 5


@pytest.mark.parametrize("name", CHANGING)
def test_same_origin_posts_pass(sqlite_world: World, name: str) -> None:
    client = sqlite_world.client("admin")
    for headers in ({"Origin": sqlite_world.url}, {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}):
        again = Client(sqlite_world.url, dict(client.cookies), headers)
        assert again.post(f"/api/{name}.php", CHANGING[name]).status_code == 200


def test_cross_site_logout_by_image_is_refused_by_link_it_works(sqlite_world: World) -> None:
    client = sqlite_world.client("admin")
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/logout.php", headers=image).status_code == 403
    assert client.get("/get_user_info.php").json()["error"] == 0
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/logout.php", headers=link).status_code == 302


def test_a_navigation_is_no_heartbeat(sqlite_world: World) -> None:
    client = sqlite_world.client("admin")
    response = client.get("/session_heartbeat.php", headers={"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})
    assert response.status_code == 403


# throttling


@pytest.fixture
def strict(make_world: MakeWorld) -> World:
    return fill_chapter_10(
        make_world("sqlite", SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE="5", SHOWBOX_SERVER_TRUSTED_PROXIES="127.0.0.1")
    )


def _try(world: World, address: str, username: str = "admin", password: str = "wrong") -> int:
    client = world.client(X_Forwarded_For=address)
    return client.post("/login.php", {"username": username, "password": password}).status_code


def test_guessing_is_throttled_per_address(strict: World) -> None:
    assert [_try(strict, "192.0.2.1") for _ in range(7)] == [200] * 5 + [429] * 2
    assert _try(strict, "192.0.2.1", password="admin123") == 429
    assert _try(strict, "192.0.2.1", username="resa") == 429


def test_an_attack_cannot_lock_a_user_out_from_elsewhere(strict: World) -> None:
    for attacker in range(10):
        for _ in range(6):
            _try(strict, f"192.0.2.{attacker}")
    # the name is under attack: a fresh address still gets its try, and a right password is no failure
    for _ in range(3):
        strict.client("admin", X_Forwarded_For="198.51.100.7")
    # but one that fails is refused sooner than usual
    assert [_try(strict, "198.51.100.8") for _ in range(3)] == [200, 429, 429]


def test_successes_do_not_count(strict: World) -> None:
    for _ in range(8):
        strict.client("resa", X_Forwarded_For="192.0.2.50")
    assert _try(strict, "192.0.2.50") == 200


def test_an_ipv6_client_is_its_network(strict: World) -> None:
    assert [_try(strict, f"2001:db8::{n}") for n in range(1, 7)] == [200] * 5 + [429]
    assert _try(strict, "2001:db8:0:1::1") == 200


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("64:ff9b::c000:20{:x}", "64:ff9b::c000:300"),
        # Teredo: one server, and clients behind it, whose address is inverted
        ("2001:0:4136:e378:8000:63bf:3fff:fd{:x}", "2001:0:4136:e378:8000:63bf:3fff:f0ff"),
        ("::ffff:0:192.0.2.{}", "::ffff:0:192.0.3.1"),
        ("::ffff:192.0.2.{}", "::ffff:192.0.3.1"),
    ],
)
def test_10_clients_behind_a_gateway_are_not_one_client(strict: World, first: str, second: str) -> None:
    locked = first.format(16)
    assert [_try(strict, locked) for _ in range(6)] == [200] * 5 + [429]
    assert _try(strict, locked) == 429
    assert [_try(strict, first.format(17)), _try(strict, second)] == [200, 200]


def test_parallel_guesses_do_not_slip_through(strict: World) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(_try(strict, "192.0.2.77"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [429] * 15


def test_parallel_logins_of_one_office_all_pass(strict: World) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(_try(strict, "192.0.2.78", "resa", "resa-pass")))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 16
    strict.client("admin", X_Forwarded_For="192.0.2.78")


def test_wrong_old_passwords_count_as_guesses(strict: World) -> None:
    client = strict.client("resa", X_Forwarded_For="192.0.2.60")
    fields = {"current_password": "guess", "new_password": "abcdef"}
    statuses = [client.post("/change_password.php", fields).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_refused_attempts_leave_no_history(strict: World) -> None:
    for _ in range(9):
        _try(strict, "192.0.2.70")
    assert len(strict.rows(sa.select(LoginHistory.id))) == 5


def test_a_general_limit_can_be_set_and_spares_the_heartbeat(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SECURITY_REQUESTS_PER_MINUTE="3"))
    client = world.php_login("admin")
    responses = [client.get("/get_user_info.php") for _ in range(5)]
    assert [response.status_code for response in responses] == [200] * 3 + [429] * 2
    assert responses[-1].json()["error"] == 1
    assert int(responses[-1].headers["Retry-After"]) <= 61
    assert client.get("/session_heartbeat.php").json()["error"] == 0


# sessions that must end


def test_a_password_change_ends_the_other_sessions_and_keeps_the_own(world: World) -> None:
    used, own = world.client("resa"), world.client("resa")
    assert used.get("/get_user_info.php").json()["error"] == 0
    before = own.session_id
    fields = {"old_password": "resa-pass", "new_password": "abcdef"}
    assert own.post("/update_password.php", fields).json()["error"] == 0
    assert own.session_id == before
    assert own.get("/get_user_info.php").json()["error"] == 0
    assert used.get("/get_user_info.php").json() == NOT_LOGGED_IN
    assert world.client("resa", "abcdef").get("/get_user_info.php").json()["error"] == 0


def test_a_session_that_was_never_used_ends_as_well(world: World) -> None:
    unused = world.client("resa")
    path = world.session_file(unused.session_id)
    path.write_text(re.sub(r"last_activity\|i:(\d+)", lambda m: f"last_activity|i:{int(m[1]) - 5}", path.read_text()))
    world.client("resa").post("/update_password.php", {"old_password": "resa-pass", "new_password": "abcdef"})
    assert unused.get("/get_user_info.php").json() == NOT_LOGGED_IN


def test_a_password_changed_by_the_php_panel_ends_sessions_that_were_used_here(world: World) -> None:
    client = world.client("resa")
    assert client.get("/get_user_info.php").json()["error"] == 0
    world.execute(sa.update(User).where(User.id == 2).values(password=legacy_hash("changed by php")))
    assert client.get("/get_user_info.php").json() == NOT_LOGGED_IN


@pytest.mark.parametrize(
    ("username", "change"),
    [("admin", {"super_user": 0}), ("radm", {"permissions": "1|1|0|1|1"}), ("resa", {"username": "renamed"})],
    ids=["super admin", "reseller admin", "renamed"],
)
def test_demotion_and_renaming_end_sessions(world: World, username: str, change: dict[str, Any]) -> None:
    client = world.client(username)
    assert client.get("/get_user_info.php").json()["error"] == 0
    world.execute(sa.update(User).where(User.username == username).values(**change))
    assert client.get("/get_user_info.php").json() == NOT_LOGGED_IN


def test_losing_another_permission_ends_nothing(world: World) -> None:
    client = world.client("resa")
    world.execute(sa.update(User).where(User.id == 2).values(permissions="0|0|0|0|0|0|0"))
    assert client.get("/get_user_info.php").json()["user"]["permissions"] == "0|0|0|0|0|0|0"


@pytest.mark.every_kind
def test_a_rehash_at_login_ends_nothing(make_world: MakeWorld, kind: str) -> None:
    world = fill_chapter_10(make_world(kind, SHOWBOX_SECURITY_UPGRADE_PASSWORDS="yes"))
    early = world.php_login("resa", user_id=2)
    assert early.get("/get_user_info.php").json()["error"] == 0
    before = dict(early.cookies)
    assert world.user("resa")["password"] == legacy_hash("resa-pass")
    world.client("resa")
    stored = world.user("resa")["password"]
    assert stored.startswith("$argon2id$")
    assert Client(world.url, before).get("/get_user_info.php").json()["error"] == 0
    world.client("resa")
    assert world.user("resa")["password"] == stored
    [row] = world.rows(sa.select(Credential.__table__))
    assert row["changed_at"] is None
    assert world.client().post("/login.php", {"username": "resa", "password": "nope"}).json()["error"] == 1


@pytest.mark.every_kind
def test_two_changes_at_once_do_not_both_succeed(world: World) -> None:
    clients = [world.client("resa") for _ in range(2)]
    answers: list[Any] = []

    def change(client: Client, new: str) -> None:
        answers.append(client.post("/update_password.php", {"old_pass": "resa-pass", "new_pass": new}).json()["error"])

    threads = [threading.Thread(target=change, args=(client, f"abcdef{n}")) for n, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 1]


# what no answer may hold, and hostile input


def test_no_answer_shows_a_hash(sqlite_world: World) -> None:
    client = sqlite_world.client("admin")
    hashes = [row["password"] for row in sqlite_world.rows(sa.select(User.password))]
    # one function answers at all paths of an endpoint
    for path in (endpoint.paths[0] for endpoint in all_endpoints()):
        if "logout.php" in path:
            continue
        text = client.get(path).text + client.post(path, {"username": "admin", "password": "x"}).text
        assert not any(stored in text for stored in hashes)


def test_oversized_bodies(make_world: MakeWorld) -> None:
    world = make_world("sqlite", SHOWBOX_SERVER_BODY_LIMIT_MIB="0.01", SHOWBOX_SERVER_FIELDS_LIMIT="20")
    for path in ("/login.php", "/api/login.php"):
        for body, kind in (
            (b"username=" + b"x" * 11_000, "application/x-www-form-urlencoded"),
            (b'{"username":"' + b"x" * 11_000 + b'"}', "application/json"),
            (b"&".join(b"a%d=1" % n for n in range(21)), "application/x-www-form-urlencoded"),
        ):
            response = world.client().request("POST", path, data=body, headers={"Content-Type": kind})
            assert (response.status_code, response.json()["error"]) == (413, 1)


def test_a_long_password_costs_nothing(sqlite_world: World) -> None:
    response = sqlite_world.client().post("/login.php", {"username": "admin", "password": "x" * 2_000_000})
    assert response.json()["error"] == 1


@pytest.mark.parametrize("body", [b"\xff", b"username=%FF&password=x", b"username=%00"])
def test_bad_text_is_told(sqlite_world: World, body: bytes) -> None:
    response = sqlite_world.client().request(
        "POST", "/login.php", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (response.status_code, response.json()["error"], response.json()["code"]) == (200, 1, 6)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELD_NAMES = [
    *("credential_id", "public_key", "attestation_object", "client_data_json", "authenticator_data", "signature"),
    *("device_name", "action", "target_type", "date_from", "date_to", "search"),
    *("username", "password", "old_password", "old_pass", "current_password", "new_password", "new_pass"),
    *("confirm_password", "renew_pass", "timeout", "page", "per_page", "user_id", "viewAllAccounts"),
]
COOKIES = st.sampled_from(
    ["", "PHPSESSID=", "PHPSESSID=../../etc/passwd", "PHPSESSID=" + "x" * 300, "a=b; PHPSESSID=%00"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([path for path in ALL_PATHS if path.startswith("/api/")]),
    fields=st.dictionaries(st.sampled_from(FIELD_NAMES), JSON_VALUES, max_size=6),
    as_json=st.booleans(),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    logged_in=st.booleans(),
    cookie=COOKIES,
)
def test_no_input_makes_a_server_fault(
    sqlite_world: World, path: str, fields: dict[str, Any], as_json: bool, method: str, logged_in: bool, cookie: str
) -> None:
    if logged_in:
        client = sqlite_world.php_session(php_encode({"login": 1, "username": "admin", "user_id": 1}))
    else:
        client = sqlite_world.client()
        client.headers["Cookie"] = cookie
    # by IP address passkeys would end at once
    client.headers["Host"] = "billing.example.com"
    if as_json:
        options: dict[str, Any] = {"data": json.dumps(fields), "headers": {"Content-Type": "application/json"}}
    else:
        flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        options = {"params" if method == "GET" else "data": flat}
    if method == "GET":
        options.pop("data", None)
    response = client.request(method, path, **options)
    assert response.status_code < 500
    if response.content and response.headers["Content-Type"] == "application/json":
        assert response.json()["error"] in (0, 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300),
    kind=st.sampled_from(
        [
            *("application/json", "application/x-www-form-urlencoded", "text/plain", "", "multipart/form-data"),
            *("multipart/form-data; boundary=x", "application/json; charset=utf-16"),
        ]
    ),
)
def test_no_body_makes_a_server_fault(sqlite_world: World, body: bytes, kind: str) -> None:
    response = sqlite_world.client().request("POST", "/login.php", data=body, headers={"Content-Type": kind})
    assert response.status_code < 500
    assert response.json()["error"] == 1


@pytest.mark.parametrize("path", ["//login.php", "/api//login.php", "///api///login.php"])
def test_field_8_doubled_slashes_are_one_and_redirect_nowhere(sqlite_world: World, path: str) -> None:
    answer = sqlite_world.client().post(path, {"username": "admin", "password": "no"})
    assert (answer.status_code, answer.json()["code"]) == (200, 2)
