"""Operations that span the portals and this database: their stored records, who may work on them, and their money.

The rule (contract README): *reserve* in one transaction (check, debit, store the record), then the portal calls, then
*confirm* (row, ledger row, record closed) or *refund*. What a record means is known to the kind's own module
(:mod:`core.accounts.add`, :mod:`core.accounts.change`, :mod:`core.accounts.remove`); what was left open is taken up in
:mod:`core.accounts.recovery`. States:

``reserved``      checked and paid; the portals may or may not have been changed yet
``confirming``    the database has it, portal server 2 does not yet
``compensating``  cancelled and paid back; a portal may still hold remains
``done``, ``undone``  closed
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import orjson
from sqlalchemy import Connection, Select, func, select, update

from core.errors import CommitUncertain, DatabaseBusy, DatabaseFailed, DatabaseUnavailable, PanelError
from core.jobs import claims
from core.ledger import ledger
from core.panel import Panel
from core.storage.one_at_a_time import serialise
from core.storage.tables import Account, Operation, State
from core.storage.undoable import refuse_money_without_undo
from core.storage.writing import insert_row

RESERVED, CONFIRMING, COMPENSATING, DONE, UNDONE = "reserved", "confirming", "compensating", "done", "undone"
STORED = select(*Operation.__table__.c)
OPEN = (RESERVED, CONFIRMING, COMPENSATING)
_OPEN_ONES = STORED.where(Operation.state.in_(OPEN)).order_by(Operation.id)
# the step of a record whose change server 1 certainly has: it only is to be written down
BOOKING = "booking"

# longer than the slowest portal call with all its looks; renewed before each call
LEASE_SECONDS = 180
# when a portal that did not answer in time is asked again what became of it
RECHECK_SECONDS = 30
WAIT_SECONDS, _POLL_SECONDS = 15.0, 0.05
_COUNTER, _FIRST_NUMBER = "account_number", 10_000_000
_ERROR_CHARACTERS = 500
_COUNTER_ROW = select(State.value).where(State.name == _COUNTER)


class AccountBusy(PanelError):
    """Another operation on the same account is under way, or left open."""

    default_text = "Another change of this account is not finished yet, please try again in a minute"


class OperationTaken(PanelError):
    """The operation was taken over while its worker was away for longer than its lease."""

    default_text = "This change took too long and is being finished in the background"


class Payload(Protocol):
    """What the kind of an operation stores to finish or undo it (:mod:`core.accounts.records`)."""

    def stored(self) -> dict[str, Any]:
        """As plain JSON data, never a password."""


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Draft(Generic[P]):
    """An operation to be. ``amount`` is taken from ``payer_id`` if the balance is at least ``price``.

    ``new_username``: a name that it is about to give, ``reseller``: a user whom it is about to give an account.
    """

    kind: str
    username: str
    mac: str
    account_id: int | None
    payload: P
    payer_id: int | None = None
    amount: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    new_username: str | None = None
    reseller: int | None = None


Plan = Callable[[Connection], Draft[Any] | None]


@dataclass(frozen=True, slots=True)
class Record:
    """A stored operation; ``amount`` None: nothing was taken. ``updated_at``: of the last step. Times: Unix seconds."""

    id: int
    kind: str
    state: str
    username: str
    mac: str
    account_id: int | None
    actor_id: int
    payer_id: int | None
    amount: Decimal | None
    payload: Mapping[str, Any]
    step: str
    error: str | None
    owner: str | None
    lease_until: int
    created_at: int
    updated_at: int

    @property
    def new_username(self) -> str | None:
        """As of the draft."""
        name: str | None = self.payload.get("new_username")
        return name

    @property
    def reseller(self) -> int | None:
        """As of the draft."""
        user_id: int | None = self.payload.get("reseller")
        return user_id


def lock_accounts(panel: Panel, connection: Connection) -> None:
    """Of the transactions that call this (as their first statement), one runs at a time."""
    serialise(panel.database, connection, _COUNTER)


def next_account_number(connection: Connection) -> int:
    """A number that no account was given before; under :func:`lock_accounts`. Source: contract README."""
    last = int(connection.scalar(_COUNTER_ROW) or 0)
    newest = connection.scalar(select(func.max(Account.id))) or 0
    number = max(_FIRST_NUMBER + newest, last + 1)
    connection.execute(update(State).where(State.name == _COUNTER).values(value=str(number)))
    return number


def begin(panel: Panel, actor_id: int, plan: Plan, step: str) -> Record | None:
    """Reserve: in one transaction, ``plan`` checks and says what to do, the payer is debited, the record stored.

    ``plan`` runs under :func:`lock_accounts`, again after each wait for another operation on the same account; None
    is nothing to do. Raises what ``plan`` raises, NotEnoughCredit, AccountBusy, NotUndoable.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        lease = claims.new_lease(panel.clock.stamp(), LEASE_SECONDS)
        try:
            return panel.database.transact(partial(_try_to_begin, panel, actor_id, plan, step, lease))
        except CommitUncertain:
            if (record := _find_begun(panel, lease["owner"], deadline)) is not None:
                return record
        except (AccountBusy, DatabaseBusy):
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _try_to_begin(
    panel: Panel, actor_id: int, plan: Plan, step: str, lease: Mapping[str, Any], connection: Connection
) -> Record | None:
    lock_accounts(panel, connection)
    refuse_money_without_undo(connection)
    # first, for what ends after this would else block nothing, and the plan be of before its end
    opened = read_open(connection)
    draft = plan(connection)
    if draft is None:
        return None
    if any(_blocks(panel, record, draft) for record in opened):
        raise AccountBusy
    amount = draft.amount if draft.payer_id is not None and draft.amount > 0 else None
    if amount is not None and draft.payer_id is not None:
        ledger.take(connection, draft.payer_id, amount, at_least=draft.price)
    return _insert(panel, connection, actor_id, draft, amount, step, lease)


def _find_begun(panel: Panel, owner: str, deadline: float) -> Record | None:
    """The record whose commit was not answered, if it was stored. Raises DatabaseUnavailable when that cannot be seen
    by ``deadline``; the reservation, if there is one, is then undone as soon as it can be."""
    while True:
        try:
            return _find_owned(panel, owner)
        except DatabaseFailed:
            if time.monotonic() >= deadline:
                panel.start_thread(partial(_undo_begun, panel, owner), "reservation")
                raise DatabaseUnavailable from None
        time.sleep(_POLL_SECONDS)


def _find_owned(panel: Panel, owner: str) -> Record | None:
    with panel.database.read() as connection:
        return next((record for record in read_open(connection) if record.owner == owner), None)


def _undo_begun(panel: Panel, owner: str) -> None:
    """Nothing outside knows of this reservation: it is closed, and the payer has the money back."""
    until = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < until and not panel.is_closing.wait(1):
        try:
            if (record := _find_owned(panel, owner)) is not None:
                close(panel, record)
        except PanelError:
            continue
        return


def _blocks(panel: Panel, record: Record, draft: Draft[Any]) -> bool:
    """An operation blocks its account while its outcome is open or somebody works on it."""
    names = {record.username.casefold(), (record.new_username or "").casefold()} - {""}
    wanted = {draft.username.casefold(), (draft.new_username or "").casefold()} - {""}
    same = record.mac == draft.mac or bool(names & wanted)
    leftover_of_creation = record.kind == "add" and record.state == COMPENSATING
    return same and (record.state == RESERVED or leftover_of_creation or not is_idle(panel, record))


def _insert(
    panel: Panel,
    connection: Connection,
    actor_id: int,
    draft: Draft[Any],
    amount: Decimal | None,
    step: str,
    lease: Mapping[str, Any],
) -> Record:
    now = panel.clock.stamp()
    payload = {**draft.payload.stored(), "new_username": draft.new_username, "reseller": draft.reseller}
    values: dict[str, Any] = {
        "kind": draft.kind,
        "state": RESERVED,
        "username": draft.username,
        "mac": draft.mac,
        "account_id": draft.account_id,
        "actor_id": actor_id,
        "payer_id": draft.payer_id if amount is not None else None,
        "amount": amount,
        "step": step,
        "error": None,
        **lease,
        "created_at": now,
        "updated_at": now,
    }
    record_id = insert_row(connection, Operation, {**values, "payload": orjson.dumps(payload).decode()})
    return Record(id=record_id, payload=payload, **values)


def find(panel: Panel, record_id: int) -> Record | None:
    """The operation as it is stored now, closed ones too."""
    with panel.database.read() as connection:
        return next(iter(read(connection, STORED.where(Operation.id == record_id))), None)


def read_open(connection: Connection) -> list[Record]:
    """All operations that are not closed, oldest first."""
    return read(connection, _OPEN_ONES)


def read(connection: Connection, chosen: Select[Any]) -> list[Record]:
    """Of a selection of ``STORED``."""
    rows = [dict(row) for row in connection.execute(chosen).mappings()]
    return [Record(**{**row, "payload": orjson.loads(row["payload"])}) for row in rows]


def step(panel: Panel, record: Record, name: str, **noted: Any) -> Record:
    """Before the next portal call: note it (``noted``: in the payload) and renew the lease. Raises OperationTaken."""
    payload, until = {**record.payload, **noted}, panel.clock.stamp() + LEASE_SECONDS
    values: dict[str, Any] = {"step": name, "lease_until": until, "payload": orjson.dumps(payload).decode()}
    panel.database.transact(partial(_change, panel, record=record, **values))
    return replace(record, **{**values, "payload": payload, "updated_at": until - LEASE_SECONDS})


def move(panel: Panel, connection: Connection, record: Record, state: str, **values: Any) -> Record:
    """Change the state in the caller's transaction; a closed operation is released. Raises OperationTaken.

    The guard against working on what another worker took over: call it first.
    """
    if state not in OPEN:
        values = {"owner": None, "lease_until": 0, "error": None, **values}
    _change(panel, connection, record, state=state, **values)
    return replace(record, state=state)


def refund(panel: Panel, record: Record, state: str, reason: str | None = None) -> Record:
    """Cancel: pay back what was taken and go to ``state``, in one transaction. Raises OperationTaken."""

    def give_back(connection: Connection) -> Record:
        # the balance before the record, as a purchase takes them: else the two could wait for each other
        if record.amount is not None and record.payer_id is not None:
            ledger.give_back(connection, record.payer_id, record.amount)
        return move(panel, connection, record, state, amount=None, error=reason)

    return replace(panel.database.transact(give_back), amount=None)


def close(panel: Panel, record: Record, reason: str | None = None) -> None:
    """Nothing is left to do: ``confirming`` is done, anything else undone (paying back what is still taken) for
    ``reason``, which is kept with the record."""
    if record.state == CONFIRMING:
        panel.database.transact(partial(move, panel, record=record, state=DONE))
    else:
        refund(panel, record, UNDONE, reason)


def leave(panel: Panel, record: Record, error: str, *, seconds: int = RECHECK_SECONDS) -> None:
    """Stop working on an operation that cannot be closed now; it is taken up again after ``seconds``."""
    panel.database.transact(partial(leave_in, panel, record=record, error=error, seconds=seconds))


def leave_in(
    panel: Panel, connection: Connection, record: Record, error: str, *, seconds: int = RECHECK_SECONDS
) -> None:
    """:func:`leave` in the caller's transaction."""
    due = panel.clock.stamp() + seconds
    values = {"owner": None, "lease_until": due, "error": error[:_ERROR_CHARACTERS], "step": record.step}
    _change(panel, connection, record, **values, updated_at=record.updated_at)


def claim(panel: Panel, record_id: int, *, even_if_not_due: bool = False) -> Record | None:
    """Take up an open operation that nobody works on; None if somebody does, or it is not due or closed."""

    def take(connection: Connection) -> Record | None:
        lock_accounts(panel, connection)
        opened = read_open(connection)
        record = next((record for record in opened if record.id == record_id), None)
        if record is None or not is_idle(panel, record):
            return None
        if record.owner is None and record.lease_until > panel.clock.stamp() and not even_if_not_due:
            return None
        # while another one changes the same account, what this one would write is about to be old
        if any(other.mac == record.mac and not is_idle(panel, other) for other in opened):
            return None
        lease = claims.new_lease(panel.clock.stamp(), LEASE_SECONDS)
        _change(panel, connection, record, **lease, updated_at=record.updated_at)
        return replace(record, **lease)

    return panel.database.transact(take)


def is_idle(panel: Panel, record: Record) -> bool:
    """Whether nobody works on the operation: it was left, its lease ran out, or its process is gone."""
    return claims.is_free(record, panel.clock.stamp())


def _change(panel: Panel, connection: Connection, record: Record, **values: Any) -> None:
    row = {"id": record.id, "state": record.state}
    values = {"updated_at": panel.clock.stamp(), **values}
    if not claims.change_held(connection, Operation, row, record.owner, values):
        raise OperationTaken
