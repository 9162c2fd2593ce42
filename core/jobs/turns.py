"""Whose turn it is among several processes: of what each would do, one does it, and all keep one pace.

A turn is a row of ``_sbx_state``. Locks, for what takes long: :mod:`core.jobs.locks`.
"""

import logging
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, bindparam, select, update

from core.errors import DatabaseFailed
from core.panel import Panel
from core.storage.tables import State
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

_LOCKED = select(State.value).where(State.name == bindparam("name")).with_for_update()
_LONGEST_SECONDS = 60


def first_of_the_minute(panel: Panel, name: str, is_time: Callable[[], bool] = lambda: True) -> bool:
    """Whether this process is the first to ask for ``name`` in this minute, of those for which ``is_time`` says yes.

    Without a database it is nobody's turn. A clock that goes back gives no minute twice.
    """
    if not is_time():
        return False
    try:
        panel.layout  # noqa: B018 - creates our tables where they are missing
        minute = panel.clock.now().strftime("%Y-%m-%d %H:%M")
        return panel.database.transact(partial(_claimed, name=_name(name), minute=minute))
    except DatabaseFailed as error:
        log.warning("%s is left out this minute: %s", name, type(error).__name__)
        return False


def seconds_until_turn(panel: Panel, name: str, every: float) -> float:
    """How long to wait so that, of all who ask for ``name``, one comes each ``every`` seconds.

    Without a database nobody is kept waiting.
    """
    try:
        return panel.database.transact(partial(_next_turn, name=_name(name), every=every))
    except DatabaseFailed as error:
        log.warning("the pace of %s is not kept: %s", name, type(error).__name__)
        return 0.0


def _claimed(connection: Connection, *, name: str, minute: str) -> bool:
    later = update(State).where(State.name == name, State.value < minute).values(value=minute)
    return connection.execute(later).rowcount == 1 or insert_if_absent(connection, State, name=name, value=minute)


def _next_turn(connection: Connection, *, name: str, every: float) -> float:
    # not the panel's clock, which tests and administrators set: a pace is kept in real time
    now = time.time()
    row = connection.execute(_LOCKED, {"name": name}).first()
    if row is None:
        insert_if_absent(connection, State, name=name, value="0")
        # perhaps another one's by now
        row = connection.execute(_LOCKED, {"name": name}).one()
    # a clock that went back must not stop everything
    turn = min(max(now, float(row.value)), now + _LONGEST_SECONDS)
    connection.execute(update(State).where(State.name == name).values(value=f"{turn + every:.4f}"))
    return turn - now


def _name(name: str) -> str:
    return f"turn/{name}"
