"""The directory of PHP's session files: its parts, whether this server can share it, and clearing old files away.

The files themselves: :mod:`compat.sessions.php_files`. POSIX only.
"""

import itertools
import logging
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "sess_"
_LOOKED_AT = 1000
_log = logging.getLogger(__name__)


class CannotShare(ValueError):
    """This server, as it was started, cannot work on PHP's session files; the text says why in a sentence."""


@dataclass(frozen=True)
class SessionDirectory:
    """``depth`` levels of sub-directories, named by the leading characters of the id; new files get ``mode``."""

    path: str
    depth: int = 0
    mode: int = 0o600

    @classmethod
    def parse(cls, save_path: str) -> "SessionDirectory":
        *options, path = save_path.split(";", 2)
        try:
            depth = int(options[0]) if options else 0
            mode = int(options[1], 8) if len(options) > 1 else 0o600
        except ValueError:
            depth, mode = -1, 0
        if depth < 0 or not Path(path).is_absolute() or not 0 <= mode <= 0o777:
            raise ValueError("the session save path must be /path, N;/path or N;MODE;/path")
        return cls(path, depth, mode)

    def file(self, store_id: str) -> str:
        levels = store_id[len(PREFIX) : len(PREFIX) + self.depth]
        return "/".join((self.path, *levels, store_id))

    def files(self) -> Iterator[Path]:
        """All session files. Raises PermissionError where this user may not list them, as on Debian."""
        with os.scandir(self.path):
            pass
        yield from Path(self.path).glob("*/" * self.depth + f"{PREFIX}*")

    def clear(self, before: float, most: int) -> int:
        """Delete up to ``most`` files of this process's user (root: of any) that no request used since ``before``
        (Unix seconds), and return how many. Where they cannot be listed, that is left to the system's own job."""
        user, cleared = os.geteuid(), 0
        with suppress(PermissionError):
            for path in self.files():
                with suppress(OSError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode) and status.st_mtime < before and user in (0, status.st_uid):
                        path.unlink()
                        cleared += 1
                if cleared >= most:
                    break
        return cleared


def refuse_if_unusable(directory: SessionDirectory, setting: str = "php_save_path") -> None:
    """For a server that starts. Raises CannotShare; warns where the directory does not look like PHP's."""
    user = os.geteuid()
    try:
        owners = [path.lstat().st_uid for path in itertools.islice(directory.files(), _LOOKED_AT)]
    except PermissionError:
        owners = None
    except OSError as error:
        raise CannotShare(
            f"{setting}: the directory of PHP's session files cannot be used: {error.strerror}."
        ) from None
    if user == 0:
        _refuse_root(directory, owners or [], setting)
    elif not os.access(directory.path, os.W_OK | os.X_OK):
        raise CannotShare(f"{setting}: {_name(user)} may not write there; start this server as the user of PHP.")
    elif owners and user not in owners and any(owners):
        owner = next(owner for owner in owners if owner)
        raise CannotShare(
            f"{setting}: the session files there belong to {_name(owner)}; start this server as that user, not as"
            f" {_name(user)}."
        )
    if directory.depth and not all(Path(directory.path, digit).is_dir() for digit in "0123456789"):
        raise CannotShare(f"{setting}: the sub-directories that {directory.depth};/path promises are not there.")
    if owners == []:
        _log.warning("%s holds no session of PHP yet; is it the session.save_path of the web server's PHP?", setting)


def _refuse_root(directory: SessionDirectory, owners: list[int], setting: str) -> None:
    """What root writes, PHP's own user could not open, and would log out whoever comes from here."""
    status = Path(directory.path).stat()
    others = [owner for owner in (*owners, status.st_uid) if owner]
    if others or status.st_mode & stat.S_IWOTH:
        whose = _name(others[0]) if others else "the user of PHP"
        raise CannotShare(
            f"{setting}: PHP's session files belong to {whose}, who could not read those of root; start this server as"
            " that user."
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"
