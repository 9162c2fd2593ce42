"""Hostile values in every text column of every table, and at the portal: no page makes anything of them.

Contract chapter 05 §6; issue "no way in", line 1.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.portal import settings_in_force
from core.storage.tables import (
    AuditEntry,
    Base,
    ExpiryReminder,
    LoginHistory,
    MailLog,
    MailTemplate,
    Plan,
    ResellerPayment,
    SmsLog,
    SmsTemplate,
    StalkerSetting,
    StbActionLog,
    TelegramLog,
    Transaction,
    User,
    WebauthnCredential,
)
from core.storage.tables.base import Choice
from core.values import sinks
from core.values.sinks import Sink
from simulators.stalker import StalkerPortal
from tests.browser.conftest import Visit
from tests.browser.panels import Site
from tests.browser.visitors import Visitor

ELEMENT = "<sbx-evil onclick=sbxHit()>"
# each at the place where one sink of an unprotected page would bite
HOSTILE = {
    "an element": f"x{ELEMENT}",
    "an attribute": '" sbxevil="1" onanimationstart="sbxHit()" style="animation:a 1s',
    "a handler": "');sbxHit();('",
    "an element as entities": "x&lt;sbx-evil onclick=sbxHit()&gt;",
    "a handler as entities": "&#39;);sbxHit();(&#39;",
    "a handler by a backslash": "\\');sbxHit();//",
    "a joint": "x&l\\t;sbx-evil&g`t;&\x07#39;);sbxHit();(&\x07#39;",
}
TRAP = """() => {
  window.sbxHit = () => { (window.sbxHits ||= []).push(window.event?.target?.outerHTML || "a script ran"); };
}"""
FOUND = """(within) => {
  const here = document.querySelector(within);
  const found = [...here.querySelectorAll("sbx-evil, [sbxevil], [onanimationstart]")].map((it) => it.outerHTML);
  found.push(...(window.sbxHits || []));
  return found;
}"""
FORGET = """() => {
  document.getElementById("every-sink").remove();
  window.sbxHits = [];
}"""
# who is logged in, what the session and the tables hang on; and names of settings and kinds, which nobody sends
KEPT = {("_users", "password"), ("_users", "permissions")}
KEPT_TABLES = {"_app_settings", "_currencies", "_iranian_banks", "_stalker_settings", "_push_subscriptions"}


def rows_for(now: datetime) -> dict[type[Base], dict[str, Any]]:
    """One row of each list that pages show, harmless as yet."""
    return {
        Plan: {"id": 1, "external_id": "1", "name": "n", "currency_id": "GBP", "price": 1, "days": 1},
        Transaction: {"id": 1, "creator": "c", "for_user": 3, "amount": 1, "currency": "GBP", "type": 1, "details": "d"}
        | {"timestamp": int(now.timestamp()), "correction_note": "n", "corrected_by": 1, "corrected_by_username": "a"}
        | {"correction_amount": 0},
        ExpiryReminder: {"id": 1, "account_id": 1, "username": "u", "mac": "m", "days_before": 7, "message": "m"}
        | {"end_date": now.date(), "reminder_date": now.date(), "sent_by": 1, "sent_at": now, "full_name": "f"},
        SmsLog: {"id": 1, "recipient_number": "1", "recipient_name": "n", "message": "m", "message_type": "manual"}
        | {"sent_by": 1, "sent_at": now, "status": "sent"},
        SmsTemplate: {"id": 1, "user_id": 1, "name": "n", "template": "t", "description": "d"},
        StbActionLog: {"id": 1, "user_id": 1, "username": "u", "action_type": "message", "mac_address": "m"}
        | {"action_detail": "d", "status": "failed", "error_message": "e", "created_at": now},
        LoginHistory: {"id": 1, "user_id": 3, "username": "u", "login_time": now, "ip_address": "i", "user_agent": "a"}
        | {"login_method": "m", "status": "failed", "failure_reason": "r"},
        AuditEntry: {"id": 1, "user_id": 1, "username": "u", "user_type": "t", "action": "a", "target_type": "t"}
        | {"target_id": "1", "target_name": "n", "ip_address": "i", "details": "d", "timestamp": now},
        MailLog: {"id": 1, "recipient_email": "e", "recipient_name": "n", "subject": "s", "body": "b", "sent_by": 1}
        | {"message_type": "manual", "status": "failed", "error_message": "e", "created_at": now},
        MailTemplate: {"id": 1, "user_id": 1, "name": "n", "subject": "s", "body_html": "b"},
        TelegramLog: {"id": 1, "user_id": 1, "chat_id": 1, "message": "m", "message_type": "manual", "sent_by": 1}
        | {"status": "sent", "sent_at": now},
        WebauthnCredential: {"id": 1, "user_id": 1, "credential_id": "c", "public_key": "k", "device_name": "d"},
        ResellerPayment: {"id": 1, "reseller_id": 3, "amount": 1, "currency": "GBP", "payment_date": now.date()}
        | {"bank_name": "b", "recorded_by": 1, "recorded_by_username": "a", "description": "d", "status": "cancelled"}
        | {"cancellation_reason": "c"},
    }


def plant(site: Site, value: str) -> None:
    """``value`` in every text column of every row, told apart by the row's id where a column must be unique."""
    with site.world.panel.database.write() as connection:
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.c if is_text(column) and (table.name, column.name) not in KEPT]
            if table.name.startswith("_sbx") or table.name in KEPT_TABLES or "id" not in table.c or not columns:
                continue
            for row_id in connection.scalars(sa.select(table.c.id)).all():
                values = {column.name: fitting(value, row_id, column.type) for column in columns}
                if (table.name, row_id) == ("_users", 1):
                    del values["username"]
                connection.execute(table.update().where(table.c.id == row_id).values(values))


def is_text(column: sa.Column[Any]) -> bool:
    return column.type.python_type is str and not isinstance(column.type, Choice) and not column.primary_key


def fitting(value: str, row_id: int, kind: sa.types.TypeEngine[Any]) -> str:
    text = f"{row_id}{value}"
    return text if not getattr(kind, "length", None) else text[: kind.length]


@pytest.fixture
def filled(site: Site) -> Iterator[Site]:
    """The site with a row in each list and a portal whose accounts are as hostile as anything."""
    world = site.world
    now = world.panel.clock.now().replace(microsecond=0) - timedelta(seconds=5)
    layout = world.panel.layout
    for model, row in rows_for(now).items():
        kept = {name: value for name, value in row.items() if layout.has_column(model.__tablename__, name)}
        world.insert(model, [kept])
    with StalkerPortal(dialect="panel") as portal:
        settings = world.panel.portal_settings.model_copy(
            update={"primary_api_url": portal.base_url, "primary_address": portal.server_address}
        )
        for number, value in enumerate(HOSTILE.values()):
            portal.add_user(f"p{number}{value}", f"00:1A:79:00:01:{number:02X}", full_name=value, tariff_plan=value)
        rows = [
            {"setting_key": key, "setting_value": value}
            for key, value in settings_in_force.as_rows(settings, lambda password, _place: password).items()
        ]
        world.insert(StalkerSetting, rows)
        yield site
        world.execute(sa.delete(StalkerSetting))


def walk(visitor: Visitor, site: Site) -> tuple[list[str], dict[str, int]]:
    """What a super admin's page has become after all of it was opened, and how many rows each list had."""
    page = visitor.open(site.dashboard)
    page.wait_for_function("document.getElementById('overlay').hidden")
    page.evaluate(TRAP)
    page.evaluate("for (const tab of document.querySelectorAll('nav button, [data-subtab]')) tab.click()")
    counts = page.evaluate("(prefix) => showEverySink(prefix)", site.api)
    page.wait_for_load_state("networkidle")
    return page.evaluate(FOUND, "html"), counts


def test_1_no_hostile_value_of_any_column_or_portal_becomes_anything(filled: Site, visit: Visit) -> None:
    visitor = visit(filled.url).holds_session_of("admin")
    visitor.expects("status of 404|favicon")
    for name, value in HOSTILE.items():
        plant(filled, value)
        found, counts = walk(visitor, filled)
        assert found == [], name
        shown = {path for path, rows in counts.items() if rows}
        assert shown >= {"get_accounts", "get_resellers", "get_plans", "get_transactions", "get_reminder_history"}
        assert shown >= {"get_sms_logs", "get_stb_logs", "get_login_history", "get_reseller_payments"}
        assert shown >= {"get_audit_log", "get_mail_logs", "get_mail_settings", "webauthn_manage"}
    [rita] = filled.world.rows(sa.select(User.balance).where(User.id == 3))
    assert float(rita["balance"]) == 99.9


@pytest.mark.parametrize("site", ["modern"], indirect=True)
def test_1_without_the_table_of_sinks_the_pages_are_taken_over(
    filled: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each value alone, in the lists that one page shows anew."""
    visitor = visit(filled.url).holds_session_of("admin")
    visitor.expects(".")
    walk(visitor, filled)
    monkeypatch.setattr(Sink, "safe", lambda self, text: text)
    monkeypatch.setattr(sinks, "_SAFE", dict.fromkeys(sinks.SINKS, ()))
    assert bites(visitor, filled, "harmless") == []
    for name in ("an element", "an attribute", "a handler", "an element as entities"):
        assert bites(visitor, filled, HOSTILE[name]) != [], name


def bites(visitor: Visitor, site: Site, value: str) -> list[str]:
    """What the lists become by this value, the page being open."""
    visitor.page.evaluate(FORGET)
    plant(site, value)
    visitor.page.evaluate("(prefix) => showEverySink(prefix)", site.api)
    found: list[str] = visitor.page.evaluate(FOUND, "#every-sink")
    return found
