"""The session object of one request: a mapping that loads itself at the first access and knows what changed.

It never talks to a store by itself; reading is handed in, writing is the session interface's.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask.sessions import SessionMixin

T = TypeVar("T")


class StoredSession(dict[str, Any]):
    """What a store holds for one id.

    ``idle_seconds`` since the last request that read it; ``mark`` is the store's own note for the save;
    ``beside`` is what the caller's own look-up found in the same moment, None where the store has no such.
    """

    __slots__ = ("beside", "idle_seconds", "mark")

    def __init__(self, data: Mapping[str, Any], *, idle_seconds: int, mark: Any = None, beside: Any = None) -> None:
        super().__init__(data)
        self.idle_seconds = idle_seconds
        self.mark = mark
        self.beside = beside


@dataclass(frozen=True, slots=True)
class Changes:
    """The keys that one request set or removed: all that may be written into a session shared with others."""

    assigned: Mapping[str, Any]
    removed: Collection[str]

    def __bool__(self) -> bool:
        return bool(self.assigned or self.removed)

    def apply(self, data: Mapping[str, T]) -> dict[str, T]:
        """``data`` with the changes: known keys keep their place, new ones come last."""
        merged = {key: value for key, value in data.items() if key not in self.removed}
        merged.update(self.assigned)
        return merged


class PhpSession(SessionMixin):
    """What ``flask.session`` is.

    Nothing is read from the store before the first access, so a request that never looks costs no store
    access, and does not count as activity. Changes inside nested lists and dicts are noticed at save.
    A value set to what it was at load counts as not changed.
    """

    def __init__(
        self, read: Callable[[str, bool], StoredSession | None], cookie_id: str | None, *, cookie_sent: bool
    ) -> None:
        self._read = read
        self._data: dict[str, Any] | None = None
        self._stored: StoredSession | None = None
        self._loaded_as: dict[str, Any] = {}
        self._new_id: str | None = None
        self._closed = False
        #: the id that the client sent, if it has the form of one; existing or not
        self.cookie_id = cookie_id
        #: whether the client sent the cookie at all, usable or not
        self.cookie_sent = cookie_sent
        #: the old session is to be deleted at save
        self.discards_old = False
        #: a session is to be created under a new id at save, even if empty
        self.renews = False
        #: set before the first access: this request counts as activity
        self.counts = True
        #: set before the first access: the caller's own look-up is to find more beside the session than usual
        self.wants_more = False

    # what routes use

    @property
    def sid(self) -> str | None:
        """The id; None while no session exists (a new one gets its id at save)."""
        if self._new_id is not None:
            return self._new_id
        return self.cookie_id if self.exists else None

    @property
    def exists(self) -> bool:
        """Whether this is a session out of the store, not destroyed in this request."""
        return self.stored is not None

    @property
    def idle_seconds(self) -> int:
        """Seconds since the last request of this session, as the store knows them; 0 for a new one.

        The SQL store rounds down by up to a minute (see :mod:`compat.sessions.sql`), never up.
        """
        return 0 if self.stored is None else self.stored.idle_seconds

    @property
    def beside(self) -> Any:
        """What the caller's own look-up of the session found in the same moment, or None (see ``SqlSessions``)."""
        return None if self.stored is None else self.stored.beside

    def renew_id(self, *, keep: bool = False) -> None:
        """At save: a new id, and the old session deleted completely.

        ``keep=False`` forgets all old data at once (a login replaces everything); ``keep=True`` takes it
        along, unless the session is destroyed by somebody else meanwhile.
        """
        if keep:
            self._current()
            self.discards_old = True
        else:
            self.destroy()
        self.renews = True

    def destroy(self) -> None:
        """At save: the session deleted in the store, and the cookie cleared if the client sent one.

        Needs no existing session. Keys set afterwards make a new session, as for an anonymous request.
        """
        self._data = {}
        self._stored = None
        self._loaded_as = {}
        self.discards_old = True
        self.renews = False

    # what the session interface uses

    @property
    def stored(self) -> StoredSession | None:
        self._current()
        return self._stored

    @property
    def changes(self) -> Changes:
        """What this request set or removed since load."""
        data = self._current()
        before = self._loaded_as
        assigned = {key: value for key, value in data.items() if key not in before or before[key] != _frozen(value)}
        return Changes(assigned, before.keys() - data.keys())

    def close(self) -> bool:
        """Whether there is anything to save, true once: a save that failed must not be repeated with the
        answer that reports the failure."""
        if self._closed or self._data is None:
            return False
        self._closed = True
        return True

    def rebase(self, current: StoredSession | None) -> None:
        """Puts this request's changes on the data of now; None: the session was destroyed meanwhile."""
        if current is None:
            self.destroy()
        else:
            self._data = self.changes.apply(current)

    def created(self, new_id: str) -> None:
        self._new_id = new_id

    # the mapping

    def __getitem__(self, key: str) -> Any:
        return self._current()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._current()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._current()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def __contains__(self, key: object) -> bool:
        return key in self._current()

    def get(self, key: str, default: Any = None) -> Any:
        # asked a dozen times for each request
        data = self._data
        return (self._current() if data is None else data).get(key, default)

    def _current(self) -> dict[str, Any]:
        if self._data is not None:
            return self._data
        stored = None if self.cookie_id is None else self._read(self.cookie_id, self.counts)
        self._stored = stored
        self._data = {} if stored is None else dict(stored)
        self._loaded_as = {key: _frozen(value) for key, value in self._data.items()}
        return self._data


def _frozen(value: Any) -> Any:
    """What differs when the value or its type does, and cannot change with it."""
    kind = type(value)
    return value if kind is str or kind is int else repr(value)
