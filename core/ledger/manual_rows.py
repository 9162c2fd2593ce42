"""A ledger row made by hand, with the balance moved by it. Source: contract chapter 40 §3.10."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from core.access.audit import By
from core.access.user_rows import read_user
from core.errors import InvalidInput, NotFound
from core.ledger import ledger
from core.ledger.ledger import Moved
from core.panel import Panel
from core.values import money
from core.values.checks import clean_text
from core.values.currencies import currency_code
from core.values.numerals import folded

TEXT_CHARACTERS = 2000
_CREATOR_CHARACTERS = 100
_DIRECTIONS = {"credit": ledger.CREDIT, "1": ledger.CREDIT, "debit": ledger.DEBIT, "0": ledger.DEBIT}


@dataclass(frozen=True, slots=True)
class Added:
    """A row, and the balance after it. ``taken``: what a debit really took, where the balance did not have it all."""

    id: int
    balance: Decimal
    taken: Decimal | None = None


def add_transaction(panel: Panel, by: By, *, user_id: int | None, amount: str, direction: str, details: str) -> Added:
    """Credit or debit a user's balance; a debit takes what is there, and its row says what was asked for.

    ``direction``: credit or debit, 1 or 0. Raises InvalidInput, NotFound.
    """
    if user_id is None:
        raise InvalidInput.missing("user_id")
    exact, type_ = _read(amount, direction)
    text = clean_text(details, "details", TEXT_CHARACTERS)

    def act(connection: Connection) -> Added:
        target = read_user(panel, connection, user_id)
        if target is None:
            raise NotFound("User not found")
        moved = ledger.move(connection, target.id, lambda old: _balance(old, exact, type_))
        entry = ledger.Entry(
            creator=(by.actor.name or by.actor.username)[:_CREATOR_CHARACTERS],
            for_user=target.id,
            amount=str(exact),
            currency=currency_code(target.currency),
            type=type_,
            details=text,
            note=ledger.Note(ledger.MANUAL),
        )
        number = ledger.record(connection, entry, panel.clock.stamp(), effect=moved.new - moved.old)
        by.write_audit(
            panel,
            connection,
            "create",
            "transaction",
            target_id=number,
            target_name=target.username,
            old={"balance": moved.old},
            new={"balance": moved.new, "amount": exact, "type": type_, "moved": moved.new - moved.old},
            details=_told(exact, type_, moved),
        )
        taken = moved.old - moved.new
        return Added(number, moved.new, taken if type_ == ledger.DEBIT and taken != exact else None)

    return panel.database.transact(act)


def _read(amount: str, direction: str) -> tuple[Decimal, int]:
    """Amount, and credit or debit as the ledger has it. Raises InvalidInput."""
    if not amount:
        raise InvalidInput.missing("amount")
    exact = money.read_amount(amount, "amount", least=money.CENT)
    type_ = _DIRECTIONS.get(folded(direction).lower())
    if type_ is None:
        raise InvalidInput.of("type", "expected credit or debit (or 1 or 0)")
    return exact, type_


def _balance(old: Decimal, amount: Decimal, type_: int) -> Decimal:
    if type_ == ledger.CREDIT:
        return old + amount
    # a debit never goes below zero, and never helps a balance that is below already
    return min(old, max(old - amount, Decimal(0)))


def _told(amount: Decimal, type_: int, moved: Moved) -> str:
    if type_ == ledger.CREDIT:
        return f"Credit of {amount}"
    taken = moved.old - moved.new
    return f"Debit of {amount}" + ("" if taken == amount else f"; the balance was smaller, {taken} was taken")
