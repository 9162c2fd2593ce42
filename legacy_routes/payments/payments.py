"""What resellers paid, owe and are billed (contract chapter 30 D): payments, balances, invoices, banks."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from compat.endpoints import Answer, Endpoints
from compat.fields import RequestModel, Text
from core.access.permissions import READ_BOOKS, RECORD_PAYMENTS
from core.panel import Panel
from core.payments import balances as reseller_balance
from core.payments.banks import list_banks
from core.payments.invoices import SHAMSI, Invoice, Line, month_of, read_invoice
from core.payments.payment_list import Filter, ListedPayment, list_payments
from core.payments.payments import (
    DEFAULT_CURRENCY,
    NewPayment,
    Payment,
    cancel_payment,
    may_edit,
    record_payment,
    sees_all,
)
from core.values import shamsi, sinks
from core.values.clock import shown as shown_moment
from core.values.currencies import shown_currency
from core.values.escaping import plain
from core.values.money import shown, stored
from legacy_routes.forms import Number
from legacy_routes.gate import LOGGED_IN, Call, by, caller, having

endpoints = Endpoints(chapter="30")

_SYMBOLS = {"GBP": "£", "USD": "$", "EUR": "€", "IRR": "IRR ", "IRT": "IRT "}


class PaymentForm(RequestModel):
    reseller_id: Number = None
    amount: Text = ""
    currency: Text = ""
    payment_date: Text = ""
    bank_name: Text = ""
    reference_number: Text = ""
    description: Text = ""


@endpoints.endpoint("add_reseller_payment", "POST", who=having(RECORD_PAYMENTS), model=PaymentForm)
def add_reseller_payment(call: Call, form: PaymentForm) -> Answer:
    """Record a payment, with a receipt if one is sent; the reseller's credit stays as it is."""
    upload = call.files.get("receipt")
    wish = NewPayment(**form.model_dump(), receipt=b"" if upload is None else upload.read())
    payment = record_payment(call.panel, by(call), wish)
    return {
        "message": "Payment recorded successfully",
        "payment_id": payment.id,
        "payment": _recorded(payment, caller(call).username),
    }


def _recorded(payment: Payment, recorder: str) -> dict[str, Any]:
    return {
        "id": payment.id,
        "reseller_id": payment.reseller.id,
        "reseller_name": plain(payment.reseller_name),
        "amount": _number(payment.amount),
        "currency": payment.currency,
        "payment_date": payment.payment_date.isoformat(),
        "bank_name": payment.bank_name,
        "reference_number": payment.reference_number,
        "receipt_path": payment.receipt_path,
        "description": payment.description,
        "recorded_by": recorder,
        "status": "active",
    }


class CancelForm(RequestModel):
    payment_id: Number = None
    reason: Text = ""


# without ``once``: the second of two clicks finds the payment cancelled, and reads so
@endpoints.endpoint("cancel_reseller_payment", "POST", who=having(RECORD_PAYMENTS), model=CancelForm)
def cancel_reseller_payment(call: Call, form: CancelForm) -> Answer:
    """Mark a payment as cancelled, with a reason; it cannot be undone."""
    payment_id = cancel_payment(call.panel, by(call), form.payment_id, form.reason)
    return {"message": "Payment cancelled successfully", "payment_id": payment_id}


class ListForm(RequestModel):
    reseller_id: Number = None
    start_date: Text = ""
    end_date: Text = ""
    status: Text = "active"
    limit: Number = 100


@endpoints.endpoint("get_reseller_payments", "GET", who=having(READ_BOOKS), model=ListForm)
def get_reseller_payments(call: Call, form: ListForm) -> Answer:
    """Payments, newest first: of all resellers for admins and observers, else one's own."""
    actor = caller(call)
    wanted = Filter(
        form.reseller_id, form.start_date, form.end_date, form.status, 100 if form.limit is None else form.limit
    )
    found = list_payments(call.panel, actor, wanted)
    return {
        "message": "",
        "payments": [_listed(payment) for payment in found.rows],
        "summary": {
            "total_active": _number(found.active),
            "total_cancelled": _number(found.cancelled),
            "count_active": found.count_active,
            "count_cancelled": found.count_cancelled,
        },
        "can_edit": may_edit(actor),
        "can_view_all": sees_all(actor),
    }


def _listed(payment: ListedPayment) -> dict[str, Any]:
    day = payment.payment_date
    row = {
        **asdict(payment),
        "amount": f"{payment.amount:.2f}",
        "currency": shown_currency(payment.currency) or "",
        "payment_date": None if day is None else str(day)[:10],
        "created_at": shown_moment(payment.created_at),
        "updated_at": shown_moment(payment.updated_at),
        "cancelled_at": shown_moment(payment.cancelled_at),
        "reseller_currency": shown_currency(payment.reseller_currency),
        "payment_date_shamsi": shamsi.shown(day),
    }
    return sinks.shown("payment", row)


class BalanceForm(RequestModel):
    reseller_id: Number = None
    year: Number = None
    month: Number = None


@endpoints.endpoint("get_reseller_balance", "GET", who=having(READ_BOOKS), model=BalanceForm)
def get_reseller_balance(call: Call, form: BalanceForm) -> Answer:
    """What resellers owe: sales less payments, for all time, a year or a month."""
    period = reseller_balance.period_of(form.year, form.month)
    balances = reseller_balance.read_balances(call.panel, caller(call), form.reseller_id, period)
    return {
        "message": "",
        "balances": [_balance(balance) for balance in balances],
        "grand_totals": {
            "total_sales": _number(sum((balance.sales for balance in balances), Decimal(0))),
            "total_payments": _number(sum((balance.payments for balance in balances), Decimal(0))),
            "balance": _number(sum((balance.closing for balance in balances), Decimal(0))),
        },
        "period": {"year": period.year, "month": period.month, "type": period.kind},
    }


def _balance(balance: reseller_balance.Balance) -> dict[str, Any]:
    reseller = balance.reseller
    return {
        "reseller_id": reseller.id,
        "reseller_name": plain(reseller.name or reseller.username),
        "reseller_username": plain(reseller.username),
        "currency": plain(shown_currency(reseller.currency_id) or DEFAULT_CURRENCY),
        "opening_balance": _number(balance.opening),
        "total_sales": _number(balance.sales),
        "total_payments": _number(balance.payments),
        "balance": _number(balance.closing),
        "closing_balance": _number(balance.closing),
        "transaction_count": balance.sale_count,
        "payment_count": balance.payment_count,
        "status": balance.status,
    }


class InvoiceForm(RequestModel):
    reseller_id: Number = None
    calendar: Text = ""
    year: Number = None
    month: Number = None


@endpoints.endpoint("get_monthly_invoice", "GET", who=having(READ_BOOKS), model=InvoiceForm)
def get_monthly_invoice(call: Call, form: InvoiceForm) -> Answer:
    """The sales of a reseller in one month of the Shamsi or Gregorian calendar."""
    month = month_of(form.calendar, form.year, form.month)
    invoice = read_invoice(call.panel, caller(call), form.reseller_id, month)
    return {
        "invoice": {
            "period": {
                "calendar": month.calendar,
                "year": month.year,
                "month": month.month,
                "display": month.display,
                "display_en": month.display + (" (Shamsi)" if month.calendar == SHAMSI else ""),
                "start_date": month.first.isoformat(),
                "end_date": month.last.isoformat(),
            },
            "reseller": _billed(invoice),
            "summary": _summary(invoice),
            "transactions": [_line(call.panel, line) for line in invoice.lines],
        }
    }


def _billed(invoice: Invoice) -> dict[str, Any]:
    reseller, currency = invoice.reseller, plain(invoice.currency)
    return {
        "id": reseller.id,
        "name": plain(reseller.name or reseller.username),
        "username": plain(reseller.username),
        "email": reseller.email and plain(reseller.email),
        "currency": currency,
        "currency_symbol": _SYMBOLS.get(currency, currency),
        "current_balance": _number(stored(reseller.balance)),
    }


def _summary(invoice: Invoice) -> dict[str, Any]:
    total, formatted = invoice.total, shown(invoice.total, invoice.currency)
    return {
        "new_accounts": len(invoice.lines) - invoice.renewals,
        "renewals": invoice.renewals,
        "total_transactions": len(invoice.lines),
        "total_sales": _number(total),
        "total_sales_formatted": formatted,
        "amount_owed": _number(total),
        "amount_owed_formatted": formatted,
    }


def _line(panel: Panel, line: Line) -> dict[str, Any]:
    moment = panel.clock.local(line.timestamp)
    row = {
        "id": line.id,
        "date_gregorian": moment.date().isoformat(),
        "date_shamsi": shamsi.shown(moment.date()),
        "time": moment.strftime("%H:%M"),
        "mac_address": line.mac,
        "original_amount": _number(line.original),
        "correction_amount": None if line.correction is None else _number(line.correction),
        "net_amount": _number(line.net),
        # the page's exports take this one for a net of 0
        "amount": _number(line.net),
        "currency": line.currency,
        "description": _description(line),
        "status": line.status,
        "has_correction": line.has_correction,
        "correction_note": line.correction_note,
        "corrected_by": line.corrected_by,
        "corrected_at": line.corrected_at,
    }
    return sinks.shown("invoice", row)


def _description(line: Line) -> str:
    """The page tells the kind of a row by how this text begins."""
    subject = line.subject
    if subject.text:
        return plain(subject.text)
    parts = ["Account renewal" if line.is_renewal else "New account", f"Plan: {subject.plan}", subject.full_name]
    return plain(", ".join(part for part in parts if part))


def _number(amount: Decimal | int) -> float | int:
    """A JSON number, never a negative zero."""
    return amount if isinstance(amount, int) else float(amount) + 0.0


@endpoints.endpoint("get_iranian_banks", "GET", who=LOGGED_IN)
def get_iranian_banks(call: Call) -> Answer:
    """The banks that the form of a payment offers."""
    banks, source = list_banks(call.panel)
    return {
        "message": "",
        "banks": [{"code": bank.code, "name_fa": bank.name_fa, "name_en": bank.name_en} for bank in banks],
        "source": source,
    }
