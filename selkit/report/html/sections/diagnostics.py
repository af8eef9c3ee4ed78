"""What the selections look like beside their pools: lengths, scores, leading verbs, diversity, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report import diagnostics as tables
from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.figures import Row, histogram, strips
from selkit.report.html.places import by_place, numbers, place
from selkit.report.html.sections.effects import heat_class
from selkit.report.html.svg import series
from selkit.report.html.tables import folded, gallery, html_table, note, scrolling, titled
from selkit.report.tables import number

Document = Mapping[str, Any]


def diagnostics(document: Document) -> Markup:
    """Every part of report.json's ``diagnostics`` that holds anything."""
    found = document.get("diagnostics")
    if not found:
        return Markup()
    return join(
        _lengths(document, found["selections"]),
        _scores(document, found["scores"]),
        titled(tables.diversity(document)),
        titled(tables.verbs(document)) or note(f"Leading verbs: {found['verb_method']}"),
    )


def categories(document: Document) -> Markup:
    """Win rates by the category of the prompt, as heat maps."""
    rows = (document.get("diagnostics") or {}).get("categories") or []
    figures = [
        tag("div", tag("h4", at.after(testset)), _category_table(group))
        for (at, testset), group in by_place(rows, "testset").items()
    ]
    if not figures:
        return Markup()
    said = (
        "Win rates in percent against the anchor by the prompts' own categories, all runs pooled. Colours tell how far "
        "they are from 50; pointing at a cell shows wins, ties, losses and the winning score of 'Clustering and "
        "Ranking', (win - lose) / n + 1."
    )
    return join(tag("h3", "By category"), gallery(figures), note(said))


def _category_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    names = list(dict.fromkeys(row["category"] for row in rows))
    found = {(row["arm"], row["category"]): row for row in rows}
    head = tag("tr", tag("th", "arm", scope="col"), [tag("th", name, scope="col") for name in names])
    lines = [
        tag("tr", tag("th", arm, scope="row"), [_category(found.get((arm, name))) for name in names])
        for arm in dict.fromkeys(row["arm"] for row in rows)
    ]
    return scrolling(tag("table", tag("thead", head), tag("tbody", lines), class_="heat"))


def _category(row: Mapping[str, Any] | None) -> Markup:
    if row is None:
        return tag("td")
    said = f"{row['win']} won, {row['tie']} tied, {row['lose']} lost; winning score {row['ws']:.3f}"
    return tag("td", f"{row['win_rate']:.1f}", title=said, class_=heat_class(row["win_rate"] - 50))


def _lengths(document: Document, rows: Sequence[Mapping[str, Any]]) -> Markup:
    colours = numbers(document)
    figures = []
    for part in ("response", "instruction"):
        known = [row for row in rows if (row["shift"].get(part) or {}).get("deviations") is not None]
        for (at,), group in by_place(known).items():
            title = at.after(f"Words of the {part}s")
            lines = [_length_row(arm, part, group, colours) for arm in dict.fromkeys(row["arm"] for row in group)]
            drawn = strips(
                title,
                f"How far the mean length of the {part}s selected is from the pool's, {title}",
                lines,
                "shift of the mean, standard deviations of the pool",
                zero=True,
            )
            figures.append(tag("div", tag("h4", title), drawn, class_="figure"))
    if not figures:
        return Markup()
    said = "A point is the selection of one run; zero is the pool's mean length, to the right are longer texts."
    return join(tag("h3", "Length shift"), gallery(figures), note(said))


def _length_row(arm: str, part: str, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, int]) -> Row:
    mine = [row for row in rows if row["arm"] == arm]
    points = [
        (row["shift"][part]["deviations"], f"{arm} {row['run']}: {row['shift'][part]['words']:+.1f} words")
        for row in mine
    ]
    words = sum(row["words"][part]["mean"] for row in mine) / len(mine)
    colour = series(colours.get(arm, 0))[0]
    return Row(arm, f"{words:.1f} words", points, sum(value for value, _ in points) / len(points), colour)


def _scores(document: Document, rows: Sequence[Mapping[str, Any]]) -> Markup:
    parts = [_score(document, row, name) for row, name in zip(rows, tables.scorers(rows), strict=True) if row["edges"]]
    if not parts:
        return Markup()
    said = "Shares of the pool's rows (grey) and of first runs' selections (lines), over the middle 99% of the scores."
    return join(tag("h3", "Scores"), note(said), gallery(parts))


def _score(document: Document, row: Mapping[str, Any], scorer: str) -> Markup:
    title = place(row).after(scorer)
    colours = numbers(document)
    several = len({one.get("model") for one in row["selections"]}) > 1
    chosen: dict[str, tuple[Sequence[int], int]] = {}
    for one in row["selections"]:
        name = one["arm"] + (f" at {one['budget']}" if one["budget"] else "")
        name += f" from {one['model']}" if several and one.get("model") else ""
        chosen.setdefault(name, (one["counts"], colours.get(one["arm"], 0)))
    better = {True: ", higher is better", False: ", lower is better"}.get(row["higher_is_better"], "")
    drawn = histogram(
        title, f"Histogram of the scores of {title}", row["edges"], row["counts"], chosen, f"score{better}"
    )
    ends = [
        [name, number(one["score"], 3), one["id"], one["instruction"], one["response"]]
        for name in ("highest", "lowest")
        for one in row[name]
    ]
    table = html_table(["end", "score", "id", "instruction", "response"], ends)
    return tag("div", tag("h4", title), drawn, folded("Rows at both ends", table), class_="figure")
