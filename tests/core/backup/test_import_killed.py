"""A process that is killed at any moment of an import leaves the old state or the new one, on each database.

``SHOWBOX_TEST_KILLS=20`` makes more rounds of it.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import load_config
from core.panel import Panel
from tests.worlds.backups import Held, dump_text, held, import_text
from tests.worlds.databases import drop_database, prepared_database
from tests.worlds.forked import Forked
from tests.worlds.places import ROOT

ROUNDS = int(os.environ.get("SHOWBOX_TEST_KILLS", "1"))
# the full number where many rounds are asked for
ACCOUNTS = 4000 if ROUNDS > 1 else 800
ADMIN = "(1,'admin','0192023a7bbd73250516f069df18b500',1)"
_NAMES = ("_users", "_accounts", "_transactions")
# tells when it begins to write, so that most kills come in the middle of that
_IMPORT = """
import io, sys
from core.backup import backups
from core.config import load_config
from core.panel import Panel
from tests.worlds.backups import BY_CONSOLE
def report(step, done, total):
    if step == "writing" and not told:
        told.append(1)
        print("writing", flush=True)
told = []
panel = Panel(load_config(None))
with open(sys.argv[1], "rb") as file:
    print("ready", flush=True)
    backups.import_dump(panel, BY_CONSOLE, file, "dump.sql", report)
print("done", flush=True)
"""


def _text(mark: str, accounts: int) -> str:
    rows = ",\n".join(f"({n},'{mark}{n}','00:1A:79:00:00:01','{mark * 40}')" for n in range(1, accounts + 1))
    return (
        f"INSERT INTO `_accounts` (`id`,`username`,`mac`,`full_name`) VALUES {rows};\n"
        f"INSERT INTO `_users` (`id`,`username`,`password`,`super_user`) VALUES {ADMIN},(2,'{mark}','x',0);\n"
        f"INSERT INTO `_transactions` (`id`,`details`) VALUES {','.join(f'({n},{n})' for n in range(1, accounts))};\n"
    )


@pytest.fixture
def settings(kind: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    url = prepared_database(kind, "import_killed")
    yield {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "data")}
    drop_database(url)


def _main(panel: Panel) -> Held:
    found = held(panel.database)
    return {name: found[name] for name in _NAMES}


def test_old_or_new_and_nothing_between(settings: dict[str, str], tmp_path: Path) -> None:
    panel = Panel(load_config(None, settings))
    texts = [_text("a", ACCOUNTS), _text("b", ACCOUNTS // 2)]
    states = []
    for text in texts:
        started = time.monotonic()
        import_text(panel, text)
        usual = time.monotonic() - started
        states.append(_main(panel))
    outcomes = []
    for number in range(ROUNDS * 2):
        before = states.index(_main(panel))
        file = tmp_path / "dump.sql"
        file.write_text(texts[1 - before])
        # from before the first row to after the last; at other times from the start of the import
        _kill(settings, file, after="writing" if number % 2 else "ready", delay=random.uniform(0, usual))
        after = _main(panel)
        assert after in states, f"round {number}"
        outcomes.append(states.index(after) == before)
        # what the dead one held is free at once, and the next import is whole
        if number == ROUNDS * 2 - 1:
            import_text(panel, texts[before])
            assert _main(panel) == states[before]
    assert "-- ShowBox Billing Panel dump" in dump_text(panel)
    panel.close()
    sys.stdout.write(f"{len(outcomes)} kills: {sum(outcomes)} left the old state, the others the new one\n")


def _kill(settings: dict[str, str], file: Path, *, after: str, delay: float) -> None:
    process = Forked("-c", [_IMPORT, str(file)], cwd=ROOT, environment={**os.environ, **settings})
    try:
        for line in process.stdout:
            if line.strip() in (after, "done"):
                break
        time.sleep(delay)
        process.kill()
        assert process.wait(60) in (-signal.SIGKILL, 0), process.stderr
    finally:
        process.close()
