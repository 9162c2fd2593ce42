"""PHP's session directory: whether this server may share it, told at the start, and old files cleared away."""

import logging
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compat.sessions.php_directory import CannotShare, SessionDirectory, refuse_if_unusable
from compat.sessions.php_files import CLEAR_SECONDS
from tests.compat.session_browser import Moment
from tests.compat.test_session_php_files import SID, Directory
from tests.worlds.places import ROOT

NOBODY = pwd.getpwnam("nobody").pw_uid
DAEMON = pwd.getpwnam("daemon").pw_uid
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")

AS_NOBODY = f"""
import os, sys, logging
logging.basicConfig(format="%(message)s", level=logging.WARNING)
sys.path.insert(0, sys.argv[2])
from compat.sessions.php_directory import CannotShare, SessionDirectory, refuse_if_unusable
import compat.sessions.php_files
os.setgid(65534); os.setuid({NOBODY})
try:
    refuse_if_unusable(SessionDirectory.parse(sys.argv[1]))
    print("fine")
except CannotShare as error:
    print(error)
"""


def _file(directory: Path, owner: int, name: str = f"sess_{SID}", age: float = 0) -> Path:
    path = directory / name
    path.write_bytes(b"login|i:1;")
    path.chmod(0o600)
    os.utime(path, (time.time() - age, time.time() - age))
    os.chown(path, owner, -1)
    return path


def _as_nobody(save_path: object) -> str:
    command = [sys.executable, "-c", AS_NOBODY, str(save_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip() + done.stderr.strip()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that other users get to."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    made = tmp_path / "sessions"
    made.mkdir()
    return made


@as_root
def test_root_is_refused_where_the_files_are_anothers(place: Path) -> None:
    _file(place, DAEMON)
    with pytest.raises(CannotShare, match=r"^php_save_path: PHP's session files belong to daemon, .* as that user\.$"):
        refuse_if_unusable(SessionDirectory(str(place)))


@as_root
def test_root_is_refused_in_an_empty_directory_of_php_s_user(place: Path) -> None:
    os.chown(place, DAEMON, -1)
    with pytest.raises(CannotShare, match="belong to daemon"):
        refuse_if_unusable(SessionDirectory(str(place)))


@as_root
def test_root_is_refused_in_a_directory_as_debian_has_it(place: Path) -> None:
    place.chmod(0o1733)
    with pytest.raises(CannotShare, match="belong to the user of PHP"):
        refuse_if_unusable(SessionDirectory(str(place)))


@as_root
def test_another_user_is_told_whose_the_files_are(place: Path) -> None:
    place.chmod(0o777)
    _file(place, DAEMON)
    assert "belong to daemon; start this server as that user, not as nobody" in _as_nobody(place)
    _file(place, NOBODY, "sess_bbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert _as_nobody(place) == "fine"


@as_root
def test_a_directory_that_may_not_be_written_is_told(place: Path) -> None:
    place.chmod(0o755)
    assert "nobody may not write there" in _as_nobody(place)


@as_root
def test_debian_s_directory_is_fine_for_php_s_user(place: Path) -> None:
    place.chmod(0o1733)
    _file(place, NOBODY)
    assert _as_nobody(place) == "fine"


def test_sub_directories_that_are_not_there_are_told(place: Path) -> None:
    with pytest.raises(CannotShare, match=r"the sub-directories that 2;/path promises are not there"):
        refuse_if_unusable(SessionDirectory(str(place), 2))
    for digit in "0123456789abcdef":
        (place / digit).mkdir()
    refuse_if_unusable(SessionDirectory(str(place), 1))


def test_a_directory_without_sessions_is_warned_of(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        refuse_if_unusable(SessionDirectory(str(place)))
    assert "holds no session of PHP yet" in caplog.text
    caplog.clear()
    _file(place, os.geteuid())
    refuse_if_unusable(SessionDirectory(str(place)))
    assert caplog.text == ""


@as_root
def test_a_session_of_another_user_is_no_passing_fault(place: Path) -> None:
    """Neither is the browser told to try again later."""
    place.chmod(0o777)
    program = AS_NOBODY.replace("refuse_if_unusable(", "read(").replace(
        "os.setgid",
        """
from compat.sessions import SessionUnavailable
from tests.compat.test_session_php_files import Directory, SID
import pathlib
Directory(pathlib.Path(sys.argv[1])).browser(None).read()
def read(directory):
    made = Directory(pathlib.Path(directory.path))
    try:
        made.browser().read()
    except SessionUnavailable as error:
        print(error.text)
os.setgid""",
    )
    _file(place, DAEMON)
    command = [sys.executable, "-c", program, str(place), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not open to the user of this server" in done.stdout
    assert "try again" not in done.stdout


# old files


def test_old_session_files_are_cleared_away_when_somebody_comes(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.moment = Moment(time.time())
    old = _file(tmp_path, os.geteuid(), "sess_" + "a" * 26, age=1441)
    young = _file(tmp_path, os.geteuid(), "sess_" + "b" * 26, age=1400)
    other = _file(tmp_path, os.geteuid(), "note.txt", age=10_000)
    link = tmp_path / ("sess_" + "c" * 26)
    link.symlink_to(other)

    def login() -> None:
        with directory.browser(None).request() as current:
            current.renew_id()
            current["login"] = 1

    login()
    assert (old.exists(), young.exists(), other.exists(), link.is_symlink()) == (False, True, True, True)
    assert len(directory.names()) == 4
    again = _file(tmp_path, os.geteuid(), "sess_" + "a" * 26, age=5000)
    browser = directory.browser(None)
    for seconds, is_there in ((0, False), (10, True), (CLEAR_SECONDS, False)):
        directory.moment.seconds += seconds
        if not again.exists():
            again = _file(tmp_path, os.geteuid(), "sess_" + "a" * 26, age=5000)
        with browser.request() as current:
            current.renew_id()
            current["login"] = 1
        assert again.exists() is is_there


@as_root
def test_files_of_other_users_are_theirs_to_clear(place: Path) -> None:
    place.chmod(0o777)
    theirs = _file(place, DAEMON, age=5000)
    ours = _file(place, NOBODY, "sess_" + "b" * 26, age=5000)
    program = AS_NOBODY.replace(
        "refuse_if_unusable(SessionDirectory.parse(sys.argv[1]))",
        "SessionDirectory.parse(sys.argv[1]).clear(__import__('time').time() - 1440, 10)",
    )
    subprocess.run([sys.executable, "-c", program, str(place), str(ROOT)], timeout=60, check=True)
    assert (theirs.exists(), ours.exists()) == (True, False)
