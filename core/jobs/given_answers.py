"""What sessions were just answered, where all processes see it; what counts as identical is decided by who asks.

A row is under way until it has an answer; one whose process has died is taken over. Source: contract README, "double
clicks".
"""

import logging
import time
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, delete, select, update

from core.errors import PanelError
from core.jobs.claims import is_gone, new_owner
from core.panel import Panel
from core.storage.lookups import AnySelect
from core.storage.tables import GivenAnswer
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

_UNDER_WAY_MS = 120_000


class Nothing(Exception):
    """There is no such answer, and nobody is at work on one."""


class GivenAnswers:
    """``kept_ms``: how long an answer is given again."""

    nothing: type[Exception] = Nothing

    def __init__(self, panel: Panel, kept_ms: int) -> None:
        self._panel = panel
        self._kept_ms = kept_ms

    def begin(self, session: str, request: str) -> bytes | None:
        """What the session was just answered; None while the answer is being made. The session's others are forgotten.

        Raises Nothing: the asker is to make it, and must call :meth:`end`. Raises DatabaseFailed, with nothing done.
        """
        is_mine, answer = self._panel.database.transact(partial(self._begun, session=session, request=request))
        if is_mine:
            raise Nothing
        return answer

    def _begun(self, connection: Connection, *, session: str, request: str) -> tuple[bool, bytes | None]:
        """Whether it is the asker's to make; if not, the answer so far."""
        self._tidy(connection, session, request)
        new = _new(session, request)
        if insert_if_absent(connection, GivenAnswer, **new):
            return True, None
        row = connection.execute(_row(session, request).with_for_update()).one()
        if is_gone(row.owner) if row.answer is None else not row.is_kept:
            connection.execute(update(GivenAnswer).where(*_same(session, request)).values(**new))
            return True, None
        return False, None if row.answer is None else bytes(row.answer)

    def look(self, session: str, request: str) -> bytes | None:
        """As :meth:`begin`, for who waits already: also an answer that nobody else is given."""
        row = self._panel.database.first(_LOOK, session=session, request=request)
        if row is None or (row.answer is None and is_gone(row.owner)):
            raise Nothing
        return None if row.answer is None else bytes(row.answer)

    def end(self, session: str, request: str, answer: bytes, *, keep: bool) -> None:
        """Never raises: what was answered is done, whether or not it can be remembered."""
        values = {"for_session": session, "for_request": request, "answered": answer, "at": _now()}
        try:
            self._panel.database.transact(lambda connection: connection.execute(_END if keep else _DROP, values))
        except PanelError as error:
            log.warning("an answer could not be remembered: %s", type(error).__name__)

    def _tidy(self, connection: Connection, session: str, request: str) -> None:
        """Without what the session was told long ago; another write ends what it was told just now."""
        its = connection.execute(_ITS, {"for_session": session}).all()
        old = [row for row in its if _is_old(row, self._kept_ms)]
        for row in old:
            connection.execute(_without(session, row.request, row.began))
        if any(row.request != request and row.is_kept and row not in old for row in its):
            connection.execute(_FORGET, {"for_session": session, "for_request": request})


def forget_old(panel: Panel, kept_ms: int = _UNDER_WAY_MS) -> None:
    """Without what sessions were told that never came back."""
    with panel.database.read() as connection:
        rows = connection.execute(select(GivenAnswer.session, GivenAnswer.request, *_TIMES)).all()
    for row in rows:
        if _is_old(row, kept_ms):
            old = _without(row.session, row.request, row.began)
            panel.database.transact(partial(Connection.execute, statement=old))


def _is_old(row: Any, kept_ms: int) -> bool:
    now = _now()
    return bool(row.began < now - _UNDER_WAY_MS if row.ended is None else row.ended < now - kept_ms)


def _new(session: str, request: str) -> dict[str, Any]:
    begun = {"owner": new_owner(), "began": _now(), "ended": None, "is_kept": 1, "answer": None}
    return {"session": session, "request": request, **begun}


def _same(session: Any, request: Any) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return GivenAnswer.session == session, GivenAnswer.request == request


def _without(session: str, request: str, began: int) -> sa.Delete:
    """The one that was seen: the same request may have been taken up anew meanwhile."""
    return delete(GivenAnswer).where(*_same(session, request), GivenAnswer.began == began)


def _row(session: Any, request: Any) -> AnySelect:
    return select(GivenAnswer.owner, GivenAnswer.answer, GivenAnswer.is_kept).where(*_same(session, request))


_TIMES = (GivenAnswer.began, GivenAnswer.ended, GivenAnswer.is_kept)
_LOOK = _row(sa.bindparam("session"), sa.bindparam("request"))
# made once: each write of a browser needs them. Their parameters may not be named as the columns are
_SESSION: sa.BindParameter[str] = sa.bindparam("for_session")
_REQUEST: sa.BindParameter[str] = sa.bindparam("for_request")
_ITS = select(GivenAnswer.request, *_TIMES).where(GivenAnswer.session == _SESSION)
_FORGET = update(GivenAnswer).where(GivenAnswer.session == _SESSION, GivenAnswer.request != _REQUEST).values(is_kept=0)
_END = (
    update(GivenAnswer)
    .where(*_same(_SESSION, _REQUEST))
    .values(answer=sa.bindparam("answered"), ended=sa.bindparam("at"))
)
_DROP = _END.values(is_kept=0)


def _now() -> int:
    # not the panel's clock, which tests and administrators set: a moment is a moment
    return time.time_ns() // 1_000_000
