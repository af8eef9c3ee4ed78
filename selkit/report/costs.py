"""The costs of a report as a table: what an arm takes, against training on everything and against the control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selkit.report.diagnostics import scorers
from selkit.report.grid import GridTable
from selkit.report.tables import number, place_cells, place_columns, table, text

COST_COLUMNS = (
    "arm",
    "runs",
    "selection (s)",
    "shared (s)",
    "training (s)",
    "both (s)",
    "training on all (s)",
    "of that",
    "times control",
    "answers (s)",
    "judging (s)",
    "judge calls",
    "API dollars",
    "dollars",
)


def costs(document: Mapping[str, Any]) -> str:
    """The section on costs; nothing for a document without any."""
    measured = document["measured"]
    rows = measured.get("costs") or []
    if not rows:
        return ""
    place = place_columns(rows)
    lines = [[*place_cells(row, place), *_cells(row)] for row in rows]
    costing = measured["costing"]
    price = costing["dollars_per_hour"]
    paid = "has no price, so that no dollars are said for it" if price is None else f"costs {price:g} dollars an hour"
    sources = sorted({row["full_source"] for row in rows if row["full_source"]})
    explanation = (
        "Seconds of the device for one run: its selection, with every pass that it uses charged in full, and its "
        "training; 'shared' is the selection with each pass split evenly over the arms and budgets that use it. "
        f"Training on all of the pool is {'; '.join(sources) or 'not known'}. The device ({costing['device']}) {paid}. "
        "Multiples of the control's cost are of dollars where these are known, else of seconds. What was found in the "
        "store is charged as if it were made now."
    )
    told = "\n".join(f"- {sentence}." for sentence in measured.get("sentences", ()))
    per_rows = scoring(document)
    parts = [table([*place, *COST_COLUMNS], lines), explanation, told]
    parts += [f"### {per_rows.title}", table(per_rows.columns, per_rows.rows), per_rows.note] if per_rows.rows else []
    return "## Costs\n\n" + "\n\n".join(part for part in parts if part)


def _cells(row: Mapping[str, Any]) -> list[str]:
    calls = row["selection_dollars"] + row["judging_dollars"]
    return [
        row["arm"],
        str(row["runs"]),
        amount(row["selection_seconds"]),
        amount(row["selection_seconds_shared"]),
        amount(row["training_seconds"]),
        amount(row["seconds"]),
        amount(row["full_seconds"]),
        "" if row["of_full"] is None else f"{100 * row['of_full']:.0f}%",
        number(row["times_control"], 1),
        amount(row["answering_seconds"]),
        amount(row["judging_seconds"]),
        text(row["judge_calls"] or None),
        f"{calls:.2f}" if calls else "",
        number(row["dollars"], 2) if row["dollars"] else "",
    ]


def scoring(document: Mapping[str, Any]) -> GridTable:
    """What every scorer took per 1,000 rows of a pool; without rows where none is known."""
    rows = (document.get("measured") or {}).get("scoring") or ()
    resources = sorted({name for row in rows for name in row["per_1000"]})
    lines = [
        [row["pool"], scorer, f"{row['rows']:,}", *(amount(row["per_1000"].get(name)) for name in resources)]
        for row, scorer in zip(rows, scorers(rows), strict=True)
    ]
    columns = ["pool", "scorer", "rows", *(name.replace("_", " ") for name in resources)]
    note = "Models that were trained for a scorer are not counted."
    return GridTable("Scoring, per 1,000 rows", columns, lines, note)


def totals(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All that the experiment took, by resource; memory in MiB."""
    return [_total(name, value) for name, value in sorted(document["measured"]["totals"].items())]


def machine(document: Mapping[str, Any]) -> str:
    """The machine in a line."""
    found = (_total(name, value) for name, value in document["measured"]["machine"].items())
    return ", ".join(f"{name} {value}" for name, value in found)


def _total(name: str, value: Any) -> tuple[str, str]:
    if not isinstance(value, (int, float)):
        return name, str(value)
    if name.endswith("_bytes"):
        return name.removesuffix("_bytes").replace("_", " "), f"{value / 2**20:,.0f} MiB"
    return name.replace("_", " "), amount(value)


def amount(value: float | None) -> str:
    """A quantity with the digits that count: three, and all of a number of 100 or more before its point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
