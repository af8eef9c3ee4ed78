"""What the experiment says, first in sentences, then as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report import tables
from selkit.report.grid import GridTable
from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.sections.words import badge
from selkit.report.html.tables import folded, html_table, note
from selkit.report.verdicts import short_note
from selkit.stats.rules import SECONDARY

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
    """What is said of every row under its verdict's mark: the first ones of what the experiment is for open, the
    exploratory ones on single benchmarks folded; nothing where there are none."""
    lines = [
        (row["family"], tag("li", badge(row["verdict"]), " ", tag("span", f"{one}.")))
        for row, one in zip(rows, said, strict=True)
    ]
    primary = [line for family, line in lines if family != SECONDARY]
    others = [line for family, line in lines if family == SECONDARY]
    return join(
        tag("ul", primary[:FIRST], class_="sentences") if primary else None,
        _more(f"{len(primary) - FIRST} more verdicts", primary[FIRST:]),
        _more(f"{len(others)} verdicts on single benchmarks, which are exploratory", others),
    )


def _more(title: str, lines: Sequence[Markup]) -> Markup | None:
    return folded(title, tag("ul", list(lines), class_="sentences")) if lines else None


def failures(document: Mapping[str, Any]) -> Markup:
    """Cells without a result, with the reason."""
    if not document["failures"]:
        return Markup()
    lines = [tag("li", tag("b", row["cell"]), ": ", row["error"]) for row in document["failures"]]
    said = "The same command tries these again; until they are there, what they touch is INCOMPLETE."
    return join(tag("ul", lines), note(said))


def verdict_table(document: Mapping[str, Any]) -> Markup:
    """Every verdict in short."""
    if not document["verdicts"]:
        return Markup()
    return join(badged(*tables.verdict_table(document["verdicts"])), note(short_note(document)))


def full_table(one: GridTable) -> Markup:
    """A table of verdicts with all the evidence, folded under its title; nothing without rows."""
    return folded(one.title, join(badged(one.columns, one.rows), note(one.note))) if one.rows else Markup()


def badged(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table of verdicts with their signs, from its headings and rows of text."""
    at = columns.index("verdict")
    return html_table(columns, [[*row[:at], badge(row[at]), *row[at + 1 :]] for row in rows])
