"""The effects: the grid as a heat map, forest plots per cell and per recipe, every run as a point, budget curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.figures import Curve, Interval, Row, curves, forest, strips
from selkit.report.html.places import Place, by_place, matches, numbers
from selkit.report.html.sections.words import MARKS
from selkit.report.html.svg import series
from selkit.report.html.tables import folded, gallery, note, scrolling
from selkit.report.runs import around_their_mean, scores_on
from selkit.report.tables import interval, signed
from selkit.stats import COMPOSITE

Document = Mapping[str, Any]

STEPS = (1.0, 2.5, 5.0, 10.0)
"""Where the colours of the heat map change, in points to both sides of zero."""

UNIT = "difference from {control}, points of 100"


def heat_map(document: Document) -> Markup:
    """Selectors by pool, budget and benchmark: colour by effect, a sign for the word, and the number."""
    rows = document["verdicts"]
    if len(rows) < 2:
        return Markup()
    groups = by_place(rows, "benchmark")
    columns = list(groups)
    found = {(row["arm"], *column): row for column, group in groups.items() for row in group}
    head = tag(
        "tr",
        tag("th", "arm", scope="col"),
        [
            tag("th", [(part, tag("br")) for part in at.parts], tag("b", benchmark), scope="col")
            for at, benchmark in columns
        ],
    )
    lines = [
        tag("tr", tag("th", arm, scope="row"), [_heat(found.get((arm, *column))) for column in columns])
        for arm in dict.fromkeys(row["arm"] for row in rows)
    ]
    caption = tag("caption", f"Difference from {document['spec']['control']} in points of 100", class_="unseen")
    table = tag("table", caption, tag("thead", head), tag("tbody", lines), class_="heat")
    return join(scrolling(table), _heat_legend(rows))


def heat_class(effect: float | None) -> str:
    """The class of an effect's colour: h0 up to one point, hp1 to hp4 above, hm1 to hm4 below."""
    if effect is None:
        return "h0"
    step = sum(abs(effect) >= edge for edge in STEPS)
    return f"h{'p' if effect > 0 else 'm'}{step}" if step else "h0"


def _heat(row: Mapping[str, Any] | None) -> Markup:
    if row is None:
        return tag("td", class_="none")
    word = str(row["verdict"])
    said = f"{row['arm']}: {word}, {_estimate(row)}"
    sign = tag("span", MARKS.get(word, ""), aria_hidden="true", class_="sign")
    content = (sign, " ", signed(row["effect"]), tag("span", f" {word}", class_="unseen"))
    return tag("td", *content, class_=heat_class(row["effect"]), title=said)


def _heat_legend(rows: Sequence[Mapping[str, Any]]) -> Markup:
    words = [word for word in MARKS if any(row["verdict"] == word for row in rows)]
    signs = [tag("li", tag("b", MARKS[word]), f" {word.replace('_', ' ')}") for word in words]
    edges = [f"{edge:g}" for edge in STEPS]
    below = [f"\N{LESS-THAN OR EQUAL TO} \N{MINUS SIGN}{edge}" for edge in reversed(edges)]
    texts = [
        *below,
        f"within \N{PLUS-MINUS SIGN}{edges[0]}",
        *(f"\N{GREATER-THAN OR EQUAL TO} +{edge}" for edge in edges),
    ]
    classes = [*(f"hm{step}" for step in (4, 3, 2, 1)), "h0", *(f"hp{step}" for step in (1, 2, 3, 4))]
    colours = [
        tag("li", tag("span", "", class_=f"swatch {name}"), text) for name, text in zip(classes, texts, strict=True)
    ]
    return join(tag("ul", signs, class_="legend"), tag("ul", colours, class_="legend"))


def forests(document: Document) -> Markup:
    """A forest plot for every place and benchmark, the composite's first; those of single benchmarks are folded."""
    groups = by_place(document["verdicts"], "benchmark")
    composite = any(benchmark == COMPOSITE for _, benchmark in groups)
    shown: list[Markup] = []
    hidden: list[Markup] = []
    for (at, benchmark), rows in groups.items():
        figure = _forest(document, at, str(benchmark), rows)
        (hidden if composite and benchmark != COMPOSITE else shown).append(figure)
    if not shown:
        return Markup()
    return join(
        gallery(shown),
        folded("Benchmark by benchmark", tag("div", hidden, class_="figures")) if hidden else None,
        note(
            "The thick line is the unadjusted 95% interval, the thin one holds for all comparisons of the family at "
            "once. The shaded band is the margin that was declared before the run."
        ),
    )


def _forest(document: Document, at: Place, benchmark: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    control = document["spec"]["control"]
    lines = [
        Interval(
            row["arm"],
            f"{MARKS.get(row['verdict'], '')} {_estimate(row)}".strip(),
            row["effect"],
            row["ci_low"],
            row["ci_high"],
            row["simultaneous_low"],
            row["simultaneous_high"],
            str(row["verdict"]).lower(),
        )
        for row in rows
    ]
    title = at.after(benchmark)
    said = f"Differences of {len(rows)} arms from {control} with their intervals, {title}; the verdict table has them."
    return _figure(title, forest(title, said, lines, UNIT.format(control=control), rows[0].get("margin")))


def recipes(document: Document) -> Markup:
    """A forest plot over the recipes for every arm; nothing where there is one recipe."""
    rows = document["grid"].get("recipes", ())
    names = {row["benchmark"] for row in rows}
    kept = [row for row in rows if row["benchmark"] == COMPOSITE or COMPOSITE not in names]
    found = by_place([{**row, "recipe": None, "under": row["recipe"]} for row in kept], "benchmark", "arm")
    control = document["spec"]["control"]
    figures = []
    for (at, benchmark, arm), group in found.items():
        lines = [
            Interval(
                str(row["under"]),
                f"{signed(row['effect'])} ({interval(row['ci_low'], row['ci_high']) or 'no interval'})",
                row["effect"],
                row["ci_low"],
                row["ci_high"],
            )
            for row in group
        ]
        title = at.after(arm, benchmark)
        drawn = forest(title, f"{title}: the difference under each recipe", lines, UNIT.format(control=control))
        figures.append(_figure(title, drawn))
    return gallery(figures)


def runs(document: Document) -> Markup:
    """The mean score of every run as a point, arm by arm."""
    colours = numbers(document)
    figures = [
        _runs(at, str(benchmark), _with_visitors(document, at, str(benchmark), rows), colours)
        for (at, benchmark), rows in by_place(document["scores"], "benchmark").items()
        if at.budget is not None or not any(row["budget"] for row in document["scores"])
    ]
    if not figures:
        return Markup()
    return join(gallery(figures), note("A point is a run, the upright line the mean over an arm's runs."))


def _with_visitors(document: Document, at: Place, benchmark: str, rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The rows of a place with those of arms that stand beside every budget."""
    beside = [row for row in document["scores"] if row["budget"] is None and at.budget is not None]
    return [*rows, *(row for row in beside if row["benchmark"] == benchmark and matches(row, at))]


def _runs(at: Place, benchmark: str, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, int]) -> Markup:
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        points = [
            (100 * row["score"], f"{arm} {row['run']}: {100 * row['score']:.1f}") for row in rows if row["arm"] == arm
        ]
        mean = sum(value for value, _ in points) / len(points)
        plural = "run" if len(points) == 1 else "runs"
        lines.append(Row(arm, f"{mean:.1f} ({len(points)} {plural})", points, mean, series(colours[arm])[0]))
    title = at.after(benchmark)
    return _figure(title, strips(title, f"Mean score of every run, {title}", lines, "mean score, points of 100"))


def budgets(document: Document) -> Markup:
    """The arms' effects over the budgets of a pool, with the control's runs as points."""
    sizes = {(row["pool"], row["budget"]): float(row["rows"]) for row in document["selections"]}
    stripped = [
        {**row, "at": sizes.get((row["pool"], row["budget"])), "budget": None, "spelt": row["budget"]}
        for row in document["verdicts"]
    ]
    figures = []
    for (at, benchmark), rows in by_place(stripped, "benchmark").items():
        if len({row["at"] for row in rows if row["at"]}) > 1:
            figures.append(_budget_curve(document, at, str(benchmark), rows))
    if not figures:
        return Markup()
    said = (
        "Differences from the control with their unadjusted 95% intervals. The grey points are the control's own runs "
        "around their mean (under each recipe its own): as far apart lie the results of drawing at random again. Arms "
        "without a budget, such as the whole pool, stand at every budget."
    )
    return join(gallery(figures), note(said))


def _budget_curve(document: Document, at: Place, benchmark: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    control = document["spec"]["control"]
    known = [row for row in rows if row["at"] and row["effect"] is not None]
    found = [
        Curve(
            arm, sorted((row["at"], row["effect"], row["ci_low"], row["ci_high"]) for row in known if row["arm"] == arm)
        )
        for arm in dict.fromkeys(row["arm"] for row in known)
    ]
    ticks = dict(sorted((row["at"], str(row["spelt"])) for row in known))
    points = [point for size, budget in ticks.items() for point in _control_runs(document, at, benchmark, budget, size)]
    title = at.after(benchmark)
    drawn = curves(
        title,
        f"Differences from {control} by budget, {title}",
        found,
        ("rows", UNIT.format(control=control)),
        colours=numbers(document),
        points=points,
        each=f"each run of {control}",
        at=list(ticks.items()),
        log=True,
        zero=True,
    )
    return _figure(title, drawn)


def _control_runs(
    document: Document, at: Place, benchmark: str, budget: str, size: float
) -> list[tuple[float, float, str]]:
    """The control's runs at a budget as points: size, distance from their mean, and what the point says."""
    control = document["spec"]["control"]
    rows = [
        row
        for row in scores_on(document, benchmark)
        if (row["arm"], row["budget"]) == (control, budget) and matches({**row, "budget": None}, at)
    ]
    return [(size, off, f"{control} {row['run']}: {off:+.1f}") for row, off in around_their_mean(rows)]


def _estimate(row: Mapping[str, Any]) -> str:
    """An effect with its 95% interval, as far as they are known."""
    bounds = interval(row["ci_low"], row["ci_high"])
    return f"{signed(row['effect'])}{f' ({bounds})' if bounds else ''}"


def _figure(title: str, drawn: Markup) -> Markup:
    return tag("div", tag("h3", title), drawn, class_="figure")
