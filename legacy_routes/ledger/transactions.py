"""The ledger (contract chapter 40 §3.9 to §3.12): reading it, rows by hand, corrections, days with data."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from pydantic import AliasChoices, Field

from compat import envelope
from compat.endpoints import Answer, Endpoints, Manners
from compat.fields import RequestModel, Text
from core.access.permissions import CORRECT_TRANSACTIONS, may
from core.access.whose_accounts import whose_accounts
from core.errors import InvalidInput
from core.ledger.corrections import correct_transaction
from core.ledger.listing import LedgerPage, LedgerRow, kept_transactions
from core.ledger.manual_rows import add_transaction
from core.ledger.marked_days import dates_with_data
from core.ledger.row_text import LONG_TEXT
from core.ledger.sales import VOIDED
from core.storage.caching.answer_cache import EncodedAnswer
from core.values import sinks
from core.values.clock import shown
from legacy_routes.forms import Id, Number, ViewForm
from legacy_routes.gate import LOGGED_IN, Call, by, caller, having, super_admin
from legacy_routes.warnings import floored

endpoints = Endpoints(chapter="40")

MAX_ROWS = 1000
_KEPT_ROWS = 4000
PANEL_FORM, DOCUMENT_FORM = "panel", "doc"
# for how long a browser may show the marks of its calendar again without asking
DATES_SECONDS = 60


class ListForm(ViewForm):
    limit: Number = 100
    offset: Number = 0
    format: Text = ""


@endpoints.endpoint("get_transactions", "GET", "POST", who=LOGGED_IN, model=ListForm)
def get_transactions(call: Call, form: ListForm) -> Answer:
    """The ledger, newest row first: all for super admins and observers, else one's own."""
    actor = caller(call)
    limit, offset = _bounds(form)
    is_panel = _is_panel_form(call, form)
    scope = whose_accounts(actor, view_all=form.view_all)
    encoder = _Encoder(is_panel, may(actor, CORRECT_TRANSACTIONS))
    page = kept_transactions(call.panel, scope, limit=limit, offset=offset, encode=encoder)
    return encoder.answer(page) if isinstance(page, LedgerPage) else page


@dataclass(frozen=True)
class _Encoder:
    """Pages as one form of client wants them, for callers who may correct rows or not."""

    is_panel: bool
    can_edit: bool

    def answer(self, page: LedgerPage) -> dict[str, Any]:
        return {
            "err_msg": "",
            "message": "",
            "total": page.total,
            "can_edit_transactions": self.can_edit,
            "transactions": [_shown(row, self.is_panel) for row in page.rows],
        }

    def __call__(self, page: LedgerPage) -> EncodedAnswer:
        return EncodedAnswer(envelope.gzipped(envelope.success_body(self.answer(page))))


def _bounds(form: ListForm) -> tuple[int, int]:
    limit, offset = form.limit or 0, form.offset or 0
    if not 1 <= limit <= MAX_ROWS:
        raise InvalidInput.of("limit", f"expected 1 to {MAX_ROWS}")
    if offset < 0:
        raise InvalidInput.of("offset", "expected 0 or more")
    return limit, offset


def _is_panel_form(call: Call, form: ListForm) -> bool:
    """Frontends need ``type`` as a number and signed amounts, the document's clients words and absolute ones."""
    if form.format:
        if form.format not in (PANEL_FORM, DOCUMENT_FORM):
            raise InvalidInput.of("format", f"expected {PANEL_FORM} or {DOCUMENT_FORM}")
        return form.format == PANEL_FORM
    environ = call.request.environ
    return (
        call.request.path.startswith("/api/")
        or "viewAllAccounts" in call.request.args
        or "HTTP_SEC_FETCH_MODE" in environ
        or call.clients.is_same_origin(environ.get("HTTP_REFERER", ""), environ)
        or call.user_agent.startswith("Mozilla/")
    )


def _shown(row: LedgerRow, is_panel: bool) -> orjson.Fragment:
    """The row encoded, kept as long as it is the same one (:func:`core.ledger.listing.list_transactions`)."""
    return _encoded(row, is_panel) if len(row.details) > LONG_TEXT else _encoded_once(row, is_panel)


def _encoded(row: LedgerRow, is_panel: bool) -> orjson.Fragment:
    type_name = "credit" if row.is_credit else "debit"
    correction = row.correction
    answer = {
        "id": row.id,
        "creator": row.creator,
        "for_user": row.for_user,
        "user_id": row.for_user,
        "amount": float(row.amount if is_panel else abs(row.amount)),
        "currency": row.currency,
        "type": row.type if is_panel else type_name,
        "type_name": type_name,
        "signed_amount": float(row.signed),
        "details": row.details,
        "description": row.details,
        "timestamp": row.timestamp,
        "date": shown(row.date),
        "reseller_name": row.owner_name,
        "reseller_username": row.owner_username,
        "mac_address": row.mac,
        "formatted_description": row.description,
        "correction_amount": None if correction.amount is None else float(correction.amount),
        "correction_note": correction.note,
        "corrected_by": correction.by,
        "corrected_by_username": correction.by_username,
        "corrected_at": shown(correction.at),
        "status": correction.status,
        "net_amount": float(correction.net(row.amount)),
        "has_correction": correction.exists,
    }
    return orjson.Fragment(orjson.dumps(sinks.shown("transaction", answer)))


_encoded_once = lru_cache(_KEPT_ROWS)(_encoded)


class NewForm(RequestModel):
    user_id: Id = Field(None, validation_alias=AliasChoices("user_id", "id"))
    amount: Text = ""
    type: Text = ""
    details: Text = Field("", validation_alias=AliasChoices("description", "details"))


@endpoints.endpoint(
    "new_transaction",
    "GET",
    "POST",
    who=super_admin("Permission denied. Only a super admin can create transactions."),
    model=NewForm,
    manners=Manners(get_changes=True),
)
def new_transaction(call: Call, form: NewForm) -> Answer:
    """Credit or debit a user's balance, with a ledger row."""
    added = add_transaction(
        call.panel,
        by(call),
        user_id=form.user_id,
        amount=form.amount,
        direction=form.type,
        details=form.details,
    )
    text = "Transaction created successfully"
    answer = {"err_msg": text, "message": text, "transaction_id": added.id, "new_balance": float(added.balance)}
    return answer | floored(text, added.taken)


class CorrectionForm(RequestModel):
    transaction_id: Id = None
    correction_amount: Text = ""
    correction_note: Text = ""
    status: Text = ""


@endpoints.endpoint("edit_transaction", "POST", who=having(CORRECT_TRANSACTIONS), model=CorrectionForm)
def edit_transaction(call: Call, form: CorrectionForm) -> Answer:
    """Correct or void a ledger row; the original stays as it is, and so does the balance."""
    row = correct_transaction(
        call.panel,
        by(call),
        number=form.transaction_id,
        amount=form.correction_amount,
        note=form.correction_note,
        status=form.status,
    )
    correction = row.correction
    return {
        "err_msg": "",
        "message": "Transaction voided" if correction.status == VOIDED else "Transaction corrected",
        "transaction": {
            "id": row.id,
            "original_amount": float(row.original),
            "correction_amount": None if correction.amount is None else float(correction.amount),
            "net_amount": float(row.net),
            "status": correction.status,
            "correction_note": correction.note,
            "corrected_by": correction.by_username,
            "corrected_at": shown(correction.at),
        },
    }


class DatesForm(RequestModel):
    type: Text = ""
    start_date: Text = ""
    end_date: Text = ""
    reseller_id: Id = None


@endpoints.endpoint(
    "get_dates_with_data",
    "GET",
    "POST",
    who=LOGGED_IN,
    model=DatesForm,
    manners=Manners(limited=False, browser_keeps=DATES_SECONDS),
)
def get_dates_with_data(call: Call, form: DatesForm) -> Answer:
    """The days of a range that have data of one type, for the calendars of the frontend."""
    days = dates_with_data(
        call.panel,
        caller(call),
        kind=form.type,
        start=form.start_date,
        end=form.end_date,
        reseller_id=form.reseller_id,
    )
    return {
        "err_msg": "",
        "dates": [day.isoformat() for day in days.found],
        "count": len(days.found),
        "range": {"start": days.start.isoformat(), "end": days.end.isoformat()},
    }
