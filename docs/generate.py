"""Writes the generated pages of the documentation: ``python -m docs.generate``."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from compat.endpoints import Endpoint
from core.access.actors import Actor, bare_actor
from core.access.permissions import Field, Right, scope_of
from core.storage.tables import OWN_TABLES, PANEL_TABLES, Base
from legacy_routes.app import all_endpoints
from legacy_routes.gate import LOGGED_IN, XTREAM_SESSION, Need


class Role(NamedTuple):
    super_user: bool = False
    reseller_admin: bool = False
    has_field: bool = False
    observer: bool = False


_ROLES = {
    "super admin": Role(super_user=True),
    "reseller admin": Role(reseller_admin=True),
    "… with it": Role(reseller_admin=True, has_field=True),
    "reseller": Role(),
    "… with it ": Role(has_field=True),
    "observer": Role(observer=True),
}
_GENERATED = "<!-- written by python -m docs.generate -->\n"


def endpoints_page() -> str:
    """The table of all declared endpoints."""
    lines = [
        "# Endpoints",
        "",
        _GENERATED,
        "Each answers at `/name.php` and at `/api/name.php`, but for those that are shown with their paths. Other",
        "methods get 405; HEAD works wherever GET does, except at `/api.php`, where it would carry commands out.",
        "",
        "Who may call, and over what: all, or what is the caller's own (yes: the text tells what). `… with it`: the",
        "same role with the permission that is named. An observer who is a super admin too reads as one and changes",
        "nothing.",
        "",
        f"| endpoint | method | {' | '.join(_ROLES)} | nobody | permission | what it does |",
        f"|---|---|{'---|' * len(_ROLES)}---|---|---|",
    ]
    for endpoint in sorted(all_endpoints(), key=lambda item: item.name):
        by_need: dict[Need | None, list[str]] = {}
        for method in endpoint.methods:
            by_need.setdefault(need_of(endpoint, method), []).append(method)
        lines += [
            f"| `{_shown_name(endpoint)}` | {', '.join(methods)} | {_reach(need)} | {_summary(endpoint)} |"
            for need, methods in by_need.items()
        ]
    return "\n".join(lines) + "\n"


def _shown_name(endpoint: Endpoint) -> str:
    """Those that do not answer at the two usual paths are shown with theirs."""
    return "`, `".join(endpoint.at) or f"{endpoint.name}.php"


def need_of(endpoint: Endpoint, method: str) -> Need | None:
    """What callers of that method need; None: anybody may call."""
    need: Need | None = endpoint.who.get(method) if isinstance(endpoint.who, Mapping) else endpoint.who
    return need


def _reach(need: Need | None) -> str:
    """The cells of one line of the table."""
    if need is None:
        return " | ".join(["yes"] * (len(_ROLES) + 1) + [""])
    if need in (LOGGED_IN, XTREAM_SESSION):
        return " | ".join(["yes"] * len(_ROLES) + ["no", ""])
    right = need.right
    cells = [scope_of(_with_field(role, right), right).value for role in _ROLES.values()]
    named = [f"{field.name.lower()} ({field.value})" for field in (right.field, right.or_field) if field is not None]
    return " | ".join([*cells, "with the cron key" if need.or_key else "no", " or ".join(named)])


def _with_field(role: Role, right: Right) -> Actor:
    permissions = ["0"] * len(Field)
    permissions[Field.RESELLER_ADMIN] = "1" if role.reseller_admin else "0"
    if right.field is not None and role.has_field:
        permissions[right.field] = "1"
    actor = bare_actor(1, "somebody", super_user=role.super_user)
    return replace(actor, permissions="|".join(permissions), is_observer=role.observer)


def _summary(endpoint: Endpoint) -> str:
    return _first_line(endpoint.handler.__doc__ or "")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")


def database_page() -> str:
    """What this server adds to a panel's database."""
    lines = [
        "# What we add to a panel's database",
        "",
        _GENERATED,
        "Merely running adds the tables of our own. `flask --app wsgi db upgrade` also adds what the panel's newest",
        "version has and an older one lacks (tables, nullable columns), the indexes below, and widens",
        "`_transactions.correction_amount` to decimal(15,2). Nothing is ever removed, renamed or narrowed.",
        "",
        "| table of our own | what it holds | columns |",
        "|---|---|---|",
    ]
    meanings = {mapper.local_table: mapper.class_.__doc__ or "" for mapper in Base.registry.mappers}
    for table in OWN_TABLES:
        columns = ", ".join(f"`{column.name}`" for column in table.columns)
        lines.append(f"| `{table.name}` | {_first_line(meanings[table])} | {columns} |")
    lines += ["", "| index of our own | table | columns |", "|---|---|---|"]
    for table in PANEL_TABLES:
        for index in sorted(table.indexes, key=lambda item: str(item.name)):
            if str(index.name).startswith("sbx_"):
                columns = ", ".join(f"`{expression}`" for expression in index.expressions)
                lines.append(f"| `{index.name}` | `{table.name}` | {columns.replace(f'{table.name}.', '')} |")
    return "\n".join(lines) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {"endpoints.md": endpoints_page, "database.md": database_page}


def main() -> None:
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page())


if __name__ == "__main__":
    main()
