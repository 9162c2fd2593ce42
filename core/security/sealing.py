"""Passwords that the panel must be able to read again: encrypted with a key that is not in the database.

Each is bound to the place that it is for (:mod:`core.storage.tables.secret_columns`), so that nobody who can write to
the database has it sent elsewhere. In a PHP panel's database they stay as PHP reads them.

Source: contract chapter 80, ``update_mail_settings.php``.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import cached_property

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import PanelError

_UNBOUND, _BOUND = "sbx1:", "sbx2:"


class Unreadable(PanelError):
    """The key is another one than when the password was stored."""

    default_text = "A stored password cannot be read with this server's key; please enter it again"


def is_sealed(stored: str) -> bool:
    return stored.startswith((_UNBOUND, _BOUND))


def is_bound(stored: str) -> bool:
    """Whether it is sealed for one place."""
    return stored.startswith(_BOUND)


def is_unbound(stored: str) -> bool:
    """Whether an older version sealed it, for no place."""
    return stored.startswith(_UNBOUND)


class Sealer:
    """``read_key`` gives the key when it is first needed, and may raise KeyNotStored; ``is_ours``: whether no PHP
    panel reads this database, so that what is stored may be sealed."""

    def __init__(self, read_key: Callable[[], bytes], *, is_ours: bool) -> None:
        self._read_key = read_key
        self.is_ours = is_ours

    def sealed(self, password: str, place: str) -> str:
        """``password`` as it is to be stored in this database, for that ``place``. Raises KeyNotStored."""
        if not password or not self.is_ours:
            return password
        return _BOUND + self._bound_to(place).encrypt(password.encode()).decode()

    def unsealed(self, stored: str | None, place: str) -> str:
        """What :meth:`sealed` got for that ``place``; a password that PHP stored is as it stands. Raises Unreadable,
        KeyNotStored."""
        if not stored or not is_sealed(stored):
            return stored or ""
        fernet = self._bound_to(place) if is_bound(stored) else self._fernet
        try:
            return fernet.decrypt(stored.partition(":")[2]).decode()
        except InvalidToken:
            raise Unreadable from None

    def moved(self, stored: str, before: str, after: str) -> str:
        """What was sealed for one place, for another one; as it stands where this server's key cannot read it."""
        if before == after:
            return stored
        try:
            return self.sealed(self.unsealed(stored, before), after)
        except Unreadable:
            return stored

    @cached_property
    def everywhere(self) -> "Sealer":
        """For tables that no PHP panel reads: seals in a panel's database, too."""
        return Sealer(self._read_key, is_ours=True)

    @cached_property
    def _key(self) -> bytes:
        return hashlib.sha256(self._read_key()).digest()

    @cached_property
    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._key))

    def _bound_to(self, place: str) -> Fernet:
        derived = HKDF(SHA256(), 32, salt=None, info=b"showbox sealed " + place.encode()).derive(self._key)
        return Fernet(base64.urlsafe_b64encode(derived))
