"""The frame of the browser of items; report.js fills it."""

from __future__ import annotations

from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.items import Items
from selkit.report.html.tables import note


def browser(items: Items | None) -> Markup:
    """Filters, a list and a place for one item; a sentence where the run's folder holds no items."""
    if items is None:
        return note("The items of this run are not in its folder; the same `selkit run` writes them from the store.")
    if not items.items:
        return Markup()
    return join(
        note(_counted(items)),
        tag(
            "div",
            tag("form", _filters(), class_="filters", id="filters", autocomplete="off"),
            tag("p", "Unpacking the items \N{HORIZONTAL ELLIPSIS}", id="count", role="status"),
            tag("div", tag("div", id="rows"), id="list", tabindex="0", role="listbox", aria_label="Items"),
            tag("article", id="item", aria_live="polite"),
            id="browser",
            hidden=True,
        ),
        tag("p", "The browser of items needs a browser with scripts switched on.", class_="how", id="without"),
    )


def _filters() -> list[Markup]:
    selects = [
        tag("label", tag("span", title), tag("select", id=f"filter-{name}", name=name))
        for name, title in (
            ("benchmark", "Benchmark"),
            ("place", "Pool and budget"),
            ("arm", "Arm"),
            ("outcome", "Outcome"),
            ("category", "Category"),
        )
    ]
    search = tag("input", type="search", id="filter-search", name="search", placeholder="in prompts and answers")
    return [*selects, tag("label", tag("span", "Search"), search)]


def _counted(items: Items) -> str:
    count = len(items.items)
    said = f"{count:,} items: a prompt with its answer in one cell, and what the judge or the benchmark said of it."
    if items.left_out:
        said += f" {items.left_out:,} more are in the run's folder: every prompt would be too much for a page."
    return said
