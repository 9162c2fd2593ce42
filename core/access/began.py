"""Who began what outlives the request, and from where: as jobs and operations keep it beside what is to be done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.access.user_rows import read_user
from core.panel import Panel


@dataclass(frozen=True, slots=True)
class Began:
    """Who began it, and from where."""

    actor_id: int
    username: str
    name: str
    origin: Origin

    @classmethod
    def of(cls, by: By) -> Self:
        return cls(by.actor.id, by.actor.username, by.actor.name or by.actor.username, by.origin)

    def stored(self) -> dict[str, Any]:
        who = {"id": self.actor_id, "username": self.username, "name": self.name}
        return {"by": who, "origin": self.origin.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any], actor_id: int = 0) -> Self:
        """What :meth:`stored` gave. ``actor_id``: of the job's row; older versions kept no more than the login beside
        it."""
        who = stored.get("by") or {"id": actor_id, "username": stored["username"], "name": stored["username"]}
        return cls(who["id"], who["username"], who["name"], Origin.read(stored["origin"]))

    def by(self, panel: Panel, connection: Connection) -> By:
        """The user as the row is now; if it is gone, no more than id and login."""
        actor = read_user(panel, connection, self.actor_id)
        return By(actor or bare_actor(self.actor_id, self.username), self.origin)
