"""What the arms cost and gained. All of it is measured, so it stands in the section of what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from selkit.report.costs import scoring
from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.figures import Curve, curves
from selkit.report.html.places import Place, by_place, matches, numbers, place
from selkit.report.html.tables import folded, gallery, html_table, note, titled
from selkit.report.tables import number, percent, place_cells, place_columns

Document = Mapping[str, Any]

SHOWN = 12
"""Sentences that show at once."""

FRONT = "Pareto front"

_ROUNDING = 1e-9  # equal means of different runs may differ in their last digit


def costs(document: Document) -> Markup:
    """Sentences with their price, cost against gain, and the tables; nothing where no cost is known."""
    found = document["measured"]
    if not found.get("costs"):
        return Markup()
    return join(
        _sentences(found.get("sentences") or []),
        tag("h3", "Cost against gain"),
        gallery(gains(document)),
        note(how(document)),
        folded("Every arm's cost", _table(found["costs"])),
        titled(scoring(document)),
    )


_HOW = (
    "Cost is that of one run's selection and training, whatever it used charged in full; a point is an arm at a "
    "budget, its score the mean over its runs. {iso} The dashed front joins the points that nothing cheaper beats; "
    "noise moves it, so read it beside the intervals above."
)
_LINE = (
    "The line of {control} joins its budgets: what its money buys at random. A point below it at the same cost gains "
    "nothing by its selection."
)
_POINT = (
    "{control} has one budget here, so that it is a point and no line: what it would gain for the money of a dearer "
    "arm is not known; add a larger budget to see."
)


def how(document: Document) -> str:
    """How to read the figures: what the control's mark is depends on whether it has several budgets."""
    control = document["spec"]["control"]
    own = [row for row in document["measured"]["costs"] if row["arm"] == control]
    iso = _LINE if len({row["budget"] for row in own}) > 1 else _POINT
    return _HOW.format(iso=iso.format(control=control))


def gains(document: Document) -> list[Markup]:
    """Figures of mean score by cost, for every pool, recipe, base model and benchmark."""
    rows = document["measured"]["costs"]
    unit = "dollars" if any(row["dollars"] for row in rows) else "seconds"
    found = []
    for (at,), group in by_place([{**row, "budget": None, "at": row["budget"]} for row in rows]).items():
        for benchmark in dict.fromkeys(row["benchmark"] for row in document["scores"] if matches(row, at)):
            scores = [_score(document, place(row)._replace(budget=row["at"]), row["arm"], benchmark) for row in group]
            points = [
                (row["arm"], row[unit], score)
                for row, score in zip(group, scores, strict=True)
                if row[unit] and score is not None
            ]
            if len(points) > 1:
                found.append(_gain(document, at, benchmark, unit, points))
    return found


def _score(document: Document, at: Place, arm: str, benchmark: str) -> float | None:
    """The mean score of an arm's runs, in points of 100."""
    scores = [
        100 * row["score"]
        for row in document["scores"]
        if row["arm"] == arm and row["benchmark"] == benchmark and row["budget"] == at.budget and matches(row, at)
    ]
    return fmean(scores) if scores else None


def _gain(
    document: Document, at: Place, benchmark: str, unit: str, points: Sequence[tuple[str, float, float]]
) -> Markup:
    control = document["spec"]["control"]
    arms = list(dict.fromkeys(arm for arm, _, _ in points))
    found = [
        Curve(arm, sorted((cost, score, None, None) for who, cost, score in points if who == arm), arm == control, True)
        for arm in arms
    ]
    title = at.after(benchmark)
    drawn = curves(
        title,
        f"Mean score by the cost of one run, {title}",
        found,
        (f"{unit} a run", "mean score, points of 100"),
        colours=numbers(document),
        log=True,
        front=(FRONT, pareto([(cost, score) for _, cost, score in points])),
    )
    return tag("div", tag("h4", title), drawn, class_="figure")


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (cost, gain) that no other beats at the same or a lower cost, cheapest first."""
    front: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or gain > front[-1][1] + _ROUNDING:
            front.append((cost, gain))
    return front


def _sentences(sentences: Sequence[str]) -> Markup:
    lines = [tag("li", f"{sentence}.") for sentence in sentences]
    more = lines[SHOWN:]
    return join(
        tag("ul", lines[:SHOWN]) if lines else None, folded(f"{len(more)} more", tag("ul", more)) if more else None
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    where = place_columns(rows)
    columns = [
        *(*where, "arm", "runs", "selection, s", "shared, s", "training, s", "answers, s", "judging, s"),
        *("judging, $", "in all, s", "in all, $", "times control", "of training on all"),
    ]
    lines = [
        [
            *place_cells(row, where),
            row["arm"],
            str(row["runs"]),
            *(number(row[f"{part}_seconds"], 1) for part in ("selection",)),
            number(row["selection_seconds_shared"], 1),
            *(number(row[f"{part}_seconds"], 1) for part in ("training", "answering", "judging")),
            number(row["judging_dollars"], 2),
            number(row["seconds"], 1),
            number(row["dollars"], 2),
            number(row["times_control"], 2),
            percent(row["of_full"]),
        ]
        for row in rows
    ]
    said = (
        "Means over an arm's runs. 'Shared' is the selection with passes that several arms or budgets use split evenly "
        "between them. 'In all' holds selection and training. 'Of training on all' sets that against training on the "
        "whole pool."
    )
    return join(html_table(columns, lines), note(said))
