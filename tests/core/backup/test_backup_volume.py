"""Speed and memory of backups: five thousand accounts within seconds, and files that are larger than memory."""

import os
import time
from pathlib import Path

import pytest

from tests.conftest import MakeWorld
from tests.worlds.backups import dump_text, fill_chapter_70, fixture_text, import_text
from tests.worlds.databases import prepared_database
from tests.worlds.forked import run
from tests.worlds.places import ROOT

EXPORT_SECONDS, IMPORT_SECONDS = 2.0, 10.0
# of processor time: the machines that run tests are busy
MIB = 1024 * 1024
# the whole size where it is asked for
LARGE_MIB = int(os.environ.get("SHOWBOX_TEST_DUMP_MIB", "12"))
MOST_MIB = 200
_RUN = """
import re, sys
from pathlib import Path
from core.backup import backups
from core.backup.files import BackupKind
from core.config import load_config
from core.panel import Panel
from tests.worlds.backups import BY_CONSOLE
panel = Panel(load_config(None))
with open(sys.argv[1], "rb") as file:
    done = backups.import_dump(panel, BY_CONSOLE, file, "dump.sql")
made = backups.make(panel, BackupKind.BY_HAND)
# not getrusage, which tells of the process that started this one as well
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(done.tables["_stb_action_logs"], made.size, peak)
"""


@pytest.mark.parametrize("version", ["1.11.66", "1.18.2"])
def test_five_thousand_accounts(make_world: MakeWorld, version: str) -> None:
    world = fill_chapter_70(make_world("sqlite"))
    started = time.process_time()
    assert import_text(world.panel, fixture_text(version, whole=True)).tables["_accounts"] == 5000
    imported = time.process_time()
    text = dump_text(world.panel)
    exported = time.process_time()
    assert text.count("\n(") > 7000
    assert imported - started < IMPORT_SECONDS
    assert exported - imported < EXPORT_SECONDS


def test_a_large_dump_takes_little_memory(tmp_path: Path) -> None:
    rows, path = 0, tmp_path / "dump.sql"
    with path.open("w") as file:
        file.write("INSERT INTO `_stb_action_logs` (`id`,`user_id`,`username`,`action_type`,`mac_address`,")
        file.write("`action_detail`,`full_message`,`created_at`) VALUES\n")
        while file.tell() < LARGE_MIB * MIB:
            lines = (
                f"({n},1,'admin','message','00:1A:79:00:00:01','text \\'{n}','{'a longer message ' * 60}',NULL)"
                for n in range(rows + 1, rows + 1001)
            )
            file.write(("," if rows else "") + ",\n".join(lines))
            rows += 1000
        file.write(";\n")
    environment = {
        **os.environ,
        "SHOWBOX_DATABASE_URL": prepared_database("sqlite", "large"),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "data"),
    }
    result = run("-c", _RUN, str(path), cwd=ROOT, environment=environment, seconds=1200)
    assert result.returncode == 0, result.stderr
    imported, exported, kib = map(int, result.stdout.split())
    assert imported == rows
    assert exported > 0.95 * path.stat().st_size
    assert kib / 1024 < MOST_MIB
