"""What each write endpoint is asked so that it does something, in one world that has all that they need.

A new endpoint joins by itself with :data:`_FITTING`; where these do not fit it, it needs a line of its own here.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import requests

from core.storage.tables import (
    MailSettings,
    MailTemplate,
    PushSubscription,
    ResellerPayment,
    SmsSettings,
    SmsTemplate,
    TelegramSettings,
    Transaction,
    WebauthnCredential,
)
from core.storage.tables.secret_columns import BOT, MAIL
from legacy_routes.app import all_endpoints
from simulators.sms_provider import SmsProvider
from simulators.telegram import TOKEN, BotApi
from tests.conftest import MakeWorld
from tests.worlds import channels, sms
from tests.worlds.accounts import MAC, Accounts, accounts_world
from tests.worlds.harness import PASSWORDS, Client
from tests.worlds.mail_server import PASSWORD, USER, MailServer

# values that fit where nothing better is known
_FITTING: dict[str, Any] = {"username": "user001", "mac": MAC("01"), "id": 1, "plan": "2", "name": "Other", "status": 1}
PUSH = "https://web.push.apple.com/deed"


@dataclass(frozen=True)
class Deed:
    """One request: ``sent`` in the body of a POST, else in the query; ``own_session``: it ends or renews it.

    ``later``: tables that are filled at their next use where they could not be now.
    """

    name: str
    method: str = "POST"
    sent: Mapping[str, Any] = field(default_factory=lambda: _FITTING)
    who: str | None = "admin"
    own_session: bool = False
    later: frozenset[str] = frozenset()


def _deed(name: str, /, **sent: Any) -> Deed:
    return Deed(name, sent=sent)


_PASSWORDS = {"old_password": PASSWORDS["radmin"], "new_password": "Other-77", "confirm_password": "Other-77"}
_SMTP = {"smtp_host": "127.0.0.1", "smtp_port": "{smtp_port}", "smtp_secure": "none", "smtp_username": USER}
_KNOWN = (
    Deed("login", sent={"username": "radmin", "password": PASSWORDS["radmin"]}, who=None),
    Deed("logout", sent={}, who="radmin", own_session=True),
    Deed("update_password", sent=_PASSWORDS, who="radmin", own_session=True),
    Deed("change_password", sent=_PASSWORDS, who="radmin", own_session=True),
    _deed("auto_logout_settings", timeout=9),
    Deed("session_heartbeat", sent={}, own_session=True),
    Deed("webauthn_manage", "DELETE", {"credential_id": 901}),
    Deed(
        "add_account",
        sent={"username": "new77", "password": "pw-secret", "mac": MAC("77"), "name": "Ann", "plan": "78-GBP"},
        who="reseller1",
    ),
    Deed("edit_account", sent={"original_username": "user001", "plan": "2"}, who="reseller1"),
    _deed("update_account", username="user002", full_name="Matrix", end_date="2026-01-01", phone="+447700900900"),
    Deed("remove_account", sent={"id": "user001"}, who="reseller1"),
    Deed("toggle_account_status", sent={"username": "user001", "status": "0"}, who="reseller1"),
    _deed("change_status", username="user002", status="0"),
    Deed("sync_accounts", sent={}, later=frozenset({"_sbx_jobs", "_sbx_portal_list", "_sbx_sync_outcomes"})),
    Deed(
        "add_reseller",
        sent={"username": "matrix", "password": "Pw-secret-77", "name": "M", "currency": "GBP", "balance": "50"},
        later=frozenset({"_sms_settings", "_sms_templates", "_sbx_sms_stages_given"}),
    ),
    _deed("update_reseller", id=4, name="Matrix", username="reseller4"),
    _deed("remove_reseller", id=3),
    _deed("adjust_credit", reseller_id=2, amount="5", action="add"),
    _deed("assign_plans", reseller_id=4, plans="34-IRR"),
    _deed("assign_reseller", username="user001", reseller_id=4),
    Deed("bulk_assign_reseller", sent={"usernames[]": ["user002", "user003"], "reseller_id": 2}),
    _deed("update_admin_resellers"),
    _deed("update_reseller_accounts_theme", reseller_id=2, theme="digital"),
    _deed("send_expiry_reminders"),
    _deed("update_reminder_settings", days_before_expiry=9),
    _deed("add_reseller_payment", reseller_id=2, amount="20", payment_date="2025-01-10", bank_name="Cash"),
    _deed("cancel_reseller_payment", payment_id=901, reason="Matrix"),
    _deed("add_plan", external_id="m1", currency="GBP", price="5", days=30, name="M"),
    _deed("edit_plan", plan_id=4, name="Matrix", price="5", days=30),
    _deed("remove_plan", plan_id=12),
    _deed("plan_update", id="78", currency="GBP", price="7"),
    _deed("add_currency", name="SEK"),
    _deed("remove_currency", id="XTS"),
    _deed("sync_plans_web"),
    _deed("sync_plans"),
    _deed("send_stb_event", mac=MAC("01"), event="reload_portal"),
    _deed("send_stb_message", mac=MAC("01"), message="Hello"),
    _deed("send_message", mac=MAC("01"), message="Hello"),
    _deed("send_event", mac=MAC("01"), event="reload_portal"),
    _deed("update_stalker_settings", server_address="{portal}", api_username="matrix", api_password="p"),
    _deed("update_sms_settings", days_before_expiry=9, auto_send_enabled=0),
    _deed("send_sms", send_type="manual", message="Hello", recipient_number="+447700900900"),
    _deed("save_sms_template", name="M", template="T {name}"),
    _deed("delete_sms_template", template_id=901),
    _deed("update_mail_settings", **_SMTP, smtp_password=PASSWORD, from_name="Matrix"),
    _deed("test_mail_connection", **_SMTP, smtp_password=PASSWORD),
    _deed("send_mail", mode="manual", subject="S", message="Hello", email="a@example.com"),
    _deed("save_mail_template", name="M", subject="S", body_html="<p>T</p>"),
    _deed("delete_mail_template", template_id=901),
    _deed("telegram/update_settings", bot_token=TOKEN),
    _deed("telegram/save_bot_settings", bot_token=TOKEN),
    _deed("telegram/verify_bot", bot_token=TOKEN),
    Deed("telegram/link_telegram", sent={"action": "unlink"}, who="reseller1"),
    _deed("telegram/update_notification_settings", notify_login=1),
    _deed("telegram/send_message", **{"message": "Hello", "recipient_ids[]": [2]}),
    _deed("new_transaction", user_id=2, amount="5", type="credit", details="M"),
    _deed("edit_transaction", transaction_id=901, correction_amount="1", correction_note="M"),
    Deed("push_subscribe", "DELETE", {"endpoint": PUSH}),
    _deed("export_database"),
)
_BY_NAME = {deed.name: deed for deed in _KNOWN}
# who tests their faults, since they need a world of their own
ELSEWHERE = {
    "api": "tests.routes.test_xtream_faults",
    "import_database": "tests.core.backup.test_import_killed",
}
_CHAPTERS = {one.name: one.chapter for one in all_endpoints()}
_WRITES = {one.name: method for one in all_endpoints() for method in sorted(one.methods) if one.is_write(method)}
DEEDS = [_BY_NAME.get(name, Deed(name, method)) for name, method in _WRITES.items() if name not in ELSEWHERE]
CHAPTERS = sorted({_CHAPTERS[deed.name] for deed in DEEDS})


def deeds_of(chapter: str) -> list[Deed]:
    return [deed for deed in DEEDS if _CHAPTERS[deed.name] == chapter]


class Deeds(Accounts):
    """The world of the accounts, with one row of all that an endpoint may want to change or use."""

    mail: MailServer
    bot: BotApi
    provider: SmsProvider

    def do(self, deed: Deed, client: Client | None = None) -> requests.Response:
        """``client``: a session of :meth:`session`, made before."""
        client = client or self.session(deed)
        places = {"{smtp_port}": self.mail.port, "{portal}": self.portal.server_address}
        sent = {name: places.get(str(value), value) for name, value in deed.sent.items()}
        where = "params" if deed.method in ("GET", "DELETE") else "data"
        return client.request(deed.method, f"/{deed.name}.php", **{where: sent})

    def session(self, deed: Deed) -> Client:
        if deed.who is None:
            return self.world.client()
        return self.world.client(deed.who) if deed.own_session else self.client(deed.who)


@contextmanager
def deeds_world(make_world: MakeWorld, kind: str, *, seconds: float = 5.0, **settings: str) -> Iterator[Deeds]:
    """``seconds``: how long a portal call may take; ``settings``: of :func:`make_world`."""
    with ExitStack() as stack:
        bot, provider, mail = (stack.enter_context(made) for made in (BotApi(), SmsProvider(), MailServer()))
        accounts = stack.enter_context(accounts_world(make_world, kind, seconds=seconds, **settings))
        deeds = Deeds(accounts.world, accounts.portals)
        deeds.mail, deeds.bot, deeds.provider = mail, bot, provider
        deeds.panel.clock = type(deeds.panel.clock)("Asia/Tehran", source=deeds.now)
        bot.add_bot(TOKEN, "DeedBot")
        stack.enter_context(channels.outside(deeds.world, bot))
        stack.enter_context(sms.configured(deeds.world, provider))
        _fill(deeds)
        # currencies outlive a world
        deeds.world.execute("INSERT INTO _currencies (id, name) VALUES ('XTS', 'XTS')")
        stack.callback(deeds.world.execute, "DELETE FROM _currencies WHERE id = 'XTS'")
        yield deeds


def _fill(deeds: Deeds) -> None:
    # ids that the database's counters do not come to
    sealed = deeds.panel.sealer.sealed
    mail: dict[str, Any] = {
        "user_id": 1,
        "smtp_host": "127.0.0.1",
        "smtp_port": deeds.mail.port,
        "smtp_secure": "none",
        "smtp_username": USER,
    }
    text = {"api_token": sms.TOKEN, "sender_number": sms.SENDER}
    payment = {"id": 901, "reseller_id": 2, "amount": 10, "currency": "GBP", "payment_date": date(2025, 1, 5)}
    sale = {"creator": "system", "for_user": 2, "amount": -10, "currency": "GBP", "type": 0, "timestamp": 1737000000}
    deeds.world.insert_all(
        [
            (ResellerPayment, [payment | {"bank_name": "Cash", "recorded_by": 1, "recorded_by_username": "admin"}]),
            (Transaction, [sale | {"id": 901, "details": f'Plan "Q" assigned for user001 ,John Doe , {MAC("01")}'}]),
            (SmsTemplate, [{"id": 901, "user_id": 1, "name": "T", "template": "T {name}"}]),
            (SmsSettings, [{"user_id": 1, **text, "base_url": deeds.provider.base_url}]),
            (MailTemplate, [{"id": 901, "user_id": 1, "name": "T", "subject": "S", "body_html": "<p>T</p>"}]),
            (MailSettings, [{**mail, "smtp_password": sealed(PASSWORD, MAIL.place(mail)), "from_name": "ShowBox"}]),
            (TelegramSettings, [{"bot_token": sealed(TOKEN, BOT.place({})), "bot_username": "DeedBot"}]),
            (PushSubscription, [{"id": 901, "user_id": 1, "endpoint": PUSH, "p256dh": "p", "auth": "a"}]),
            (WebauthnCredential, [{"id": 901, "user_id": 1, "credential_id": "c", "public_key": "k"}]),
        ]
    )
    if deeds.panel.database.dialect == "postgresql":
        # its counters do not see the rows that bring their ids
        for name in ("_users", "_plans"):
            deeds.world.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), 100)")
    # one that only the portal has, for the sync
    deeds.portal.add_user("user004", MAC("04"), tariff_plan="78", full_name="Jim Poe", end_date="2025-03-01 00:00:00")
    deeds.world.execute("UPDATE _users SET telegram_chat_id = 100002 WHERE id = 2")
