"""PHP's session files, byte for byte, with other processes on them."""

import fcntl
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compat.sessions import SessionUnavailable
from compat.sessions.php_files import PhpFileSessions
from tests.compat.session_browser import Browser, Moment, app_with
from tests.worlds.lacking import require_program

SID = "0123456789abcdefghijklmnop"
OLD_LOGIN = b'login|i:1;username|s:5:"admin";'
LOGIN = (
    b'login|i:1;username|s:5:"admin";user_id|i:1;super_user|i:1;'
    b'permissions|s:13:"1|1|1|1|1|1|1";last_activity|i:1732547600;'
)
EXTRA = b'x|a:1:{i:0;s:3:"a|b";}'


class Directory:
    """A session directory with one PHP panel's session in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moment = Moment()
        self.file = path / f"sess_{SID}"

    def write(self, raw: bytes) -> None:
        self.file.write_bytes(raw)
        self.file.chmod(0o600)
        os.utime(self.file, (self.moment(), self.moment()))

    def browser(self, cookie: str | None = SID, **options: Any) -> Browser:
        settings: dict[str, Any] = {"save_path": str(self.path), "now": self.moment, **options}
        return Browser(app_with(PhpFileSessions(**settings)), cookie)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path))


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


@contextmanager
def other_process(source: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_login_writes_what_the_panel_would(directory: Directory) -> None:
    browser = directory.browser(None)
    with browser.request() as current:
        current.renew_id()
        current["login"] = 1
        current["username"] = "admin"
        current["user_id"] = 1
        current["super_user"] = 1
        current["permissions"] = "1|1|1|1|1|1|1"
        current["last_activity"] = 1732547600
    file = directory.path / f"sess_{browser.cookie}"
    assert file.read_bytes() == LOGIN
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_session_of_the_panel_is_read(directory: Directory) -> None:
    directory.write(OLD_LOGIN)
    assert directory.browser().read() == {"login": 1, "username": "admin"}
    assert directory.file.read_bytes() == OLD_LOGIN


@pytest.mark.parametrize("sid", ["A,-" * 8, "f" * 32, "0" * 16, "Z" * 241])
def test_any_id_of_phps_alphabet_is_read(directory: Directory, sid: str) -> None:
    (directory.path / f"sess_{sid}").write_bytes(OLD_LOGIN)
    os.utime(directory.path / f"sess_{sid}", (directory.moment(), directory.moment()))
    assert directory.browser(sid).read()["login"] == 1
    assert directory.browser(sid.replace(",", "%2C")).read()["login"] == 1


def test_one_changed_key_leaves_all_other_bytes(directory: Directory) -> None:
    directory.write(LOGIN.replace(b"last_activity", EXTRA + b"last_activity"))
    node = directory.file.stat().st_ino
    with directory.browser().request() as current:
        assert current["x"] == ["a|b"]
        current["last_activity"] = 1732547700
    expected = LOGIN.replace(b"last_activity|i:1732547600;", EXTRA + b"last_activity|i:1732547700;")
    assert directory.file.read_bytes() == expected
    assert directory.file.stat().st_ino == node
    assert directory.names() == [directory.file.name]


def test_a_shorter_session_leaves_no_rest_behind(directory: Directory) -> None:
    directory.write(LOGIN)
    with directory.browser().request() as current:
        del current["permissions"]
        del current["last_activity"]
    assert directory.file.read_bytes() == LOGIN[: LOGIN.index(b"permissions")]


def test_an_empty_file_is_an_empty_session(directory: Directory) -> None:
    directory.write(b"")
    browser = directory.browser()
    with browser.request() as current:
        assert current.exists
        assert dict(current) == {}
        current["webauthn_auth_username"] = "admin"
    assert browser.set_cookie is None
    assert directory.file.read_bytes() == b'webauthn_auth_username|s:5:"admin";'


@pytest.mark.parametrize("raw", [b"login|garbage", b'login|i:1;x|O:8:"stdClass":9:{}', b"\xff\x00"])
def test_garbage_is_no_session_and_stays_until_login(directory: Directory, raw: bytes) -> None:
    directory.write(raw)
    browser = directory.browser()
    with browser.request() as current:
        assert not current.exists
        assert dict(current) == {}
    assert browser.set_cookie is None
    with directory.browser().request() as current:
        current["webauthn_auth_username"] = "admin"
    assert directory.file.read_bytes() == raw
    with browser.request() as current:
        current.renew_id()
        current["login"] = 1
    assert not directory.file.exists()
    assert browser.cookie != SID


def test_a_session_that_became_garbage_is_not_repaired(directory: Directory) -> None:
    directory.write(LOGIN)
    with directory.browser().request() as current:
        current["last_activity"] = 5
        directory.write(b"login|garbage")
    assert directory.file.read_bytes() == b"login|garbage"


def test_a_planted_id_is_not_adopted(directory: Directory) -> None:
    browser = directory.browser("attackerchosenattackerchosen")
    with browser.request() as current:
        current.renew_id()
        current["login"] = 1
    assert directory.names() == [f"sess_{browser.cookie}"]


@pytest.mark.parametrize("cookie", ["../sess_0123456789abcdef", "..%2fsess_0123456789abcdef", "/etc/passwd/aaaaaaaaa"])
def test_an_id_is_never_a_path(directory: Directory, cookie: str) -> None:
    directory.write(LOGIN)
    (directory.path / "inner").mkdir()
    browser = directory.browser(cookie, save_path=str(directory.path / "inner"))
    with browser.request() as current:
        assert not current.exists
        current.destroy()
    assert directory.file.exists()


def test_a_symlink_is_refused(directory: Directory) -> None:
    target = directory.path / "target"
    target.write_bytes(LOGIN)
    directory.file.symlink_to(target)
    assert directory.browser().read() == {}
    with directory.browser().request() as current:
        current.destroy()
    assert target.read_bytes() == LOGIN
    assert not directory.file.is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused(directory: Directory, make: object) -> None:
    assert callable(make)
    make(directory.file)
    assert directory.browser().read() == {}


def read_as_nobody(path: Path) -> None:
    os.setuid(65534)
    directory = Directory(path)
    own = path / "sess_own0123456789012345"
    own.write_bytes(OLD_LOGIN)
    os.utime(own, (directory.moment(), directory.moment()))
    assert directory.browser("own0123456789012345").read()["login"] == 1
    assert directory.browser().read() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's part")
def test_a_file_of_another_user_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Directory(Path(name))
        directory.path.chmod(0o777)
        directory.write(LOGIN)
        os.chown(directory.file, 12345, 12345)
        directory.file.chmod(0o666)
        process = multiprocessing.get_context("fork").Process(target=read_as_nobody, args=(directory.path,))
        process.start()
        process.join()
        assert process.exitcode == 0


def test_a_missing_directory_is_named(directory: Directory) -> None:
    browser = directory.browser(save_path=str(directory.path / "missing"))
    assert browser.read() == {}
    with pytest.raises(SessionUnavailable), browser.request() as current:
        current["login"] = 1


def test_a_directory_that_cannot_be_listed_is_enough(directory: Directory) -> None:
    directory.write(LOGIN)
    directory.path.chmod(0o300)
    browser = directory.browser()
    with browser.request() as current:
        assert current["login"] == 1
        current.renew_id()
        current["login"] = 1
    assert browser.read() == {"login": 1}
    directory.path.chmod(0o700)


@pytest.mark.parametrize(("save_path", "mode"), [("2;{}", 0o600), ("2;0640;{}", 0o640)])
def test_levels_of_sub_directories(directory: Directory, save_path: str, mode: int) -> None:
    for name in ("0/1", *(f"{a:x}/{b:x}" for a in range(16) for b in range(16))):
        (directory.path / name).mkdir(parents=True, exist_ok=True)
    deep = directory.path / "0" / "1" / directory.file.name
    deep.write_bytes(OLD_LOGIN)
    os.utime(deep, (directory.moment(), directory.moment()))
    browser = directory.browser(save_path=save_path.format(directory.path))
    with browser.request() as current:
        assert current["login"] == 1
        current.renew_id()
        current["login"] = 2
    assert not deep.exists()
    sid = str(browser.cookie)
    file = directory.path / sid[0] / sid[1] / f"sess_{sid}"
    assert file.read_bytes() == b"login|i:2;"
    assert file.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("save_path", ["", "relative", "x;/tmp", "-1;/tmp", "1;8;/tmp", "1;0600;tmp", "tcp://h"])
def test_a_save_path_that_php_would_not_know(save_path: str) -> None:
    with pytest.raises(ValueError, match="save path"):
        PhpFileSessions(save_path)


def test_unknown_handler() -> None:
    with pytest.raises(ValueError, match="wddx"):
        PhpFileSessions("/var/lib/php/sessions", "wddx")


def test_each_request_that_reads_touches_the_file(directory: Directory) -> None:
    directory.write(LOGIN)
    directory.moment.seconds += 700
    browser = directory.browser()
    with browser.request():
        pass
    assert directory.file.stat().st_mtime == directory.moment() - 700
    with browser.request() as current:
        assert current.idle_seconds == 700
    assert directory.file.stat().st_mtime == directory.moment()


def test_an_old_file_is_no_session_and_is_left_to_php(directory: Directory) -> None:
    directory.write(LOGIN)
    directory.moment.seconds += 1441
    assert directory.browser().read() == {}
    assert directory.file.exists()


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "r+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
file.seek(0); file.write(sys.argv[3].encode()); file.truncate(); file.flush()
"""


def test_a_locked_file_is_waited_for(directory: Directory) -> None:
    directory.write(LOGIN)
    with other_process(HOLD, directory.file, 1, "login|i:1;php|i:1;"):
        started = time.monotonic()
        assert directory.browser().read() == {"login": 1, "php": 1}
        assert time.monotonic() - started > 0.8


def test_a_change_is_merged_into_what_the_lock_holder_wrote(directory: Directory) -> None:
    directory.write(LOGIN)
    browser = directory.browser()
    with browser.request() as current:
        current["ours"] = 1
        process = other_process(HOLD, directory.file, 0.3, "login|i:1;php|i:1;")
        process.__enter__()
    process.__exit__(None, None, None)
    assert directory.file.read_bytes() == b"login|i:1;php|i:1;ours|i:1;"


def test_no_lock_is_held_between_reading_and_saving(directory: Directory) -> None:
    directory.write(LOGIN)
    with directory.browser().request() as current, directory.file.open("r+b") as file:
        assert current["login"] == 1
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)


def test_waiting_for_a_lock_ends(directory: Directory) -> None:
    directory.write(LOGIN)
    with directory.file.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SessionUnavailable):
            directory.browser(lock_wait=0.05).read()


UNLINK = """
import fcntl, os, sys, time
file = open(sys.argv[1], "r+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(0.3)
os.unlink(sys.argv[1])
if len(sys.argv) > 2:
    with open(sys.argv[1], "wb") as new:
        new.write(sys.argv[2].encode())
        new.flush()
        os.utime(sys.argv[1], (float(sys.argv[3]), float(sys.argv[3])))
"""


def test_a_file_unlinked_while_waiting_is_no_session(directory: Directory) -> None:
    directory.write(LOGIN)
    with other_process(UNLINK, directory.file):
        assert directory.browser().read() == {}
    assert directory.names() == []


def test_a_file_made_anew_while_waiting_is_the_session(directory: Directory) -> None:
    directory.write(LOGIN)
    with other_process(UNLINK, directory.file, "login|i:7;", directory.moment()):
        assert directory.browser().read() == {"login": 7}


def test_logout_does_not_wait_for_the_lock(directory: Directory) -> None:
    directory.write(LOGIN)
    with directory.file.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with directory.browser(lock_wait=0).request() as current:
            current.destroy()
    assert directory.names() == []


PHP_APPLICATION = r"""
ini_set('session.save_path', $argv[1]); ini_set('session.use_strict_mode', '0'); session_id($argv[2]);
ini_set('session.use_cookies', '0'); ini_set('session.cache_limiter', '');
class Cart { public $owner; public $items = []; private $secret = 'a|b;"'; }
session_start();
if ($argv[3] === 'fill') {
    $cart = new Cart; $cart->owner = $cart; $cart->items = [1, [2.5, null, ['deep' => true]]];
    $_SESSION = ['cart' => $cart, 'webauthn_challenge' => 'c', 'login' => 1, 'username' => 'admin', 'same' => $cart,
        'list' => [1, 2]];
    $_SESSION['alias'] = &$_SESSION['list'];
} else {
    $_SESSION['alias'][] = 3;
    $cart = $_SESSION['cart'];
    echo json_encode([$cart === $_SESSION['same'], $cart->owner === $cart, $cart->items, $_SESSION['list'],
        (array) $cart === [] ? 0 : count((array) $cart), $_SESSION['last_activity'] ?? null,
        isset($_SESSION['webauthn_challenge'])]);
}
session_write_close();
"""


def test_what_php_itself_stored_is_what_php_finds_again(directory: Directory) -> None:
    """Objects that refer to themselves, one object under two keys, references between keys, nested arrays."""
    php = require_program("php", "php-cli")

    def application(act: str) -> str:
        command = [php, "-r", PHP_APPLICATION, "--", str(directory.path), SID, act]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    application("fill")
    directory.moment.seconds = time.time()
    with directory.browser().request() as current:
        assert (current["login"], current["username"]) == (1, "admin")
        # the values before the references become fewer, those behind them more
        del current["webauthn_challenge"]
        current["last_activity"] = 5
        current["sbx_more"] = {"a": [1, 2]}
    found = json.loads(application("look"))
    assert found == [True, True, [1, [2.5, None, {"deep": True}]], [1, 2, 3], 3, 5, False]
