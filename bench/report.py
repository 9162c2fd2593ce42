"""What is shown of a measurement: the table, the budgets, the JSON file."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

from bench.measure import DATES, FIGURES, HELLO, PHP_MARK, SWITCHES, UNCACHED, Plan, Row, php_name
from core.config import Server

_UNITS = {"rate": "req/s", "p50": "p50 ms", "p99": "p99 ms", "rss": "RSS MiB"}
_SCALE = {"p50": 1e3, "p99": 1e3}
_JSON_SCALES = (("rate", 1.0), ("p50", 1e3), ("p99", 1e3), ("cpu", 1e3), ("db_cpu", 1e3), ("rss", 1.0))
_DIGITS = {"rate": 0, "rss": 0}
_BEGIN, _END = "<!-- written by the bench -->", "<!-- end of what the bench writes -->"


@dataclass(frozen=True)
class Budget:
    """``at_least``: a share of the yardstick's rate; ``at_most``: milliseconds at the median."""

    row: str
    at_least: float | None = None
    at_most: float | None = None
    against: str = HELLO

    @property
    def bound(self) -> str:
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g} ms"

    def value(self, rows: Mapping[str, Row]) -> float:
        row = rows[self.row]
        if self.against == PHP and self.row == UNCACHED:
            # one after the other: the time of each counts
            ours, theirs = row.middle("p50"), rows[php_name(self.row)].middle("p50")
            return theirs / ours if ours and theirs else 0.0
        return (
            (row.ratio("rate", php=self.against == PHP) or 0.0)
            if self.at_least is not None
            else (row.middle("p50") or 0.0) * 1e3
        )

    def is_met(self, rows: Mapping[str, Row]) -> bool:
        value = self.value(rows)
        return value >= self.at_least if self.at_least is not None else 0 < value <= (self.at_most or 0)

    def sentence(self, rows: Mapping[str, Row]) -> str:
        verdict = "met   " if self.is_met(rows) else "MISSED"
        value = self.value(rows)
        if self.at_least is not None:
            return f"{verdict}  {self.row}: {value:.2f} of {self.against}'s req/s (at least {self.at_least})"
        return f"{verdict}  {self.row}: {value:.1f} ms (at most {self.at_most:.0f})"


# of one process
BUDGETS = (
    Budget("heartbeat GET", at_least=0.58),
    Budget("heartbeat POST", at_least=0.58),
    Budget("get_user_info", at_least=0.56),
    Budget("get_accounts", at_least=0.47),
    Budget(UNCACHED, at_most=60.0),
    # 1.5 times its cost
    Budget(SWITCHES, at_least=0.667, against="get_user_info"),
    # a frontend's page load asks some 300 times at once; eight at a time, that is 2 seconds in all
    Budget(DATES, at_most=53.0),
)


PHP = "PHP"
# of two cores, as many processes
SERVER_BUDGETS = (
    Budget("heartbeat GET", at_least=0.45),
    Budget("get_user_info", at_least=0.4),
    Budget("get_plans", at_least=0.4),
    Budget("get_transactions", at_least=0.25),
    Budget("get_accounts", at_least=0.25),
)
PHP_BUDGETS = (
    Budget("heartbeat GET", at_least=1.2, against=PHP),
    Budget("get_user_info", at_least=2.0, against=PHP),
    Budget("get_plans", at_least=1.2, against=PHP),
    Budget("get_transactions", at_least=1.5, against=PHP),
    Budget("get_accounts", at_least=10.0, against=PHP),
    Budget(UNCACHED, at_least=1.5, against=PHP),
)


def budgets_of(facts: Mapping[str, object], *, with_php: bool) -> tuple[Budget, ...]:
    """What is asked of the panel on that ground."""
    if facts["database"] != "mysql":
        return BUDGETS
    if facts["processes"] == 1:
        return ()
    return (*SERVER_BUDGETS, *(PHP_BUDGETS if with_php else ()))


def readme_table(results: Iterable[Mapping[str, Any]]) -> str:
    """Requests per second by ground, as a table of Markdown, with the share of the yardstick's and the ratio to PHP
    where it was measured; and what is asked of the panel there, with what was found."""
    results = list(results)
    machine = results[0]["machine"]
    said = (
        f"Measured on {machine['cores']} processors with Python {machine['python']}, with everything on them; in "
        "brackets the share of what a bare Flask (hello) does there, and how many times PHP's rate that is:"
    )
    heads = [_ground_name(ground["plan"]) for ground in results]
    names = [name for name in results[0]["rows"] if not name.startswith(PHP_MARK)]
    rates = [[name, *(_rate_cell(ground["rows"], name) for ground in results)] for name in names]
    parts = [said, _markdown(["requests/s", *heads], rates)]
    asked = list(
        dict.fromkeys((one["row"], one["against"], one["bound"]) for each in results for one in each["budgets"])
    )
    if asked:
        told = [[_asked_name(*key), *(_budget_cell(ground["budgets"], key) for ground in results)] for key in asked]
        parts += ["What is asked of it:", _markdown(["asked", *heads], told)]
    return "\n\n".join(parts)


def _rate_cell(rows: Mapping[str, Any], name: str) -> str:
    row, php = rows.get(name), rows.get(php_name(name))
    if row is None:
        return ""
    told = [] if row["rate_ratio"] is None or name == SWITCHES else [f"{row['rate_ratio']:.2f}"]
    told += [f"PHP × {row['rate'] / php['rate']:.2f}"] if php and php["rate"] else []
    return f"{row['rate']:.0f}" + (f" ({', '.join(told)})" if told else "")


def _asked_name(row: str, against: str, bound: str) -> str:
    return f"{row}, {bound}" + (f" of {against}'s" if not bound.endswith("ms") else "")


def _budget_cell(budgets: Sequence[Mapping[str, Any]], key: tuple[str, str, str]) -> str:
    for budget in budgets:
        if (budget["row"], budget["against"], budget["bound"]) == key:
            return f"{budget['value']:.3g}" + ("" if budget["met"] else ", missed")
    return ""


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("| --- ", "|---").replace("|--- |", "|---|")


def _ground_name(plan: Mapping[str, Any]) -> str:
    database = {"mysql": "MariaDB", "sqlite": "SQLite"}.get(plan["database"], plan["database"])
    engine = "" if plan["engine"] == Server().engine else f", {plan['engine']}"
    return f"{database}, {plan['processes']} process{'es' if plan['processes'] > 1 else ''}{engine}"


def write_into(file: Path, text: str) -> None:
    """Put ``text`` between the marks of the bench in ``file``. Raises ValueError where there are none."""
    before, begin, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{file} has no lines {_BEGIN} and {_END}")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def table(rows: Iterable[Row]) -> str:
    """One line per request type; ``×`` columns are the ratio to the yardstick."""
    head = [
        "",
        *(cell for figure in FIGURES for cell in (_UNITS[figure], "×")),
        "CPU µs",
        "×",
        "DB µs",
        "× PHP",
        "answers",
        "bytes",
    ]
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def _cells(row: Row) -> list[str]:
    cells = [row.name]
    for figure in FIGURES:
        cells.append(_number(row.middle(figure), _SCALE.get(figure, 1.0), _DIGITS.get(figure, 2)))
        cells.append(_number(row.ratio(figure), 1.0, 2))
    cells += [_number(row.middle("cpu"), 1e6, 0), _number(row.ratio("cpu"), 1.0, 2)]
    cells += [_number(row.middle("db_cpu"), 1e6, 0), _number(row.ratio("rate", php=True), 1.0, 2)]
    return [*cells, str(len(row.latencies)), str(row.body_bytes)]


def _number(value: float | None, scale: float, digits: int) -> str:
    return "" if value is None else f"{value * scale:.{digits}f}"


def as_json(
    plan: Plan,
    rows: Mapping[str, Row],
    memory: Mapping[str, Mapping[str, float]],
    facts: Mapping[str, object],
    budgets: Sequence[Budget],
) -> dict[str, Any]:
    """Rates per second, latencies and processor time in milliseconds, memory in MiB."""
    return {
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": cpu_count()},
        "plan": {
            **{key: getattr(plan, key) for key in ("sessions", "connections", "rounds", "seconds", "changes")},
            **facts,
        },
        "rows": {name: _row_as_json(row) for name, row in rows.items()},
        "memory": memory,
        "budgets": [
            {
                "row": budget.row,
                "against": budget.against,
                "bound": budget.bound,
                "value": round(budget.value(rows), 4),
                "met": budget.is_met(rows),
            }
            for budget in budgets
        ],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    result: dict[str, Any] = {"answers": len(row.latencies), "failures": row.failures, "bytes": row.body_bytes}
    for figure, scale in _JSON_SCALES:
        value, ratio = row.middle(figure), row.ratio(figure)
        result[figure] = None if value is None else round(value * scale, 4)
        result[f"{figure}_ratio"] = None if ratio is None else round(ratio, 4)
    return result
