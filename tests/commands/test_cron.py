"""Crontabs of the panel, unedited (contract chapter 60): the launchers, the stand-in for php, our command."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from bench.processes import free_port
from core.config import load_config
from core.panel import Panel
from core.storage.tables import Account, ExpiryReminder, ReminderSettings, User
from core.workers.cron_scripts import ALL_SCRIPTS, JOB_SCRIPTS, SETUP_SCRIPTS
from core.workers.schedule import JOBS
from simulators.stalker import StalkerPortal
from tests.worlds.databases import create_database
from tests.worlds.lacking import require_program
from tests.worlds.programs import is_listening
from tests.worlds.reminders import MAC
from tests.worlds.waiting import until
from tests.worlds.warm import warm_python
from wsgi import build

SCRIPT = "cron_check_expiry_reminders.php"
# as the panel's guides print them; ROOT is the panel's directory
CRONTAB = """
0 9 * * * php ROOT/cron_check_expiry_reminders.php >> LOG 2>&1
0 9,18 * * * cd ROOT && ./cron/cron_check_expiry_reminders.php --days=3 >> LOG 2>&1 || echo mail >> LOG
0 * * * * php -q ROOT/cron/cron_disable_expired_accounts.php >> LOG 2>&1
0 2 1 * * php -d memory_limit=1G -f ROOT/scripts/cleanup_old_reminders.php >> LOG 2>&1
"""


class Installed(NamedTuple):
    """``place``: where the operator starts the server; ``bin``: the stand-in's directory; ``root``: the panel's."""

    panel: Panel
    portal: StalkerPortal
    place: Path
    bin: Path
    root: Path
    app: Flask

    def flask(self, *arguments: str) -> Result:
        """``flask --app wsgi`` with these arguments, where the operator's file is, in this process."""
        with chdir(self.place):
            return self.app.test_cli_runner().invoke(args=arguments)

    def as_cron(self, command: str) -> "subprocess.CompletedProcess[str]":
        """As cron runs a line: no environment but a short path, another directory, no locale."""
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd="/",
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C"},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    place = tmp_path_factory.mktemp("it's ours")
    url = create_database("sqlite", "cron")
    with StalkerPortal() as portal:
        config = place / "config.ini"
        config.write_text(
            f"[database]\nurl = {url}\n[portal]\nprimary_api_url = {portal.base_url}\n[jobs]\nmessage_pause_ms = 0\n"
        )
        app, panel = build(load_config(config, {}))
        # no blank in the interpreter's path of a launcher
        home = tmp_path_factory.mktemp("home")
        made = Installed(panel, portal, place, home / "bin", home / "panel", app)
        result = made.flask("cron", "install", str(made.bin), "--root", str(made.root))
        assert result.exit_code == 0, result.output
        yield made
        panel.close()


@pytest.fixture(autouse=True)
def _filled(installed: Installed) -> None:
    """Three accounts, that end in 7 days, in 3, and yesterday."""
    panel, portal = installed.panel, installed.portal
    panel.layout  # noqa: B018 - creates the tables
    today, now = panel.clock.today(), panel.clock.now()
    portal.forget_requests()
    with panel.database.write() as connection:
        for model in (ExpiryReminder, ReminderSettings, Account, User):
            connection.execute(sa.delete(model))
        connection.execute(sa.insert(User).values(id=1, username="admin", password="", super_user=1))
        connection.execute(
            sa.insert(ReminderSettings).values(
                user_id=1, auto_send_enabled=1, message_template="{name}", created_at=now, updated_at=now
            )
        )
        for id, days in ((1, 7), (2, 3), (3, -1)):
            end = today + timedelta(days=days)
            row = {"id": id, "username": f"u{id}", "mac": MAC(id), "full_name": "علی", "end_date": end, "status": 1}
            connection.execute(sa.insert(Account).values(**row))
            if portal.user(f"u{id}") is None:
                portal.add_user(f"u{id}", MAC(id), status=1)


@pytest.fixture
def warm(installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """The same with an interpreter that need not import anything."""
    monkeypatch.setattr("sys.executable", str(warm_python()))
    made = installed._replace(bin=tmp_path / "bin", root=tmp_path / "panel")
    result = made.flask("cron", "install", str(made.bin), "--root", str(made.root))
    assert result.exit_code == 0, result.output
    return made


def _untimed(text: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "", text)


def test_40_the_stand_in_does_what_our_command_does(installed: Installed, warm: Installed) -> None:
    native = installed.flask("job", "reminders", "--dry-run")
    assert (native.exit_code, "WOULD SEND: u1 (علی)" in native.output) == (0, True), native.output
    for place, command in (
        (installed, f"php {installed.root}/cron/{SCRIPT} --dry-run"),
        (warm, f"{warm.root}/cron/{SCRIPT} --dry-run"),
        (warm, f"{warm.bin}/php /nowhere/{SCRIPT} --dry-run"),
    ):
        cron = place.as_cron(command)
        assert (cron.returncode, _untimed(cron.stdout)) == (0, _untimed(native.output)), (command, cron.stderr)


def test_a_crontab_runs_unedited(warm: Installed, tmp_path: Path) -> None:
    log = tmp_path / "cron.log"
    for line in CRONTAB.strip().splitlines():
        command = line.split(" ", 5)[5].replace("ROOT", str(warm.root)).replace("LOG", str(log))
        assert warm.as_cron(command).returncode == 0, command
    text = log.read_text(encoding="utf-8")
    for token in ("SENT: u1 (علی)", "SENT: u2 (علی)", "SUCCESS - u3", "Deleted: 0"):
        assert token in text
    assert "mail" not in text
    assert sorted(warm.portal.calls) == [
        f"GET accounts/{MAC(3)}",
        f"POST stb_msg/{MAC(1)}",
        f"POST stb_msg/{MAC(2)}",
        f"PUT accounts/{MAC(3)}",
    ]


def test_the_stand_in_runs_nothing_else(installed: Installed) -> None:
    for command in (
        "php /srv/other.php",
        "php",
        "php -v",
        "php -r 'echo 1;'",
        "php -f",
        "php -d x=y",
        "php /etc/passwd",
    ):
        refused = installed.as_cron(command)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (127, "", 1), command


def test_set_up_scripts_upgrade_and_the_reset_is_refused(installed: Installed) -> None:
    for script in SETUP_SCRIPTS:
        done = installed.flask("cron", "run", script, "--anything")
        assert (done.exit_code, "up to date" in done.output) == (0, True), done.output
    refused = installed.flask("cron", "run", "reset_messaging_database.php")
    assert (refused.exit_code, "cron clear-history" in refused.output) == (1, True)
    unasked = installed.flask("cron", "clear-history")
    assert (unasked.exit_code, installed.panel.database.first(sa.select(sa.func.count(Account.id)))[0]) == (1, 3)
    assert installed.flask("cron", "clear-history", "--yes").output == "Deleted: 0\n"


def test_unknown_arguments_of_scripts_are_ignored_but_not_of_jobs(installed: Installed) -> None:
    assert installed.flask("cron", "run", SCRIPT, "--dry-run", "--foo=1", "bar").exit_code == 0
    for bad in ("0", "91", "x"):
        refused = installed.flask("cron", "run", SCRIPT, f"--days={bad}")
        assert (refused.exit_code, "ERROR" in refused.output) == (1, True)
    unknown = installed.flask("job", "nothing")
    assert (unknown.exit_code, "ERROR" in unknown.output) == (1, True)


def test_launchers_lie_wherever_a_line_may_name_them(installed: Installed) -> None:
    root = installed.root
    for script in JOB_SCRIPTS:
        assert {root / script, root / "cron" / script} <= set(root.rglob(script))
    assert (root / "api/cron_check_expired.php").exists()
    assert (root / "scripts/cleanup_old_reminders.php").exists()
    for script in SETUP_SCRIPTS:
        assert (root / "scripts" / script).exists()
    text = (root / SCRIPT).read_text()
    assert "@" not in text
    assert "PHP_SAPI !== 'cli'" in text


ORIGINAL = "<?php // the panel's own"


def _contents(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (path.read_text(), path.stat().st_mode & 0o777)
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def panel_root(tmp_path: Path) -> Path:
    """A panel's own directory with its cron scripts, one of them a link."""
    root = tmp_path / "panel root"
    (root / "cron").mkdir(parents=True)
    for name, mode in ((f"cron/{SCRIPT}", 0o755), (f"{SCRIPT}.txt", 0o644), ("add_reminder_tracking.php", 0o640)):
        (root / name).write_text(ORIGINAL)
        (root / name).chmod(mode)
    (root / SCRIPT).symlink_to(f"cron/{SCRIPT}")
    return root


def test_a_foreign_file_is_not_overwritten(installed: Installed, tmp_path: Path, panel_root: Path) -> None:
    before = _contents(panel_root)
    refused = installed.flask("cron", "install", str(tmp_path / "bin"), "--root", str(panel_root))
    assert (refused.exit_code, "--replace" in refused.output) == (1, True)
    assert _contents(panel_root) == before
    assert not (tmp_path / "bin").exists()


def test_replaced_originals_are_kept_and_come_back(installed: Installed, tmp_path: Path, panel_root: Path) -> None:
    before = _contents(panel_root)
    place = [str(tmp_path / "bin"), "--root", str(panel_root)]
    assert installed.flask("cron", "install", *place, "--replace").exit_code == 0
    kept = panel_root / "cron" / f"{SCRIPT}.before-showbox"
    assert kept.read_text() == ORIGINAL
    # under this name a web server takes it for a text, and shows it
    assert kept.stat().st_mode & 0o777 == 0o600
    assert (panel_root / "cron" / SCRIPT).resolve().parent == (tmp_path / "bin/launchers").resolve()
    # again, without --replace: what is there is ours
    assert installed.flask("cron", "install", *place).exit_code == 0
    gone = installed.flask("cron", "uninstall", *place)
    assert gone.exit_code == 0, gone.output
    assert f"put back {panel_root / 'cron' / SCRIPT}" in gone.output
    assert _contents(panel_root) == before
    assert (panel_root / SCRIPT).is_symlink()
    assert sorted(path.name for path in panel_root.iterdir()) == sorted(
        [SCRIPT, f"{SCRIPT}.txt", "add_reminder_tracking.php", "cron"]
    )
    assert not (tmp_path / "bin").exists()
    assert installed.flask("cron", "uninstall", *place).exit_code == 0


def test_an_original_that_was_kept_is_never_lost(installed: Installed, tmp_path: Path, panel_root: Path) -> None:
    place = [str(tmp_path / "bin"), "--root", str(panel_root)]
    assert installed.flask("cron", "install", *place, "--replace").exit_code == 0
    # somebody installs the panel anew over our links
    (panel_root / "cron" / SCRIPT).unlink()
    (panel_root / "cron" / SCRIPT).write_text("<?php // a newer one")
    refused = installed.flask("cron", "install", *place, "--replace")
    assert (refused.exit_code, "is there already" in refused.output) == (1, True)
    assert (panel_root / "cron" / f"{SCRIPT}.before-showbox").read_text() == ORIGINAL
    assert (panel_root / "cron" / SCRIPT).read_text() == "<?php // a newer one"


def test_launchers_of_earlier_versions_are_taken_for_ours(installed: Installed, tmp_path: Path) -> None:
    root = tmp_path / "panel"
    root.mkdir()
    (root / SCRIPT).write_text('#!/old/php\n<?php\n// Written by "flask --app wsgi cron install".\n')
    place = [str(tmp_path / "bin"), "--root", str(root)]
    assert installed.flask("cron", "install", *place).exit_code == 0
    assert (root / SCRIPT).is_symlink()
    assert installed.flask("cron", "uninstall", *place).exit_code == 0
    assert list(root.iterdir()) == []


def test_launchers_tell_no_path_over_http(installed: Installed) -> None:
    """Neither where a web server runs them, nor where it knows no PHP and shows them as texts."""
    for path in installed.root.rglob("*"):
        if path.is_file():
            for place in (installed.place, installed.bin, installed.root):
                assert str(place) not in path.read_text()
    address = f"127.0.0.1:{free_port()}"
    command = [_php(), "-q", "-S", address, "-t", str(installed.root)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(address)
            for script in (f"/{SCRIPT}", f"/cron/{SCRIPT}", "/api/cron_check_expired.php"):
                answer = requests.get(f"http://{address}{script}", timeout=60)
                assert answer.status_code == 403
                assert "/" not in answer.text.replace("#!/usr/bin/env php", "")
        finally:
            server.terminate()
    assert installed.portal.calls == []


def _wait_for(address: str) -> None:
    until(lambda: is_listening(int(address.rpartition(":")[2])), "PHP's own server answers")


def _php() -> str:
    return require_program("php", "php-cli")


def test_a_launcher_works_under_a_real_php(warm: Installed) -> None:
    php = _php()
    result = warm.as_cron(f"{php} {warm.root}/cron/{SCRIPT} --dry-run; {php} -l {warm.root}/cron/{SCRIPT}")
    assert (result.returncode, "WOULD SEND: u1 (علی)" in result.stdout) == (0, True)


def test_every_script_has_one_meaning() -> None:
    assert {job.script for job in JOBS if job.script} <= set(JOB_SCRIPTS) <= set(ALL_SCRIPTS)
