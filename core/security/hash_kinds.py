"""Which kinds of password hashes are stored, as far as their beginnings tell; looked at now and then."""

from time import monotonic

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from core.errors import DatabaseFailed
from core.security.passwords import KIND_CHARACTERS
from core.storage.database import Database
from core.storage.tables import User

_SECONDS = 60
_KINDS = select(func.substr(User.password, 1, KIND_CHARACTERS)).where(User.password.like("$%")).distinct()


class HashKinds:
    """Callable: the beginnings of the stored hashes but MD5, which costs nothing to look at."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: tuple[str, ...] = ()
        self._read_at = float("-inf")

    def __call__(self) -> tuple[str, ...]:
        if monotonic() - self._read_at >= _SECONDS:
            try:
                self._kinds = tuple(row[0] for row in self._database.all(_KINDS))
                self._read_at = monotonic()
            except (DatabaseFailed, SQLAlchemyError):
                # what was seen last must do; the login itself tells that the database is away
                pass
        return self._kinds
