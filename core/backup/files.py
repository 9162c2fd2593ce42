"""Where dumps lie: below the data directory, which no web server serves; by what they are for and by whose they are.

Each is written beside its place and appears there whole. Its time is the panel's, and so is its age. Who may have
which: :mod:`core.backup.backups`. Source: contract chapter 70, ``scripts/export_database.php``, ``scripts/backups``.
"""

import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from core.access.actors import Actor
from core.errors import PanelError
from core.panel import Panel
from core.storage.private_files import private_directory

log = logging.getLogger(__name__)

_NAME = re.compile(r"showbox_backup_\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}\.sql")
_DIRECTORY = "backups"
EXPORT_SECONDS = 3600
BEFORE_IMPORT_SECONDS = 7 * 24 * 3600
# leftovers of a process that was killed while it wrote
_UNFINISHED_SECONDS = 24 * 3600
_UNFINISHED = ".part"


class BackupKind(Enum):
    """What a backup is for. An export is gone after an hour, a copy made before an import after a week, one that was
    made by the clock after the configured days, and one that was made by hand never."""

    EXPORT = "exports"
    BEFORE_IMPORT = "before-import"
    BY_CLOCK = "by-clock"
    BY_HAND = "by-hand"


class BackupNotStored(PanelError):
    code = 7
    default_text = "The backup could not be stored on the server"


@dataclass(frozen=True, slots=True)
class Backup:
    """A stored dump. ``made_at``: Unix seconds; ``path`` is never shown."""

    name: str
    kind: BackupKind
    size: int
    made_at: int
    path: Path


def store(panel: Panel, kind: BackupKind, actor: Actor | None, write: Callable[[BinaryIO], None]) -> Backup:
    """Store what ``write`` writes under a name of this second that no other has; under the lock of backups only.

    ``actor``: whose export it is. Raises BackupNotStored, and what ``write`` raises.
    """
    directory = _directory(panel, kind, actor)
    try:
        private_directory(directory)
        unfinished = directory / f".{secrets.token_hex(8)}{_UNFINISHED}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            stamp = panel.clock.stamp()
            os.utime(unfinished, (stamp, stamp))
            path = directory / _free_name(panel)
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return _backup(path)
    except OSError as error:
        # a path in the message would say where things lie
        log.error("a backup could not be stored: %s", error.strerror)
        raise BackupNotStored from None


def _free_name(panel: Panel) -> str:
    """Two of one second do not share a name: the later one gets the next second."""
    moment, taken = panel.clock.now(), {backup.name for backup in stored(panel)}
    while (name := f"showbox_backup_{moment:%Y-%m-%d_%H-%M-%S}.sql") in taken:
        moment += timedelta(seconds=1)
    return name


def stored(panel: Panel) -> list[Backup]:
    """All that are stored, the newest first."""
    found = [_backup(path) for path in _paths(panel) if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda backup: (backup.made_at, backup.name), reverse=True)


def find(panel: Panel, name: str) -> Backup | None:
    """The one of that name, if it is still to be had."""
    if not _NAME.fullmatch(name):
        return None
    found = next((backup for backup in stored(panel) if backup.name == name), None)
    return None if found is None or _is_over(panel, found) else found


def is_export_of(panel: Panel, backup: Backup, actor: Actor) -> bool:
    return backup.path.parent == _directory(panel, BackupKind.EXPORT, actor)


def forget_old(panel: Panel, *, most_exports: int) -> None:
    """Remove what is over, and of exports all but the newest ``most_exports``."""
    everything = stored(panel)
    surplus = [backup for backup in everything if backup.kind is BackupKind.EXPORT][most_exports:]
    for backup in everything:
        if backup in surplus or _is_over(panel, backup):
            _remove(backup.path)
    for path in _paths(panel):
        if path.name.endswith(_UNFINISHED) and path.stat().st_mtime < panel.clock.stamp() - _UNFINISHED_SECONDS:
            _remove(path)


def _is_over(panel: Panel, backup: Backup) -> bool:
    seconds = {
        BackupKind.EXPORT: EXPORT_SECONDS,
        BackupKind.BEFORE_IMPORT: BEFORE_IMPORT_SECONDS,
        BackupKind.BY_CLOCK: panel.config.backup.keep_days * 24 * 3600,
    }.get(backup.kind)
    return seconds is not None and backup.made_at <= panel.clock.stamp() - seconds


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("an old backup could not be removed: %s", error.strerror)


def _paths(panel: Panel) -> Iterator[Path]:
    for kind in BackupKind:
        pattern = "*/*" if kind is BackupKind.EXPORT else "*"
        yield from (_root(panel) / kind.value).glob(pattern)


def _backup(path: Path) -> Backup:
    status = path.stat()
    kind = BackupKind.EXPORT if path.parent.parent.name == BackupKind.EXPORT.value else BackupKind(path.parent.name)
    return Backup(path.name, kind, status.st_size, int(status.st_mtime), path)


def _directory(panel: Panel, kind: BackupKind, actor: Actor | None) -> Path:
    directory = _root(panel) / kind.value
    if kind is not BackupKind.EXPORT or actor is None:
        return directory
    # not the id alone: after a restore it may be another person's
    whose = hashlib.sha256(f"{actor.id} {actor.username}".encode()).hexdigest()[:16]
    return directory / whose


def _root(panel: Panel) -> Path:
    return panel.config.panel.data_directory / _DIRECTORY
