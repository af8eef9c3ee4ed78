"""What every two selections share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.places import place
from selkit.report.html.tables import folded, note, scrolling

LIMIT = 60
"""Selections of an overlap matrix; of more, those of the arms' first runs are shown."""


def overlap(document: Mapping[str, Any]) -> Markup:
    """What every two selections of a place share, as matrices."""
    groups = [group for group in document["overlap"] if len(group["selections"]) > 1]
    if not groups:
        return Markup()
    parts = [folded(place(group).title, _matrix(group["selections"], group["matrix"])) for group in groups]
    said = "Share of the row's selection that is also in the column's, in percent."
    return join(tag("h3", "Overlap"), note(said), parts)


def _matrix(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> Markup:
    kept = list(range(len(names)))
    if len(kept) > LIMIT:
        kept = [number for number in kept if names[number].rpartition("/")[2] in ("0", "1")][:LIMIT]
    head = tag("tr", tag("th", ""), [tag("th", tag("span", names[n]), scope="col", class_="up") for n in kept])
    lines = [
        tag("tr", tag("th", names[row], scope="row"), [_share(matrix[row][column]) for column in kept]) for row in kept
    ]
    return scrolling(tag("table", tag("thead", head), tag("tbody", lines), class_="heat matrix"))


def _share(value: float) -> Markup:
    return tag("td", f"{100 * value:.0f}", class_=f"o{min(int(value * 5), 4)}")
