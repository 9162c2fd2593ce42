"""Files and directories that nobody else on the machine may read: made so, and put right where they are not.

What holds secrets or customers' data: databases of SQLite with what stands beside them, the queue, the data directory.
"""

import logging
import os
import stat
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

_BESIDE = ("", "-wal", "-shm", "-journal")
_FILE, _DIRECTORY = 0o600, 0o700


def private_file(path: Path) -> None:
    """An SQLite database at ``path`` that is ours alone, an empty one where there is none yet.

    What SQLite makes beside it later gets the same permissions from it. One that is there is not opened: closing it
    would let go of all locks that this process holds on it, and another program that closes the database would then
    take it for the last one and delete the log in which our changes are.
    """
    if not path.parent.exists():
        private_directory(path.parent)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE))
    except FileExistsError:
        pass
    except OSError:
        # whoever opens it next says what is wrong
        return
    for suffix in _BESIDE:
        _put_right(path.with_name(path.name + suffix), _FILE)


def private_directory(path: Path) -> None:
    """A directory that is ours alone, with parents where these are missing."""
    make_private(path)
    _put_right(path, _DIRECTORY)


def refuse_unusable_directory(path: Path) -> None:
    """For a server that starts: a directory that is ours alone, in which files can be made. Raises ValueError with a
    sentence that has no path."""
    if path.is_dir() and _is_everybodys(path):
        raise ValueError("The data directory ([panel] data_directory) must be one of its own: others use this one.")
    try:
        private_directory(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"The data directory ([panel] data_directory) cannot be made or written: {error.strerror}."
        ) from None


def _is_everybodys(path: Path) -> bool:
    """A temporary directory, or one that the system has mounted: closing it to others would harm them."""
    return bool(path.stat().st_mode & stat.S_ISVTX) or path.is_mount()


def make_private(path: Path) -> None:
    """Make what is missing of ``path``, for us alone; what is there may be shared, and stays as it is."""
    if not path.parent.exists():
        # a mode given to mkdir is not that of the parents
        make_private(path.parent)
    path.mkdir(mode=_DIRECTORY, exist_ok=True)


def put_right(path: Path) -> None:
    """A file of secrets that others can read is ours alone from now on, which the log says."""
    _put_right(path, _FILE)


def warn_if_readable(path: Path) -> None:
    """Say so where others can read a file that may hold secrets; who made it decides who reads it."""
    if os.name == "posix" and path.is_file() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("Others can read %s, which may hold passwords; better: chmod 600 %s", path.name, path.name)


def _put_right(path: Path, mode: int) -> None:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode) != (mode == _DIRECTORY):
            # not what it should be, as whoever opens it next says
            return
        if os.name != "posix" or not status.st_mode & 0o077 or status.st_uid != os.geteuid():
            return
        path.chmod(mode)
        log.warning("Others could read %s; that is over.", path.name)
    except OSError:
        # somebody else's, or gone
        return
