"""Backup and restore over HTTP: the golden cases of contract chapter 70, who may what, and what is refused."""

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from core.storage.tables import Account, AuditEntry, MailSettings, SmsSettings, StalkerSetting, TelegramSettings, User
from tests.conftest import MakeWorld
from tests.worlds.backups import PASSWORD, dump_text, fill_chapter_70, fixture_text, held
from tests.worlds.databases import EXTRACT_ROWS
from tests.worlds.harness import NOT_LOGGED_IN, Client, World
from tests.worlds.logged_in import logged_in

EXPORT, IMPORT = "/scripts/export_database.php", "/scripts/import_database.php"
NAME = r"showbox_backup_\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}\.sql"
NO_EXPORT = "Permission denied. Only administrators can back up the database."
NO_IMPORT = "Permission denied. Only super admins can restore the database."
# of values that no dump for a reseller admin may show
SECRETS = ("smtp-secret", "sms-token-of-mine", "123:bot-token", "hook-secret", "portal-secret", "998877")


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_70(make_world(kind))


@pytest.fixture
def light(make_world: MakeWorld) -> World:
    """On SQLite only, for what no database can change."""
    return fill_chapter_70(make_world("sqlite"))


def _as(world: World, username: str) -> Client:
    return logged_in(world, username)


def _send(client: Client, content: str | bytes, name: str = "backup.sql", path: str = IMPORT) -> requests.Response:
    raw = content.encode() if isinstance(content, str) else content
    return client.request("POST", path, files={"sql_file": (name, raw, "application/octet-stream")})


def _refusal(text: str, code: int) -> dict[str, Any]:
    return {"error": 1, "err_msg": text, "message": text, "code": code}


def _backups(world: World) -> list[Path]:
    return [path for path in (world.config.panel.data_directory / "backups").rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", [EXPORT, "/export_database.php", "/api/export_database.php"])
@pytest.mark.parametrize("username", ["bob", "olaf"])
def test_export_1_a_reseller_is_refused(light: World, username: str, path: str) -> None:
    response = _as(light, username).post(path)
    assert (response.status_code, response.json()) == (200, _refusal(NO_EXPORT, 3))
    assert light.client().post(path).json() == NOT_LOGGED_IN


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_export_2_the_file_is_fetched_by_whom_it_is_for(panel: World, method: str) -> None:
    admin = _as(panel, "admin")
    response = admin.request(method, EXPORT)
    answer = response.json()
    assert list(answer) == ["error", "message", "filename", "file_url", "file_size"]
    assert answer["error"] == 0
    assert re.fullmatch(NAME, answer["filename"])
    assert answer["file_url"] == f"scripts/backups/{answer['filename']}"
    for path in (f"/{answer['file_url']}", f"/backups/{answer['filename']}"):
        file = admin.get(path, headers={"Range": "bytes=0-3"})
        assert (file.status_code, len(file.content)) == (200, answer["file_size"])
        assert file.content.decode().endswith("\n-- Dump completed\n")
        assert {
            name: file.headers[name] for name in ("Content-Type", "Content-Disposition", "Cache-Control", "Vary")
        } == {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{answer["filename"]}"',
            "Cache-Control": "no-store",
            "Vary": "*",
        }
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        head = admin.request("HEAD", path)
        assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(answer["file_size"]))
        nobody = panel.client().get(path)
        assert (nobody.status_code, nobody.json()) == (403, NOT_LOGGED_IN)
        for other in ("bob", "rita"):
            refused = _as(panel, other).get(path)
            assert (refused.status_code, refused.json()["code"]) == (403, 3)
        assert admin.post(path).status_code == 405
    [row] = panel.rows(sa.select(AuditEntry.action, AuditEntry.target_type, AuditEntry.target_name))
    assert row == {"action": "export", "target_type": "database", "target_name": answer["filename"]}


@pytest.mark.parametrize(
    "path",
    [
        "/scripts/backups/../../config",
        "/scripts/backups/..%2f..%2fconfig.ini",
        "/scripts/backups/showbox_backup_2026-11-22_10-30-00.sql",
        "/scripts/backups/x.sql",
        "/backups/.sql",
        "/scripts/backups/",
    ],
)
def test_export_2_nothing_else_is_served(light: World, path: str) -> None:
    prepared = requests.Request("GET", light.url + path).prepare()
    prepared.url = light.url + path
    prepared.headers["Cookie"] = f"PHPSESSID={_as(light, 'admin').session_id}"
    with requests.Session() as session:
        response = session.send(prepared, timeout=60)
    assert response.status_code == 404
    assert b"Dump completed" not in response.content


@pytest.mark.every_kind
def test_export_3_a_reseller_admin_gets_no_secrets_and_cannot_restore_them(panel: World) -> None:
    panel.insert_all(
        [
            (MailSettings, [{"user_id": 1, "smtp_password": "smtp-secret"}]),
            (SmsSettings, [{"user_id": 1, "api_token": "sms-token-of-mine"}]),
            (TelegramSettings, [{"bot_token": "123:bot-token", "webhook_secret": "hook-secret"}]),
            (
                StalkerSetting,
                [
                    {"setting_key": "api_password", "setting_value": "portal-secret"},
                    {"setting_key": "server_address", "setting_value": "http://portal.example.com"},
                ],
            ),
        ]
    )
    panel.execute(sa.update(User).where(User.id == 7).values(telegram_chat_id=998877))
    rita = _as(panel, "rita")
    answer = rita.post(EXPORT).json()
    text = rita.get(f"/{answer['file_url']}").text
    assert "-- Redacted: yes\n" in text
    assert not re.search(r"'[0-9a-f]{32}'", text)
    assert [secret for secret in SECRETS if secret in text] == []
    for table in ("_audit_log", "_login_history", "_push_subscriptions", "_webauthn_credentials"):
        assert f"INSERT INTO `{table}`" not in text
    assert "_sbx_" not in text.replace("sbx_", "sbx_", 0).split("INSERT INTO")[1] or "INSERT INTO `_sbx_" not in text
    assert "http://portal.example.com" in text
    assert "'acc1'" in text
    # the whole one has them
    admin = _as(panel, "admin")
    whole = admin.get(f"/{admin.post(EXPORT).json()['file_url']}").text
    assert [secret for secret in SECRETS if secret not in whole] == []
    before = held(panel.panel.database)
    refused = _send(admin, text).json()
    assert (refused["error"], refused["code"]) == (1, 6)
    assert "without passwords" in refused["message"]
    assert held(panel.panel.database) == before


def test_export_and_import_4_the_round_trip(panel: World) -> None:
    # by a login, which has its row
    admin = panel.client("admin", PASSWORD)
    text = admin.get(f"/{admin.post(EXPORT).json()['file_url']}").text
    before = held(panel.panel.database)
    panel.execute(sa.delete(Account).where(Account.id == 2))
    panel.execute(sa.update(User).where(User.id == 7).values(balance=0))
    answer = _send(admin, text, "my/back<up>.sql").json()
    assert list(answer) == ["error", "message", "tables", "skipped", "backup"]
    assert (answer["error"], answer["tables"]["_accounts"], answer["tables"]["_users"]) == (0, 3, 5)
    assert answer["skipped"] == ["_audit_log", "_login_history"]
    after = held(panel.panel.database)
    *earlier, latest = after.pop("_audit_log")
    assert earlier == before.pop("_audit_log")
    assert after == before
    [row] = panel.rows(
        sa.select(AuditEntry).where(AuditEntry.action == "import").with_only_columns(*AuditEntry.__table__.c)
    )
    assert latest[0] == row["id"]
    assert (row["target_type"], row["target_name"], row["user_id"]) == ("database", "backup.sql", 1)
    assert '"_accounts":3' in row["new_value"]
    # nobody was logged out, since nobody changed
    assert admin.get("/get_user_info.php").json()["error"] == 0
    # the copy made before is there, and only super admins get it
    assert "'acc2'" not in admin.get(f"/scripts/backups/{answer['backup']}").text
    assert _as(panel, "rita").get(f"/scripts/backups/{answer['backup']}").status_code == 403


def test_import_5_what_is_no_dump_and_who_may_not(panel: World) -> None:
    admin, dump = _as(panel, "admin"), dump_text(panel.panel)
    clients = {name: _as(panel, name) for name in ("rita", "bob", "olaf")}
    before = held(panel.panel.database)
    for path in (IMPORT, "/import_database.php", "/api/import_database.php"):
        response = _send(admin, dump, "a.txt", path)
        assert (response.status_code, response.json()["code"]) == (200, 6)
        assert ".sql" in response.json()["message"]
        missing = admin.post(path, {"x": "1"}, "multipart")
        assert (missing.status_code, missing.json()["code"]) == (200, 6)
        assert "sql_file" in missing.json()["message"]
        empty = _send(admin, "", "a.sql", path)
        assert (empty.status_code, empty.json()["code"]) == (200, 6)
        for client in clients.values():
            refused = _send(client, dump, "a.sql", path)
            assert (refused.status_code, refused.json()) == (200, _refusal(NO_IMPORT, 3))
        nobody = _send(panel.client(), dump, "a.sql", path)
        assert (nobody.status_code, nobody.json()) == (200, NOT_LOGGED_IN)
    assert held(panel.panel.database) == before


ROW = "INSERT INTO `_plans` (`id`,`name`) VALUES (99,'Hostile');\n"
HOSTILE = {
    "6 the client's shell": ROW + "\\! touch {directory}/x\n",
    "6 the client's system": ROW + "system touch {directory}/x\n",
    "6 the client's source": ROW + "source {directory}/x\n",
    "6 a user": ROW + "CREATE USER 'x'@'%' IDENTIFIED BY 'y';\n",
    "6 an update": ROW + "UPDATE _users SET super_user = 1;\n",
    "6 rights": ROW + "GRANT ALL ON *.* TO 'x'@'%';\n",
    "6 a file": ROW + "LOAD DATA INFILE '/etc/passwd' INTO TABLE _plans;\n",
    "6 a file into a table": ROW + "SELECT 'x' INTO OUTFILE '{directory}/x';\n",
    "6 a deletion": ROW + "DELETE FROM _users;\n",
    "6 within a comment": ROW + "/*!50000 DELETE FROM _users */;\n",
    "6 within a comment of MariaDB": ROW + "/*M!100100 DROP DATABASE panel */;\n",
    "6 a procedure": ROW + "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN DELETE FROM _users; END;;\nDELIMITER ;\n",
    "6 rows of a query": "INSERT INTO `_plans` (`id`,`name`) SELECT id, password FROM _users;\n",
    "6 a value of a query": "INSERT INTO `_plans` (`id`,`name`) VALUES (99,(SELECT password FROM _users LIMIT 1));\n",
    "6 a value of a function": "INSERT INTO `_plans` (`id`,`name`) VALUES (99,LOAD_FILE('/etc/passwd'));\n",
    "8 cut in a string": ROW + "INSERT INTO `_plans` (`id`,`name`) VALUES (98,'Cut",
    "8 cut in a row": ROW + "INSERT INTO `_plans` (`id`,`name`) VALUES (98,'Cut'",
    "8 cut between rows": ROW + "INSERT INTO `_plans` (`id`,`name`) VALUES (98,'Cut'),",
    "8 cut before the semicolon": ROW.rstrip(";\n"),
    "8 the last line is missing": "-- MySQL dump 10.13\n" + ROW,
    "8 no super admin": "INSERT INTO `_users` (`id`,`username`,`password`,`super_user`) VALUES "
    "(1,'admin','0192023a7bbd73250516f069df18b500',0);\n",
    "8 a super admin without a password": "INSERT INTO `_users` (`id`,`username`,`password`,`super_user`) VALUES "
    "(1,'admin','!',1);\n",
    "8 no users at all": "CREATE TABLE `_users` (`id` int, `username` varchar(9));\n" + ROW,
    "nothing of a panel": "INSERT INTO `wp_posts` VALUES (1,'x');\n",
    "not text": b"PK\x03\x04" + bytes(range(256)),
    "not text, compressed": b"\x1f\x8b\x08\x00" + b"\xff" * 100,
    "a number where none fits": "INSERT INTO `_plans` (`id`,`days`) VALUES (1,99999999999);\n",
    "a text where a number belongs": "INSERT INTO `_plans` (`id`,`days`) VALUES (1,'many');\n",
    "a text that is too long": f"INSERT INTO `_plans` (`id`,`currency_id`) VALUES (1,'{'x' * 11}');\n",
    "too few values": "INSERT INTO `_plans` (`id`,`name`) VALUES (1);\n",
    "rows without columns": "INSERT INTO `_plans` VALUES (1,'x');\n",
    "a key that comes twice": "INSERT INTO `_plans` (`id`,`name`) VALUES (1,'x'),(2,'y'),(1,'z');\n",
    "a required column without a value": "INSERT INTO `_accounts` (`id`,`username`) VALUES (1,'x');\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_import_6_and_8_a_hostile_or_broken_file_changes_nothing(panel: World, name: str, tmp_path: Path) -> None:
    content = HOSTILE[name]
    if isinstance(content, str):
        content = content.replace("{directory}", str(tmp_path))
    admin = _as(panel, "admin")
    before = held(panel.panel.database)
    response = _send(admin, content)
    answer = response.json()
    assert (response.status_code, answer["error"]) == (200, 1)
    assert answer["code"] == (7 if name == "a key that comes twice" else 6)
    assert answer["message"].endswith("nothing was changed")
    if name.startswith("6 "):
        assert re.match(r"Line \d+: ", answer["message"])
    # nothing of the file is shown
    assert not re.search("passwd|touch|Hostile|Cut|UPDATE|wp_posts", answer["message"])
    assert held(panel.panel.database) == before
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_the_database_refuses_is_named(panel: World) -> None:
    answer = _send(_as(panel, "admin"), HOSTILE["a key that comes twice"]).json()
    assert answer["message"] == "The database refused row 3 of _plans; nothing was changed"


@pytest.mark.parametrize("version", ["1.11.66", "1.18.2"])
@pytest.mark.every_kind
def test_import_7_a_dump_of_a_panel(panel: World, version: str) -> None:
    answer = _send(_as(panel, "admin"), fixture_text(version)).json()
    assert answer["error"] == 0, answer
    assert {name: answer["tables"][name] for name in ("_users", "_accounts", "_transactions", "_plans")} == {
        "_users": 5,
        "_accounts": EXTRACT_ROWS,
        "_transactions": EXTRACT_ROWS,
        "_plans": 3,
    }
    user = panel.user("limited")
    # columns that 1.11.66 lacks
    assert (user["telegram_chat_id"], user["permissions"], str(user["balance"])) == (None, "1|1|0|1|1", "5.00")
    assert panel.client().login("admin", "admin123").get("/get_user_info.php").json()["error"] == 0


@pytest.mark.every_kind
def test_import_7_as_mysqldump_of_the_panel_writes_it(panel: World) -> None:
    """Without column lists, with keys switched off in comments, and users of 15 columns."""
    text = (
        "/*M!999999\\- enable the sandbox mode */ \n"
        "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n"
        "/*!40101 SET NAMES utf8mb4 */;\n"
        "DROP TABLE IF EXISTS `_users`;\n"
        "/*!40101 SET @saved_cs_client     = @@character_set_client */;\n"
        "CREATE TABLE `_users` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `username` varchar(100) NOT NULL,\n"
        "  `password` varchar(255) NOT NULL,\n  `name` varchar(255) DEFAULT NULL,\n  `email` varchar(255),\n"
        "  `balance` decimal(15,2) DEFAULT 0.00,\n  `permissions` varchar(255) DEFAULT '1|1|1|1|1',\n"
        "  `max_users` int(11) DEFAULT 0,\n  `super_user` tinyint(4) DEFAULT 0,\n  `is_observer` tinyint(1),\n"
        "  `currency_id` varchar(10) DEFAULT 'GBP',\n  `theme` varchar(50) DEFAULT 'default',\n  `ip_ranges` text,\n"
        "  `plans` text,\n  `timestamp` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`username`)\n"
        ") ENGINE=InnoDB AUTO_INCREMENT=50 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;\n"
        "LOCK TABLES `_users` WRITE;\n/*!40000 ALTER TABLE `_users` DISABLE KEYS */;\n"
        "INSERT INTO `_users` VALUES (1,'admin','0192023a7bbd73250516f069df18b500','O\\'Neil; -- &amp;',NULL,12.50,"
        "'1|1|1',0,1,0,'GBP','t','','1-GBP',1735689600);\n"
        "/*!40000 ALTER TABLE `_users` ENABLE KEYS */;\nUNLOCK TABLES;\n-- Dump completed on 2026-11-22 10:30:00\n"
    )
    answer = _send(_as(panel, "admin"), text).json()
    assert (answer["error"], answer["tables"], answer["skipped"]) == (0, {"_users": 1}, [])
    [user] = panel.rows(sa.select(*User.__table__.c))
    assert (user["name"], user["telegram_chat_id"], str(user["balance"])) == ("O'Neil; -- &amp;", None, "12.50")
    # the accounts, which are not in the file, stay
    assert len(panel.rows(sa.select(Account.id))) == 3


@pytest.mark.every_kind
def test_import_9_two_at_once(panel: World) -> None:
    text = dump_text(panel.panel) + "-- x\n" * 50_000
    admins = [_as(panel, "admin") for _ in range(2)]
    answers: list[Mapping[str, Any]] = []
    threads = [
        threading.Thread(target=lambda client=admin: answers.append(_send(client, text).json())) for admin in admins
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["error"] for answer in answers) == [0, 1]
    [busy] = [answer for answer in answers if answer["error"]]
    assert busy == _refusal("Another restore is already running", 5)


def test_a_file_over_the_limit_is_told_in_the_envelope(make_world: MakeWorld) -> None:
    world = fill_chapter_70(make_world("sqlite", SHOWBOX_BACKUP_MAX_MIB="0.5"))
    for size in (600 * 1024, 3 * 1024 * 1024):
        response = _send(_as(world, "admin"), "-" * size)
        assert (response.status_code, response.json()) == (413, _refusal("The file is too large: at most 0.5 MiB", 6))
    # above the limit of other uploads, and of other bodies
    light = fill_chapter_70(make_world("sqlite"))
    text = dump_text(light.panel) + f"-- {'x' * 9_000_000}\n"
    assert len(text) > 8 * 1024 * 1024
    assert _send(_as(light, "admin"), text).json()["error"] == 0


@pytest.mark.parametrize("setting", ["full", "off"])
def test_the_switch_for_exports_of_reseller_admins(make_world: MakeWorld, setting: str) -> None:
    world = fill_chapter_70(make_world("sqlite", SHOWBOX_BACKUP_RESELLER_ADMIN_EXPORT=setting))
    rita = _as(world, "rita")
    answer = rita.post(EXPORT).json()
    if setting == "off":
        assert answer == _refusal(NO_EXPORT, 3)
        return
    text = rita.get(f"/{answer['file_url']}").text
    assert "Redacted" not in text
    assert re.search(r"'[0-9a-f]{32}'", text)


def test_the_switch_for_imports_by_reseller_admins(make_world: MakeWorld) -> None:
    world = fill_chapter_70(make_world("sqlite", SHOWBOX_BACKUP_RESELLER_ADMIN_IMPORT="yes"))
    text = dump_text(world.panel)
    assert _send(_as(world, "rita"), text).json()["error"] == 0
    for username in ("bob", "olaf"):
        assert _send(_as(world, username), text).json() == _refusal(NO_IMPORT, 3)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", EXPORT), ("GET", EXPORT), ("POST", IMPORT), ("GET", "/api/export_database.php")]
)
def test_another_site_starts_nothing(light: World, method: str, path: str) -> None:
    admin = _as(light, "admin")
    before = _backups(light)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}):
        files = {"sql_file": ("x.sql", dump_text(light.panel).encode())} if path == IMPORT else None
        assert admin.request(method, path, headers=headers, files=files).status_code == 403
    if method == "GET":
        navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
        assert admin.get(path, headers=navigation).status_code == 403
    assert _backups(light) == before


def test_files_are_private_and_outside_of_what_is_served(light: World) -> None:
    admin = _as(light, "admin")
    answer = admin.post(EXPORT).json()
    [path] = [path for path in _backups(light) if path.name == answer["filename"]]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    # neither an upload nor half a file stays
    _send(admin, HOSTILE["6 a user"])
    assert [path.suffix for path in _backups(light)] == [".sql"] * len(_backups(light))
