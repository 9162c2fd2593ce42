"""Who of the panel's users is whom on the Xtream side, and how bound servers are called: what operators set by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from core.access.identity import find_user
from core.errors import InvalidInput, NotFound
from core.panel import Panel
from core.storage.tables.secret_columns import streaming_server_place
from core.storage.tables.xtream import XtreamMember, XtreamServerControl
from core.xtream.families import OWN
from core.xtream.registry import exists
from core.xtream.store import store


@dataclass(frozen=True, slots=True)
class Link:
    """``group``: of our own; ``account``: the name of an account of the bound database."""

    username: str
    group: int | None = None
    owner: str | None = None
    account: str | None = None
    enabled: bool = True


def link_user(panel: Panel, link: Link) -> None:
    """Store what the user acts as; replaces an earlier link. Raises NotFound, InvalidInput."""
    user_id = _user_id(panel, link.username)
    values: dict[str, Any] = {"status": int(link.enabled)}
    if store(panel).is_bound:
        if link.account is None or link.group is not None:
            raise InvalidInput("With a bound Xtream database a user is linked to one of its accounts: --account NAME")
        values["account_id"] = _account_id(panel, link.account)
    else:
        if link.group is None or link.account is not None:
            raise InvalidInput("A user is linked to a group: --group ID")
        with panel.database.read() as connection:
            if (
                connection.execute(select(OWN.groups.c.group_id).where(OWN.groups.c.group_id == link.group)).first()
                is None
            ):
                raise NotFound("There is no such group")
        values |= {"member_group_id": link.group, "owner_id": _user_id(panel, link.owner) if link.owner else None}

    def act(connection: Connection) -> None:
        connection.execute(delete(XtreamMember).where(XtreamMember.user_id == user_id))
        connection.execute(insert(XtreamMember).values(user_id=user_id, **values))

    panel.database.transact(act)


def unlink_user(panel: Panel, username: str) -> None:
    """From now on the user acts by the panel's own role. Raises NotFound."""
    user_id = _user_id(panel, username)

    def act(connection: Connection) -> None:
        if connection.execute(delete(XtreamMember).where(XtreamMember.user_id == user_id)).rowcount != 1:
            raise NotFound("This user has no link")

    panel.database.transact(act)


def set_server(panel: Panel, server_id: int, values: Mapping[str, Any]) -> None:
    """Set how a server is called (columns of its control row; ``secret`` in clear). Raises NotFound."""
    if not exists(panel, server_id):
        raise NotFound("Server not found")
    stored = {name: value for name, value in values.items() if value is not None}
    if "secret" in stored:
        stored["secret"] = panel.sealer.everywhere.sealed(stored["secret"], streaming_server_place(server_id))

    def act(connection: Connection) -> None:
        known = select(XtreamServerControl.server_id).where(XtreamServerControl.server_id == server_id)
        if connection.execute(known).first() is None:
            connection.execute(insert(XtreamServerControl).values(server_id=server_id, **stored))
        elif stored:
            connection.execute(
                update(XtreamServerControl).where(XtreamServerControl.server_id == server_id).values(**stored)
            )

    panel.database.transact(act)


def _user_id(panel: Panel, username: str) -> int:
    row = find_user(panel, username)
    if row is None:
        raise NotFound(f"There is no user named {username}")
    return int(row.id)


def _account_id(panel: Panel, name: str) -> int:
    accounts = store(panel).tables.accounts
    assert accounts is not None  # noqa: S101 - a bound database has the table
    with store(panel).read() as connection:
        rows = connection.execute(select(accounts.c.id, accounts.c.username).where(accounts.c.username == name))
        # a database may compare names without regard to case; the panel's hash does not
        ids = [row.id for row in rows if row.username == name]
    if not ids:
        raise NotFound(f"The Xtream database has no account named {name}")
    return int(ids[0])
