"""The lists of plans that resellers may sell (``_users.plans``), kept in line with the plans.

Source: contract chapter 40 §2.2, §3.3 and §3.4. Who is given which plans is the business of the resellers' module.
"""

from sqlalchemy import Connection, bindparam, select, update

from core.plans.choice import PlanKey, normal_key
from core.storage.tables import User


def replace_key(connection: Connection, key: PlanKey, new: str | None) -> list[int]:
    """Put ``new`` in place of ``key``, however it is spelled, in every list (None: take it out); returns whose lists.

    The rows are locked before they are read, so that no assignment made meanwhile is lost.
    """
    if not key[0]:
        return []
    holders = select(User.id, User.plans).where(User.plans.contains(key[0], autoescape=True)).order_by(User.id)
    changes = [
        {"user": row.id, "list": _replaced(row.plans, key, new)}
        for row in connection.execute(holders.with_for_update()).all()
        if any(normal_key(item) == key for item in row.plans.split(","))
    ]
    if changes:
        statement = update(User).where(User.id == bindparam("user")).values(plans=bindparam("list"))
        connection.execute(statement, changes)
    return [change["user"] for change in changes]


def _replaced(text: str, key: PlanKey, new: str | None) -> str:
    items = (new if normal_key(item) == key else item.strip() for item in text.split(","))
    return ",".join(dict.fromkeys(item for item in items if item))
