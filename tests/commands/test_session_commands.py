"""Leaving PHP's session files logs nobody out: they are taken over into the store that comes after them."""

import os
import pwd
import time
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import Result

from core.storage.tables import User
from tests.conftest import MakeWorld
from tests.worlds.databases import create_database, require_redis
from tests.worlds.forked import run
from tests.worlds.harness import Client, World, php_encode, user_row
from tests.worlds.served import environment
from tests.worlds.servers import REDIS_URL

CART = b'cart|O:4:"Cart":1:{s:5:"items";a:1:{i:0;i:5;}}'


@pytest.fixture(params=["sql", "redis"])
def world(request: pytest.FixtureRequest, make_world: MakeWorld, tmp_path: Path) -> World:
    """A panel whose sessions lived in PHP's files, and live elsewhere from now on."""
    settings = {"SHOWBOX_SESSION_STORE": request.param, "SHOWBOX_SESSION_PHP_SAVE_PATH": str(tmp_path)}
    if request.param == "redis":
        require_redis()
        settings["SHOWBOX_SESSION_REDIS_URL"] = REDIS_URL
    made = make_world("sqlite", **settings)
    made.insert(User, [user_row(1, "admin", super_user=1), user_row(2, "resa")])
    return made


def _file(directory: Path, content: bytes, age: float = 0) -> str:
    sid = uuid4().hex
    path = directory / f"sess_{sid}"
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return sid


def _session(world: World, *arguments: str) -> Result:
    return world.runner().invoke(args=["session", *arguments])


def _who(world: World, sid: str) -> str:
    answer = Client(world.url, {"PHPSESSID": sid}).get("/get_user_info.php").json()
    return answer["user"]["username"] if answer["error"] == 0 else answer["err_msg"]


def test_who_is_logged_in_by_php_s_files_stays_so(world: World, tmp_path: Path) -> None:
    admin = _file(tmp_path, CART + php_encode({"login": 1, "username": "admin", "last_activity": 5}).encode())
    resa = _file(tmp_path, b'login|i:1;username|s:4:"resa";', age=600)
    nobody = _file(tmp_path, php_encode({"theme": "dark"}).encode())
    old = _file(tmp_path, b'login|i:1;username|s:5:"admin";', age=86_400)
    _file(tmp_path, b"garbage")
    assert _who(world, admin) == "Not logged in"
    first = _session(world, "import")
    assert (first.exit_code, first.output) == (0, "2 sessions taken over, 0 were there already.\n")
    assert (_who(world, admin), _who(world, resa)) == ("admin", "resa")
    assert {_who(world, sid) for sid in (nobody, old)} == {"Not logged in"}
    again = _session(world, "import", str(tmp_path))
    assert again.output == "0 sessions taken over, 2 were there already.\n"


def test_a_session_that_was_taken_over_stays_as_old_as_it_was(world: World, tmp_path: Path) -> None:
    almost = world.config.session.lifetime_minutes * 60
    sid = _file(tmp_path, b'login|i:1;username|s:5:"admin";', age=almost + 120)
    assert _session(world, "import").exit_code == 0
    assert _who(world, sid) == "Not logged in"


def test_a_wrong_directory_is_a_sentence(world: World, tmp_path: Path) -> None:
    for wrong in ("relative", str(tmp_path / "nowhere")):
        refused = _session(world, "import", wrong)
        assert refused.exit_code == 1
        assert refused.output.startswith("Error: ")
        assert "Traceback" not in refused.output


def test_sessions_are_not_taken_over_into_the_files_they_come_from(make_world: MakeWorld) -> None:
    refused = _session(make_world("sqlite"), "import")
    assert (refused.exit_code, "php-files itself" in refused.output) == (1, True)


@pytest.mark.parametrize("store", ["php-files", "sql"])
def test_old_sessions_are_cleared_by_a_command(make_world: MakeWorld, store: str) -> None:
    world = make_world("sqlite", SHOWBOX_SESSION_STORE=store)
    world.insert(User, [user_row(1, "admin", super_user=1)])
    client = world.client("admin")
    assert _session(world, "clean").output == "0 sessions deleted.\n"
    if store == "sql":
        world.execute("UPDATE _sbx_sessions SET touched_at = touched_at - 100000")
    else:
        os.utime(world.session_file(client.session_id), (5, 5))
    assert _session(world, "clean").output == "1 sessions deleted.\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_a_server_started_as_root_beside_php_is_refused_in_a_sentence(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    os.chown(sessions, pwd.getpwnam("daemon").pw_uid, -1)
    variables = {
        "SHOWBOX_SESSION_STORE": "php-files",
        "SHOWBOX_SESSION_PHP_SAVE_PATH": str(sessions),
        "SHOWBOX_DATABASE_URL": create_database("sqlite", "root"),
    }
    result = run("wsgi.py", "--port", "0", cwd=tmp_path, environment=environment(**variables))
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("php_save_path: PHP's session files belong to daemon")
    assert "Traceback" not in result.stderr
    # what needs no sessions does its work
    assert run("flask", "db", "upgrade", cwd=tmp_path, environment=environment(**variables)).returncode == 0
