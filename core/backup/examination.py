"""Reading a dump to its end before anything is changed: whether it may replace what the panel holds, and by what.

Source: contract chapter 70, import steps 3 to 5.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from core.backup.content import Content, Target
from core.backup.tokens import Unreadable
from core.errors import InvalidInput
from core.panel import Panel
from core.storage.tables import User

Report = Callable[[str, int, int], None]

# kept in memory, for the rows of other tables refer to them; no panel has nearly as many
MOST_USERS = 20_000
_STEP = 2000


class NotRestorable(InvalidInput):
    """The file can be read, but may not replace what the panel holds."""


@dataclass(frozen=True, slots=True)
class Examined:
    """``counts``: rows of each known table in the file; ``users``: the rows of its table of users, None without one."""

    target: Target
    size: int
    counts: Mapping[str, int]
    last_ids: Mapping[str, int]
    skipped: list[str]
    users: list[dict[str, Any]] | None = field(repr=False)


def examine(panel: Panel, file: BinaryIO, report: Report) -> Examined:
    """Raises Unreadable and NotRestorable."""
    target = Target(panel.layout, panel.database.dialect, panel.clock.zone, panel.clock.now())
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise NotRestorable("The file is empty; nothing was changed")
    content = Content(file, target)
    users = []
    for number, row in enumerate(content.rows()):
        if row.table is User.__table__:
            users.append(row.values)
            if len(users) > MOST_USERS:
                raise NotRestorable("The file holds too many users; nothing was changed")
        if number % _STEP == 0:
            report("checking", content.read_bytes, size)
    report("checking", size, size)
    has_users = User.__tablename__ in content.counts
    _refuse(panel, content, users if has_users else None)
    return Examined(target, size, content.counts, content.last_ids, content.skipped, users if has_users else None)


def _refuse(panel: Panel, content: Content, users: list[dict[str, Any]] | None) -> None:
    if content.is_redacted:
        raise NotRestorable(
            "This dump was made without passwords and keys, and cannot be restored; nothing was changed"
        )
    if content.is_cut_off:
        raise Unreadable("The file is not complete: its last line is missing; nothing was changed")
    if not any(content.counts.values()):
        raise NotRestorable("The file holds no data of a panel; nothing was changed")
    if users is not None and not any(user["super_user"] == 1 and _can_log_in(panel, user) for user in users):
        raise NotRestorable(
            "The file holds no super admin with a usable password, so that nobody could administer the panel;"
            " nothing was changed"
        )


def _can_log_in(panel: Panel, user: Mapping[str, Any]) -> bool:
    # an observer who is a super admin too changes nothing
    return user.get("is_observer") != 1 and panel.passwords.is_usable(user["password"])
