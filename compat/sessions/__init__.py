"""Cookie sessions as PHP has them, on Flask-Session. Whose they are, and whether they still stand, is core.access's.

The stores are imported by name where they are chosen (``.sql``, ``.redis``, ``.php_files``), since not
every machine has what each of them needs.
"""

from compat.sessions.interface import (
    PhpSessionInterface,
    SessionStore,
    SessionUnavailable,
    install_sessions,
    refuse_unusable_sessions,
)
from compat.sessions.session import PhpSession

__all__ = [
    "PhpSession",
    "PhpSessionInterface",
    "SessionStore",
    "SessionUnavailable",
    "install_sessions",
    "refuse_unusable_sessions",
]
