"""The golden cases of contract chapter 10 (the WebAuthn ones excepted), numbered as there, on every database."""

import os
import re
import subprocess
import sys
import time
from typing import Any

import bcrypt
import pytest
import sqlalchemy as sa

from core.storage.tables import AppSetting, AuditEntry, LoginHistory, User
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES, Client, World, legacy_hash, php_encode

COOKIE = re.compile(r"PHPSESSID=[0-9a-v]{26}; HttpOnly; Path=/; SameSite=Lax")
INVALID = {
    "error": 1,
    "err_msg": "Invalid username or password",
    "message": "Invalid username or password",
    "code": 2,
}


# login


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_01_login_in_every_encoding_at_both_paths(world: World, prefix: str, encoding: str) -> None:
    response = world.client().post(f"{prefix}login.php", {"username": "admin", "password": "admin123"}, encoding)
    answer = response.json()
    assert next(iter(answer)) == "error"
    assert answer == {
        "error": 0,
        "err_msg": "",
        "message": "Logged in",
        "user": {
            "id": 1,
            "username": "admin",
            "full_name": "Administrator",
            "email": "admin@example.com",
            "super_user": 1,
            "currency": "GBP",
            "balance": 1000.0,
        },
    }
    assert COOKIE.fullmatch(response.headers["Set-Cookie"])
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store, no-cache, must-revalidate"


def test_01_json_in_the_content_type_that_curl_sends_by_default(world: World) -> None:
    response = world.client().request(
        "POST",
        "/login.php",
        data='{"username":"admin","password":"admin123"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.json()["error"] == 0


def test_02_blanks_and_case_do_not_count_and_the_stored_spelling_is_kept(world: World) -> None:
    client = world.client()
    answer = client.post("/api/login.php", {"username": " ADMIN ", "password": " admin123 "}, "multipart").json()
    assert answer["error"] == 0
    assert answer["message"]
    assert 'username|s:5:"admin";' in world.session_file(client.session_id).read_text()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_03_wrong_password(world: World, encoding: str) -> None:
    response = world.client().post("/api/login.php", {"username": "admin", "password": "wrong"}, encoding)
    assert response.status_code == 200
    assert response.json() == INVALID
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"username":', "application/json"), (b"[1]", "application/json"), (b"{broken", "text/plain")],
)
def test_9_a_broken_body_at_login_says_so_and_is_no_failed_attempt(
    world: World, body: bytes, content_type: str
) -> None:
    response = world.client().request("POST", "/login.php", data=body, headers={"Content-Type": content_type})
    assert (response.json()["code"], "JSON" in response.json()["message"]) == (6, True)
    assert world.rows(sa.select(LoginHistory.id)) == []


def test_04_an_empty_body_is_wrong_credentials(world: World) -> None:
    assert world.client().request("POST", "/login.php", data=b"").json() == INVALID


def test_05_an_id_that_the_client_invented_is_never_adopted(world: World) -> None:
    client = Client(world.url, {"PHPSESSID": "attackerchosenattackerchosen"})
    client.login("admin", "admin123")
    assert client.session_id != "attackerchosenattackerchosen"
    assert not world.session_file("attackerchosenattackerchosen").exists()


def test_06_bcrypt_and_md5_rows(world: World) -> None:
    hashed = bcrypt.hashpw(b"abcdef", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    world.execute(sa.update(User).where(User.id == 2).values(password=hashed))
    world.client("resa", "abcdef")
    world.client("admin", "admin123")


def test_07_the_sixth_failure_within_a_minute_is_still_json(make_world: MakeWorld, kind: str) -> None:
    world = fill_chapter_10(make_world(kind, SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE="5"))
    answers = [world.client().post("/login.php", {"username": "admin", "password": "x"}) for _ in range(6)]
    assert [answer.json()["error"] for answer in answers] == [1] * 6
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].json()["message"] == answers[-1].json()["err_msg"]


# session sharing with PHP


def test_08_a_session_of_panel_1_7_9(world: World) -> None:
    client = world.php_session('login|i:1;username|s:5:"admin";')
    answer = client.get("/get_user_info.php").json()
    assert (answer["error"], answer["user"]["id"]) == (0, 1)


def test_09_a_heartbeat_changes_the_activity_and_leaves_foreign_keys_alone(world: World) -> None:
    now = int(time.time())
    before = (
        'login|i:1;username|s:5:"admin";user_id|i:1;super_user|i:1;permissions|s:13:"1|1|1|1|1|1|1";'
        f'x|a:1:{{i:0;s:3:"a|b";}}last_activity|i:{now - 20};'
    )
    client = world.php_session(before)
    assert client.request("POST", "/session_heartbeat.php").json()["error"] == 0
    after = world.session_file(client.session_id).read_text()
    match = re.search(r"last_activity\|i:(\d+);", after)
    assert match is not None
    assert now <= int(match[1]) <= now + 5
    kept, _, ours = after.partition(match[0])
    assert kept + f"last_activity|i:{now - 20};" == before
    # behind the panel's keys stand only our own
    assert re.findall(r"(\w+)\|", ours) == ["sbx_started", "sbx_pw", "sbx_idle"]


def test_10_unreadable_sessions_and_deleted_users_are_not_logged_in(world: World) -> None:
    garbage = world.php_session("login|garbage")
    assert garbage.get("/get_user_info.php").json() == NOT_LOGGED_IN
    assert world.session_file(garbage.session_id).read_text() == "login|garbage"
    ghost = world.php_session(php_encode({"login": 1, "username": "ghost"}))
    assert ghost.get("/get_user_info.php").json() == NOT_LOGGED_IN
    assert not world.session_file("k3v9x0a7b2c4dk3v9x0a7b2c4d").exists()
    loose = world.php_session('login|s:1:"1";username|s:5:"ADMIN";user_id|s:1:"1";super_user|N;')
    assert loose.get("/get_user_info.php").json()["error"] == 0


# PHP, which holds its file for a second
_WRITE_UNDER_LOCK = """
import fcntl, sys, time
with open(sys.argv[1], "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    time.sleep(1)
    file.write(sys.argv[2])
    file.truncate()
"""


def test_11_a_locked_file_is_waited_for_and_then_read(sqlite_world: World) -> None:
    client = sqlite_world.php_session('login|i:1;username|s:5:"admin";')
    path = sqlite_world.session_file(client.session_id)
    command = [sys.executable, "-IS", "-c", _WRITE_UNDER_LOCK, str(path), 'login|i:1;username|s:4:"resa";']
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        started = time.monotonic()
        answer = client.get("/get_user_info.php").json()
        assert time.monotonic() - started > 0.5
    assert other.returncode == 0
    assert answer["user"]["username"] == "resa"


def test_12_a_user_id_that_is_not_the_name_s(world: World) -> None:
    client = world.php_session(php_encode({"login": 1, "username": "admin", "user_id": 99}))
    assert client.get("/get_user_info.php").json() == NOT_LOGGED_IN


# user info


@pytest.mark.parametrize(
    "path", ["/get_user_info.php", "/api/get_user_info.php", "/api/get_user_info.php?viewAllAccounts=true"]
)
def test_13_a_reseller_s_own_data(world: World, path: str) -> None:
    response = world.client("resa").get(path)
    user = response.json()["user"]
    assert user["is_reseller_admin"] is False
    assert user["balance"] == 12.5
    assert isinstance(user["balance"], float)
    assert response.json()["total_accounts"] == 2
    assert "password" not in response.text
    assert (user["id"], user["name"], user["full_name"]) == (2, "Res A", "Res A")
    assert (user["currency"], user["currency_id"], user["currency_name"]) == ("GBP", "GBP", "GBP")


def test_14_a_reseller_admin_sees_all_accounts_on_request(world: World) -> None:
    client = world.client("radm")
    totals = {
        value: client.get("/get_user_info.php", params={"viewAllAccounts": value}).json()["total_accounts"]
        for value in ("true", "1", "TRUE", "false", "")
    }
    # the contract's README settles that 1 counts as well
    assert totals == {"true": 4, "1": 4, "TRUE": 0, "false": 0, "": 0}
    assert client.get("/get_user_info.php").json()["user"]["is_reseller_admin"] is True


def test_15_observer_and_user_without_a_name(world: World) -> None:
    answer = world.client("obs").get("/get_user_info.php").json()
    assert answer["user"]["is_observer"] == 1
    assert answer["user"]["permissions"] in (None, "")
    assert answer["total_accounts"] == 4
    assert world.client("noname").get("/get_user_info.php").json()["user"]["name"] == "noname"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_16_no_cookie(world: World, prefix: str) -> None:
    response = world.client().get(f"{prefix}get_user_info.php")
    assert (response.status_code, response.json()) == (200, NOT_LOGGED_IN)


def test_currency_irt_is_shown_as_irr_and_an_unknown_one_by_its_code(world: World) -> None:
    world.execute(sa.update(User).where(User.id == 2).values(currency_id="IRT"))
    world.execute(sa.update(User).where(User.id == 5).values(currency_id="XAU"))
    user = world.client("resa").get("/get_user_info.php").json()["user"]
    assert (user["currency"], user["currency_name"]) == ("IRR", "IRR")
    assert world.client("noname").get("/get_user_info.php").json()["user"]["currency_name"] == "XAU"


# logout


def test_17_logout_redirects_and_ends_the_session(world: World) -> None:
    client = world.client("admin")
    old = dict(client.cookies)
    response = client.get("/logout.php", headers={"Accept": "*/*"})
    assert (response.status_code, response.headers["Location"]) == (302, "/index.html")
    assert response.json() == {"error": 0, "err_msg": "", "message": "Logged out"}
    assert response.headers["Content-Type"] == "application/json"
    assert re.match(r"PHPSESSID=.*Expires=Thu, 01 Jan 1970.*Path=/", response.headers["Set-Cookie"])
    assert Client(world.url, old).get("/get_user_info.php").json() == NOT_LOGGED_IN


def test_18_logout_for_scripts_that_ask_for_json(world: World) -> None:
    for client in (world.client("admin"), world.client()):
        response = client.get("/api/logout.php", headers={"Accept": "application/json"})
        assert (response.status_code, response.json()["error"]) == (200, 0)


# passwords


@pytest.mark.parametrize("prefix", PREFIXES)
def test_19_password_change_as_documented(world: World, prefix: str) -> None:
    client = world.client("resa")
    fields = {"old_password": "resa-pass", "new_password": "new-pass-1", "confirm_password": "new-pass-1"}
    answer = client.post(f"{prefix}update_password.php", fields, "json").json()
    assert answer == {
        "error": 0,
        "err_msg": "Password updated successfully",
        "message": "Password updated successfully",
    }
    assert world.client().post("/login.php", {"username": "resa", "password": "resa-pass"}).json() == INVALID
    world.client("resa", "new-pass-1")
    # while the PHP panel may share the database it must be able to verify the new one
    assert world.user("resa")["password"] == legacy_hash("new-pass-1")
    assert client.get("/get_user_info.php").json()["error"] == 0


def test_20_wrong_old_password(world: World) -> None:
    fields = {"old_pass": "nope", "new_pass": "abcdef", "renew_pass": "abcdef"}
    answer = world.client("resa").post("/api/update_password.php", fields, "multipart").json()
    assert (answer["error"], answer["err_msg"], answer["code"]) == (1, "Old password is incorrect", 2)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            {"old_pass": "resa-pass", "new_pass": "abcdef", "renew_pass": "abcdeg"}, id="21-repetition-differs"
        ),
        pytest.param({"old_pass": "resa-pass", "new_pass": "abcdef", "renew_pass": ""}, id="21-repetition-empty"),
        pytest.param({"old_pass": "resa-pass", "new_pass": "      "}, id="22-blank"),
        pytest.param({"old_pass": "resa-pass", "new_pass": ""}, id="22-empty"),
        pytest.param({"old_pass": "resa-pass"}, id="22-missing"),
        pytest.param({"old_pass": "resa-pass", "new_pass": "abc"}, id="too-short"),
    ],
)
def test_21_22_refused_new_passwords_change_nothing(world: World, fields: dict[str, str]) -> None:
    client = world.client("resa")
    answer = client.post("/api/update_password.php", fields, "multipart").json()
    assert answer["error"] == 1
    assert answer["err_msg"]
    assert world.user("resa")["password"] == legacy_hash("resa-pass")


@pytest.mark.parametrize("name", ["update_password", "change_password"])
def test_23_25_without_a_session(world: World, name: str) -> None:
    fields = {"username": "resa", "old_pass": "resa-pass", "current_password": "resa-pass", "new_password": "abcdef"}
    assert world.client().post(f"/api/{name}.php", fields).json() == NOT_LOGGED_IN
    assert world.user("resa")["password"] == legacy_hash("resa-pass")


def test_24_change_password_with_what_the_dialog_really_sends(world: World) -> None:
    fields = {"username": "null", "current_password": "resa-pass", "new_password": "abcdef"}
    answer = world.client("resa").post("/api/change_password.php", fields).json()
    assert answer["error"] == 0
    assert answer["message"]
    world.client("resa", "abcdef")
    [row] = world.rows(sa.select(AuditEntry.__table__))
    assert (row["action"], row["target_type"], row["target_id"], row["target_name"]) == (
        "update",
        "password",
        "2",
        "resa",
    )
    assert (row["user_type"], row["old_value"], row["new_value"]) == ("reseller", None, None)
    assert row["details"]
    assert "abcdef" not in str(row)


def test_26_change_password_too_short(world: World) -> None:
    fields = {"username": "null", "current_password": "resa-pass", "new_password": "abc"}
    assert world.client("resa").post("/api/change_password.php", fields).json()["error"] == 1


def test_27_change_password_of_somebody_else(world: World) -> None:
    fields = {"username": "admin", "current_password": "resa-pass", "new_password": "abcdef"}
    answer = world.client("resa").post("/api/change_password.php", fields).json()
    assert (answer["error"], answer["code"]) == (1, 3)
    assert world.user("admin")["password"] == legacy_hash("admin123")
    assert world.user("resa")["password"] == legacy_hash("resa-pass")


def test_a_wrong_old_password_is_told_before_anything_about_the_new_one(world: World) -> None:
    fields = {"old_pass": "nope", "new_pass": "abc", "renew_pass": "abc"}
    answer = world.client("resa").post("/api/update_password.php", fields, "multipart").json()
    assert answer["err_msg"] == "Old password is incorrect"


def test_a_number_as_password_is_its_decimal_text(world: World) -> None:
    fields = {"old_password": "resa-pass", "new_password": 1234.56, "confirm_password": "1234.56 "}
    assert world.client("resa").post("/update_password.php", fields, "json").json()["error"] == 0
    world.client("resa", "1234.56")


# auto-logout


def _stored_timeout(world: World) -> list[str]:
    return [row["setting_value"] for row in world.rows(sa.select(AppSetting.__table__))]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_28_anybody_may_read_the_timeout(world: World, prefix: str) -> None:
    answer = world.client().get(f"{prefix}auto_logout_settings.php").json()
    assert answer == {"error": 0, "err_msg": "", "auto_logout_timeout": 5, "timeout_seconds": 300}


@pytest.mark.parametrize("stored", ["abc", "", "-1", "61", "5.5", "٥"])
def test_28_an_unusable_stored_timeout_is_the_default(world: World, stored: str) -> None:
    world.insert(AppSetting, [{"setting_key": "auto_logout_timeout", "setting_value": stored}])
    assert world.client().get("/api/auto_logout_settings.php").json()["auto_logout_timeout"] == 5


@pytest.mark.every_kind
def test_29_json_under_curl_s_content_type(world: World) -> None:
    client = world.client("admin")
    for minutes in (15, 10):  # inserting, then updating
        answer = client.request(
            "POST",
            "/api/auto_logout_settings.php",
            data=f'{{"timeout":{minutes}}}',
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ).json()
    assert answer == {
        "error": 0,
        "err_msg": "",
        "message": "Auto-logout set to 10 minutes",
        "auto_logout_timeout": 10,
        "timeout_seconds": 600,
    }
    assert _stored_timeout(world) == ["10"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_30_zero_disables(world: World, encoding: str) -> None:
    answer = world.client("admin").post("/auto_logout_settings.php", {"timeout": 0}, encoding).json()
    assert (answer["error"], answer["message"]) == (0, "Auto-logout disabled")
    assert (answer["auto_logout_timeout"], answer["timeout_seconds"]) == (0, 0)


@pytest.mark.parametrize("timeout", [61, -1, "abc", 5.5, None, "", [5], {"a": 1}, True, "5.5", 10**30])
def test_31_bad_timeouts_change_nothing(world: World, timeout: object) -> None:
    answer = world.client("admin").post("/api/auto_logout_settings.php", {"timeout": timeout}, "json").json()
    assert answer["error"] == 1
    assert answer["message"]
    assert _stored_timeout(world) == []


def test_31_missing_timeout(world: World) -> None:
    assert world.client("admin").post("/api/auto_logout_settings.php", {}, "json").json()["error"] == 1


@pytest.mark.parametrize("username", ["resa", "radm", "obs"])
def test_32_only_super_admins(world: World, username: str) -> None:
    answer = world.client(username).post("/api/auto_logout_settings.php", {"timeout": 61}, "json").json()
    assert (answer["error"], answer["message"], answer["code"]) == (1, "Only super admin can change this setting", 3)


def test_32_an_observer_never_writes_even_as_super_admin(world: World) -> None:
    world.execute(sa.update(User).where(User.id == 3).values(super_user=1))
    answer = world.client("obs").post("/api/auto_logout_settings.php", {"timeout": 10}, "json").json()
    assert answer["message"] == "Only super admin can change this setting"


def test_33_anonymous(world: World) -> None:
    assert world.client().post("/api/auto_logout_settings.php", {"timeout": 10}, "json").json() == NOT_LOGGED_IN


# heartbeat


@pytest.mark.parametrize("prefix", PREFIXES)
def test_34_get_tells_the_time_left_and_counts_as_activity(world: World, prefix: str) -> None:
    before = int(time.time()) - 10
    client = world.php_login("admin", last_activity=before)
    answer = client.get(f"{prefix}session_heartbeat.php").json()
    assert 288 <= answer.pop("time_remaining_seconds") <= 290
    assert answer == {"error": 0, "err_msg": "", "expired": False, "timeout_minutes": 5, "last_activity": before}
    assert client.get("/session_heartbeat.php").json()["last_activity"] > before


def test_35_expired_after_exactly_the_timeout(world: World) -> None:
    client = world.php_login("admin", last_activity=int(time.time()) - 300)
    id_ = client.session_id
    response = client.get("/api/session_heartbeat.php")
    assert response.json() == {"error": 0, "expired": True, "message": "Session expired due to inactivity"}
    assert "Expires=Thu, 01 Jan 1970" in response.headers["Set-Cookie"]
    assert not world.session_file(id_).exists()
    again = Client(world.url, {"PHPSESSID": id_}).get("/api/session_heartbeat.php").json()
    assert again == {**NOT_LOGGED_IN, "expired": True}


def test_36_post_with_an_empty_json_body(world: World) -> None:
    response = world.client("admin").request(
        "POST", "/api/session_heartbeat.php", headers={"Content-Type": "application/json"}
    )
    answer = response.json()
    assert abs(answer.pop("last_activity") - time.time()) < 5
    assert answer == {"error": 0, "err_msg": "", "expired": False, "message": "Activity recorded"}


def test_37_without_a_timeout_nothing_expires(world: World) -> None:
    world.insert(AppSetting, [{"setting_key": "auto_logout_timeout", "setting_value": "0"}])
    client = world.php_login("admin", last_activity=1_600_000_000)
    answer = client.get("/api/session_heartbeat.php").json()
    assert (answer["expired"], answer["timeout_minutes"], answer["time_remaining_seconds"]) == (False, 0, 0)


def test_38_idle_rule_applies_only_where_heartbeats_were_seen(world: World) -> None:
    long_ago = int(time.time()) - 600
    client = world.php_login("admin", last_activity=long_ago)
    assert client.get("/get_accounts.php").json()["error"] == 0
    marked = world.php_login("admin", last_activity=long_ago, sbx_idle=1)
    assert marked.get("/get_accounts.php").json() == NOT_LOGGED_IN
    assert not world.session_file("k3v9x0a7b2c4dk3v9x0a7b2c4d").exists()


def test_38_an_ordinary_call_is_no_activity_for_a_marked_session(world: World) -> None:
    before = int(time.time()) - 100
    client = world.php_login("admin", last_activity=before, sbx_idle=1)
    assert client.get("/get_accounts.php").json()["error"] == 0
    assert f"last_activity|i:{before};" in world.session_file(client.session_id).read_text()


@pytest.mark.parametrize("path", ["/api/session_heartbeat.php", "/get_user_info.php"])
@pytest.mark.parametrize("marks", [{}, {"sbx_idle": 1}])
def test_without_a_timeout_a_session_ends_by_its_last_request(world: World, path: str, marks: dict[str, int]) -> None:
    world.insert(AppSetting, [{"setting_key": "auto_logout_timeout", "setting_value": "0"}])
    client = world.php_login("admin", **marks)
    long_ago = time.time() - 25 * 60
    os.utime(world.session_file(client.session_id), (long_ago, long_ago))
    answer = client.get(path).json()
    assert answer.get("expired", True) is True
    assert not world.session_file("k3v9x0a7b2c4dk3v9x0a7b2c4d").exists()


def test_a_table_that_goes_missing_while_we_run_ends_no_session(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite"))
    client = world.client("admin")
    world.execute("ALTER TABLE _users RENAME TO away_users")
    try:
        answer = client.get("/api/session_heartbeat.php").json()
    finally:
        world.execute("ALTER TABLE away_users RENAME TO _users")
    assert (answer["error"], answer["expired"]) == (0, False)


def test_heartbeat_initialises_a_missing_activity(world: World) -> None:
    client = world.php_session('login|i:1;username|s:5:"admin";')
    answer = client.get("/api/session_heartbeat.php").json()
    assert answer["time_remaining_seconds"] == 300
    assert abs(answer["last_activity"] - time.time()) < 5


# login history


def _history(world: World, **values: Any) -> None:
    row = {"user_id": 2, "username": "resa", "login_time": sa.func.current_timestamp(), "login_method": "password"}
    world.insert(LoginHistory, [{**row, "status": "success", **values}])


def test_39_a_reseller_s_own_history_only(world: World) -> None:
    client = world.client("resa")
    refused = client.get("/api/get_login_history.php?user_id=all").json()
    assert (refused["error"], refused["code"]) == (1, 3)
    assert client.get("/api/get_login_history.php?user_id=1").json()["error"] == 1
    answer = client.get("/api/get_login_history.php?user_id=2").json()
    assert (answer["error"], answer["is_own_history"]) == (0, True)
    [row] = answer["data"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["login_time"])
    assert (row["username"], row["user_name"], row["status"]) == ("resa", "Res A", "success")
    assert (row["login_method"], row["ip_address"], row["failure_reason"]) == ("password", "127.0.0.1", None)


@pytest.mark.every_kind
def test_40_everybody_for_a_super_admin(world: World) -> None:
    world.client().post("/login.php", {"username": "resa", "password": "wrong"})
    answer = world.client("admin").get("/api/get_login_history.php?user_id=all&page=1&per_page=10").json()
    assert (answer["view_all_users"], answer["target_user"], answer["is_own_history"]) == (True, None, False)
    assert [row["status"] for row in answer["data"]] == ["success", "failed"]
    assert answer["data"] == answer["history"]
    assert answer["pagination"] == {
        "current_page": 1,
        "per_page": 10,
        "total_records": 2,
        "total_pages": 1,
        "page": 1,
        "total": 2,
    }


@pytest.mark.every_kind
def test_40_another_single_user(world: World) -> None:
    world.client().post("/login.php", {"username": "resa", "password": "wrong"})
    admin = world.client("admin")
    answer = admin.get("/api/get_login_history.php?user_id=2").json()
    assert answer["target_user"] == {"id": 2, "username": "resa", "name": "Res A"}
    assert [row["failure_reason"] for row in answer["data"]] == ["Invalid credentials"]
    assert admin.get("/api/get_login_history.php?user_id=777").json()["target_user"] is None


def test_41_a_failed_name_cannot_become_markup(world: World) -> None:
    world.client(User_Agent='"><img src=x>').post("/login.php", {"username": "<b>x", "password": "y"})
    [row] = world.client("admin").get("/api/get_login_history.php?user_id=0").json()["data"]
    assert (row["username"], row["user_id"]) == ("&lt;b&gt;x", 0)
    assert row["user_agent"] == "&quot;&gt;&lt;img src=x&gt;"


def test_42_page_bounds(world: World) -> None:
    client = world.client("resa")
    answer = client.get("/api/get_login_history.php?per_page=1000&page=0").json()
    assert (answer["pagination"]["per_page"], answer["pagination"]["current_page"]) == (100, 1)
    far = client.get(f"/api/get_login_history.php?page={2**62}").json()
    assert (far["error"], far["data"]) == (0, [])
    # as PHP reads it: what is no number is 0, which becomes the first page
    assert client.get("/api/get_login_history.php?page=abc").json()["pagination"]["page"] == 1
