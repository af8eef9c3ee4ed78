"""Tables and notes of the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from selkit.report.grid import GridTable
from selkit.report.html.elements import Markup, join, tag

LONG = 28
"""Characters of a cell above which it may be broken into lines."""

TEXT = 120
"""Characters of a cell above which it is set wider."""

AT_ONCE = 8
"""Figures of a kind that show at once."""

ROWS = 40
"""Rows of a table that show at once; a longer one is folded."""

_NUMBER = re.compile(r"[+\-<]?[\d.,]+%?( to [+\-]?[\d.,]+%?)?")


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str | Markup]]) -> Markup:
    """A table that scrolls sideways where the screen is narrow; columns of numbers are set to the right."""
    body = [list(row) for row in rows]
    right = ["n" if _numeric([row[place] for row in body]) else None for place in range(len(columns))]
    head = [tag("th", name, scope="col", class_=numeric) for name, numeric in zip(columns, right, strict=True)]
    lines = [
        tag("tr", [tag("td", cell, class_=numeric or _length(cell)) for cell, numeric in zip(row, right, strict=True)])
        for row in body
    ]
    return scrolling(tag("table", tag("thead", tag("tr", head)), tag("tbody", lines)))


def scrolling(content: Markup) -> Markup:
    """Wide content in a frame of its own, which the keyboard can scroll, too."""
    return tag("div", content, class_="wide", tabindex="0")


def folded(title: str, content: Markup) -> Markup:
    """Content that shows when its title is clicked, and in print."""
    return tag("details", tag("summary", title), content)


def gallery(figures: Sequence[Markup], at_once: int = AT_ONCE) -> Markup:
    """Figures side by side where there is room; those beyond the first are folded. Nothing of none."""
    first, more = figures[:at_once], figures[at_once:]
    return join(
        tag("div", list(first), class_="figures") if first else None,
        folded(f"{len(more)} more figures", tag("div", list(more), class_="figures")) if more else None,
    )


def shown(one: GridTable, at_once: int = ROWS) -> Markup:
    """A table with its note, folded if it has more rows; nothing where it has neither rows nor a note."""
    table = html_table(one.columns, one.rows) if one.rows else None
    if table and len(one.rows) > at_once:
        table = folded(f"{one.title}: {len(one.rows):,} rows", table)
    return join(table, note(one.note) if one.note else None)


def folded_table(title: str, one: GridTable) -> Markup:
    """A table with its note, folded under a title."""
    return folded(title, shown(one, len(one.rows)))


def titled(one: GridTable) -> Markup:
    """A table under its title; nothing where it has no rows."""
    return join(tag("h3", one.title), shown(one)) if one.rows else Markup()


def note(text: str) -> Markup:
    """How to read what stands above."""
    return tag("p", text, class_="how")


def _numeric(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(not isinstance(cell, Markup) and _NUMBER.fullmatch(cell) for cell in filled)


def _length(cell: str) -> str:
    if len(cell) <= LONG or isinstance(cell, Markup):
        return "short"
    return "long" if len(cell) <= TEXT else "text"
