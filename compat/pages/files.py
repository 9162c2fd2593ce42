"""Opens files below one directory and nowhere else. Which of them may be served is not decided here."""

import errno
import logging
import os
import stat
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger(__name__)

# What a name that does not fit the tree or the file system may raise, besides "not found".
_NO_SUCH_NAME = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
# A file may be replaced between the check and the opening: no link is followed then, no pipe waited for.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def version_of(info: os.stat_result) -> tuple[int, ...]:
    """What changes whenever the content of a file may have changed, also when its times are set back."""
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


class Tree:
    """The files below ``root``. The root may be a symbolic link, also one that is switched later."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "The frontend root is not a directory", str(root))
        self._root = root
        self._reported: set[str] = set()

    def open(self, name: str) -> BinaryIO | None:
        """The regular file of that relative name, for reading; None when there is none below the root."""
        try:
            path = self._resolve(name)
            return None if path is None else os.fdopen(os.open(path, _OPEN_FLAGS), "rb")
        except PermissionError:
            self._report_unreadable(name)
            return None
        except OSError as error:
            if error.errno not in _NO_SUCH_NAME:
                raise
            return None

    def modified(self, name: str) -> int | None:
        """The modification time of a file in whole Unix seconds; None when ``open`` would not find it."""
        found = self.open(name)
        if found is None:
            return None
        with found:
            return os.fstat(found.fileno()).st_mtime_ns // 10**9

    def _resolve(self, name: str) -> Path | None:
        """The real path of a regular file below the root, all links followed.

        A link within the root may not change the extension nor lead into a hidden directory: it must
        not make data or source code out of what the name promises.
        """
        root = Path(os.path.realpath(self._root, strict=True))
        # URLs are UTF-8, whatever the locale of this process says about file names.
        path = Path(os.path.realpath(root / os.fsdecode(name.encode("utf-8")), strict=True))
        if not path.is_relative_to(root) or path.suffix != Path(name).suffix:
            return None
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            return None
        return path if stat.S_ISREG(path.stat().st_mode) else None

    def _report_unreadable(self, name: str) -> None:
        """Once per directory: a closed one hides any number of names, asked for by anybody."""
        directory = os.path.dirname(name)
        if directory not in self._reported:
            self._reported.add(directory)
            logger.warning("frontend file %s may not be read by this process, it is answered as missing", name)
