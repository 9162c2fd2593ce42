"""Another program may open and close the SQLite files of a server that runs: a command, a shell, a backup."""

import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.jobs import bell
from core.panel import Panel
from core.storage.tables import AppSetting

_LOOK = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM sqlite_master'); c.close()"


@pytest.fixture
def panel(tmp_path: Path) -> Panel:
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": f"sqlite:///{tmp_path}/panel.db"}))
    panel.layout  # noqa: B018 - creates the tables
    return panel


def _look_in(path: Path) -> None:
    """In a process of its own, since locks of files are those of processes."""
    subprocess.run([sys.executable, "-c", _LOOK, str(path)], check=True, timeout=60)


def _count(connection: sa.Connection) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(AppSetting)) or 0)


def _write(panel: Panel, key: str) -> None:
    def act(connection: sa.Connection) -> None:
        connection.execute(sa.insert(AppSetting).values(setting_key=key, setting_value="1"))

    panel.database.transact(act)


def test_no_change_is_lost_when_another_program_closes_the_database(panel: Panel, tmp_path: Path) -> None:
    try:
        _write(panel, "before")
        with ExitStack() as several:
            # a connection that is made must not let go of what the others hold
            for _ in range(4):
                _count(several.enter_context(panel.database.read()))
        _look_in(tmp_path / "panel.db")
        assert (tmp_path / "panel.db-wal").exists()
        _write(panel, "after")
        # as whoever comes later finds it
        with sqlite3.connect(tmp_path / "panel.db") as later:
            found = {row[0] for row in later.execute("SELECT setting_key FROM _app_settings")}
        later.close()
        assert found >= {"before", "after"}
    finally:
        panel.close()


def test_the_queue_stays_whole_when_another_program_closes_it(panel: Panel, tmp_path: Path) -> None:
    queue = tmp_path / "panel.db.jobs"
    try:
        bell.bell(panel).ring()
        other = Panel(panel.config)
        try:
            # of the same process, as the commands that tests run
            bell.bell(other).ring()
            _look_in(queue)
            assert queue.with_name(queue.name + "-wal").exists()
        finally:
            other.close()
    finally:
        panel.close()
