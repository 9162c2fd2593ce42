"""What is written down of each change: the rows of contract chapter 70, those that the panel forgets included.

Those of server 2, of the nightly jobs, of a sync and of bulk messages are with their own golden cases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.storage.tables import AuditEntry
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world
from tests.worlds.authenticators import Authenticator, at_host, register

NEW_MAC = MAC("77")


@dataclass(frozen=True)
class Change:
    """A call, and the row that it leaves: action, kind and name of the target, keys of its old and new values."""

    endpoint: str
    fields: dict[str, Any]
    row: tuple[str, str, str | None]
    old: str = ""
    new: str = ""


CHANGES = (
    Change(
        "add_account",
        {"username": "eve", "password": "pw", "mac": NEW_MAC, "name": "Eve", "plan": 1, "phone": "+441234567"},
        ("create", "account", NEW_MAC),
        new="mac username name plan expiry phone",
    ),
    Change(
        "edit_account",
        {"original_username": "eve", "username": "eve", "name": "Eve Two", "status": 1, "plan": 0},
        ("update", "account", NEW_MAC),
        old="name expiry status",
        new="name expiry status plan",
    ),
    Change(
        "update_account",
        {"username": "eve", "full_name": "Eve Three"},
        ("update", "account", NEW_MAC),
    ),
    Change(
        "toggle_account_status",
        {"username": "eve", "status": 0},
        ("update", "account_status", NEW_MAC),
        old="status",
        new="status",
    ),
    Change(
        "assign_reseller",
        {"username": "eve", "reseller_id": 2},
        ("update", "account", NEW_MAC),
        old="reseller",
        new="reseller",
    ),
    Change(
        "bulk_assign_reseller",
        {"usernames": ["eve"], "reseller_id": 4},
        ("bulk_update", "accounts", None),
        old="count",
        new="reseller_id reseller_name",
    ),
    Change("send_stb_message", {"mac": NEW_MAC, "message": "Hello"}, ("send", "stb_message", NEW_MAC), new="message"),
    Change(
        "remove_account",
        {"username": "eve"},
        ("delete", "account", NEW_MAC),
        old="mac username name expiry reseller_id note",
    ),
    Change(
        "add_reseller",
        {"username": "rob", "password": "rob-pass", "name": "Rob", "email": "r@example.com", "currency": "GBP"},
        ("create", "user", "rob"),
        new="name email max_users balance is_observer",
    ),
    Change(
        "update_reseller",
        {"id": "{rob}", "username": "rob", "name": "Robert"},
        ("update", "user", "rob"),
        old="name",
        new="name",
    ),
    Change(
        "update_reseller",
        {"id": "{rob}", "username": "rob", "permissions": "1|1|0|0|0|0|0"},
        ("update", "permissions", "rob"),
        old="permissions",
        new="permissions",
    ),
    Change(
        "update_reseller", {"id": "{rob}", "username": "rob", "password": "other-pass"}, ("update", "password", "rob")
    ),
    Change("assign_plans", {"reseller_id": "{rob}", "plans": ""}, ("update", "user", "rob"), old="plans", new="plans"),
    Change(
        "adjust_credit",
        {"reseller_id": "{rob}", "amount": 50, "action": "add"},
        ("update", "credit", "rob"),
        old="balance",
        new="balance action amount",
    ),
    Change(
        "new_transaction",
        {"user_id": "{rob}", "amount": 5, "type": "debit", "description": "x"},
        ("create", "transaction", None),
    ),
    Change(
        "edit_transaction",
        {"transaction_id": "{transaction}", "correction_amount": 1, "correction_note": "n", "status": "corrected"},
        ("update", "transaction", None),
        old="correction_amount correction_note corrected_by corrected_by_username corrected_at status",
        new="correction_amount correction_note corrected_by corrected_by_username corrected_at status net_amount",
    ),
    Change(
        "add_reseller_payment",
        {"reseller_id": "{rob}", "amount": 10, "currency": "GBP", "payment_date": "2025-01-10", "bank_name": "Mellat"},
        ("create", "reseller_payment", None),
        new="reseller_id reseller_name amount currency payment_date bank_name reference_number",
    ),
    Change(
        "cancel_reseller_payment",
        {"payment_id": "{payment}", "reason": "by mistake"},
        ("update", "reseller_payment", None),
        old="status amount reseller_name",
        new="status cancelled_by cancellation_reason",
    ),
    Change("remove_reseller", {"reseller_id": "{rob}"}, ("delete", "user", "rob"), old="name email"),
    Change(
        "add_plan",
        {"tariff_id": "12", "name": "Twelve", "currency": "EUR", "price": 5, "days": 30},
        ("create", "plan", "Twelve"),
        new="price",
    ),
    Change(
        "add_plan",
        {"tariff_id": "12", "name": "Twelve", "currency": "EUR", "price": 6, "days": 30},
        ("update", "plan", "Twelve"),
        old="price",
        new="price",
    ),
    Change("remove_plan", {"plan_id": "{plan}"}, ("delete", "plan", "Twelve"), old="price"),
    Change(
        "auto_logout_settings",
        {"timeout": 10},
        ("update", "settings", "auto_logout"),
        old="timeout",
        new="timeout",
    ),
    Change(
        "update_reminder_settings",
        {"days_before_expiry": 9},
        ("update", "settings", "reminder"),
        old="days_before_expiry",
        new="days_before_expiry",
    ),
    Change(
        "update_sms_settings",
        {"sender_number": "+983000505", "api_token": "hidden-token"},
        ("update", "settings", "sms"),
        new="sender_number",
    ),
    Change(
        "save_sms_template",
        {"name": "Mine", "template": "Hi {name}"},
        ("create", "sms_template", "Mine"),
    ),
    Change("send_expiry_reminders", {}, ("send", "reminder", "admin")),
    Change(
        "update_password",
        {"old_password": "admin123", "new_password": "new-pass-1"},
        ("update", "password", "admin"),
    ),
)
LEARNT = {"user": "rob", "transaction": "transaction", "reseller_payment": "payment", "plan": "plan"}


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite", SHOWBOX_JOBS_MESSAGE_PAUSE_MS="0") as accounts:
        yield accounts


def audit(accounts: Accounts) -> list[dict[str, Any]]:
    return accounts.world.rows(sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.id))


def values(row: dict[str, Any], name: str) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(row[name] or "{}")
    return read


def test_every_change_leaves_its_row(accounts: Accounts) -> None:
    known: dict[str, Any] = {}
    for change in CHANGES:
        before = len(audit(accounts))
        fields = {
            name: known[value[1:-1]] if isinstance(value, str) and value[:1] == "{" and value[-1:] == "}" else value
            for name, value in change.fields.items()
        }
        answer = accounts.client("admin").post(f"/{change.endpoint}.php", fields, "json").json()
        assert answer["error"] == 0, (change.endpoint, answer)
        rows = [row for row in audit(accounts)[before:] if (row["action"], row["target_type"]) == change.row[:2]]
        assert len(rows) == 1, (change.endpoint, audit(accounts)[before:])
        [row] = rows
        if change.row[2] is not None:
            assert row["target_name"] == change.row[2], change.endpoint
        assert set(change.old.split()) <= set(values(row, "old_value")), (change.endpoint, row["old_value"])
        assert set(change.new.split()) <= set(values(row, "new_value")), (change.endpoint, row["new_value"])
        assert (row["user_id"], row["username"], row["user_type"]) == (1, "admin", "super_admin")
        assert (row["ip_address"], row["user_agent"][:15]) == ("127.0.0.1", "python-requests")
        if row["action"] == "create" and row["target_type"] in LEARNT:
            known[LEARNT[row["target_type"]]] = int(row["target_id"])
    text = str(audit(accounts))
    for secret in ("rob-pass", "other-pass", "admin123", "new-pass-1", "hidden-token"):
        assert secret not in text


def test_passkeys_are_told(accounts: Accounts) -> None:
    client = at_host(accounts.client("admin"))
    register(client, Authenticator())
    [passkey] = client.get("/webauthn_manage.php").json()["credentials"]
    client.request("DELETE", "/webauthn_manage.php", json={"credential_id": passkey["id"]})
    assert [(row["action"], row["target_type"], row["target_id"]) for row in audit(accounts)] == [
        ("create", "webauthn_credential", str(passkey["id"])),
        ("delete", "webauthn_credential", str(passkey["id"])),
    ]


def test_secrets_are_left_out_at_any_depth_and_texts_fit(accounts: Accounts) -> None:
    by = By(bare_actor(1, "x" * 300, super_user=True), Origin("203.0.113.9", "y" * 600))
    deep = {"a": [{"smtp_password": "s1", "kept": 1}], "Auth": "s2", "b": {"token": "s3", "p256dh": "s4"}, "n": None}
    with accounts.panel.database.write() as connection:
        by.write_audit(
            accounts.panel, connection, "z" * 200, "t" * 200, target_id="i" * 300, target_name="n" * 300, new=deep
        )
    [row] = audit(accounts)
    assert values(row, "new_value") == {"a": [{"kept": 1}], "b": {}, "n": None}
    lengths = {name: len(row[name]) for name in ("username", "action", "target_type", "target_id", "target_name")}
    assert lengths == {"username": 255, "action": 100, "target_type": 100, "target_id": 255, "target_name": 255}
    assert len(row["user_agent"]) == 500
