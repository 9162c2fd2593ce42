"""What is shown of a measurement: the table, the budgets, the JSON file."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import cpu_count
from typing import Any

from bench.measure import DATES, FIGURES, HELLO, SWITCHES, UNCACHED, Plan, Row

_UNITS = {"rate": "req/s", "p50": "p50 ms", "p99": "p99 ms", "rss": "RSS MiB"}
_SCALE = {"p50": 1e3, "p99": 1e3}
_DIGITS = {"rate": 0, "rss": 0}


@dataclass(frozen=True)
class Budget:
    """``at_least``: a share of the yardstick's rate; ``at_most``: milliseconds at the median."""

    row: str
    at_least: float | None = None
    at_most: float | None = None
    against: str = HELLO

    def value(self, rows: Mapping[str, Row]) -> float:
        row = rows[self.row]
        return (row.ratio("rate") or 0.0) if self.at_least is not None else (row.middle("p50") or 0.0) * 1e3

    def is_met(self, rows: Mapping[str, Row]) -> bool:
        value = self.value(rows)
        return value >= self.at_least if self.at_least is not None else 0 < value <= (self.at_most or 0)

    def sentence(self, rows: Mapping[str, Row]) -> str:
        verdict = "met   " if self.is_met(rows) else "MISSED"
        value = self.value(rows)
        if self.at_least is not None:
            return f"{verdict}  {self.row}: {value:.2f} of {self.against}'s req/s (at least {self.at_least})"
        return f"{verdict}  {self.row}: {value:.1f} ms (at most {self.at_most:.0f})"


# of two cores
BUDGETS = (
    Budget("heartbeat GET", at_least=0.6),
    Budget("heartbeat POST", at_least=0.6),
    Budget("get_user_info", at_least=0.5),
    Budget("get_accounts", at_least=0.3),
    Budget(UNCACHED, at_most=60.0),
    # 1.5 times its cost
    Budget(SWITCHES, at_least=0.667, against="get_user_info"),
    # a frontend's page load asks some 300 times at once; eight at a time, that is 2 seconds in all
    Budget(DATES, at_most=53.0),
)


def table(rows: Iterable[Row]) -> str:
    """One line per request type; ``×`` columns are the ratio to the yardstick."""
    head = ["", *(cell for figure in FIGURES for cell in (_UNITS[figure], "×")), "CPU µs", "×", "answers", "bytes"]
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
    return [*cells, str(len(row.latencies)), str(row.body_bytes)]


def _number(value: float | None, scale: float, digits: int) -> str:
    return "" if value is None else f"{value * scale:.{digits}f}"


def as_json(
    plan: Plan, rows: Mapping[str, Row], memory: Mapping[str, Mapping[str, float]], facts: Mapping[str, object]
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
            {"row": budget.row, "value": round(budget.value(rows), 4), "met": budget.is_met(rows)} for budget in BUDGETS
        ],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    figures: Sequence[tuple[str, float]] = (("rate", 1.0), ("p50", 1e3), ("p99", 1e3), ("cpu", 1e3), ("rss", 1.0))
    result: dict[str, Any] = {"answers": len(row.latencies), "failures": row.failures, "bytes": row.body_bytes}
    for figure, scale in figures:
        value, ratio = row.middle(figure), row.ratio(figure)
        result[figure] = None if value is None else round(value * scale, 4)
        result[f"{figure}_ratio"] = None if ratio is None else round(ratio, 4)
    return result
