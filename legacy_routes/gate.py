"""Who may pass: the needs that endpoints declare, and how the session of a request is turned into an actor.

Source: contract chapter 10 §2.4 and §2.5. What a session and a user are is decided in core.access.identity.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from compat import endpoints
from core.access.actors import Actor
from core.access.audit import By, Origin
from core.access.identity import (
    CREDENTIAL_MARK,
    IDLE_MARK,
    STARTED_MARK,
    Identity,
    identify,
    is_idle,
    is_too_old,
    says_logged_in,
    session_facts,
)
from core.access.idle_timeout import AUTO_LOGOUT_DEFAULT
from core.access.permissions import SUPER_ADMIN_ONLY, Right, Scope, require
from core.errors import DatabaseFailed, NotAllowed, NotLoggedIn
from core.panel import Panel

Call = endpoints.Call[Panel, Actor]


@dataclass(frozen=True)
class Need:
    """What a caller must have, at least over what is his own: over what, the core function checks.

    ``or_key``: who knows the configured cron key needs no session. Only with the key may such an endpoint be opened
    as a page (contract README, "state-changing GETs"): a link in a mail knows it no more than another site does.
    ``late``: the endpoint itself admits the caller, once it knows what is asked for. ``counted``: how many accounts
    the caller sees is read along, into ``call.beside``.
    """

    right: Right
    or_key: bool = False
    late: bool = False
    counted: bool = False


LOGGED_IN = Need(Right(NotAllowed.default_text, observer=Scope.OWN))
LOGGED_IN_AND_COUNTED = replace(LOGGED_IN, counted=True)
# with a session of this panel, or of an Xtream panel whose database is bound
XTREAM_SESSION = Need(Right(NotAllowed.default_text, observer=Scope.OWN), late=True)
ANYBODY = None


def having(right: Right) -> Need:
    """Those who have ``right``; others read its refusal."""
    return Need(right)


def super_admin(refusal: str = SUPER_ADMIN_ONLY.refusal) -> Need:
    """A super admin who is no observer: an observer never writes, whatever else the row says."""
    return Need(replace(SUPER_ADMIN_ONLY, refusal=refusal))


def super_admin_or_key(refusal: str) -> Need:
    """As :func:`super_admin`, and whoever knows the cron key, for whom ``call.actor`` stays None."""
    return replace(super_admin(refusal), or_key=True)


Who = Need | Mapping[str, Need | None]


def origin_of(call: Call) -> Origin:
    return Origin(call.address, call.user_agent, call.counted_as)


def caller(call: Call) -> Actor:
    """The actor of a call whose declaration asks for one."""
    if call.actor is None:
        raise NotLoggedIn
    return call.actor


def by(call: Call) -> By:
    """As :func:`caller`, with the address and the program that it called from."""
    return By(caller(call), origin_of(call))


class Gate:
    """Admits a call by its declaration; ``who`` may differ by method."""

    def admit(self, call: Call, who: Who) -> None:
        need = who if isinstance(who, Need) else who.get(call.method)
        if need is None or need.late:
            return
        if need.or_key:
            if knows_cron_key(call):
                return
            if call.is_navigation:
                raise NotAllowed(need.right.refusal)
        identity = current_identity(call, counting=need.counted)
        call.actor, call.beside = identity.actor, identity.accounts
        require(call.actor, need.right)


def knows_cron_key(call: Call) -> bool:
    """Whether the call brings the configured key of crontabs, as ``cron_key`` in its query or as ``X-Cron-Key``."""
    key = call.panel.config.security.cron_key.get_secret_value()
    said = call.request.args.get("cron_key") or call.request.headers.get("X-Cron-Key") or ""
    return bool(key) and hmac.compare_digest(said.encode(), key.encode())


def current_identity(call: Call, *, counting: bool = False) -> Identity:
    """The identity of the call's session, which is destroyed when it no longer stands. Raises NotLoggedIn."""
    call.session.wants_more = counting
    if not says_logged_in(call.session):
        raise NotLoggedIn
    identity = _identify_or_destroy(call, counting=counting)
    _end_if_expired(call, identity.timeout_minutes, by_activity=bool(call.session.get(IDLE_MARK)))
    _mark(call, identity)
    return identity


def begin_session(call: Call, actor: Actor, credential: str) -> None:
    """A session of ``actor`` under a new id, bound to the password of that fingerprint from its first moment."""
    now = call.panel.clock.stamp()
    call.session.renew_id()
    call.session.update(session_facts(actor, now) | {CREDENTIAL_MARK: credential, STARTED_MARK: now})


@dataclass(frozen=True)
class Activity:
    """``timeout_minutes`` of sessions, and the last activity (Unix seconds) before the one that was just noted."""

    timeout_minutes: int
    previous: int


def note_activity(call: Call) -> Activity:
    """Count the call as activity of its session; for the frontends that watch their idle time.

    Raises NotLoggedIn, or Expired when the activity comes too late. While the database is away, the session's own
    word and the timeout seen last must do: a passing fault must not throw anybody out.
    """
    session, now = call.session, call.panel.clock.stamp()
    if not says_logged_in(session):
        raise NotLoggedIn
    identity: Identity | None = None
    try:
        identity = _identify_or_destroy(call)
    except DatabaseFailed:
        last_seen = call.panel.last_timeout
        timeout = AUTO_LOGOUT_DEFAULT if last_seen is None else last_seen
    else:
        timeout = identity.timeout_minutes
    _end_if_expired(call, timeout, by_activity=True)
    if identity is not None:
        _mark(call, identity)
    last = session.get("last_activity")
    session["last_activity"] = now
    session[IDLE_MARK] = 1
    return Activity(timeout, last if isinstance(last, int) else now)


class Expired(NotLoggedIn):
    """The session was idle for too long, and is gone."""


def _identify_or_destroy(call: Call, *, counting: bool = False) -> Identity:
    """The identity of a session that says it is logged in, whatever its idle time."""
    try:
        return identify(call.panel, call.session, call.session.beside, counting=counting)
    except NotLoggedIn:
        call.session.destroy()
        raise


def _end_if_expired(call: Call, timeout_minutes: int, *, by_activity: bool) -> None:
    """Sessions of frontends that send heartbeats end by their last activity, and all by their last request.

    All end by their age (``[session] absolute_days``). The last request decides alone where there is no timeout, and
    for frontends and scripts that know of none.
    """
    session, panel = call.session, call.panel
    now = panel.clock.stamp()
    late = is_too_old(session, panel.config.session.absolute_days, now)
    late = late or (by_activity and is_idle(session, timeout_minutes, now))
    if not late and not (timeout_minutes and session.get(IDLE_MARK)):
        late = session.idle_seconds > 60 * max(panel.config.session.lifetime_minutes, timeout_minutes)
    if late:
        session.destroy()
        raise Expired


def _mark(call: Call, identity: Identity) -> None:
    """Bind the session to the stored password, and fill in what older panels did not write at login."""
    session = call.session
    # one that does not count as activity leaves the session as it is
    if not session.counts:
        return
    session.setdefault(STARTED_MARK, call.panel.clock.stamp())
    if session.get(CREDENTIAL_MARK) == identity.credential:
        return
    facts = session_facts(identity.actor, 0)
    for key in ("user_id", "super_user", "permissions"):
        session.setdefault(key, facts[key])
    session[CREDENTIAL_MARK] = identity.credential
