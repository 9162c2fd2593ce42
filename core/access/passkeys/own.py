"""A user's own passkeys: listing and removing them. Source: contract chapter 10 §5.3."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.passkeys.keys import decoded, hash_of
from core.errors import NotFound
from core.panel import Panel
from core.storage.tables import Passkey, WebauthnCredential

_NOT_YOURS = "Credential not found or does not belong to you"


@dataclass(frozen=True, slots=True)
class OwnPasskey:
    """What its user sees of a passkey; the moments are local, None where they are unknown."""

    id: int
    device_name: str | None
    created_at: datetime | None
    last_used: datetime | None


def list_passkeys(panel: Panel, actor: Actor) -> list[OwnPasskey]:
    """Newest first."""
    if not panel.layout.has_table("_webauthn_credentials"):
        return []
    wanted = (
        WebauthnCredential.id,
        WebauthnCredential.device_name,
        WebauthnCredential.created_at,
        WebauthnCredential.last_used,
    )
    newest = (WebauthnCredential.created_at.desc(), WebauthnCredential.id.desc())
    with panel.database.read() as connection:
        rows = connection.execute(select(*wanted).where(WebauthnCredential.user_id == actor.id).order_by(*newest))
        return [OwnPasskey(row.id, row.device_name, _moment(row.created_at), _moment(row.last_used)) for row in rows]


def remove_passkey(panel: Panel, by: By, passkey_id: int) -> None:
    """Raises NotFound, also for somebody else's."""
    if not panel.layout.has_table("_webauthn_credentials"):
        raise NotFound(_NOT_YOURS)
    own = (WebauthnCredential.id == passkey_id, WebauthnCredential.user_id == by.actor.id)

    def act(connection: Connection) -> None:
        wanted = select(WebauthnCredential.credential_id, WebauthnCredential.device_name).where(*own)
        row = connection.execute(wanted.with_for_update()).first()
        if row is None:
            raise NotFound(_NOT_YOURS)
        connection.execute(delete(WebauthnCredential).where(*own))
        known = hash_of(decoded(row.credential_id) or b"")
        connection.execute(delete(Passkey).where(Passkey.credential_hash == known, Passkey.user_id == by.actor.id))
        by.write_audit(
            panel,
            connection,
            "delete",
            "webauthn_credential",
            target_id=passkey_id,
            target_name=row.device_name,
            details=f"{by.actor.username} removed a passkey",
        )

    panel.database.transact(act)


def _moment(value: object) -> datetime | None:
    """A zero date of a legacy database is a text."""
    return value if isinstance(value, datetime) else None
