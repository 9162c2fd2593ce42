"""Credit: giving, taking and setting what a reseller may still spend. Source: contract chapter 30 B and D.

Debts and payments are another book, which is never touched here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from core.access.actors import Actor
from core.access.audit import By
from core.access.user_rows import require_reseller
from core.errors import InvalidInput, NotAllowed
from core.ledger import ledger
from core.ledger.ledger import ADJUSTMENT, CREDIT, DEBIT, Entry, Moved, Note
from core.panel import Panel
from core.values import money
from core.values.checks import refuse_longer
from core.values.currencies import shown_currency
from core.values.escaping import plain

ADD, DEDUCT, SET = "add", "deduct", "set"
_WORDS = {"add": ADD, "credit": ADD, "deduct": DEDUCT, "debit": DEDUCT, "set": SET}
_ACTIONS, _TYPES = ("add", "deduct", "set"), ("credit", "debit")
DESCRIPTION_CHARACTERS = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# what panels write whoever it was
_DEFAULT_CREATOR = "admin"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What was asked for, as texts of the request: ``action`` (add, deduct, set) or ``type`` (credit, debit)."""

    amount: str
    action: str = ""
    type: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The balance after it. ``taken``: what was really deducted, where the balance did not have all of it."""

    balance: Decimal
    taken: Decimal | None = None


def adjust_credit(panel: Panel, by: By, reseller_id: int, wish: Adjustment) -> Adjusted:
    """Raises NotAllowed, NotFound, InvalidInput."""
    if reseller_id == by.actor.id and not by.actor.super_user:
        raise NotAllowed("Permission denied. You cannot adjust your own credit.")
    action = _action(wish)
    amount = money.read_amount(wish.amount, "amount", least=Decimal(0) if action == SET else money.CENT)
    description = checked_description(wish.description)

    def act(connection: Connection) -> Moved:
        reseller = require_reseller(panel, connection, reseller_id, lock=True)
        currency = reseller.currency_name or reseller.currency_id
        moved = book(
            panel, connection, by.actor, reseller.id, action, amount, shown_currency(currency), description=description
        )
        unit = f" {shown_currency(currency)}" if currency else ""
        by.write_audit(
            panel,
            connection,
            "update",
            "credit",
            target_id=reseller.id,
            target_name=reseller.username,
            old={"balance": moved.old},
            new={"balance": moved.new, "action": action, "amount": amount},
            details=f"{action} {money.shortest(amount)}{unit}: balance {moved.old} to {moved.new}"
            + (f" - {description}" if description else ""),
        )
        return moved

    moved = panel.database.transact(act)
    taken = moved.old - moved.new
    return Adjusted(moved.new, taken if action == DEDUCT and taken != amount else None)


def book(
    panel: Panel,
    connection: Connection,
    actor: Actor,
    user_id: int,
    action: str,
    amount: Decimal,
    currency: str | None,
    *,
    description: str = "",
) -> Moved:
    """Move the balance and write its ledger row, in the caller's transaction; no row when nothing changes."""
    moved = ledger.move(connection, user_id, _change(action, amount))
    if moved.new == moved.old:
        return moved
    creator = _DEFAULT_CREATOR if actor.super_user else actor.username
    old, new = money.shortest(moved.old), money.shortest(moved.new)
    details = f"Credit adjustment by {creator}: {action} {money.shortest(amount)} (Previous: {old}, New: {new})"
    entry = Entry(
        creator=creator,
        for_user=user_id,
        amount=str(abs(moved.new - moved.old)),
        currency=currency or "",
        type=CREDIT if moved.new > moved.old else DEBIT,
        details=f"{details} - {description}" if description else details,
        note=Note(kind=ADJUSTMENT, description=description or None),
    )
    ledger.record(connection, entry, panel.clock.stamp())
    return moved


def checked_description(text: str) -> str:
    """``text`` without control characters. Raises InvalidInput for markup, which pages would insert as HTML."""
    text = _CONTROL.sub("", text).strip()
    if plain(text) != text:
        raise InvalidInput.of("description", "< and > are not possible")
    refuse_longer(text, "description", DESCRIPTION_CHARACTERS)
    return text


def _action(wish: Adjustment) -> str:
    action, kind = wish.action.lower(), wish.type.lower()
    if not action and not kind:
        raise InvalidInput("Missing field: action (add, deduct or set), or type (credit or debit)")
    if action and action not in _ACTIONS:
        raise InvalidInput.of("action", "expected add, deduct or set")
    if kind and kind not in _TYPES:
        raise InvalidInput.of("type", "expected credit or debit")
    if action and kind and _WORDS[action] != _WORDS[kind]:
        raise InvalidInput("The fields action and type contradict each other")
    return _WORDS[action or kind]


def _change(action: str, amount: Decimal) -> Callable[[Decimal], Decimal]:
    def change(old: Decimal) -> Decimal:
        if action == ADD:
            return old + amount
        if action == SET:
            return amount
        # never below zero; and taking from a debt that a panel left behind must not forgive it
        return min(old, max(Decimal(0), old - amount))

    return change
