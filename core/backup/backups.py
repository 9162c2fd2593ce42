"""Making backups, handing them out, and restoring them: who may, one at a time, and what is noted of it.

Source: contract chapter 70, ``export_database.php``, ``backups/<file>`` and ``import_database.php``.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from sqlalchemy import Connection

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import EXPORT_DATABASE, IMPORT_DATABASE, require
from core.backup import files
from core.backup.dump import write_dump
from core.backup.examination import Examined, examine
from core.backup.files import Backup, BackupKind
from core.backup.restore import Restored, restore
from core.errors import DatabaseBusy, InvalidInput, NotAllowed, NotFound
from core.jobs.locks import Held, LockHeld, named_lock
from core.jobs.scheduled import Run, ScheduledJob
from core.jobs.waiting_places import waiting_places
from core.panel import Panel
from core.security.sealed_columns import forget_unbound
from core.values.escaping import plain, quotable

Report = Callable[[str, int, int], None]

_EXPORTS_KEPT = 5
_WAIT_SECONDS = 30.0
_ATTEMPTS = 3
_NAME_CHARACTERS = 200


class AlreadyExporting(LockHeld):
    default_text = "Another backup is being made, please try again in a minute"


class AlreadyImporting(LockHeld):
    default_text = "Another restore is already running"


@dataclass(frozen=True, slots=True)
class Imported:
    """``tables``: rows now of each table that was replaced; ``backup``: the name of the copy made before."""

    tables: dict[str, int]
    skipped: list[str]
    backup: str


def export(panel: Panel, by: By, *, wait: float | None = None) -> Backup:
    """A fresh dump for whoever asks to fetch, without secrets unless a super admin (or the configuration) says so.

    Raises NotAllowed, AlreadyExporting, BackupNotStored.
    """
    redacted = _is_redacted_for(panel, by.actor)
    with waiting_places(panel).one(_WAIT_SECONDS if wait is None else wait) as granted:
        backup = _make(panel, BackupKind.EXPORT, by.actor, redacted=redacted, wait=granted)

    def act(connection: Connection) -> None:
        details = "without passwords and keys" if redacted else None
        by.write_audit(panel, connection, "export", "database", target_name=backup.name, details=details)

    panel.database.transact(act)
    return backup


def make(panel: Panel, kind: BackupKind, report: Report | None = None) -> Backup:
    """A whole dump for the administrator of the server. Raises AlreadyExporting, BackupNotStored."""
    return _make(panel, kind, None, redacted=False, wait=_WAIT_SECONDS, report=report)


def open_for(panel: Panel, actor: Actor, name: str) -> tuple[Backup, BinaryIO]:
    """What ``actor`` may fetch: one's own export, for super admins any backup. Raises NotAllowed, NotFound."""
    _is_redacted_for(panel, actor)
    found = files.find(panel, name)
    try:
        if found is None:
            raise FileNotFoundError
        if not actor.super_user and not files.is_export_of(panel, found, actor):
            raise NotAllowed("Permission denied. This backup is somebody else's.")
        return found, found.path.open("rb")
    except FileNotFoundError:
        raise NotFound("This backup does not exist any more") from None


def require_import(panel: Panel, actor: Actor) -> None:
    """Raises NotAllowed."""
    require(actor, IMPORT_DATABASE)
    if not actor.super_user and not panel.config.backup.reseller_admin_import:
        raise NotAllowed(IMPORT_DATABASE.refusal)


def import_upload(panel: Panel, by: By, file: BinaryIO, name: str) -> Imported:
    """:func:`import_dump` of a file that somebody sent. Raises InvalidInput for a name that is no dump's, too."""
    require_import(panel, by.actor)
    if not name.lower().endswith(".sql"):
        raise InvalidInput("Only .sql files can be restored; nothing was changed")
    return import_dump(panel, by, file, name, is_operator=False)


def import_dump(
    panel: Panel, by: By, file: BinaryIO, name: str, report: Report | None = None, *, is_operator: bool = True
) -> Imported:
    """Replace what the panel holds by what the dump ``file``, which is called ``name``, holds; all of it or nothing.

    From anybody but the server's operator no secrets are taken that an older version sealed for no certain place.

    Raises NotAllowed, AlreadyImporting, InvalidInput (of which the text says why), RowRefused, WorkUnderWay.
    """
    require_import(panel, by.actor)
    report = report or _silent
    # made at the first call, which must not come within the restore's own transaction
    panel.fingerprint_key  # noqa: B018
    with _one_at_a_time(panel, "backup-import", AlreadyImporting) as held:
        examined = examine(panel, file, report)
        before = make(panel, BackupKind.BEFORE_IMPORT, report)
        held.renew()
        finish = partial(_finish, panel, by, _shown(name), is_operator)
        restored = _restore(panel, file, examined, report, finish)
    return Imported(restored.tables, restored.skipped, before.name)


def _restore(
    panel: Panel, file: BinaryIO, examined: Examined, report: Report, finish: Callable[[Connection, Restored], None]
) -> Restored:
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        try:
            with panel.database.write() as connection:
                restored = restore(panel, connection, file, examined, report)
                finish(connection, restored)
                return restored
        except DatabaseBusy:
            # all was rolled back, and nothing outside was told
            if not attempts:
                raise


def _finish(panel: Panel, by: By, name: str, is_operator: bool, connection: Connection, restored: Restored) -> None:
    if not is_operator and (forgotten := forget_unbound(connection, panel.layout)):
        text = f"{forgotten} passwords and tokens that an older version sealed; please enter them again"
        restored.skipped.append(text)
    by.write_audit(panel, connection, "import", "database", target_name=name, new=restored.tables)


def _is_redacted_for(panel: Panel, actor: Actor) -> bool:
    """Raises NotAllowed."""
    require(actor, EXPORT_DATABASE)
    if actor.super_user:
        return False
    setting = panel.config.backup.reseller_admin_export
    if setting == "off":
        raise NotAllowed(EXPORT_DATABASE.refusal)
    return setting == "redacted"


def _make(
    panel: Panel, kind: BackupKind, actor: Actor | None, *, redacted: bool, wait: float, report: Report | None = None
) -> Backup:
    with _one_at_a_time(panel, "backup-export", AlreadyExporting, wait=wait):
        made = files.store(panel, kind, actor, partial(write_dump, panel, redacted=redacted, report=report))
        files.forget_old(panel, most_exports=_EXPORTS_KEPT)
    return made


@contextmanager
def _one_at_a_time(panel: Panel, name: str, refusal: type[LockHeld], *, wait: float = 0.0) -> Iterator[Held]:
    with ExitStack() as stack:
        try:
            held = stack.enter_context(named_lock(panel, name, wait=wait))
        except LockHeld as error:
            raise refusal(age=error.age) from None
        yield held


def _shown(name: str) -> str:
    """The base name of a file that was sent, as the audit log may show it."""
    return quotable(plain(re.split(r"[/\\]", name)[-1]))[:_NAME_CHARACTERS]


def _silent(_step: str, _done: int, _total: int) -> None:
    pass


def _run(run: Run) -> int:
    if run.options.dry_run:
        run.stamped("WOULD STORE a backup")
        return 0
    made = make(run.panel, BackupKind.BY_CLOCK, lambda _step, done, total: run.output.progress(done, total))
    run.stamped(f"SUCCESS - {made.name}, {made.size} bytes")
    return 0


BACKUP = ScheduledJob(
    name="backup",
    script=None,
    lock="backup",
    usual="0 4 * * *",
    summary="Store a backup of the database, and remove those that are too old",
    run=_run,
    is_on=lambda panel: panel.config.backup.daily,
)
