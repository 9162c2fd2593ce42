"""The one lease: who works on a stored thing, and until when, so that others take over what is dead.

Jobs (:mod:`core.jobs.jobs`), locks (:mod:`core.jobs.locks`), operations (:mod:`core.accounts.operations`) and messages
on their way (:mod:`core.messages.delivery`) are rows with an ``owner`` and a ``lease_until``. Whoever takes one over
writes its own name there by compare-and-swap; who was away for longer than the lease then finds the row changed.
"""

import hashlib
import os
import secrets
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Update, bindparam, update

from core.storage.tables import Claim, Job, Lock, Operation
from core.storage.tables.texts import compared
from core.storage.writing import insert_if_absent

# what people read of a message or event whose sender died: nobody can tell whether it went out
INTERRUPTED = "Interrupted while it was being sent: it may have arrived, and is not sent again"

# what a job that sends writes into the audit log
AUDITED = "audit"

# before the names of the parameters that tell the row: under a column's name goes what the column becomes
_OF_THE_ROW = "its_"

Leased = type[Job] | type[Lock] | type[Operation] | type[Claim]


class Lease(Protocol):
    """A row, or what was read of one. ``owner`` None: nobody works on it; ``lease_until``: Unix seconds."""

    @property
    def owner(self) -> str | None: ...

    @property
    def lease_until(self) -> int: ...


def new_lease(now: int, seconds: int) -> dict[str, Any]:
    """The values of a row that becomes ours, for so many ``seconds``."""
    return {"owner": new_owner(), "lease_until": now + seconds}


def is_free(lease: Lease, now: int) -> bool:
    """Whether nobody works on it: it was let go, its lease ran out, or its process is gone."""
    return lease.owner is None or lease.lease_until <= now or is_gone(lease.owner)


def change_held(
    connection: Connection, table: Leased, row: Mapping[str, Any], owner: str | None, values: Mapping[str, Any]
) -> bool:
    """Change the ``row`` of these values if ``owner`` still has it (None: if still nobody has); False: another one was
    faster."""
    its = row if owner is None else {**row, "owner": owner}
    named = {_OF_THE_ROW + name: value for name, value in its.items()}
    return connection.execute(_changing(table, tuple(its)), {**named, **values}).rowcount == 1


@cache
def _changing(table: Leased, names: tuple[str, ...]) -> Update:
    """Of the row that ``names`` tell, each by a parameter; what is changed is told by parameters, too."""
    rows: Any = table.__table__
    told = [rows.c[name] == compared(rows.c[name], bindparam(_OF_THE_ROW + name)) for name in names]
    return update(rows).where(*told, *([] if "owner" in names else [rows.c.owner.is_(None)]))


def first_time(connection: Connection, what: str, name: str, now: int) -> bool:
    """Whether nobody has done ``what`` (16 characters) under that name: from this transaction on somebody has.

    A job that could not be closed runs again, and must not tell again what it told.
    """
    return insert_if_absent(connection, Claim, channel=what, name=name, claimed_at=now)


def new_owner() -> str:
    """A name for one claim: this process, as others on the same machine can recognise its end, and a random part."""
    pid = os.getpid()
    return f"{_machine()}:{pid}:{_start_of(pid) or 0}:{secrets.token_hex(4)}"


def is_gone(owner: str) -> bool:
    """Whether the process that made the claim has ended; False when that cannot be told from here."""
    machine, _, rest = owner.partition(":")
    pid, start, *_ = [*rest.split(":"), ""]
    if machine != _machine() or start == "0" or not pid.isdigit():
        return False
    return _start_of(int(pid)) != start


@cache
def _machine() -> str:
    """Host and process namespace: only there does a process id mean something."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()}/{namespace}".encode()).hexdigest()[:12]


def _start_of(pid: int) -> str | None:
    """The start time of a process (clock ticks since boot); None if there is none, or the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # the name may hold blanks and brackets itself; the start time is field 22 of all
    return stat.rpartition(")")[2].split()[19]
