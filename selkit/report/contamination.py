"""The table of test items that share text with selections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report.grid import GridTable
from selkit.report.tables import number, percent, place_cells, place_columns

_COLUMNS = ["arm", "test set", "items that share text", "rows that do", "items, whole pool"]


def contamination_section(document: Mapping[str, Any]) -> GridTable | None:
    """Every arm and test set that share text, the runs averaged; a sentence alone where none do.

    None where there are no test sets or no selections.
    """
    found = document.get("contamination")
    if not found or not found["selections"]:
        return None
    wholes = {(row["pool"], row["testset"]): row for row in found["pools"]}
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    place = place_columns(found["selections"])
    for row in found["selections"]:
        groups[*place_cells(row, place), row["arm"], row["testset"]].append(row)
    rows = [
        [*where, *_counts(group), _items([wholes[group[0]["pool"], group[0]["testset"]]])]
        for where, group in groups.items()
        if any(row["items"] for row in group)
    ]
    said = f"{found['rule']} Means over the runs of an arm." if rows else f"{_NONE} {found['rule']}"
    return GridTable("Test-set contamination", [*place, *_COLUMNS], rows, said)


_NONE = "No selection shares text with a test item."


def _counts(group: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_items(group), number(_mean(group, "rows"), 1)]


def _items(group: Sequence[Mapping[str, Any]]) -> str:
    share = _mean(group, "share") if all(row["share"] is not None for row in group) else None
    return f"{round(_mean(group, 'items'), 1):g} of {group[0]['of']} ({percent(share)})"


def _mean(group: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(float(row[name]) for row in group) / len(group)
