"""No secret stands anywhere that others read: answers, logs, the database, dumps, the process list (issue of mail and
Telegram, "done when" 4).

A panel of its own process, as a customer starts it, whose every secret is planted; afterwards all that it said and left
behind is searched for them.
"""

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bench.processes import free_port
from core.administration.users import add_user
from core.config import load_config
from core.panel import Panel
from core.storage.tables import MailSettings, StalkerSetting
from legacy_routes.app import all_endpoints
from simulators.faults import Answer, Cut
from simulators.sms_provider import SmsProvider
from simulators.stalker import StalkerPortal
from simulators.telegram import TOKEN, BotApi, refusal
from tests.worlds.harness import Client
from tests.worlds.mail_server import PASSWORD as MAIL_PASSWORD
from tests.worlds.mail_server import USER as MAIL_USER
from tests.worlds.mail_server import MailServer, refuse
from tests.worlds.places import ROOT
from tests.worlds.programs import is_listening
from tests.worlds.waiting import until

PORTAL_PASSWORD, NEW_PORTAL_PASSWORD = "planted-portal-pass", "planted-portal-second"
LOGINS = {"admin": "planted-admin-pass", "rita": "planted-rita-pass", "res": "planted-res-pass"}
BEFORE = "planted-in-clear-before"
SETTINGS = {
    "SHOWBOX_PORTAL_PASSWORD": PORTAL_PASSWORD,
    "SHOWBOX_PORTAL_THEME_KEY": "planted-theme-key",
    "SHOWBOX_SECURITY_CRON_KEY": "planted-cron-key-0123456789",
    "SHOWBOX_SECURITY_APPLICATION_KEY": "planted-application-key-0123456789abcdef",
    "SHOWBOX_SECURITY_LOG_REFUSALS": "yes",
}
SMS_TOKEN = "planted-sms-token-0123456789"
TYPED, ACCOUNT_PASSWORD = "planted-typed-by-mistake", "planted-account-pass"
# in whatever form: the token's secret part, too
SECRETS = {
    *(NEW_PORTAL_PASSWORD, *LOGINS.values(), BEFORE, SMS_TOKEN, TYPED, ACCOUNT_PASSWORD, MAIL_PASSWORD),
    *(value for name, value in SETTINGS.items() if "LOG" not in name),
    *(TOKEN, TOKEN.partition(":")[2]),
}
# they end the session, or wait for others
LEFT_OUT = {"logout"}


@dataclass
class Served:
    """``said``: every answer that came; the process, and where it keeps things."""

    url: str
    directory: Path
    process: "subprocess.Popen[bytes]"
    portal: StalkerPortal
    sms: SmsProvider
    api: BotApi
    mail: MailServer
    said: list[tuple[str, str]] = field(default_factory=list)
    clients: dict[str, Client] = field(default_factory=dict)

    def post(self, who: str, endpoint: str, **fields: Any) -> dict[str, Any]:
        response = self.clients[who].post(f"/api/{endpoint}.php", fields, "json")
        self.said.append((f"{endpoint} as {who}", f"{response.headers} {response.text}"))
        answer: dict[str, Any] = response.json()
        return answer

    def get(self, who: str, path: str) -> bytes:
        response = self.clients[who].get(path)
        content = gzip.decompress(response.content) if response.content[:2] == b"\x1f\x8b" else response.content
        self.said.append((f"{path} as {who}", f"{response.headers} {content.decode(errors='replace')}"))
        return content


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory, port = tmp_path_factory.mktemp("planted"), free_port()
    with ExitStack() as stack:
        portal = stack.enter_context(StalkerPortal(user="apiuser", password=PORTAL_PASSWORD))
        sms, api = stack.enter_context(SmsProvider()), stack.enter_context(BotApi())
        mail = stack.enter_context(MailServer())
        environment = _environment(directory, portal, sms, api)
        _prepare(environment)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHOWBOX_")}
        log = stack.enter_context((directory / "server.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "wsgi.py"), "--port", str(port)],
            cwd=directory,
            env=inherited | environment,
            stdout=log,
            stderr=log,
        )
        stack.callback(_end, process)
        made = Served(f"http://127.0.0.1:{port}", directory, process, portal, sms, api, mail)
        made.clients = {name: _logged_in(made, name) for name in LOGINS}
        yield made


def _environment(directory: Path, portal: StalkerPortal, sms: SmsProvider, api: BotApi) -> dict[str, str]:
    return {
        **SETTINGS,
        "SHOWBOX_DATABASE_URL": f"sqlite:///{directory}/panel.db",
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(directory / "var"),
        "SHOWBOX_PORTAL_PRIMARY_API_URL": portal.base_url,
        "SHOWBOX_PORTAL_USERNAME": "apiuser",
        "SHOWBOX_SMS_PROVIDER_HOSTS": sms.address,
        "SHOWBOX_SMS_ALLOW_PRIVATE": "yes",
        "SHOWBOX_TELEGRAM_API_BASE": api.base_url,
        "SHOWBOX_JOBS_SCHEDULER": "no",
    }


def _prepare(environment: dict[str, str]) -> None:
    """The users, and secrets as an older version left them: in clear."""
    panel = Panel(load_config(None, environment))
    try:
        add_user(panel, "admin", LOGINS["admin"], super_user=True)
        add_user(panel, "rita", LOGINS["rita"], permissions="1|1|1|1|1|1|1|1")
        add_user(panel, "res", LOGINS["res"])
        with panel.database.write() as connection:
            connection.execute(sa.insert(MailSettings).values(user_id=2, smtp_password=BEFORE))
            row = {"setting_key": "api_password", "setting_value": BEFORE}
            connection.execute(sa.insert(StalkerSetting).values(row))
    finally:
        panel.close()


def _logged_in(served: Served, name: str) -> Client:
    client = Client(served.url)

    def answers() -> bool:
        assert served.process.poll() is None, "the panel did not start"
        return is_listening(int(served.url.rpartition(":")[2]))

    until(answers, "the panel answers")
    response = client.post("/login.php", {"username": name, "password": LOGINS[name]})
    assert response.json()["error"] == 0
    # the cookie is in the answer's headers, where it belongs
    served.said.append((f"login as {name}", response.text))
    return client


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()


def test_no_planted_secret_is_found_anywhere(served: Served) -> None:
    _use_everything(served)
    _read_everything(served)
    listed = _process_list(served.process.pid)
    assert "wsgi.py" in listed
    _end(served.process)
    secrets = SECRETS | {client.cookies["PHPSESSID"] for client in served.clients.values()}
    places = {
        **{f"answer: {name}": text for name, text in served.said},
        "process list": listed,
        **{f"file: {path.name}": _content(path) for path in served.directory.rglob("*") if path.is_file()},
    }
    assert {"file: server.log", "file: panel.db"} <= places.keys()
    found = {(name, secret) for name, text in places.items() for secret in secrets if secret in text}
    assert found == set()
    # what is sealed stands in the database, and in the whole dump of a super admin alone
    assert "sbx2:" in places["file: panel.db"]
    assert any("sbx2:" in text for name, text in served.said if "backups" in name and "admin" in name)
    assert not any("sbx2:" in text for name, text in served.said if "rita" in name or "backups" not in name)


def test_the_search_can_fail(served: Served, tmp_path: Path) -> None:
    (tmp_path / "x.sql.gz").write_bytes(gzip.compress(f"INSERT {SMS_TOKEN}".encode()))
    assert SMS_TOKEN in _content(tmp_path / "x.sql.gz")
    assert any(MAIL_USER in text for _, text in served.said)


def _use_everything(served: Served) -> None:
    """Store each secret through the pages, and use it well and badly."""
    server = {
        "smtp_host": "127.0.0.1",
        "smtp_port": served.mail.port,
        "smtp_secure": "none",
        "smtp_username": MAIL_USER,
    }
    for endpoint, fields in {
        "update_mail_settings": {**server, "smtp_password": MAIL_PASSWORD},
        "test_mail_connection": {**server, "smtp_password": TYPED},
        "update_sms_settings": {
            "api_token": SMS_TOKEN,
            "sender_number": "+983000505",
            "base_url": served.sms.base_url,
        },
        "telegram/update_settings": {"bot_token": TOKEN},
        "telegram/verify_bot": {"bot_token": f"123456789:{TYPED}-0123456789-abcdef"},
    }.items():
        served.post("admin", endpoint, **fields)
    served.post("admin", "add_account", username="acc1", password=ACCOUNT_PASSWORD, mac="00:1A:79:00:00:01", name="Ann")
    served.portal.settings.password = NEW_PORTAL_PASSWORD
    portal: dict[str, Any] = {"server_address": served.portal.server_address, "api_base_url": served.portal.base_url}
    portal |= {"api_username": "apiuser", "api_password": NEW_PORTAL_PASSWORD, "test_connection": "1"}
    assert served.post("admin", "update_stalker_settings", **portal)["error"] == 0
    served.post("admin", "update_stalker_settings", **{**portal, "api_password": TYPED})
    served.post("admin", "sync_accounts")
    served.post("admin", "edit_account", username="acc1", password=ACCOUNT_PASSWORD, name="Bob")
    served.portal.fail("PUT *", Cut())
    served.post("admin", "edit_account", username="acc1", name="Cut")
    served.api.fail(Answer(refusal(400, f"Bad Request: bot{TOKEN}")), "POST sendMessage")
    for refuses in (None, refuse):
        served.mail.on_data = refuses
        served.post("admin", "send_mail", to="c@example.com", subject="s", body="x")
        served.post("admin", "send_sms", recipients=["+989121234567"], message=f"m {refuses}")
        served.post("admin", "telegram/link_telegram", action="set_chat_id", chat_id="100200300")
        served.post("admin", "telegram/send_message", message="m", recipient_ids="1")
    for name in ("admin", "nobody", TYPED):
        fields = {"username": name, "password": TYPED} if name != TYPED else {"username": "admin", "password": TYPED}
        response = Client(served.url).post("/login.php", fields)
        served.said.append(("a wrong login", response.text))
    served.post("res", "update_password", old_pass=TYPED, new_pass="x", renew_pass="x")
    served.post("rita", "update_stalker_settings", api_password=TYPED)


def _read_everything(served: Served) -> None:
    for who in LOGINS:
        for endpoint in all_endpoints():
            if "GET" in endpoint.methods and endpoint.name not in LEFT_OUT:
                served.get(who, endpoint.paths[0])
    for who in ("admin", "rita"):
        answer = served.post(who, "export_database")
        assert b"CREATE TABLE" in served.get(who, f"/{answer['file_url']}")


def _process_list(pid: int) -> str:
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], check=True, capture_output=True, text=True, timeout=60)
    return "\n".join(line for line in found.stdout.splitlines() if str(pid) in line.split()[:2])


def _content(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return content.decode(errors="replace")
