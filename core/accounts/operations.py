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

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

import orjson
from sqlalchemy import Connection, func, select, update

from core.errors import DatabaseBusy, DatabaseFailed, PanelError
from core.jobs import claims
from core.ledger import ledger
from core.panel import Panel
from core.storage.one_at_a_time import serialise
from core.storage.tables import Account, Operation, State
from core.storage.undoable import refuse_money_without_undo
from core.storage.writing import insert_row

log = logging.getLogger(__name__)

RESERVED, CONFIRMING, COMPENSATING, DONE, UNDONE = "reserved", "confirming", "compensating", "done", "undone"
OPEN = (RESERVED, CONFIRMING, COMPENSATING)

# longer than the slowest portal call with all its looks; renewed before each call
LEASE_SECONDS = 180
# when a portal that did not answer in time is asked again what became of it
RECHECK_SECONDS = 30
WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.05
_COUNTER = "account_number"
_FIRST_NUMBER = 10_000_000
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
    """A stored operation; ``amount`` None: nothing was taken. ``payload`` is read by its kind's class. Times are Unix
    seconds."""

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
        try:
            return _try_to_begin(panel, actor_id, plan, step)
        except (AccountBusy, DatabaseBusy):
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _try_to_begin(panel: Panel, actor_id: int, plan: Plan, step: str) -> Record | None:
    with panel.database.write() as connection:
        refuse_money_without_undo(connection)
        lock_accounts(panel, connection)
        draft = plan(connection)
        if draft is None:
            return None
        if any(_blocks(panel, record, draft) for record in read_open(connection)):
            raise AccountBusy
        amount = draft.amount if draft.payer_id is not None and draft.amount > 0 else None
        if amount is not None and draft.payer_id is not None:
            ledger.take(connection, draft.payer_id, amount, at_least=draft.price)
        return _insert(panel, connection, actor_id, draft, amount, step)


def _blocks(panel: Panel, record: Record, draft: Draft[Any]) -> bool:
    """An operation blocks its account while its outcome is open or somebody works on it."""
    names = {record.username.casefold(), (record.new_username or "").casefold()} - {""}
    wanted = {draft.username.casefold(), (draft.new_username or "").casefold()} - {""}
    same = record.mac == draft.mac or bool(names & wanted)
    leftover_of_creation = record.kind == "add" and record.state == COMPENSATING
    return same and (record.state == RESERVED or leftover_of_creation or not is_idle(panel, record))


def _insert(
    panel: Panel, connection: Connection, actor_id: int, draft: Draft[Any], amount: Decimal | None, step: str
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
        **claims.new_lease(now, LEASE_SECONDS),
        "created_at": now,
        "updated_at": now,
    }
    record_id = insert_row(connection, Operation, {**values, "payload": orjson.dumps(payload).decode()})
    return Record(id=record_id, payload=payload, **values)


def read_open(connection: Connection) -> list[Record]:
    """All operations that are not closed, oldest first."""
    rows = connection.execute(select(*Operation.__table__.c).where(Operation.state.in_(OPEN)).order_by(Operation.id))
    return [_record(row) for row in rows]


def _record(row: Any) -> Record:
    values = dict(row._mapping)
    return Record(**{**values, "payload": orjson.loads(values["payload"])})


def step(panel: Panel, record: Record, name: str) -> None:
    """Before the next portal call: note it and renew the lease. Raises OperationTaken."""
    with panel.database.write() as connection:
        _change(panel, connection, record, step=name, lease_until=panel.clock.stamp() + LEASE_SECONDS)


def move(panel: Panel, connection: Connection, record: Record, state: str, **values: Any) -> Record:
    """Change the state in the caller's transaction; a closed operation is released. Raises OperationTaken.

    The guard against working on what another worker took over: call it first.
    """
    if state not in OPEN:
        values = {"owner": None, "lease_until": 0, "error": None, **values}
    _change(panel, connection, record, state=state, **values)
    return replace(record, state=state)


def refund(panel: Panel, record: Record, state: str) -> Record:
    """Cancel: pay back what was taken and go to ``state``, in one transaction. Raises OperationTaken."""
    with panel.database.write() as connection:
        # the balance before the record, as a purchase takes them: else the two could wait for each other
        if record.amount is not None and record.payer_id is not None:
            ledger.give_back(connection, record.payer_id, record.amount)
        moved = move(panel, connection, record, state, amount=None)
    return replace(moved, amount=None)


def close(panel: Panel, record: Record) -> None:
    """Nothing is left to do: ``confirming`` is done, anything else undone (paying back what is still taken)."""
    if record.state == CONFIRMING:
        with panel.database.write() as connection:
            move(panel, connection, record, DONE)
    else:
        refund(panel, record, UNDONE)


def leave(panel: Panel, record: Record, error: str, *, seconds: int = RECHECK_SECONDS) -> None:
    """Stop working on an operation that cannot be closed now; it is taken up again after ``seconds``."""
    due = panel.clock.stamp() + seconds
    with panel.database.write() as connection:
        _change(panel, connection, record, owner=None, lease_until=due, error=error[:_ERROR_CHARACTERS])


@contextmanager
def best_effort(record: Record) -> Iterator[None]:
    """For closing or leaving a record after the outcome is decided: when the database is away, or another worker took
    over, the stored record still says what is to be done, and the next look at open operations does it."""
    try:
        yield
    except (DatabaseFailed, OperationTaken) as failure:
        log.error("operation %d: its record could not be changed: %s", record.id, type(failure).__name__)


def claim(panel: Panel, record_id: int, *, even_if_not_due: bool = False) -> Record | None:
    """Take up an open operation that nobody works on; None if somebody does, or it is not due or closed."""
    with panel.database.write() as connection:
        lock_accounts(panel, connection)
        opened = read_open(connection)
        record = next((record for record in opened if record.id == record_id), None)
        if record is None or not is_idle(panel, record):
            return None
        if record.owner is None and record.lease_until > panel.clock.stamp() and not even_if_not_due:
            return None
        # while another one changes the same account, what this one would write is about to be old
        others = (other for other in opened if other.id != record_id and other.mac == record.mac)
        if any(not is_idle(panel, other) for other in others):
            return None
        lease = claims.new_lease(panel.clock.stamp(), LEASE_SECONDS)
        _change(panel, connection, record, **lease)
    return replace(record, **lease)


def is_idle(panel: Panel, record: Record) -> bool:
    """Whether nobody works on the operation: it was left, its lease ran out, or its process is gone."""
    return claims.is_free(record, panel.clock.stamp())


def _change(panel: Panel, connection: Connection, record: Record, **values: Any) -> None:
    row = (Operation.id == record.id) & (Operation.state == record.state)
    values = {"updated_at": panel.clock.stamp(), **values}
    if not claims.change_held(connection, Operation, row, record.owner, values):
        raise OperationTaken
