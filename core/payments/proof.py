"""The proof of the books: whether every balance is what the ledger makes of it. Source: contract chapter 40 §2.4.

For each user: ``balance = opening + what the ledger rows did - what open operations hold``. Rows that this server wrote
say in our notes what they did. Rows of a panel are read by the contract's rules, which cannot explain everything:
panels changed balances without a row, cut prices to whole units and let writes overwrite each other. So the part of a
balance that history does not explain is remembered at a user's first check, the *opening*; from then on it must
stay the same to the cent, and any difference is a drift: somebody changed a balance or a row past the ledger.
Corrections and payments are no part of it, since they do not move balances.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, insert, select

from core.access.actors import bare_actor
from core.access.audit import By
from core.access.permissions import is_unpaid
from core.accounts import operations
from core.ledger import ledger
from core.ledger.sales import IS_SALE, LEDGER, cents, from_cents
from core.panel import Panel
from core.storage.tables import LedgerNote, LedgerOpening, Operation, Transaction, User
from core.values import money
from core.values.currencies import shown_currency

# of the largest amounts, so many in one sum still fit a whole number of 64 bits
BATCH = 5000
# how many row ids a finding names at most
NAMED_ROWS = 20

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """``pays``: whether a panel's sales to the user took credit when it was remembered."""

    amount: Decimal
    pays: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """One user's books. ``explained``: what the ledger did in all; ``held``: taken by operations that are not finished.

    ``opening`` is remembered, or what this check found if ``is_new``; ``drift``: what changed past the ledger since.
    """

    user_id: int
    username: str
    currency: str
    balance: Decimal
    explained: Decimal
    held: Decimal
    opening: Opening
    is_new: bool

    @property
    def drift(self) -> Decimal:
        return self.balance + self.held - self.explained - self.opening.amount


@dataclass(frozen=True, slots=True)
class Findings:
    """``changed`` and ``vanished``: ids of rows of ours whose amount was changed, or that were deleted, past the panel
    (at most :data:`NAMED_ROWS`); ``ownerless``: rows whose user is gone."""

    proofs: list[Proof]
    rows: int
    ownerless: int
    changed: list[int]
    vanished: list[int]

    @property
    def drifts(self) -> list[Proof]:
        return [proof for proof in self.proofs if proof.drift]

    @property
    def unexplained(self) -> list[Proof]:
        """Users of whom this check found for the first time that history does not explain the balance."""
        return [proof for proof in self.proofs if proof.is_new and proof.opening.amount]

    @property
    def is_clean(self) -> bool:
        return not (self.drifts or self.changed or self.vanished)


class _Sums(NamedTuple):
    """``moved``: cents, by rows whose effect is certain; ``sold``: cents of a panel's sales, to those who pay."""

    rows: int = 0
    moved: int = 0
    sold: int = 0


def check_ledger(panel: Panel, report: Report | None = None) -> Findings:
    """Prove every balance; the openings of users who are checked for the first time are remembered.

    All is read as of one moment, so that it may run while the panel works. ``report`` gets (rows done, rows in all).
    """
    panel.layout  # noqa: B018 - creates our tables
    with panel.database.read() as connection:
        findings = _find(connection, report or _silent)

    def act(connection: Connection) -> None:
        _remember(panel, connection, [proof for proof in findings.proofs if proof.is_new])

    panel.database.transact(act)
    return findings


def accept_drifts(panel: Panel, by: By, findings: Findings) -> None:
    """From now on take the balances with a drift for right; the audit log keeps what was accepted."""

    def act(connection: Connection) -> None:
        for proof in findings.drifts:
            accepted = replace(proof, opening=Opening(proof.opening.amount + proof.drift, proof.opening.pays))
            _remember(panel, connection, [accepted])
            by.write_audit(
                panel,
                connection,
                "update",
                "ledger_opening",
                target_id=proof.user_id,
                target_name=proof.username,
                old={"opening": proof.opening.amount},
                new={"opening": accepted.opening.amount, "balance": proof.balance},
                details=f"A drift of {proof.drift} was accepted",
            )

    panel.database.transact(act)


def _find(connection: Connection, report: Report) -> Findings:
    total = connection.scalar(select(func.count()).select_from(Transaction)) or 0
    sums = _sums(connection, total, report)
    held, openings = _held(connection), _openings(connection)
    proofs = [
        _proof(row, sums.pop(row.id, _Sums()), held.get(row.id, Decimal(0)), openings.get(row.id))
        for row in connection.execute(_USERS)
    ]
    ownerless = sum(left.rows for left in sums.values())
    return Findings(proofs, total, ownerless, _changed(connection), _vanished(connection))


def _proof(user: Any, sums: _Sums, held: Decimal, opening: Opening | None) -> Proof:
    pays = opening.pays if opening else _pays(user)
    explained = from_cents(sums.moved - (sums.sold if pays else 0))
    balance = money.stored(user.balance)
    return Proof(
        user_id=user.id,
        username=user.username,
        currency=shown_currency(user.currency_id) or "",
        balance=balance,
        explained=explained,
        held=held,
        opening=opening or Opening(balance + held - explained, pays),
        is_new=opening is None,
    )


def _pays(user: Any) -> bool:
    actor = bare_actor(user.id, user.username, super_user=user.super_user == 1)
    return not is_unpaid(replace(actor, permissions=user.permissions))


_USERS = select(User.id, User.username, User.currency_id, User.balance, User.super_user, User.permissions).order_by(
    User.id
)


def _sums(connection: Connection, total: int, report: Report) -> dict[int | None, _Sums]:
    """By the owner's id; some thousand rows at a time."""
    sums: dict[int | None, _Sums] = {}
    last, done = 0, 0
    report(done, total)
    while True:
        found = connection.execute(_BATCH, {"last": last}).all()
        if not found:
            return sums
        for row in found:
            before = sums.get(row.for_user, _Sums())
            counts = (int(row.rows), int(row.moved), int(row.sold))
            sums[row.for_user] = _Sums(*(old + new for old, new in zip(before, counts, strict=True)))
        last = max(row.last for row in found)
        done += sum(int(row.rows) for row in found)
        report(done, total)


_AMOUNT = func.coalesce(Transaction.amount, 0)
# what an adjustment, a manual row, or any row that we wrote did to the balance; 0 for sales of a panel
_MOVED: ColumnElement[Any] = case(
    (LedgerNote.effect.is_not(None), LedgerNote.effect),
    (IS_SALE, 0),
    (Transaction.type == ledger.CREDIT, _AMOUNT),
    (Transaction.type == ledger.DEBIT, -_AMOUNT),
    else_=0,
)
# what a panel's sale took from the balance if its owner pays; old panels wrote it positive
_SOLD: ColumnElement[Any] = case((LedgerNote.effect.is_not(None), 0), (IS_SALE, func.abs(_AMOUNT)), else_=0)
_ROWS = (
    select(Transaction.id, Transaction.for_user, cents(_MOVED).label("moved"), cents(_SOLD).label("sold"))
    .select_from(LEDGER)
    .where(Transaction.id > bindparam("last"))
    .order_by(Transaction.id)
    .limit(BATCH)
    .subquery()
)
_BATCH = select(
    _ROWS.c.for_user,
    func.count().label("rows"),
    func.sum(_ROWS.c.moved).label("moved"),
    func.sum(_ROWS.c.sold).label("sold"),
    func.max(_ROWS.c.id).label("last"),
).group_by(_ROWS.c.for_user)


def _held(connection: Connection) -> Mapping[int, Decimal]:
    """What was taken for purchases that are not decided yet, whose ledger rows do not exist yet."""
    held: dict[int, Decimal] = {}
    rows = connection.execute(
        select(Operation.payer_id, Operation.amount).where(
            Operation.state == operations.RESERVED, Operation.amount.is_not(None), Operation.payer_id.is_not(None)
        )
    )
    for row in rows:
        held[row.payer_id] = held.get(row.payer_id, Decimal(0)) + money.stored(row.amount)
    return held


def _openings(connection: Connection) -> Mapping[int, Opening]:
    """The latest of each user."""
    rows = connection.execute(
        select(LedgerOpening.user_id, LedgerOpening.amount, LedgerOpening.pays).order_by(LedgerOpening.id)
    )
    return {row.user_id: Opening(money.stored(row.amount), row.pays == 1) for row in rows}


def _remember(panel: Panel, connection: Connection, proofs: list[Proof]) -> None:
    rows = [
        {
            "user_id": proof.user_id,
            "amount": proof.opening.amount,
            "pays": int(proof.opening.pays),
            "remembered_at": panel.clock.stamp(),
        }
        for proof in proofs
    ]
    if rows:
        connection.execute(insert(LedgerOpening), rows)


def _changed(connection: Connection) -> list[int]:
    found = (
        select(Transaction.id)
        .join(LedgerNote, LedgerNote.transaction_id == Transaction.id)
        .where(
            cents(func.coalesce(LedgerNote.amount, Transaction.amount, 0))
            != cents(func.coalesce(Transaction.amount, 0))
        )
    )
    return list(connection.scalars(found.order_by(Transaction.id).limit(NAMED_ROWS)))


def _vanished(connection: Connection) -> list[int]:
    found = (
        select(LedgerNote.transaction_id)
        .outerjoin(Transaction, LedgerNote.transaction_id == Transaction.id)
        .where(Transaction.id.is_(None))
    )
    return list(connection.scalars(found.order_by(LedgerNote.transaction_id).limit(NAMED_ROWS)))


def _silent(_done: int, _total: int) -> None:
    pass
