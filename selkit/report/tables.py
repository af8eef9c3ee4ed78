"""Tables of a report as rows of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

VERDICT_COLUMNS = (
    "on",
    "arm",
    "verdict",
    "effect",
    "95% interval",
    "simultaneous",
    "Holm p",
    "runs",
    "items",
    "detectable",
    "flags",
)
"""Headings of the verdict table after those of the place; effects and intervals in points of 100 over the control."""

Row = Mapping[str, Any]


def place_columns(rows: Sequence[Row]) -> list[str]:
    """The headings that say where arms ran: recipe and base model only where the rows have several."""
    several = [name for name in ("recipe", "model") if len({row.get(name) for row in rows}) > 1]
    return ["pool", "budget", *several]


def place_cells(row: Row, columns: Iterable[str]) -> list[str]:
    """The cells under :func:`place_columns`."""
    return [text(row.get(name)) for name in columns]


def verdict_table(verdicts: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and one row of text per verdict."""
    place = place_columns(verdicts)
    rows = [
        [
            *place_cells(row, place),
            row["benchmark"],
            row["arm"],
            row["verdict"],
            signed(row["effect"]),
            interval(row["ci_low"], row["ci_high"]),
            interval(row["simultaneous_low"], row["simultaneous_high"]),
            p_value(row["p_holm"]),
            f"{row['runs']} vs {row['control_runs']}",
            str(row["items"]),
            number(row["mde"], 1),
            ", ".join(flag.replace("_", " ") for flag in row["flags"]),
        ]
        for row in verdicts
    ]
    return [*place, *VERDICT_COLUMNS], rows


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [_line(columns), _line(["---"] * len(columns))]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def text(value: Any) -> str:
    """A value as a cell; nothing for None."""
    return "" if value is None else str(value)


def number(value: float | None, digits: int) -> str:
    """A number with a fixed count of decimals; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def p_value(value: float | None) -> str:
    """A p value with three decimals; nothing for None."""
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def signed(value: float | None) -> str:
    """A difference with its sign, one decimal; never -0.0."""
    return "" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval of differences."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def percent(value: float | None) -> str:
    """A share as a percentage, one decimal."""
    return "" if value is None else f"{100 * value:.1f}%"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
