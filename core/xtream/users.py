"""What the API does with lines, which it calls users: switching, locking, deleting them.

Closing their connections: :mod:`core.xtream.connections`. Whose line it may be is part of the statement that changes
it, so that nothing changes between the question and the deed. Source: contract chapter 95 §6, ``action=user``.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, Update, bindparam, delete, insert, select, update

from core.errors import NotAllowed, NotFound
from core.panel import Panel
from core.xtream.command_log import Asked, Caller, logged
from core.xtream.connections import (
    Open,
    close_connections,
    is_in_redis,
    read_connections,
    read_connections_of_line,
)
from core.xtream.families import cleared, known
from core.xtream.members import is_own_line
from core.xtream.nodes import require_done
from core.xtream.permissions import Member, require_reseller_or_advanced
from core.xtream.store import is_on, read_settings, store, tell_nodes

ADVANCED = "edit_user"
_SET: Mapping[str, Mapping[str, int]] = {
    "enable": {"enabled": 1},
    "disable": {"enabled": 0},
    "ban": {"admin_enabled": 0},
    "unban": {"admin_enabled": 1},
    "lockk": {"is_isplock": 1},
    "unlockk": {"is_isplock": 0},
    "resetispuser": {},
}
SUBS = (*_SET, "delete", "kill")
_ISP = ("resetispuser", "lockk", "unlockk")
# the setting of a bound panel without which resellers may not
_ISP_SETTINGS = {
    "resetispuser": "reseller_reset_isplock",
    "lockk": "reseller_can_isplock",
    "unlockk": "reseller_can_isplock",
}


def require_user_sub(member: Member, sub: str) -> None:
    """Raises NotAllowed where ``member`` may not do that to any line."""
    require_reseller_or_advanced(member, ADVANCED)
    if member.is_admin:
        return
    lacks = (
        sub in ("ban", "unban")
        or (sub in ("enable", "disable") and not member.may_toggle)
        or (sub == "delete" and not member.may_delete)
        or (sub in _ISP and not member.may_lock_isp)
    )
    if lacks:
        raise NotAllowed


def change_line(panel: Panel, caller: Caller, sub: str, line_id: int) -> None:
    """Enable, disable, ban, unban, lock or unlock to an ISP, or forget the ISP."""
    member = caller.member
    require_user_sub(member, sub)
    xtream = store(panel)
    lines = xtream.tables.lines
    values = cleared(lines, "isp_desc") if sub == "resetispuser" else _SET[sub]

    def act(connection: Connection) -> None:
        _require_isp_setting(connection, panel, member, sub)
        wanted = _update(lines, *values)
        if not member.is_admin:
            wanted = wanted.where(is_own_line(xtream.tables, member))
        changed = connection.execute(
            wanted, {"line_id": line_id, **{f"new_{name}": new for name, new in values.items()}}
        )
        if changed.rowcount != 1:
            raise _missing(member)
        tell_nodes(connection, xtream.tables, "update_line", line_id, panel.clock.stamp())
        if not xtream.is_bound:
            entry.write_in(connection)

    with logged(panel, caller, Asked("user", sub, str(line_id))) as entry:
        xtream.transact(act)


@cache
def _update(lines: Table, *columns: str) -> Update:
    """Made once for each set of columns, whose values are ``new_…``."""
    new = {name: bindparam(f"new_{name}", type_=lines.c[name].type) for name in columns}
    return update(lines).where(lines.c.id == bindparam("line_id")).values(**new)


def kill_line(panel: Panel, caller: Caller, line_id: int, until: float) -> None:
    """Close all of the line's connections; done also when it has none."""
    member = caller.member
    require_user_sub(member, "kill")
    with logged(panel, caller, Asked("user", "kill", str(line_id))):
        with store(panel).read() as connection:
            open_ones = read_connections_of_line(panel, connection, member, line_id)
        if open_ones is None:
            raise _missing(member)
        failed = close_connections(panel, open_ones, until)
        require_done([one.server_id for one in open_ones], failed)


def delete_line(panel: Panel, caller: Caller, line_id: int, until: float) -> None:
    """Delete a line with its outputs and devices, and then close its connections as far as possible.

    One that is gone already counts as deleted, for an admin.
    """
    member = caller.member
    require_user_sub(member, "delete")
    xtream = store(panel)
    tables = xtream.tables

    def act(connection: Connection) -> Sequence[Open] | None:
        """The connections that it had; None without a line."""
        line = connection.execute(
            select(tables.lines).where(tables.lines.c.id == line_id, is_own_line(tables, member)).with_for_update()
        ).first()
        if line is None:
            if member.is_admin:
                return None
            raise NotAllowed
        in_redis = is_in_redis(connection, tables)
        open_ones = [] if in_redis else read_connections(panel, connection, tables.live.c.user_id == line_id)
        for table in (tables.outputs, tables.enigmas, tables.mags):
            connection.execute(delete(table).where(table.c.user_id == line_id))
        connection.execute(delete(tables.lines).where(tables.lines.c.id == line_id))
        _write_user_log(panel, connection, member, line)
        tell_nodes(connection, tables, "update_line", line_id, panel.clock.stamp())
        if not xtream.is_bound:
            entry.write_in(connection)
        return open_ones

    with logged(panel, caller, Asked("user", "delete", str(line_id))) as entry:
        open_ones = xtream.transact(act)
        if open_ones is None:
            return
        # what stays open ends by itself: its line is gone
        close_connections(panel, open_ones, until)


def _missing(member: Member) -> Exception:
    """A reseller never learns whether a line of others exists."""
    return NotFound("User not found") if member.is_admin else NotAllowed()


def _require_isp_setting(connection: Connection, panel: Panel, member: Member, sub: str) -> None:
    xtream = store(panel)
    if not xtream.is_bound or member.is_admin or sub not in _ISP:
        return
    if not is_on(read_settings(connection, xtream.tables), _ISP_SETTINGS[sub]):
        raise NotAllowed


def _write_user_log(panel: Panel, connection: Connection, member: Member, line: Any) -> None:
    """What the bound panel shows of its resellers' deletions; the password stays out of it."""
    table = store(panel).tables.user_log
    if table is None or not member.is_reseller:
        return
    kind = "MAG" if getattr(line, "is_mag", 0) else "Enigma" if getattr(line, "is_e2", 0) else "line"
    values = {
        "owner": member.account_id,
        "username": line.username,
        "password": "",
        "date": panel.clock.stamp(),
        "type": f"delete {kind}",
    }
    connection.execute(insert(table).values(known(table, values)))
