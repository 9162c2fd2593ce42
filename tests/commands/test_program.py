"""The program ``showbox``: every command in one place, wherever it was installed, beside whatever else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import showbox
from bench.processes import free_port
from core.config import load_config
from core.config.shown import SET, shown
from tests.worlds.forked import Forked, run
from tests.worlds.places import ROOT
from tests.worlds.served import environment
from wsgi import build

SECRETS = {
    "SHOWBOX_DATABASE_URL": "mysql://panel:hunter2@db.example.com/panel?password=hunter2",
    "SHOWBOX_SESSION_REDIS_URL": "redis://:hunter2@127.0.0.1/1",
    "SHOWBOX_PORTAL_PASSWORD": "hunter2",
    "SHOWBOX_PORTAL_THEME_KEY": "hunter2",
    "SHOWBOX_SECURITY_CRON_KEY": "hunter2-hunter2-hunter2",
    "SHOWBOX_TELEGRAM_PROXY": "http://user:hunter2@proxy.example.com:3128",
}


def _showbox(cwd: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return run("showbox", *arguments, cwd=cwd, environment=environment(**variables))


def test_every_command_of_the_panel_is_there(tmp_path: Path) -> None:
    listed = _showbox(tmp_path, "--help")
    assert listed.returncode == 0, listed.stderr
    names = set(re.findall(r"^  ([a-z_-]+)", listed.stdout.partition("Commands:")[2], re.MULTILINE))
    app, panel = build(load_config(None, {}))
    panel.close()
    assert names == {*app.cli.commands, "serve", "demo", "config", "completion"}
    assert {"db", "user", "job", "session", "cron"} <= names
    assert not list(tmp_path.rglob("*.db"))


def test_it_tells_its_version() -> None:
    told = _showbox(ROOT, "--version")
    assert re.fullmatch(r"showbox, version \d+\.\d+\.\d+\n", told.stdout)


def test_a_command_does_its_work_with_the_configuration_named(tmp_path: Path) -> None:
    (tmp_path / "my.ini").write_text("[database]\nurl = sqlite:///named.db\n")
    added = _showbox(tmp_path, "--config", "my.ini", "user", "add", "boss", "--password", "secret-1")
    assert (added.returncode, added.stdout) == (0, "User boss added.\n"), added.stderr
    assert (tmp_path / "named.db").exists()
    listed = _showbox(tmp_path, "--config", "my.ini", "user", "sessions", "boss")
    assert (listed.returncode, listed.stdout) == (0, "0 sessions.\n"), listed.stderr
    assert _showbox(tmp_path, "nonsense").returncode == 2


@pytest.mark.parametrize("arguments", [["demo"], ["serve"]])
def test_it_serves(tmp_path: Path, arguments: list[str]) -> None:
    with_port = [*arguments, "--port", str(free_port())]
    server = Forked("showbox", with_port, cwd=tmp_path, environment=environment())
    try:
        line = next(line for line in server.stdout if "is served at" in line)
        address = line.split()[-1]
        assert requests.get(f"{address}/get_user_info.php", timeout=60).json()["err_msg"] == "Not logged in"
        assert server.end() == 0
    finally:
        server.close()


def test_an_unusable_configuration_is_told_and_hides_no_command(tmp_path: Path) -> None:
    variables = {"SHOWBOX_SERVER_PORT": "many"}
    refused = _showbox(tmp_path, "db", "check", **variables)
    assert (refused.returncode, "a whole number is expected" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr
    assert "  user " in _showbox(tmp_path, "--help", **variables).stdout
    checked = _showbox(tmp_path, "config", "check", **variables)
    assert (checked.returncode, "a whole number is expected" in checked.stderr) == (1, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_its_commands(tmp_path: Path, shell: str) -> None:
    script = _showbox(tmp_path, "completion", shell)
    assert script.returncode == 0, script.stderr
    assert "_SHOWBOX_COMPLETE" in script.stdout


def test_a_word_is_completed(tmp_path: Path) -> None:
    words = {"_SHOWBOX_COMPLETE": "bash_complete", "COMP_WORDS": "showbox user pa", "COMP_CWORD": "2"}
    assert _showbox(tmp_path, **words).stdout.splitlines() == ["plain,passkeys", "plain,password"]


# the configuration


def test_the_configuration_is_shown_without_secrets(tmp_path: Path) -> None:
    told = _showbox(tmp_path, "config", "show", SHOWBOX_PORTAL_USERNAME="api", **SECRETS)
    assert told.returncode == 0, told.stderr
    assert "hunter2" not in told.stdout + told.stderr
    lines = told.stdout.splitlines()
    for line in (
        "url = mysql://panel:***@db.example.com/panel",
        "redis_url = redis://:***@127.0.0.1/1",
        f"theme_key = {SET}",
        f"cron_key = {SET}",
        "username = api",
        "dual_server = no",
        "retry_seconds = 2.0, 8.0",
    ):
        assert line in lines, line


def test_what_is_shown_of_no_secrets_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    settings = {"SHOWBOX_PANEL_WELCOME_MESSAGE": "a\nb", "SHOWBOX_SERVER_TRUSTED_PROXIES": "::1 10.0.0.0/8"}
    config = load_config(None, settings)
    file.write_text("\n".join(shown(config)))
    assert load_config(file, {}) == config


def test_what_the_configuration_leads_to_is_checked(tmp_path: Path) -> None:
    assert _showbox(tmp_path, "config", "check").stdout == "The configuration can be used.\n"
    assert not (tmp_path / "var").exists()
    wrong = _showbox(
        tmp_path,
        "config",
        "check",
        SHOWBOX_DATABASE_URL="mysql://u:hunter2@127.0.0.1:9/x",
        SHOWBOX_SESSION_STORE="redis",
        SHOWBOX_SESSION_REDIS_URL="redis://:hunter2@127.0.0.1:9/0",
    )
    assert wrong.returncode == 1
    assert wrong.stdout.splitlines() == [
        "Wrong: The database is not available: no server answers at the configured address",
        "Wrong: [session] redis_url: no Redis answers there",
    ]
    url = "mysql://u:hunter2@127.0.0.1/x?ssl_ca=/hunter2.pem"
    [line] = _showbox(tmp_path, "config", "check", SHOWBOX_DATABASE_URL=url).stdout.splitlines()
    assert line.startswith("Wrong: [database] url: ssl_ca of the database's address names a file that is not there")
    assert "hunter2" not in line


def test_a_panel_s_configuration_is_imported_and_nothing_of_it_shown(tmp_path: Path) -> None:
    root = tmp_path / "panel"
    root.mkdir()
    (root / "config.php").write_text(
        "<?php $DB_HOST='127.0.0.1'; $DB_NAME='hunter2db'; $DB_USER='hunter2user'; $DB_PASS='hunter2';"
        " $WEBSERVICE_PASSWORD='hunter2'; $SERVER_1_ADDRESS='http://hunter2.example.com';"
    )
    done = _showbox(tmp_path, "config", "import", "panel")
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "[database] url: from config.php" in done.stdout
    assert (tmp_path / "config.ini").stat().st_mode & 0o777 == 0o600
    config = load_config(tmp_path / "config.ini", {})
    assert config.database.url.get_secret_value() == "mysql://hunter2user:hunter2@127.0.0.1/hunter2db"
    again = _showbox(tmp_path, "config", "import", "panel")
    assert (again.returncode, "there already" in again.stderr) == (1, True)
    assert _showbox(tmp_path, "config", "import", "panel", "--output", "other.ini").returncode == 0


# packages of plain names


def _beside(tmp_path: Path) -> Path:
    """A copy of the top of our packages: enough to be found, or to be taken for another's."""
    place = tmp_path / "site"
    for name in showbox.PACKAGES:
        if name == "wsgi":
            (place / "wsgi.py").write_text("")
        else:
            (place / name).mkdir(parents=True)
            (place / name / "__init__.py").write_text("")
    shutil.copy(ROOT / "showbox.py", place)
    return place


def _strangers(place: Path, *before: Path) -> list[str]:
    program = "import sys; sys.path[:0] = sys.argv[1:]; import showbox; print('\\n'.join(showbox.strangers()))"
    command = [sys.executable, "-I", "-S", "-c", program, *map(str, before), str(place)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split("\n")[:-1]


def test_packages_of_another_program_are_not_taken_for_ours(tmp_path: Path) -> None:
    place = _beside(tmp_path)
    assert _strangers(place) == [""]
    other = tmp_path / "other"
    (other / "core").mkdir(parents=True)
    (other / "core" / "__init__.py").write_text("")
    [said] = _strangers(place, other)
    assert said == f"The package core is another program's ({other / 'core' / '__init__.py'})."
    shutil.rmtree(place / "compat")
    assert "none is found" in _strangers(place)[0]


def test_a_package_that_was_written_over_is_told(tmp_path: Path) -> None:
    """As another program's installation does, without a word, where its package has the same name."""
    place = _beside(tmp_path)
    information = place / "showbox_server-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: showbox-server\nVersion: 1\n")
    empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    (information / "RECORD").write_text(f"core/__init__.py,sha256={empty},0\ncompat/__init__.py,sha256={empty},0\n")
    assert _strangers(place) == [""]
    (place / "core" / "__init__.py").write_text("# another's")
    [said] = _strangers(place)
    assert said.startswith("The package core was changed since it was installed, or written over")


@pytest.mark.parametrize("arguments", [["--help"], ["completion", "bash"], ["config", "show"]])
def test_a_command_that_stores_nothing_makes_no_directory(tmp_path: Path, arguments: list[str]) -> None:
    told = _showbox(tmp_path, *arguments)
    assert told.returncode == 0, told.stderr
    assert list(tmp_path.iterdir()) == []
