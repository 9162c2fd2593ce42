"""Passwords that the panel must be able to read again: encrypted with a key that is not in the database.

In a PHP panel's database they stay as PHP reads them. Source: contract chapter 80, ``update_mail_settings.php``.
"""

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken

from core import schema
from core.errors import PanelError
from core.key_files import kept_key
from core.panel import Panel

FILE = "application.key"
_MARK = "sbx1:"


class Unreadable(PanelError):
    """The key is another one than when the password was stored."""

    default_text = "A stored password cannot be read with this server's key; please enter it again"


def sealed(panel: Panel, password: str) -> str:
    """``password`` as it is to be stored in this database. Raises KeyNotStored."""
    if not password or panel.layout.origin != schema.OWN:
        return password
    return _MARK + _fernet(panel).encrypt(password.encode()).decode()


def unsealed(panel: Panel, stored: str | None) -> str:
    """What :func:`sealed` got; a password that PHP stored is as it stands. Raises Unreadable, KeyNotStored."""
    if not stored or not stored.startswith(_MARK):
        return stored or ""
    try:
        return _fernet(panel).decrypt(stored.removeprefix(_MARK)).decode()
    except InvalidToken:
        raise Unreadable from None


def _fernet(panel: Panel) -> Fernet:
    configured = panel.config.security.application_key.get_secret_value().encode()
    key = configured or kept_key(panel, FILE, lambda: secrets.token_hex(32).encode())
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key).digest()))
