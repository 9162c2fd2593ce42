"""Who may pass: the needs that endpoints declare, and how the session of a request is turned into an actor.

Source: contract chapter 10 §2.4 and §2.5. What a session and a user are is decided in core.identity.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compat import endpoints
from core.audit import Origin
from core.errors import DatabaseUnavailable, NotAllowed, NotLoggedIn
from core.identity import CREDENTIAL_MARK, IDLE_MARK, Actor, Identity, identify, is_idle, says_logged_in, session_facts
from core.panel import Panel
from core.settings import AUTO_LOGOUT_DEFAULT

Call = endpoints.Call[Panel, Actor]


@dataclass(frozen=True)
class Need:
    """What a caller must be. ``shown`` describes it in the endpoint table, ``refusal`` is what others read."""

    shown: str
    holds: Callable[[Actor], bool]
    refusal: str = NotAllowed.default_text


LOGGED_IN = Need("any logged-in user", lambda actor: True)
ANYBODY = None


def super_admin(refusal: str = NotAllowed.default_text) -> Need:
    """A super admin who is no observer: an observer never writes, whatever else the row says."""
    return Need("super admin", lambda actor: actor.super_user and not actor.is_observer, refusal)


Who = Need | Mapping[str, Need | None]


def origin_of(call: Call) -> Origin:
    return Origin(call.address, call.user_agent)


def caller(call: Call) -> Actor:
    """The actor of a call whose declaration asks for one."""
    if call.actor is None:
        raise NotLoggedIn
    return call.actor


class Gate:
    """Admits a call by its declaration; ``who`` may differ by method."""

    def admit(self, call: Call, who: Who) -> None:
        need = who if isinstance(who, Need) else who.get(call.method)
        if need is None:
            return
        call.actor = current_identity(call).actor
        if not need.holds(call.actor):
            raise NotAllowed(need.refusal)


def current_identity(call: Call) -> Identity:
    """The identity of the call's session, which is destroyed when it no longer stands. Raises NotLoggedIn."""
    session = call.session
    if not says_logged_in(session):
        raise NotLoggedIn
    identity = _identify_or_destroy(call)
    if _is_expired(call, identity.timeout_minutes):
        session.destroy()
        raise NotLoggedIn
    _mark(call, identity)
    return identity


def _identify_or_destroy(call: Call) -> Identity:
    """The identity of a session that says it is logged in, whatever its idle time."""
    try:
        return identify(call.panel, call.session, call.session.beside)
    except NotLoggedIn:
        call.session.destroy()
        raise


def idle_timeout(call: Call) -> int:
    """The idle timeout in minutes; while the database is away, the last one seen and the session's own word."""
    try:
        identity = _identify_or_destroy(call)
    except DatabaseUnavailable:
        last_seen = call.panel.last_timeout
        return AUTO_LOGOUT_DEFAULT if last_seen is None else last_seen
    _mark(call, identity)
    return identity.timeout_minutes


def _mark(call: Call, identity: Identity) -> None:
    """Bind the session to the stored password, and fill in what older panels did not write at login."""
    session = call.session
    if session.get(CREDENTIAL_MARK) == identity.credential:
        return
    facts = session_facts(identity.actor, 0)
    for key in ("user_id", "super_user", "permissions"):
        session.setdefault(key, facts[key])
    session[CREDENTIAL_MARK] = identity.credential


def _is_expired(call: Call, timeout_minutes: int) -> bool:
    """Sessions of frontends that send heartbeats expire by their last activity, all others by their last request."""
    session = call.session
    if session.get(IDLE_MARK):
        return is_idle(session, timeout_minutes, call.panel.clock.stamp())
    return session.idle_seconds > 60 * max(call.panel.config.session.lifetime_minutes, timeout_minutes)
