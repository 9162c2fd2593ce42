"""Stored backups: how long they are kept, their names, one at a time, and what happens when they cannot be stored."""

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest
import sqlalchemy as sa

from core.access.actors import Actor, bare_actor
from core.access.audit import By
from core.backup import backups, files
from core.backup.backups import BACKUP, AlreadyExporting, AlreadyImporting
from core.backup.files import BackupKind, BackupNotStored
from core.config import load_config
from core.errors import NotAllowed, NotFound
from core.jobs.locks import named_lock
from core.jobs.scheduled import DONE, Options, run_job
from core.panel import Panel
from core.storage.tables import AuditEntry
from core.values.clock import Clock
from core.workers import schedule
from tests.worlds.backups import BY_CONSOLE, CONSOLE, import_text
from tests.worlds.databases import prepared_database
from tests.worlds.sms import Lines

ADMIN = bare_actor(1, "admin", super_user=True)
HOUR, DAY = 3600, 24 * 3600
TEXT = "INSERT INTO `_plans` (`id`,`name`) VALUES (1,'x');\n"


class Time:
    def __init__(self) -> None:
        self.now = datetime.fromisoformat("2026-11-22 10:30:00+03:30").timestamp()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def panel(tmp_path: Path, time: Time) -> Iterator[Panel]:
    environment = {
        "SHOWBOX_DATABASE_URL": prepared_database("sqlite", "backups"),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "data"),
        "SHOWBOX_BACKUP_KEEP_DAYS": "3",
    }
    panel = Panel(load_config(None, environment), clock=Clock("Asia/Tehran", source=lambda: time.now))
    yield panel
    panel.close()


def _export(panel: Panel, actor: Actor = ADMIN) -> str:
    return backups.export(panel, By(actor, CONSOLE), wait=0).name


def _names(panel: Panel) -> list[str]:
    return [backup.name for backup in files.stored(panel)]


def test_names_tell_the_panels_time_and_differ_within_a_second(panel: Panel) -> None:
    assert [_export(panel) for _ in range(3)] == [
        "showbox_backup_2026-11-22_10-30-00.sql",
        "showbox_backup_2026-11-22_10-30-01.sql",
        "showbox_backup_2026-11-22_10-30-02.sql",
    ]


def test_five_exports_are_kept_for_an_hour(panel: Panel, time: Time) -> None:
    names = []
    for _ in range(7):
        names.append(_export(panel))
        time.now += 60
    assert _names(panel) == names[:1:-1]
    time.now += HOUR - 3 * 60
    # over, although nobody has removed it yet
    with pytest.raises(NotFound):
        backups.open_for(panel, ADMIN, names[2])
    backup, file = backups.open_for(panel, ADMIN, names[-1])
    with file:
        assert len(file.read()) == backup.size
    time.now += HOUR
    last = _export(panel)
    assert _names(panel) == [last]


def test_other_backups_have_other_ends(panel: Panel, time: Time) -> None:
    made = {
        kind: backups.make(panel, kind).name
        for kind in (BackupKind.BEFORE_IMPORT, BackupKind.BY_CLOCK, BackupKind.BY_HAND)
    }
    ends = []
    for _ in range(10):
        time.now += DAY - 1
        _export(panel)
        time.now += 2
        _export(panel)
        ends.append([kind for kind, name in made.items() if name in _names(panel)])
    three, two, one = list(made), [BackupKind.BEFORE_IMPORT, BackupKind.BY_HAND], [BackupKind.BY_HAND]
    assert ends == [three, three, two, two, two, two, one, one, one, one]


def test_whose_an_export_is_depends_on_more_than_the_id(panel: Panel) -> None:
    """After a restore the same number may be another person."""
    rita = Actor(**{name: getattr(bare_actor(5, "rita"), name) for name in Actor.__slots__} | {"permissions": "1|1|1"})
    namesake = Actor(**{name: getattr(rita, name) for name in Actor.__slots__} | {"username": "robert"})
    name = _export(panel, rita)
    backups.open_for(panel, rita, name)[1].close()
    with pytest.raises(NotAllowed):
        backups.open_for(panel, namesake, name)


@pytest.mark.parametrize("name", ["../../x.sql", "showbox_backup_2026-11-22_10-30-00.sql.part", "", "x"])
def test_only_backups_are_found(panel: Panel, name: str) -> None:
    _export(panel)
    with pytest.raises(NotFound):
        backups.open_for(panel, ADMIN, name)


def test_one_export_and_one_import_at_a_time(panel: Panel) -> None:
    with named_lock(panel, "backup-export"), pytest.raises(AlreadyExporting):
        _export(panel)
    with named_lock(panel, "backup-import"), pytest.raises(AlreadyImporting):
        import_text(panel, TEXT)
    assert _names(panel) == []
    assert import_text(panel, TEXT).tables == {"_plans": 1}


def test_what_a_killed_process_left_is_removed_after_a_day(panel: Panel, time: Time) -> None:
    _export(panel)
    [directory] = {backup.path.parent for backup in files.stored(panel)}
    left = directory / ".0123.part"
    left.write_text("half")
    _export(panel)
    # of another's that is being written just now
    assert left.exists()
    time.now = left.stat().st_mtime + DAY + 1
    _export(panel)
    assert not left.exists()


def test_a_directory_that_cannot_be_written(panel: Panel) -> None:
    panel.config.panel.data_directory.mkdir()
    (panel.config.panel.data_directory / "backups").write_text("in the way")
    with pytest.raises(BackupNotStored) as caught:
        _export(panel)
    assert str(panel.config.panel.data_directory) not in caught.value.text
    # nothing is replaced that could not be saved before
    with pytest.raises(BackupNotStored):
        import_text(panel, TEXT)
    with panel.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(AuditEntry)) == 0


def test_a_full_disk_leaves_no_half_of_a_file(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(_panel: Panel, file: BinaryIO, **_: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "write_dump", write_half)
    with pytest.raises(BackupNotStored):
        _export(panel)
    assert [path for path in panel.config.panel.data_directory.rglob("*") if path.is_file()] == []


def test_the_nightly_job(panel: Panel, time: Time) -> None:
    lines = Lines()
    assert run_job(panel, BACKUP, Options(dry_run=True), lines) == DONE
    assert _names(panel) == []
    for _ in range(5):
        assert run_job(panel, BACKUP, Options(), lines) == DONE
        time.now += DAY
    kept = files.stored(panel)
    assert [backup.kind for backup in kept] == [BackupKind.BY_CLOCK] * 3
    assert lines.text.splitlines()[-1] == f"[2026-11-26 10:30:00] SUCCESS - {kept[0].name}, {kept[0].size} bytes"


@pytest.mark.parametrize(("daily", "is_on"), [("no", False), ("yes", True)])
def test_the_clock_starts_it_only_where_it_is_switched_on(tmp_path: Path, daily: str, is_on: bool) -> None:
    environment = {"SHOWBOX_DATABASE_URL": prepared_database("sqlite", "nightly"), "SHOWBOX_BACKUP_DAILY": daily}
    panel = Panel(load_config(None, environment))
    assert BACKUP in schedule.JOBS
    assert BACKUP.is_on(panel) is is_on
    assert schedule.is_time(BACKUP.usual, datetime.fromisoformat("2026-11-22 04:00:00"))
    panel.close()


def test_an_import_by_the_command_line_says_who_and_how_much(panel: Panel) -> None:
    backups.import_dump(panel, BY_CONSOLE, io.BytesIO(TEXT.encode()), "a/b\n<x>.sql")
    with panel.database.read() as connection:
        row = connection.execute(sa.select(*AuditEntry.__table__.c)).mappings().one()
    assert (row["action"], row["target_type"], row["target_name"]) == ("import", "database", "bx.sql")
    assert '"_plans":1' in row["new_value"]
