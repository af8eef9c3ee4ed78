"""What the arms cost and gained. All of it is measured, so it stands in the section of what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.figures import Curve, curves
from selkit.report.html.places import Place, by_place, matches, numbers, place
from selkit.report.html.tables import folded, gallery, html_table, note
from selkit.report.tables import number, percent, place_cells, place_columns

Document = Mapping[str, Any]

SHOWN = 12
"""Sentences that show at once."""

FRONT = "Pareto front"


def costs(document: Document) -> Markup:
    """Sentences with their price, cost against gain, and the tables; nothing where no cost is known."""
    found = document["measured"]
    if not found.get("costs"):
        return Markup()
    return join(
        _sentences(found.get("sentences") or []),
        tag("h3", "Cost against gain"),
        gallery(gains(document)),
        note(_HOW),
        folded("Every arm's cost", _table(found["costs"])),
        _scoring(found.get("scoring") or []),
    )


_HOW = (
    "Cost is that of one run's selection and training, whatever it used charged in full; a point is an arm at a "
    "budget, its score the mean over its runs. The control's line is what its money buys at random: an arm below it "
    "at the same cost gains nothing by its selection. The front joins the arms that no cheaper arm beats; noise moves "
    "it, so read it beside the intervals above."
)


def gains(document: Document) -> list[Markup]:
    """Figures of mean score by cost, for every pool, recipe, base model and benchmark."""
    rows = document["measured"]["costs"]
    unit = "dollars" if any(row["dollars"] for row in rows) else "seconds"
    found = []
    for (at,), group in by_place([{**row, "budget": None, "at": row["budget"]} for row in rows]).items():
        for benchmark in dict.fromkeys(row["benchmark"] for row in document["scores"] if matches(row, at)):
            points = [
                (row["arm"], row[unit], score)
                for row in group
                if row[unit]
                and (score := _score(document, place(row)._replace(budget=row["at"]), row["arm"], benchmark))
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
    title = f"{benchmark} \N{MIDDLE DOT} {at.title}"
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
        if not front or gain > front[-1][1]:
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


def _scoring(rows: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not rows:
        return None
    resources = list(dict.fromkeys(name for row in rows for name in row["per_1000"]))
    lines = [
        [row["pool"], row["scorer"], f"{row['rows']:,}", *(_small(row["per_1000"].get(name)) for name in resources)]
        for row in rows
    ]
    columns = ["pool", "scorer", "rows", *(name.replace("_", " ") for name in resources)]
    return join(tag("h3", "Scoring, per 1,000 rows"), html_table(columns, lines))


def _small(value: float | None) -> str:
    """A quantity with three significant digits."""
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
