"""The operator's report of passkeys that nobody verified here: those that a PHP panel stored, which checked nothing.

Source: contract chapter 10 §5.7. What a setting makes of them: :mod:`core.access.passkeys.login`.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from core.access.passkeys.keys import decoded, hash_of, stored_key
from core.panel import Panel
from core.storage.tables import Passkey, User, WebauthnCredential


@dataclass(frozen=True, slots=True)
class Unverified:
    """``is_usable``: its key can verify a login; ``created_at``: local, None where the panel stored no such moment."""

    username: str
    device_name: str | None
    created_at: datetime | None
    is_usable: bool


def list_unverified(panel: Panel) -> list[Unverified]:
    """By user name, oldest first."""
    if not panel.layout.has_table("_webauthn_credentials"):
        return []
    stored = (
        select(
            User.username,
            WebauthnCredential.credential_id,
            WebauthnCredential.public_key,
            WebauthnCredential.device_name,
            WebauthnCredential.created_at,
        )
        .join(User, User.id == WebauthnCredential.user_id)
        .order_by(User.username, WebauthnCredential.id)
    )
    with panel.database.read() as connection:
        rows = connection.execute(stored).all()
        known = set(connection.scalars(select(Passkey.credential_hash)))
    found = []
    for row in rows:
        credential_id = decoded(row.credential_id or "") or b""
        if hash_of(credential_id) not in known:
            usable = bool(credential_id) and stored_key(row.public_key, credential_id) is not None
            # a zero date of a legacy database is a text
            created = row.created_at if isinstance(row.created_at, datetime) else None
            found.append(Unverified(row.username, row.device_name, created, usable))
    return found
