"""Sessions over the cookie: the base of our stores on Flask-Session, and their installation in an app.

Where and how the data is kept: :mod:`compat.sessions.sql`, ``.redis`` and ``.php_files``. Who is logged in
is not decided here. Rules: contract chapter 10, section 2.
"""

import hashlib
import logging
import re
import secrets
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote

from flask import Flask, Request, Response, request
from flask_session.base import ServerSideSessionInterface

from compat.sessions.codec import JsonSerializer
from compat.sessions.session import Changes, PhpSession, StoredSession

_log = logging.getLogger(__name__)

# each request needs that of its session, twice
_KEPT_IDS = 256
USABLE_ID = re.compile(r"[A-Za-z0-9,-]{16,256}")
_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_ID_LENGTH = 26
_SHOWN_CHARACTERS = 12
# no usable id has such a beginning, so that who reads the store cannot send what stands there
HASHED = "sha256:"


class SessionUnavailable(Exception):
    """The store failed, or a session stayed locked too long; the text has no detail, ``__cause__`` does.

    It carries what an envelope needs (:class:`compat.envelope.Failure`).
    """

    text = "The session store is not available, please try again later"
    code = 7
    status = 503
    retry_after: int | None = None
    goes_on = False

    def __init__(self, text: str | None = None) -> None:
        """``text``: the cause, where it is one that does not pass by itself."""
        self.text = text or type(self).text
        super().__init__(self.text)


class SessionsUnusable(SessionUnavailable):
    """The store cannot be used as it is set up, and trying again does not help."""

    text = "The session store does not open to the user of this server; whoever runs it must set that right"


class SomeTimes:
    """Says yes once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = 0.0
        self._lock = threading.Lock()

    def is_time(self, now: float) -> bool:
        with self._lock:
            if now - self._last < self._seconds:
                return False
            self._last = now
            return True


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session as an administrator sees it: ``name`` tells it from others, and opens nothing."""

    name: str
    store_id: str = field(repr=False)
    data: StoredSession = field(repr=False)


class PhpSessionInterface(ServerSideSessionInterface):  # type: ignore[misc]  # Flask-Session has no types
    """Opens and saves :class:`PhpSession`; a subclass is one store.

    A store method gets the ``store_id`` (key prefix and id) and raises SessionUnavailable when it fails.
    Of a session that others use as well, only the request's own changes are written, and one that was
    destroyed meanwhile is not written at all.
    """

    session_class = PhpSession

    def __init__(
        self,
        app: Flask,
        *,
        lifetime: int,
        now: Callable[[], float],
        secure: Callable[[Request], bool],
        key_prefix: str = "",
        **options: Any,
    ) -> None:
        super().__init__(app, key_prefix=key_prefix, permanent=False, serialization_format="json", **options)
        self.serializer = JsonSerializer()
        self.lifetime = lifetime
        self.now = now
        self._secure = secure
        name = re.escape(self.get_cookie_name(app))
        self._cookie = re.compile(rf"(?:^|;)[ \t]*{name}=[ \t]*([^; \t]*)")

    # Flask's side

    def open_session(self, app: Flask, request: Request) -> PhpSession:
        # not request.cookies: parsing all of them costs more than all the rest of this method
        found = self._cookie.search(request.environ.get("HTTP_COOKIE", ""))
        if found is None:
            return PhpSession(self._read, None, cookie_sent=False)
        value = unquote(found[1])
        usable = USABLE_ID.fullmatch(value) is not None
        return PhpSession(self._read, value if usable else None, cookie_sent=True)

    def save_session(self, app: Flask, session: PhpSession, response: Response) -> None:
        """Raises SessionUnavailable where a session begins, ends or gets a new id; TypeError or ValueError for a value
        that the store cannot hold. All other changes are notes beside work that is done, whose answer stands."""
        if not session.close():
            return
        if session.renews and session.stored is not None:
            session.rebase(self._read(str(session.cookie_id), True))
        if session.stored is not None and not session.renews:
            self._note(app, session)
            return
        new_id = self._create(app, session) if session or session.renews else None
        if session.discards_old and session.cookie_id is not None:
            self._delete_session(self._get_store_id(session.cookie_id))
        if new_id is not None:
            session.created(new_id)
            response.set_cookie(self.get_cookie_name(app), new_id, **self._cookie_attributes(app))
        elif session.discards_old and session.cookie_sent:
            response.delete_cookie(self.get_cookie_name(app), **self._cookie_attributes(app))

    def _note(self, app: Flask, session: PhpSession) -> None:
        try:
            self._upsert_session(app.permanent_session_lifetime, session, self._get_store_id(session.sid))
        except SessionUnavailable as error:
            _log.warning("a session could not be noted as used: %s", type(error.__cause__ or error).__name__)

    def regenerate(self, session: PhpSession) -> None:
        session.renew_id(keep=True)

    def get_cookie_secure(self, app: Flask) -> bool:
        return self._secure(request)

    # the stores' side

    @abstractmethod
    def _retrieve_session_data(self, store_id: str, *, counts: bool = True) -> StoredSession | None:
        """The session, None for one that does not exist, is too old or cannot be decoded.

        ``counts``: as activity; else the store's note of the last request stays as it is."""

    @abstractmethod
    def _insert_session(self, store_id: str, data: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def _merge_session(self, store_id: str, stored: StoredSession, changes: Changes) -> None:
        """Applies the changes to what the store holds now; does nothing when it holds nothing any more."""

    @abstractmethod
    def _stored_sessions(self) -> Iterator[tuple[str, StoredSession]]:
        """All sessions that can be read, with their store ids."""

    def list_sessions(self) -> Iterator[ListedSession]:
        """All sessions of this store, without what would let anybody use them. Raises SessionUnavailable."""
        for store_id, stored in self._stored_sessions():
            yield ListedSession(hashlib.sha256(store_id.encode()).hexdigest()[:_SHOWN_CHARACTERS], store_id, stored)

    def end_session(self, listed: ListedSession) -> None:
        """Raises SessionUnavailable."""
        self._delete_session(listed.store_id)

    def refuse_if_unusable(self) -> None:
        """For a server that starts. Raises ValueError with a sentence where this store cannot work as it is set up."""

    def clear(self) -> int:
        """Delete sessions past their lifetime, as many as one go allows, and return how many were found."""
        raise NotImplementedError

    def adopt(self, sid: str, data: Mapping[str, Any], idle_seconds: int) -> bool:
        """Take a session over from another store, under its id and with its age, unless there is one already.

        Values that this store cannot hold are left behind. Raises SessionUnavailable.
        """
        return self._adopt(sid, self._holdable(data), idle_seconds)

    def _adopt(self, sid: str, data: Mapping[str, Any], idle_seconds: int) -> bool:
        raise NotImplementedError

    def _holdable(self, data: Mapping[str, Any]) -> dict[str, Any]:
        kept = {}
        for key, value in data.items():
            with suppress(TypeError, ValueError):
                self.serializer.encode({key: value})
                kept[key] = value
        return kept

    def _touch_session(self, store_id: str, stored: StoredSession) -> None:
        """Notes the time of a request that changed nothing, in stores that do not do so on reading."""

    def _upsert_session(self, session_lifetime: timedelta, session: PhpSession, store_id: str) -> None:
        changes = session.changes
        if session.stored is None or session.renews:
            self._insert_session(store_id, dict(session))
        elif changes:
            self._merge_session(store_id, session.stored, changes)
        elif session.counts:
            self._touch_session(store_id, session.stored)

    # helpers

    def _read(self, sid: str, counts: bool) -> StoredSession | None:
        return self._retrieve_session_data(self._get_store_id(sid), counts=counts)

    def _create(self, app: Flask, session: PhpSession) -> str:
        new_id = self._generate_sid(_ID_LENGTH)
        self._upsert_session(app.permanent_session_lifetime, session, self._get_store_id(new_id))
        return new_id

    def _generate_sid(self, session_id_length: int) -> str:
        return "".join(secrets.choice(_ID_ALPHABET) for _ in range(session_id_length))

    def _cookie_attributes(self, app: Flask) -> dict[str, Any]:
        return {
            "path": self.get_cookie_path(app),
            "domain": self.get_cookie_domain(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
        }


@lru_cache(_KEPT_IDS)
def hashed_id(sid: str) -> str:
    """What a store keeps of an id: nobody who reads the store becomes one of its users."""
    return HASHED + hashlib.sha256(sid.encode()).hexdigest()


class SessionStore(Protocol):
    """The settings of one store, ready to become the session interface of an app."""

    @property
    def lifetime(self) -> int:
        """Seconds after which a session that no request used no longer exists."""

    def interface(self, app: Flask, secure: Callable[[Request], bool]) -> PhpSessionInterface: ...


def install_sessions(
    app: Flask,
    store: SessionStore,
    *,
    secure: Callable[[Request], bool],
    cookie_name: str = "PHPSESSID",
) -> None:
    """Makes ``flask.session`` of ``app`` a :class:`PhpSession` in ``store``.

    ``secure`` tells whether a request came over HTTPS (directly or by a trusted proxy's word).
    """
    app.config.update(
        SESSION_COOKIE_NAME=cookie_name,
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=store.lifetime),
    )
    app.session_interface = store.interface(app, secure)


def refuse_unusable_sessions(app: Flask) -> None:
    """For a server that starts; commands run without sessions. Raises ValueError with a sentence where the store cannot
    work as it is set up."""
    store = app.session_interface
    assert isinstance(store, PhpSessionInterface)  # noqa: S101 - installed above
    store.refuse_if_unusable()
