"""Passwords that the panel must be able to read again: encrypted with a key that is not in the database.

In a PHP panel's database they stay as PHP reads them. Source: contract chapter 80, ``update_mail_settings.php``.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import cached_property

from cryptography.fernet import Fernet, InvalidToken

from core.errors import PanelError

_MARK = "sbx1:"


class Unreadable(PanelError):
    """The key is another one than when the password was stored."""

    default_text = "A stored password cannot be read with this server's key; please enter it again"


def is_sealed(stored: str) -> bool:
    return stored.startswith(_MARK)


class Sealer:
    """``read_key`` gives the key when it is first needed, and may raise KeyNotStored; ``is_ours``: whether no PHP
    panel reads this database, so that what is stored may be sealed."""

    def __init__(self, read_key: Callable[[], bytes], *, is_ours: bool) -> None:
        self._read_key = read_key
        self.is_ours = is_ours

    def sealed(self, password: str) -> str:
        """``password`` as it is to be stored in this database. Raises KeyNotStored."""
        if not password or not self.is_ours:
            return password
        return _MARK + self._fernet.encrypt(password.encode()).decode()

    def unsealed(self, stored: str | None) -> str:
        """What :meth:`sealed` got; a password that PHP stored is as it stands. Raises Unreadable, KeyNotStored."""
        if not stored or not is_sealed(stored):
            return stored or ""
        try:
            return self._fernet.decrypt(stored.removeprefix(_MARK)).decode()
        except InvalidToken:
            raise Unreadable from None

    @cached_property
    def everywhere(self) -> "Sealer":
        """For tables that no PHP panel reads: seals in a panel's database, too."""
        return Sealer(self._read_key, is_ours=True)

    @cached_property
    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(self._read_key()).digest()))
