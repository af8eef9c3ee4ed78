"""The costs of a report as a table: what an arm takes, against training on everything and against the control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    parts = [table([*place, *COST_COLUMNS], lines), explanation, told]
    return "## Costs\n\n" + "\n\n".join(part for part in parts if part)


def _cells(row: Mapping[str, Any]) -> list[str]:
    calls = row["selection_dollars"] + row["judging_dollars"]
    return [
        row["arm"],
        str(row["runs"]),
        seconds(row["selection_seconds"]),
        seconds(row["selection_seconds_shared"]),
        seconds(row["training_seconds"]),
        seconds(row["seconds"]),
        seconds(row["full_seconds"]),
        "" if row["of_full"] is None else f"{100 * row['of_full']:.0f}%",
        number(row["times_control"], 1),
        seconds(row["answering_seconds"]),
        seconds(row["judging_seconds"]),
        text(row["judge_calls"] or None),
        f"{calls:.2f}" if calls else "",
        number(row["dollars"], 2) if row["dollars"] else "",
    ]


def seconds(value: float | None) -> str:
    """Seconds with three digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
