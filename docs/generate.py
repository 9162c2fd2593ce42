"""Writes the generated pages of the documentation: ``python -m docs.generate``."""

from collections.abc import Callable, Mapping
from pathlib import Path

from compat.endpoints import Endpoint
from core.models import OWN_TABLES, PANEL_TABLES, Base
from legacy_routes import all_endpoints
from legacy_routes.gate import Need

_GENERATED = "<!-- written by python -m docs.generate -->\n"


def endpoints_page() -> str:
    """The table of all declared endpoints."""
    lines = [
        "# Endpoints",
        "",
        _GENERATED,
        "Each answers at `/name.php` and at `/api/name.php`. Other methods get 405; HEAD works wherever GET does.",
        "",
        "| endpoint | method | who may call | what it does |",
        "|---|---|---|---|",
    ]
    for endpoint in sorted(all_endpoints(), key=lambda item: item.name):
        by_need: dict[str, list[str]] = {}
        for method in endpoint.methods:
            by_need.setdefault(_who(endpoint, method), []).append(method)
        lines += [
            f"| `{endpoint.name}.php` | {', '.join(methods)} | {need} | {_summary(endpoint)} |"
            for need, methods in by_need.items()
        ]
    return "\n".join(lines) + "\n"


def _who(endpoint: Endpoint, method: str) -> str:
    need = endpoint.who.get(method) if isinstance(endpoint.who, Mapping) else endpoint.who
    return need.shown if isinstance(need, Need) else "anybody"


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
