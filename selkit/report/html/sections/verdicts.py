"""What the experiment says, first in sentences, then as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report import tables
from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.sections.words import badge
from selkit.report.html.tables import folded, html_table, note

FIRST = 12
"""Sentences that show at once; further ones are folded."""


def verdicts(document: Mapping[str, Any]) -> Markup:
    """The sentences, and what cannot be claimed."""
    claims = [tag("li", claim) for claim in document["claims"]]
    return join(
        sentences(document["verdicts"], document["sentences"])
        or tag("p", "There is nothing to compare with the control."),
        [tag("h3", "What this experiment cannot claim"), tag("ul", claims)] if claims else None,
    )


def sentences(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> Markup:
    """What is said of every row under its verdict's mark, the first ones open; nothing where there are none."""
    lines = [tag("li", badge(row["verdict"]), " ", tag("span", f"{one}.")) for row, one in zip(rows, said, strict=True)]
    first, more = lines[:FIRST], lines[FIRST:]
    return join(
        tag("ul", first, class_="sentences") if first else None,
        folded(f"{len(more)} more verdicts", tag("ul", more, class_="sentences")) if more else None,
    )


def failures(document: Mapping[str, Any]) -> Markup:
    """Cells without a result, with the reason."""
    if not document["failures"]:
        return Markup()
    lines = [tag("li", tag("b", row["cell"]), ": ", row["error"]) for row in document["failures"]]
    said = "The same command tries these again; until they are there, what they touch is INCOMPLETE."
    return join(tag("ul", lines), note(said))


def verdict_table(document: Mapping[str, Any]) -> Markup:
    """Every verdict with its numbers."""
    if not document["verdicts"]:
        return Markup()
    columns, cells = tables.verdict_table(document["verdicts"])
    place = columns.index("verdict")
    rows = [[*row[:place], badge(row[place]), *row[place + 1 :]] for row in cells]
    return join(
        html_table(columns, rows),
        note(
            "Effects are differences in points of 100 from the control. The 95% interval is unadjusted; the "
            "simultaneous one holds for all comparisons of the family at once. 'Detectable' is the difference that "
            "would be found with a power of 80%. An arm with borrowed variance had one run: how much its runs would "
            "differ is taken from the other arms."
        ),
    )
