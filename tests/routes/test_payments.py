"""The golden cases 61 to 70 and 78 of contract chapter 30 F: payments, their receipts, the banks."""

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from core.storage.tables import AuditEntry, IranianBank, ResellerPayment, User
from core.values.banks import BANKS
from tests.conftest import MakeWorld
from tests.worlds.books import Books, fill_chapter_30
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES
from tests.worlds.logged_in import logged_in

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
CONTENTS = {
    "png": (PNG, "image/png"),
    "jpg": (b"\xff\xd8\xff\xe0" + bytes(32), "image/jpeg"),
    "gif": (b"GIF89a<?php system('id') ?>", "image/gif"),
    "pdf": (b"%PDF-1.7\n%%EOF", "application/pdf"),
}


@pytest.fixture
def books(make_world: MakeWorld, kind: str) -> Books:
    return fill_chapter_30(make_world(kind))


@pytest.fixture
def sqlite_books(make_world: MakeWorld) -> Books:
    return fill_chapter_30(make_world("sqlite"))


PAID = {"reseller_id": "2", "amount": "7", "payment_date": "2026-11-01", "bank_name": "Cash"}


def upload(books: Books, content: bytes, name: str = "x.php", **changed: str) -> requests.Response:
    fields = {**PAID, **changed}
    return books.client("admin").request(
        "POST", "/api/add_reseller_payment.php", data=fields, files={"receipt": (name, content, "text/html")}
    )


def stored_files(books: Books) -> list[Path]:
    directory = books.world.config.panel.data_directory / "receipts"
    return sorted(directory.iterdir()) if directory.exists() else []


def clear_files(books: Books) -> None:
    for path in stored_files(books):
        path.unlink()


def assert_refused(answer: dict[str, Any], code: int) -> None:
    assert (answer["error"], answer["code"]) == (1, code), answer
    assert answer["message"] == answer["err_msg"] != ""


def test_61_the_currency_is_the_reseller_s_and_no_credit_moves(books: Books) -> None:
    answer = books.pay(amount_raw="", reference_number="REF1", description="note")
    [row] = books.payments
    assert answer == {
        "error": 0,
        "message": "Payment recorded successfully",
        "payment_id": row["id"],
        "payment": {
            "id": row["id"],
            "reseller_id": 2,
            "reseller_name": "Reseller One",
            "amount": 100.5,
            "currency": "GBP",
            "payment_date": "2026-11-01",
            "bank_name": "Cash",
            "reference_number": "REF1",
            "receipt_path": None,
            "description": "note",
            "recorded_by": "admin",
            "status": "active",
        },
    }
    assert (row["currency"], row["amount"], row["recorded_by"]) == ("GBP", Decimal("100.50"), 1)
    assert (row["recorded_by_username"], row["status"]) == ("admin", "active")
    assert Decimal(str(books.world.user("reseller1")["balance"])) == 500
    [audit] = books.world.rows(sa.select(*AuditEntry.__table__.c))
    assert (audit["action"], audit["target_type"], audit["target_id"]) == ("create", "reseller_payment", str(row["id"]))
    assert "Reseller One" in audit["target_name"]
    assert '"amount":"100.50"' in audit["new_value"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_61_in_every_encoding_at_both_paths(sqlite_books: Books, encoding: str, prefix: str) -> None:
    fields = {"reseller_id": 2, "amount": "10,000,000", "payment_date": "2026-11-01", "bank_name": "بانک ملت"}
    answer = sqlite_books.client("admin").post(f"{prefix}add_reseller_payment.php", fields, encoding).json()
    assert (answer["error"], answer["payment"]["amount"], answer["payment"]["bank_name"]) == (0, 10_000_000, "بانک ملت")
    assert (answer["payment"]["reference_number"], answer["payment"]["description"]) == ("", "")
    [row] = sqlite_books.payments
    assert row["reference_number"] is None


def test_61_currencies_of_every_spelling(books: Books) -> None:
    for said in ("GBP", "gbp", "1"):
        assert books.pay(currency=said)["payment"]["currency"] == "GBP"
    for own, said in (("IRT", "IRR"), ("IRR", "irt"), ("IRT", "4"), ("IRT", None), (None, None), (None, "IRR")):
        books.world.execute(sa.update(User).where(User.id == 2).values(currency_id=own))
        assert books.pay(currency=said, amount="9999999999999.99", description=f"{own} {said}")["error"] == 0
    assert {str(row["amount"]) for row in books.payments if row["currency"] == "IRR"} == {"9999999999999.99"}
    assert {row["currency"] for row in books.payments} == {"GBP", "IRR"}
    # an identical payment of the same session within a moment is the same payment
    assert len(books.payments) == 9


@pytest.mark.every_kind
def test_62_a_receipt_is_what_its_content_says(books: Books) -> None:
    clear_files(books)
    for extension, (content, content_type) in CONTENTS.items():
        path = upload(books, content, description=extension).json()["payment"]["receipt_path"]
        assert path.startswith("uploads/receipts/receipt_")
        assert path.endswith(f".{extension}")
        assert ".php" not in path
        response = books.client("admin").get(f"/{path}")
        assert (response.status_code, response.content) == (200, content)
        assert response.headers["Content-Type"] == content_type
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Disposition"] == "attachment"
        assert "no-store" in response.headers["Cache-Control"]
        assert books.world.client().get(f"/{path}").json() == NOT_LOGGED_IN
    names = {path.name for path in stored_files(books)}
    assert names == {Path(row["receipt_path"]).name for row in books.payments}


def test_field_5_two_payments_that_differ_in_the_receipt_alone_are_two(sqlite_books: Books) -> None:
    def pay(receipt: bytes) -> dict[str, Any]:
        client = sqlite_books.client("admin").in_a_browser()
        answer: dict[str, Any] = client.request(
            "POST", "/api/add_reseller_payment.php", data=PAID, files={"receipt": ("r.png", receipt, "image/png")}
        ).json()
        return answer

    first, other, again = pay(PNG), pay(PNG + b"another"), pay(PNG + b"another")
    assert first["payment"]["id"] != other["payment"]["id"]
    assert again == other
    assert len(sqlite_books.payments) == 2


def test_62_a_receipt_is_shown_to_those_who_see_the_payment(sqlite_books: Books) -> None:
    path = upload(sqlite_books, PNG).json()["payment"]["receipt_path"]
    for who, status in (("reseller1", 200), ("readmin", 200), ("watcher", 200), ("limited", 404)):
        response = sqlite_books.client(who).get(f"/{path}")
        assert response.status_code == status, who
        assert (response.content == PNG) == (status == 200)
    admin = sqlite_books.client("admin")
    assert admin.request("HEAD", f"/{path}").headers["Content-Length"] == str(len(PNG))
    assert admin.request("POST", f"/{path}").status_code == 404
    unknown = sqlite_books.client("limited").get("/uploads/receipts/receipt_0.png")
    assert unknown.content == sqlite_books.client("limited").get(f"/{path}").content
    for other in (
        "/uploads/receipts/",
        "/uploads/receipts/..%2f..%2fconfig.ini",
        "/uploads/receipts/../receipts/" + Path(path).name + "x",
        "/receipts/" + Path(path).name,
        "/api/" + path,
    ):
        assert admin.get(other).status_code == 404, other
    # doubled slashes count as one, and open the file to nobody else
    doubled = "/uploads//receipts/" + Path(path).name
    assert admin.get(doubled).content == PNG
    assert sqlite_books.client("limited").get(doubled).status_code == 404
    assert sqlite_books.world.client().get(doubled).json() == NOT_LOGGED_IN


def test_62_the_row_alone_opens_no_file(sqlite_books: Books, tmp_path: Path) -> None:
    """A panel's database may name anything as a receipt."""
    clear_files(sqlite_books)
    path = upload(sqlite_books, PNG).json()["payment"]["receipt_path"]
    directory = sqlite_books.world.config.panel.data_directory / "receipts"
    (directory / "page.png").write_bytes(b"<script>alert(1)</script>")
    (directory / "x.php").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    (directory / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("page.png", "x.php", "link.png", "gone.png", "..", "."):
        sqlite_books.world.execute(sa.update(ResellerPayment).values(receipt_path=f"uploads/receipts/{name}"))
        assert sqlite_books.client("admin").get(f"/uploads/receipts/{name}").status_code == 404, name
    assert sqlite_books.client("admin").get(f"/{path}").status_code == 404, "no payment has it any more"
    (directory / "receipt_2_20261101_101500_6725.JPG").write_bytes(CONTENTS["jpg"][0])
    moved = "uploads/receipts/receipt_2_20261101_101500_6725.JPG"
    sqlite_books.world.execute(sa.update(ResellerPayment).values(receipt_path=moved))
    response = sqlite_books.client("admin").get(f"/{moved}")
    assert (response.content, response.headers["Content-Type"]) == CONTENTS["jpg"]
    clear_files(sqlite_books)


def test_62_the_static_host_has_no_receipts(make_world: MakeWorld, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("frontend")
    (root / "uploads/receipts").mkdir(parents=True)
    (root / "index.html").write_text("login")
    (root / "uploads/receipts/old.png").write_bytes(PNG)
    books = fill_chapter_30(make_world("sqlite", SHOWBOX_FRONTEND_ROOT=str(root)))
    assert books.world.client().get("/uploads/receipts/old.png").json() == NOT_LOGGED_IN
    assert books.client("admin").get("/uploads/receipts/old.png").status_code == 404
    path = upload(books, PNG).json()["payment"]["receipt_path"]
    assert books.client("admin").get(f"/{path}").content == PNG


def test_63_what_is_refused_leaves_nothing(books: Books) -> None:
    clear_files(books)
    for changed, code in (
        ({"amount": "0"}, 6),
        ({"amount": "-5"}, 6),
        ({"amount": "0.004"}, 6),
        ({"amount": "abc"}, 6),
        ({"amount": "1e400"}, 6),
        ({"amount": "NaN"}, 6),
        ({"amount": "1,5"}, 6),
        ({"amount": "10000000000000"}, 6),
        ({"amount": None}, 6),
        ({"payment_date": None}, 6),
        ({"payment_date": "2026-02-30"}, 6),
        ({"payment_date": "1405-08-10"}, 6),
        ({"payment_date": "yesterday"}, 6),
        ({"bank_name": None}, 6),
        ({"bank_name": "<>"}, 6),
        ({"bank_name": "x" * 101}, 6),
        ({"reference_number": "x" * 101}, 6),
        ({"description": "x" * 5001}, 6),
        ({"reseller_id": None}, 6),
        ({"reseller_id": 0}, 6),
        ({"reseller_id": "abc"}, 6),
        ({"reseller_id": 1}, 4),
        ({"reseller_id": 99}, 4),
        ({"reseller_id": 99_999_999_999}, 4),
        ({"currency": "USD"}, 6),
        ({"currency": "2"}, 6),
        ({"currency": "pounds"}, 6),
    ):
        assert_refused(books.pay(**changed), code)
    for content in (b"just text", b"<?php echo 1 ?>", b"PK\x03\x04", b"\x89PNG"):
        assert_refused(upload(books, content, "receipt.png").json(), 6)
    for fault in ({"currency": "USD"}, {"reseller_id": "99"}):
        upload(books, PNG, **fault)
    assert books.payments == []
    assert stored_files(books) == []
    assert upload(books, b"", "").json()["payment"]["receipt_path"] is None


def test_63_the_order_of_the_checks(sqlite_books: Books) -> None:
    asked = {"reseller_id": "", "amount": "", "payment_date": "", "bank_name": ""}
    texts = []
    for given in (
        {},
        {"reseller_id": 99},
        {"amount": "5"},
        {"payment_date": "x"},
        {"bank_name": "b"},
        {"payment_date": "2026-11-01"},
    ):
        asked |= given
        texts.append(sqlite_books.post("admin", "add_reseller_payment", **asked)["message"])
    words = (
        "Missing field: reseller_id",
        "amount",
        "Missing field: payment_date",
        "Missing field: bank_name",
        "date is not valid",
        "not found",
    )
    assert all(word in text for word, text in zip(words, texts, strict=True)), texts


def test_63_too_large_a_file(sqlite_books: Books) -> None:
    clear_files(sqlite_books)
    response = upload(sqlite_books, PNG + bytes(2 * 1024 * 1024))
    assert (response.status_code, response.json()["error"]) == (413, 1)
    assert (sqlite_books.payments, stored_files(sqlite_books)) == ([], [])


def test_63_a_file_that_cannot_be_stored_fails_the_call(sqlite_books: Books) -> None:
    directory = sqlite_books.world.config.panel.data_directory / "receipts"
    clear_files(sqlite_books)
    if directory.exists():
        directory.rmdir()
    directory.write_text("in the way")
    try:
        answer = upload(sqlite_books, PNG).json()
    finally:
        directory.unlink()
    assert_refused(answer, 1)
    assert str(directory.parent) not in answer["message"]
    assert sqlite_books.payments == []


def test_63_a_row_that_cannot_be_stored_leaves_no_file(sqlite_books: Books) -> None:
    clear_files(sqlite_books)
    sqlite_books.world.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON _reseller_payments BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    try:
        answer = upload(sqlite_books, PNG).json()
    finally:
        sqlite_books.world.execute("DROP TRIGGER refuse")
    assert_refused(answer, 7)
    assert stored_files(sqlite_books) == []


def test_64_only_admins_record_and_cancel(sqlite_books: Books) -> None:
    for who in ("reseller1", "watcher", "limited"):
        assert_refused(sqlite_books.pay(who), 3)
        assert_refused(sqlite_books.post(who, "cancel_reseller_payment", payment_id=1, reason="x"), 3)
    assert sqlite_books.world.client().post("/add_reseller_payment.php").json() == NOT_LOGGED_IN
    sqlite_books.world.execute(sa.update(User).where(User.id == 1).values(is_observer=1))
    assert_refused(sqlite_books.pay("admin"), 3)
    assert sqlite_books.payments == []
    assert sqlite_books.pay("readmin", reseller_id=3)["error"] == 0


def test_65_a_payment_is_cancelled_once_and_kept(books: Books) -> None:
    payment_id = books.pay()["payment_id"]
    first = books.post("admin", "cancel_reseller_payment", payment_id=payment_id, reason=" dup ")
    assert first == {"error": 0, "message": "Payment cancelled successfully", "payment_id": payment_id}
    assert_refused(books.post("admin", "cancel_reseller_payment", payment_id=payment_id, reason=" dup "), 6)
    [row] = books.payments
    assert (row["status"], row["cancelled_by"], row["cancellation_reason"]) == ("cancelled", 1, "dup")
    assert row["cancelled_at"] is not None
    audits = books.world.rows(sa.select(*AuditEntry.__table__.c).where(AuditEntry.action == "update"))
    assert [audit["target_id"] for audit in audits] == [str(payment_id)]
    assert '"status":"active"' in audits[0]["old_value"]
    assert '"cancelled_by":"admin"' in audits[0]["new_value"]


def test_65_as_json_with_a_reason_that_php_takes_for_empty(sqlite_books: Books) -> None:
    payment_id = sqlite_books.pay()["payment_id"]
    answer = sqlite_books.post("readmin", "cancel_reseller_payment", "json", payment_id=payment_id, reason="0")
    assert answer["payment_id"] == payment_id


@pytest.mark.every_kind
def test_65_of_many_at_once_one_cancels(books: Books) -> None:
    payment_id = books.pay()["payment_id"]
    clients = [logged_in(books.world, "admin") for _ in range(6)]
    answers: list[dict[str, Any]] = []

    def cancel(number: int) -> None:
        fields = {"payment_id": payment_id, "reason": f"click {number}"}
        answers.append(clients[number].post("/cancel_reseller_payment.php", fields).json())

    threads = [threading.Thread(target=cancel, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["error"] for answer in answers) == [0, 1, 1, 1, 1, 1]
    assert {answer.get("code") for answer in answers} == {None, 6}


def test_66_what_cannot_be_cancelled(books: Books) -> None:
    payment_id = books.pay()["payment_id"]
    for fields, code in (
        ({"payment_id": payment_id, "reason": "  "}, 6),
        ({"payment_id": payment_id}, 6),
        ({"payment_id": payment_id, "reason": "x" * 5001}, 6),
        ({"payment_id": 0, "reason": "x"}, 6),
        ({"payment_id": -1, "reason": "x"}, 6),
        ({"payment_id": "abc", "reason": "x"}, 6),
        ({"reason": "x"}, 6),
        ({"payment_id": payment_id + 999, "reason": "x"}, 4),
        ({"payment_id": 99_999_999_999, "reason": "x"}, 4),
    ):
        assert_refused(books.post("admin", "cancel_reseller_payment", **fields), code)
    assert books.payments[0]["status"] == "active"


def test_67_a_reseller_sees_the_own_payments(books: Books) -> None:
    books.pay()
    books.pay(reseller_id=3)
    answer = books.get("reseller1", "get_reseller_payments", reseller_id=3)
    assert [payment["reseller_id"] for payment in answer["payments"]] == [2]
    assert (answer["can_edit"], answer["can_view_all"]) == (False, False)
    assert answer["summary"]["total_active"] == 100.5


def test_68_an_observer_sees_all(books: Books) -> None:
    books.pay()
    books.pay(reseller_id=3)
    answer = books.get("watcher", "get_reseller_payments")
    assert len(answer["payments"]) == 2
    assert (answer["can_edit"], answer["can_view_all"]) == (False, True)
    assert [p["reseller_id"] for p in books.get("watcher", "get_reseller_payments", reseller_id=3)["payments"]] == [3]
    for who in ("admin", "readmin"):
        answer = books.get(who, "get_reseller_payments", reseller_id=0)
        assert (len(answer["payments"]), answer["can_edit"], answer["can_view_all"]) == (2, True, True)


@pytest.mark.every_kind
def test_69_limits_and_filters(books: Books) -> None:
    for query in ({"limit": -1}, {"limit": 0}, {"limit": "x"}, {"status": "bogus"}, {"start_date": "2026-13-01"}):
        assert_refused(books.get("admin", "get_reseller_payments", **query), 6)
    days = enumerate((1, 3, 2, 3))
    ids = [books.pay(payment_date=f"2026-11-{day:02}", reference_number=n)["payment_id"] for n, day in days]
    books.post("admin", "cancel_reseller_payment", payment_id=ids[0], reason="dup")

    def listed(**query: Any) -> list[int]:
        return [payment["id"] for payment in books.get("admin", "get_reseller_payments", **query)["payments"]]

    assert listed() == [ids[3], ids[1], ids[2]]
    assert listed(status="all", limit=501) == [ids[3], ids[1], ids[2], ids[0]]
    assert listed(status="cancelled") == [ids[0]]
    assert listed(start_date="2026-11-02", end_date="2026-11-02") == [ids[2]]
    assert listed(start_date="", end_date="", status="", limit="") == listed()
    assert listed(reseller_id=99_999_999_999) == []
    # the sums are over all that match, also beyond the limit
    answer = books.get("admin", "get_reseller_payments", status="all", limit=1)
    assert len(answer["payments"]) == 1
    assert answer["summary"] == {
        "total_active": 301.5,
        "total_cancelled": 100.5,
        "count_active": 3,
        "count_cancelled": 1,
    }


def test_70_the_whole_row_with_its_shamsi_date(books: Books) -> None:
    payment_id = books.pay(payment_date="2026-11-22", amount="100.5")["payment_id"]
    answer = books.get("admin", "get_reseller_payments")
    [payment] = answer["payments"]
    assert len(payment.pop("created_at")) == len("2026-11-22 03:03:15")
    assert payment == {
        "id": payment_id,
        "reseller_id": 2,
        "amount": "100.50",
        "currency": "GBP",
        "payment_date": "2026-11-22",
        "bank_name": "Cash",
        "reference_number": None,
        "receipt_path": None,
        "description": None,
        "recorded_by": 1,
        "recorded_by_username": "admin",
        "updated_at": None,
        "status": "active",
        "cancelled_by": None,
        "cancelled_at": None,
        "cancellation_reason": None,
        "reseller_name": "Reseller One",
        "reseller_username": "reseller1",
        "reseller_currency": "GBP",
        "recorder_name": "Administrator",
        "payment_date_shamsi": "1405/09/01",
    }
    assert (answer["error"], answer["message"]) == (0, "")


def test_nothing_stored_becomes_script_in_the_page(sqlite_books: Books) -> None:
    sqlite_books.world.execute(
        sa.update(User).where(User.id == 2).values(name="O'Brien\"\\`<img src=x> &#39;);alert(1)//&quot; A&B")
    )
    payment_id = sqlite_books.pay(bank_name="<b>Bank", description='"><script>"&')["payment_id"]
    sqlite_books.post("admin", "cancel_reseller_payment", payment_id=payment_id, reason='" onclick="x')
    [payment] = sqlite_books.get("admin", "get_reseller_payments", status="all")["payments"]
    assert payment["reseller_name"] == "O’Brien”‹img src=x› #39;);alert(1)//quot; A&B"
    assert payment["bank_name"] == "bBank"
    assert payment["description"] == "”script”&"
    assert payment["cancellation_reason"] == "” onclick=”x"


@pytest.mark.every_kind
def test_78_the_banks(books: Books) -> None:
    answer = books.get("reseller1", "get_iranian_banks")
    assert list(answer) == ["error", "message", "banks", "source"]
    assert answer["source"] == "database"
    assert answer["banks"] == [{"code": bank.code, "name_fa": bank.name_fa, "name_en": bank.name_en} for bank in BANKS]
    assert (len(BANKS), BANKS[0].code, BANKS[-1].code) == (39, "BMELLI", "OTHER")
    assert books.world.client().get("/get_iranian_banks.php").json() == NOT_LOGGED_IN


def test_78_the_built_in_banks_where_no_row_is_active(books: Books) -> None:
    full = books.get("watcher", "get_iranian_banks")["banks"]
    books.world.execute(sa.update(IranianBank).values(is_active=0))
    try:
        answer = books.get("watcher", "get_iranian_banks")
        books.world.execute(sa.update(IranianBank).where(IranianBank.code == "OTHER").values(is_active=1))
        single = books.get("watcher", "get_iranian_banks")
    finally:
        books.world.execute(sa.update(IranianBank).values(is_active=1))
    assert (answer["source"], answer["banks"]) == ("default", full)
    assert (single["source"], [bank["code"] for bank in single["banks"]]) == ("database", ["OTHER"])
