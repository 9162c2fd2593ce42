"""The commands as an operator runs them, each in a process of its own."""

import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from core.accounts.events import AccountCreated
from core.config import load_config
from core.jobs import jobs
from core.jobs.events import announce
from core.panel import Panel
from tests.worlds.databases import DUMPS, create_database, load_dump, require
from tests.worlds.forked import Forked, run
from tests.worlds.served import environment, served
from tests.worlds.waiting import until
from tests.worlds.warm import warm_python


def _flask(cwd: Path, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return run("flask", *arguments, cwd=cwd, environment=environment(**variables), stdin=stdin)


def _serve(cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What ``python wsgi.py`` says that ends by itself."""
    return run("wsgi.py", *arguments, cwd=cwd, environment=environment(**variables))


def _login(url: str, username: str = "admin", password: str = "admin123") -> requests.Response:
    return requests.post(f"{url}/login.php", json={"username": username, "password": password}, timeout=60)


# users and databases


def test_a_first_user_is_added_and_the_password_set(tmp_path: Path) -> None:
    added = _flask(tmp_path, "user", "add", "boss", "--super", stdin="secret-1\nsecret-1\n")
    assert added.returncode == 0, added.stderr
    assert "secret-1" not in added.stdout
    again = _flask(tmp_path, "user", "add", "BOSS", "--password", "secret-2")
    assert again.returncode == 1
    assert "There is a user named BOSS already" in again.stderr
    assert "Traceback" not in again.stderr
    short = _flask(tmp_path, "user", "password", "boss", "--password", "x")
    assert "at least 6 characters" in short.stderr
    assert _flask(tmp_path, "user", "password", "nobody", "--password", "secret-3").returncode == 1
    assert _flask(tmp_path, "user", "password", "boss", "--password", "secret-3").returncode == 0
    with sqlite3.connect(tmp_path / "var/showbox.db") as database:
        templates = dict(database.execute("SELECT name, template FROM _sms_templates WHERE user_id = 1"))
        [(reminder,)] = database.execute("SELECT expiry_template FROM _sms_settings WHERE user_id = 1")
        database.execute("INSERT INTO _accounts (username, mac, reseller) VALUES ('a', 'm', 1), ('b', 'n', 7)")
    assert sorted(templates) == ["Expiry Reminder", "New Account Welcome", "Payment Reminder", "Renewal Confirmation"]
    assert reminder == templates["Expiry Reminder"]
    assert "{days}" in reminder
    unassigned = _flask(tmp_path, "unassign-admins")
    assert (unassigned.returncode, unassigned.stdout) == (0, "Updated 1 accounts.\n"), unassigned.stderr
    with served(tmp_path) as (url, _):
        assert _login(url, "boss", "secret-1").json()["error"] == 1
        assert _login(url, "boss", "secret-3").json()["user"]["super_user"] == 1


def test_check_and_upgrade(tmp_path: Path) -> None:
    check = _flask(tmp_path, "db", "check")
    assert check.returncode == 1
    assert "Database: empty" in check.stdout
    upgrade = _flask(tmp_path, "db", "upgrade")
    assert upgrade.returncode == 0, upgrade.stderr
    assert re.search(r"Done: \d+ changes\.", upgrade.stdout)
    check = _flask(tmp_path, "db", "check")
    assert (check.returncode, check.stdout) == (0, "Database: ours\nNothing to do.\n")
    assert "Nothing to do." in _flask(tmp_path, "db", "upgrade").stdout


def test_copying_a_panel_s_database(tmp_path: Path) -> None:
    require("mariadb")
    source = create_database("mariadb", "command_source")
    load_dump(source, DUMPS["1.18.2"])
    for _ in range(2):
        copied = _flask(tmp_path, "copy-from", source)
        assert copied.returncode == 0, copied.stderr
        assert "_accounts: 60" in copied.stdout
    with served(tmp_path) as (url, _):
        client = requests.Session()
        with client:
            answer = client.post(f"{url}/api/login.php", data={"username": "reseller1", "password": "pw1"}, timeout=60)
            assert answer.json()["error"] == 0
            assert client.get(f"{url}/api/get_accounts.php", timeout=60).json()["accounts"]


def test_a_copy_that_was_worked_in_is_not_overwritten_unasked(tmp_path: Path) -> None:
    source = create_database("sqlite", "copy_source")
    assert (
        _flask(tmp_path, "user", "add", "boss", "--password", "secret-1", SHOWBOX_DATABASE_URL=source).returncode == 0
    )
    for _ in range(2):
        assert _flask(tmp_path, "copy-from", source).returncode == 0
    assert _flask(tmp_path, "user", "add", "new", "--password", "secret-2").returncode == 0
    refused = _flask(tmp_path, "copy-from", source)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert _flask(tmp_path, "copy-from", source, "--replace").returncode == 0


@pytest.mark.parametrize("upgrade", ["yes", "no"])
def test_no_user_is_added_to_a_database_that_is_refused(tmp_path: Path, upgrade: str) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    variables = {"SHOWBOX_DATABASE_URL": f"sqlite:///{path}", "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": upgrade}
    result = _flask(tmp_path, "user", "add", "boss", "--password", "secret-1", **variables)
    assert result.returncode == 1
    assert "another application" in result.stderr


@pytest.mark.parametrize(
    "url", ["sqlite:///nowhere/x.db", "oracle://u:hunter2@h/x", "nonsense", "mysql://u:hunter2@127.0.0.1:9/x"]
)
def test_copying_from_a_bad_address_is_one_sentence(tmp_path: Path, url: str) -> None:
    result = _flask(tmp_path, "copy-from", url)
    assert result.returncode == 1
    assert result.stderr.strip().startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr + result.stdout


# the server


def test_the_demo_serves_and_keeps_its_data(tmp_path: Path) -> None:
    with served(tmp_path, "--demo") as (url, process):
        answer = _login(url)
        assert answer.json()["error"] == 0
        cookies = answer.cookies
        accounts = requests.get(f"{url}/get_accounts.php", cookies=cookies, timeout=60).json()["accounts"]
        assert len(accounts) == 300
        synced = requests.post(f"{url}/sync_accounts.php", cookies=cookies, timeout=60).json()
        assert (synced["error"], synced["synced"], synced["orphans_detected"]) == (0, 300, 0)
        for page, fields in (
            ("add_currency", {"name": "SEK"}),
            ("update_password", {"old_password": "admin123", "new_password": "changed-1"}),
        ):
            assert requests.post(f"{url}/{page}.php", json=fields, cookies=cookies, timeout=60).json()["error"] == 0
        assert process.end() == 0
    with served(tmp_path, "--demo") as (url, _):
        # the logins that it prints hold at each start
        assert _login(url, password="changed-1").json()["error"] == 1
        answer = _login(url)
        assert answer.json()["error"] == 0
        added = requests.post(f"{url}/add_currency.php", json={"name": "SEK"}, cookies=answer.cookies, timeout=60)
        assert added.json()["code"] == 5
    assert (tmp_path / "var/demo/panel.db").exists()


def test_the_demo_shows_its_messages(tmp_path: Path) -> None:
    with served(tmp_path, "--demo") as (url, process):
        pages = {}
        for line in process.stdout:
            address, _, channel = line.strip().partition("  ")
            if channel:
                pages[channel] = address
            if channel == "(Telegram)":
                break
        cookies = _login(url).cookies
        mail = {"to": "c@example.com", "subject": "Shown in the demo", "body": "Hello"}
        assert requests.post(f"{url}/send_mail.php", json=mail, cookies=cookies, timeout=60).json()["sent_count"] == 1
        message = {"message": "Shown by the bot", "recipient_ids": "[1]"}
        answer = requests.post(f"{url}/telegram/send_message.php", data=message, cookies=cookies, timeout=60).json()
        assert answer["results"]["sent"] == 1
        assert "Shown in the demo" in requests.get(pages["(mail)"], timeout=60).text
        assert "Shown by the bot" in requests.get(pages["(Telegram)"], timeout=60).text


def test_the_demo_never_uses_a_configured_database_and_tells_a_taken_port_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[database]\nurl = sqlite:///live.db\n")
    with served(tmp_path, "--demo", SHOWBOX_DATABASE_URL="sqlite:///other.db") as (url, _):
        assert _login(url).json()["error"] == 0
        second = _serve(tmp_path, "--demo", "--port", url.rpartition(":")[2])
    assert second.returncode == 1
    assert "Nothing can be served at" in second.stderr
    assert "Traceback" not in second.stderr
    assert not (tmp_path / "live.db").exists()
    assert not (tmp_path / "other.db").exists()


def test_the_configuration_file_is_found_and_named(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[database]\nurl = sqlite:///usual.db\n")
    (tmp_path / "named.ini").write_text("[database]\nurl = sqlite:///named.db\n")
    with served(tmp_path):
        assert (tmp_path / "usual.db").exists()
    with served(tmp_path, SHOWBOX_CONFIG="named.ini"):
        assert (tmp_path / "named.db").exists()
    with served(tmp_path, "--config", "named.ini", SHOWBOX_DATABASE_URL="sqlite:///third.db"):
        assert (tmp_path / "third.db").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SHOWBOX_SERVER_PORT": "x"}, "[server] port (SHOWBOX_SERVER_PORT): a whole number is expected."),
        ({"SHOWBOX_NOSUCH_KEY": "x"}, "There is no section [nosuch]"),
        ({"SHOWBOX_CONFIG": "missing.ini"}, "The configuration file missing.ini cannot be read"),
        ({"SHOWBOX_DATABASE_URL": "mysql://u:hunter2@no-such-host.invalid/x"}, "name of its server is not known here"),
        ({"SHOWBOX_SERVER_HOST": "no-such-host.invalid"}, "Nothing can be served at no-such-host.invalid:"),
        ({"SHOWBOX_PANEL_DATA_DIRECTORY": "a-file/below"}, "The data directory ([panel] data_directory) cannot be"),
        ({"SHOWBOX_PANEL_DATA_DIRECTORY": "everybodys"}, "The data directory ([panel] data_directory) must be one of"),
        ({"SHOWBOX_PANEL_DATA_DIRECTORY": "a-link"}, "The data directory ([panel] data_directory) cannot be"),
        ({"SHOWBOX_JOBS_QUEUE_FILE": "a-directory"}, "The queue of jobs cannot be kept: its file ([jobs] queue_file)"),
        ({"SHOWBOX_JOBS_QUEUE_FILE": "a-file/queue"}, "The queue of jobs cannot be kept: its file ([jobs] queue_file)"),
    ],
)
def test_what_cannot_start_says_why_in_a_sentence(tmp_path: Path, variables: dict[str, str], sentence: str) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "a-directory").mkdir()
    (tmp_path / "a-link").symlink_to("nowhere/at-all")
    (tmp_path / "everybodys").mkdir()
    # as /tmp is; mkdir's own mode is cut by the umask
    (tmp_path / "everybodys").chmod(0o1777)
    result = _serve(tmp_path, **variables)
    assert (tmp_path / "everybodys").stat().st_mode & 0o7777 == 0o1777
    assert result.returncode == 1
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize(
    "place",
    [{"SHOWBOX_PANEL_DATA_DIRECTORY": "file/data"}, {"SHOWBOX_DATABASE_URL": "sqlite:///file/data/panel.db"}],
    ids=lambda place: " ".join(place),
)
def test_a_directory_that_cannot_be_made_is_not_told_as_an_address(tmp_path: Path, place: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    result = _serve(tmp_path, **place)
    assert result.returncode == 1
    assert "Nothing can be served" not in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()[-1]) > 20


def test_a_database_of_another_application_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    result = _serve(tmp_path, SHOWBOX_DATABASE_URL=f"sqlite:///{path}")
    assert result.returncode == 1
    assert "another application" in result.stderr
    assert path.read_bytes() == before


# what a WSGI server does with ``wsgi:app``: loads it, forks, and calls it from several threads
_FORKED = """
import gc, os, sys, threading
import wsgi
from werkzeug.test import Client
assert gc.isenabled() and gc.get_freeze_count(), "what was imported is looked through for garbage"
assert threading.active_count() == 1, "something was begun before the first request"
child = os.fork()
if not child:
    found = []
    ask = lambda: found.append(Client(wsgi.app).get("/api/get_user_info.php"))
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print({(answer.status_code, answer.get_data(as_text=True)) for answer in found})
    sys.stdout.flush()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def _loaded(tmp_path: Path, python: str | Path | None = None, **settings: str) -> "subprocess.CompletedProcess[str]":
    """``python``: one that has begun nothing and imported nothing yet, if it must be."""
    return subprocess.run(
        [python or warm_python(), "-c", _FORKED],
        cwd=tmp_path,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wsgi_server_may_load_the_app_before_it_forks(tmp_path: Path) -> None:
    result = _loaded(tmp_path, sys.executable, SHOWBOX_DATABASE_URL=f"sqlite:///{tmp_path / 'panel.db'}")
    assert result.returncode == 0, result.stderr
    assert "Not logged in" in result.stdout
    assert "{(200," in result.stdout


def test_any_wsgi_server_can_load_the_app_while_the_database_is_away(tmp_path: Path) -> None:
    result = _loaded(tmp_path, SHOWBOX_DATABASE_URL="mysql://u@127.0.0.1:9/x", SHOWBOX_SESSION_STORE="sql")
    assert result.returncode == 0, result.stderr
    assert "Not logged in" in result.stdout


def test_a_wsgi_server_with_an_unusable_configuration_says_so(tmp_path: Path) -> None:
    result = _loaded(tmp_path, SHOWBOX_SERVER_PORT="many")
    assert result.returncode == 0, result.stderr
    assert "(503," in result.stdout
    assert "SERVER_PORT" in result.stderr or "port" in result.stderr


def test_no_secret_reaches_the_log(tmp_path: Path) -> None:
    with served(tmp_path, "--demo") as (url, process):
        cookies = _login(url).cookies
        _login(url, password="hunter2-wrong")
        requests.get(f"{url}/get_user_info.php?password=hunter2", cookies=cookies, timeout=60)
        time.sleep(0.2)
        process.end()
        log = process.stdout.read() + process.stderr
    for secret in ("hunter2", cookies["PHPSESSID"]):
        assert secret not in log


def test_jobs_are_listed_and_a_worker_of_its_own_runs_them(tmp_path: Path) -> None:
    url = create_database("sqlite", "worker")
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": url}))
    event = AccountCreated(1, "user001", "00:1A:79:00:00:01", "Ann", None, 1, "admin")
    panel.layout  # noqa: B018 - creates the tables
    with panel.database.write() as connection:
        announce(panel, connection, event)
    assert "welcome_device: waiting" in _flask(tmp_path, "jobs", SHOWBOX_DATABASE_URL=url).stdout
    variables = environment(SHOWBOX_DATABASE_URL=url, SHOWBOX_JOBS_IN_PROCESS="no")
    worker = Forked("flask", ["worker"], cwd=tmp_path, environment=variables)
    try:
        until(lambda: not jobs.open_jobs(panel), "no job is open")
        assert worker.end() == 0
    finally:
        worker.close()
        panel.close()
    assert _flask(tmp_path, "jobs", SHOWBOX_DATABASE_URL=url).stdout == "No open jobs.\n"
