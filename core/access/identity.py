"""Who is calling: the user row behind a session, and whether the session still stands.

Roles come from the row at each request, never from the session's copies. Source: contract chapter 10 §2.2, §2.4, §2.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, select

from core.access.actors import RESELLER_ADMIN_FIELD, Actor, has_field
from core.access.idle_timeout import AUTO_LOGOUT_DEFAULT, AUTO_LOGOUT_KEY, auto_logout_minutes
from core.access.seen_accounts import Counting, seen_accounts
from core.access.user_rows import LAYOUTS, actor_of, user_columns
from core.errors import NotLoggedIn
from core.panel import Panel
from core.security.passwords import fingerprint
from core.storage.database import json_integer, same_text
from core.storage.lookups import AnySelect
from core.storage.schema import Layout
from core.storage.tables import AppSetting, Credential, Currency, StoredSession, User

# our own session keys; PHP leaves unknown keys alone
IDLE_MARK = "sbx_idle"
CREDENTIAL_MARK = "sbx_pw"
# Unix seconds of the login, or of the first request here of a session that the PHP panel began
STARTED_MARK = "sbx_started"


@dataclass(frozen=True, slots=True)
class Identity:
    """An actor with what belongs to judging the session: the idle timeout and the stored password's fingerprint.

    ``accounts``: how many of them the actor sees (:mod:`core.access.seen_accounts`), None where nobody asked.
    """

    actor: Actor
    timeout_minutes: int
    credential: str
    accounts: int | None = None


def says_logged_in(session: Mapping[str, Any]) -> bool:
    """Whether the session claims a login, as loosely as PHP compares (1, "1", true)."""
    login, username = session.get("login"), session.get("username")
    return (login is True or login in (1, "1")) and isinstance(username, str) and _is_a_name(username)


def _is_a_name(username: str) -> bool:
    """PHP keeps bytes, which need be no text that a database could look up."""
    try:
        username.encode()
    except UnicodeEncodeError:
        return False
    return bool(username) and "\0" not in username


def is_idle(session: Mapping[str, Any], timeout_minutes: int, now: int) -> bool:
    """The idle rule: at least ``timeout_minutes`` since the last activity; 0 is never."""
    last = session.get("last_activity")
    return timeout_minutes > 0 and isinstance(last, int) and now - last >= timeout_minutes * 60


def is_too_old(session: Mapping[str, Any], days: int, now: int) -> bool:
    """Whether the session was begun more than ``days`` ago, however busy it was since; 0 is never."""
    started = session.get(STARTED_MARK)
    return days > 0 and isinstance(started, int) and now - started > days * 86400


def session_facts(actor: Actor, now: int) -> dict[str, Any]:
    """The six keys that a login writes, in the order and with the types of the PHP panel."""
    return {
        "login": 1,
        "username": actor.username,
        "user_id": actor.id,
        "super_user": int(actor.super_user),
        "permissions": actor.permissions or "",
        "last_activity": now,
    }


def identify(panel: Panel, session: Mapping[str, Any], found: Any = None, *, counting: bool = False) -> Identity:
    """Raises NotLoggedIn when the session names nobody, or somebody whose rights or password have changed.

    ``found``: the user row that was read together with the session, if any (:func:`find_session`).
    ``counting``: the accounts are counted along.
    """
    if not says_logged_in(session):
        raise NotLoggedIn
    row = found
    if row is None or row.username != session["username"]:
        row = find_user(panel, session["username"], counting=counting)
    if row is None or not _is_user_id(session.get("user_id"), row.id):
        raise NotLoggedIn
    actor = actor_of(row)
    if _was_demoted(session, actor):
        raise NotLoggedIn
    credential = fingerprint(panel.fingerprint_key, row.password, row.credential_salt or "")
    if session.get(CREDENTIAL_MARK) != credential and not _is_same_password(panel, session, actor.id, credential):
        raise NotLoggedIn
    timeout = panel.last_timeout = auto_logout_minutes(row.auto_logout)
    return Identity(actor, timeout, credential, seen_accounts(panel, actor, row) if counting else None)


def _is_user_id(said: object, user_id: int) -> bool:
    """As loosely as PHP compares; old panels wrote none."""
    return said is None or str(said) == str(user_id)


def _is_same_password(panel: Panel, session: Mapping[str, Any], user_id: int, credential: str) -> bool:
    """Whether a session without our mark, or with another one, still belongs to the stored password.

    A session gets its mark at the login, one of the PHP panel at its first request here; until then its last activity
    tells whether it is older than the latest change. A mark of the same password in an older form (a re-hash) is as
    good as the new one.
    """
    row = panel.database.first(_CREDENTIAL, user_id=user_id)
    mark = session.get(CREDENTIAL_MARK)
    if mark is None:
        last = session.get("last_activity")
        return row is None or not row.changed_at or not isinstance(last, int) or last > row.changed_at
    return row is not None and row.fingerprint == credential and mark in (row.same_as or "").split()


_CREDENTIAL = select(Credential.changed_at, Credential.fingerprint, Credential.same_as).where(
    Credential.user_id == bindparam("user_id")
)


def find_user(panel: Panel, username: str, *, counting: bool = False) -> Any:
    """The row of a user name (see :func:`actor_of`) with ``password``, or None; compared as the collation does."""
    counted = Counting.of(panel) if counting else None
    statement = _user_by_name(panel.database.dialect, panel.layout, counted)
    return panel.database.first(statement, username=username, **(counted.parameters(panel) if counted else {}))


def find_session(panel: Panel, session_id: str, *, counting: bool = False) -> Any:
    """The row of a stored session with the row of its user beside it (all NULL without one), or None."""
    counted = Counting.of(panel) if counting else None
    statement = _session_and_user(panel.database.dialect, panel.layout, counted)
    return panel.database.first(statement, sid=session_id, **(counted.parameters(panel) if counted else {}))


def replace_session(panel: Panel, session_id: str, old: str, new: str, touched_at: int) -> bool:
    """Give a stored session the data ``new``, unless it is not exactly ``old`` any more; whether it was."""
    change = _replacing(panel.database.dialect)
    return panel.database.change(change, sid=session_id, old=old, new=new, stamp=touched_at) == 1


@cache
def _replacing(dialect: str) -> sa.Update:
    # the collation of MySQL takes a for A
    stored = sa.cast(StoredSession.data, sa.LargeBinary) if dialect == "mysql" else StoredSession.data
    return (
        sa.update(StoredSession)
        .where(StoredSession.id == bindparam("sid"), stored == bindparam("old", type_=sa.Text))
        .values(data=bindparam("new"), touched_at=bindparam("stamp"))
    )


@lru_cache(2 * LAYOUTS)
def _user_by_name(dialect: str, layout: Layout, counting: Counting | None) -> AnySelect:
    return (
        select(*_user_columns(layout, counting))
        .select_from(User)
        .outerjoin(Currency, Currency.id == User.currency_id)
        .outerjoin(Credential, Credential.user_id == User.id)
        .where(same_text(User.username, bindparam("username"), dialect))
        .order_by(User.id)
        .limit(1)
    )


@lru_cache(2 * LAYOUTS)
def _session_and_user(dialect: str, layout: Layout, counting: Counting | None) -> AnySelect:
    return (
        select(
            StoredSession.id.label("session_id"),
            StoredSession.data,
            StoredSession.touched_at,
            *_user_columns(layout, counting),
        )
        .select_from(StoredSession)
        .outerjoin(User, User.id == json_integer(StoredSession.data, "user_id", dialect))
        .outerjoin(Currency, Currency.id == User.currency_id)
        .outerjoin(Credential, Credential.user_id == User.id)
        .where(StoredSession.id == bindparam("sid"))
    )


def _user_columns(layout: Layout, counting: Counting | None) -> tuple[Any, ...]:
    """A user's row with password and idle timeout, as far as this database has it."""
    seen = counting.columns(layout) if counting else ()
    timeout: sa.ColumnElement[Any] = sa.literal(str(AUTO_LOGOUT_DEFAULT))
    if layout.has_table("_app_settings"):
        timeout = (
            select(AppSetting.setting_value).where(AppSetting.setting_key == AUTO_LOGOUT_KEY).limit(1).scalar_subquery()
        )
    return (
        *user_columns(layout),
        User.password,
        Credential.salt.label("credential_salt"),
        timeout.label("auto_logout"),
        *seen,
    )


def _was_demoted(session: Mapping[str, Any], actor: Actor) -> bool:
    """Whether the session was made with more rights than the user has now (contract README, "ending sessions")."""
    if session.get("super_user") in (1, "1") and not actor.super_user:
        return True
    granted = session.get("permissions")
    return (
        isinstance(granted, str)
        and has_field(granted, RESELLER_ADMIN_FIELD)
        and not actor.is_reseller_admin
        and not actor.super_user
    )
