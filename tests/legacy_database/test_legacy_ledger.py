"""A live panel's ledger (the dumps of two versions) behind this server: read, summed, corrected, proved."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from core.payments.proof import check_ledger
from core.storage.tables import Transaction, User
from tests.worlds.databases import DUMPS, create_database, load_dump, require
from tests.worlds.harness import Client, World

SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "1000"}


@pytest.fixture(scope="module", params=DUMPS)
def live(request: pytest.FixtureRequest) -> Iterator[World]:
    require("mariadb")
    url = create_database("mariadb", f"ledger{request.param.replace('.', '_')}")
    load_dump(url, DUMPS[request.param], whole=True)
    world = World(url, SETTINGS)
    yield world
    world.close()


@pytest.fixture(scope="module")
def admin(live: World) -> Client:
    return live.client("admin", "admin123")


def _stored(world: World) -> list[dict[str, Any]]:
    columns = [c for c in Transaction.__table__.c if world.panel.layout.has_column("_transactions", c.name)]
    return world.rows(sa.select(*columns).order_by(Transaction.id.desc()))


def test_every_row_is_shown_with_its_value(live: World, admin: Client) -> None:
    rows, offset = _stored(live), 0
    users = {row["id"]: row for row in live.rows(sa.select(User.id, User.username, User.currency_id))}
    while offset < len(rows):
        answer = admin.get(f"/api/get_transactions.php?limit=1000&offset={offset}").json()
        assert answer["total"] == len(rows)
        for shown, row in zip(answer["transactions"], rows[offset:], strict=False):
            amount = row["amount"]
            net = Decimal(0) if row.get("status") == "voided" else amount + (row.get("correction_amount") or 0)
            owner = users[row["for_user"]]
            assert (shown["id"], shown["amount"], shown["net_amount"]) == (row["id"], float(amount), float(net))
            assert (shown["reseller_username"], shown["type"]) == (owner["username"], row["type"])
            assert shown["currency"] == (row["currency"] or owner["currency_id"]).replace("IRT", "IRR")
            is_sale = row["details"].startswith(("Plan ", "Account renewal:"))
            assert shown["formatted_description"].startswith(("New account, ", "Account renewal, ")) == is_sale
            assert bool(shown["mac_address"]) >= is_sale
        offset += 1000


def test_the_books_prove_what_plain_sums_say(live: World) -> None:
    explained: dict[int, Decimal] = defaultdict(Decimal)
    admins = {
        row["id"]
        for row in live.rows(sa.select(User.id, User.super_user, User.permissions))
        if row["super_user"] == 1 or (row["permissions"] or "").split("|")[2:3] == ["1"]
    }
    for row in _stored(live):
        if row["details"].startswith(("Plan ", "Account renewal:")):
            explained[row["for_user"]] -= 0 if row["for_user"] in admins else abs(row["amount"])
        elif row["type"] in (0, 1):
            explained[row["for_user"]] += row["amount"] if row["type"] else -row["amount"]
    for _ in range(2):
        findings = check_ledger(live.panel)
        assert findings.is_clean
        assert findings.rows == len(_stored(live))
        for proof in findings.proofs:
            assert proof.explained == explained[proof.user_id], proof.username
            assert proof.opening.amount == proof.balance - explained[proof.user_id]
    live.execute(sa.update(User).where(User.username == "limited").values(balance=User.balance + Decimal("0.01")))
    [drift] = check_ledger(live.panel).drifts
    assert (drift.username, drift.drift) == ("limited", Decimal("0.01"))
    live.execute(sa.update(User).where(User.username == "limited").values(balance=User.balance - Decimal("0.01")))


def test_corrections_need_what_the_panel_has_since_1_16(live: World, admin: Client) -> None:
    number = _stored(live)[0]["id"]
    wish = {"transaction_id": number, "correction_note": "why", "correction_amount": "185000000"}
    answer = admin.post("/api/edit_transaction.php", wish, "multipart").json()
    assert answer["error"] == 1
    if not live.panel.layout.has_column("_transactions", "correction_amount"):
        assert (answer["code"], "upgrade" in answer["message"]) == (7, True)
        return
    # the panel's column is too narrow; a server that is not strict would store its largest number instead
    assert (answer["code"], "too large" in answer["message"]) == (6, True)
    live.panel.database.dispose()
    assert _stored(live)[0]["correction_note"] is None
    wish["correction_amount"] = "1.50"
    assert admin.post("/api/edit_transaction.php", wish, "multipart").json()["error"] == 0


def test_days_of_tables_that_the_panel_may_lack(live: World, admin: Client) -> None:
    for kind, table in {
        "payments": "_reseller_payments",
        "audit_log": "_audit_log",
        "sms_history": "_sms_logs",
        "reminder_history": "_expiry_reminders",
        "transactions": "_transactions",
    }.items():
        answer = admin.get(f"/api/get_dates_with_data.php?type={kind}&start_date=2020-01-01&end_date=2026-12-31").json()
        assert answer.get("code") == (None if live.panel.layout.has_table(table) else 7), kind
