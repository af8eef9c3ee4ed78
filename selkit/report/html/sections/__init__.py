"""The sections of the page, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from selkit.report import evidence, judging
from selkit.report.contamination import contamination_section
from selkit.report.grid import grid_tables
from selkit.report.html.elements import Markup, join, tag
from selkit.report.html.items import Items
from selkit.report.html.sections import effects
from selkit.report.html.sections.browser import browser
from selkit.report.html.sections.curves import training_curves
from selkit.report.html.sections.diagnostics import categories, diagnostics
from selkit.report.html.sections.measured import measured, settings
from selkit.report.html.sections.selections import overlap
from selkit.report.html.sections.verdicts import badged, failures, full_table, sentences, verdict_table, verdicts
from selkit.report.html.tables import folded, folded_table, note, shown, titled
from selkit.report.search import search_tables
from selkit.report.verdicts import IN_FULL, in_full

Document = Mapping[str, Any]


class Section(NamedTuple):
    """A part of the page: the name that links use, its heading, and its content; empty content is not shown."""

    name: str
    title: str
    body: Markup


def sections(document: Document, items: Items | None) -> list[Section]:
    """All sections of a document, also those that hold nothing."""
    return [
        Section("verdicts", "Verdicts", verdicts(document)),
        Section("failed", "Failed", failures(document)),
        Section("grid", "The grid", effects.heat_map(document)),
        Section("effects", "Effects", _effects(document)),
        Section("comparisons", "Comparisons", _comparisons(document)),
        Section("search", "Recipe search", _search(document)),
        Section("budgets", "Budgets", effects.budgets(document)),
        Section("runs", "Every run", effects.runs(document)),
        Section("across", "Across the grid", _across(document)),
        Section("rates", "Win rates", _rates(document)),
        Section("selections", "Selections", _selections(document)),
        Section("training", "Training", _training(document)),
        Section("judges", "Judges", _judges(document)),
        Section("items", "Items", browser(items)),
        Section("settings", "Settings", settings(document)),
        Section("measured", "Cost and time", measured(document)),
    ]


def folded_if(title: str, content: Markup) -> Markup:
    """Folded content; nothing where there is none."""
    return folded(title, content) if content else Markup()


def _effects(document: Document) -> Markup:
    """The verdicts as figures, and as tables in short and in full."""
    short = folded_if("Verdict table", verdict_table(document))
    return join(effects.forests(document), short, full_table(in_full(document["verdicts"])))


def _comparisons(document: Document) -> Markup:
    """The pairs that the spec sets against each other."""
    found = evidence.comparisons(document)
    if not found.rows:
        return Markup()
    said = sentences(document["comparisons"], document["comparison_sentences"])
    return join(
        said, badged(found.columns, found.rows), note(found.note), full_table(evidence.comparisons_in_full(document))
    )


def _search(document: Document) -> Markup:
    """The recipe chosen for every arm, and what is said under it."""
    chosen = document.get("search")
    told = sentences(chosen["verdicts"], chosen["sentences"]) if chosen else None
    found = search_tables(document)
    short, full = ([one for one in found if one.title.endswith(IN_FULL) == whole] for whole in (False, True))
    return join(told, [[tag("h3", one.title), shown(one)] for one in short], [full_table(one) for one in full])


def _across(document: Document) -> Markup:
    """What recipes, pools, budgets and benchmarks say together."""
    tables = [one for one in grid_tables(document["grid"]) if one.rows]
    return join(effects.recipes(document), [titled(one) for one in tables])


def _rates(document: Document) -> Markup:
    direct = evidence.direct(document)
    return join(
        shown(evidence.win_rates(document)) if document["win_rates"] else None,
        categories(document),
        titled(direct),
    )


def _selections(document: Document) -> Markup:
    return join(
        folded_table("Every selection", evidence.selections(document)),
        overlap(document),
        diagnostics(document),
        _contamination(document),
    )


def _contamination(document: Document) -> Markup | None:
    found = contamination_section(document)
    return join(tag("h3", found.title), shown(found)) if found else None


def _training(document: Document) -> Markup:
    if not document["training"]:
        return Markup()
    return join(training_curves(document), folded_table("Every training", evidence.training(document)))


def _judges(document: Document) -> Markup:
    if not document["judges"]:
        return Markup()
    canaries, missing = judging.canary_table(document), judging.missing_table(document)
    return join(
        shown(judging.judge_table(document)),
        [note(line) for line in judging.served(document)],
        titled(canaries),
        [tag("h3", missing.title), shown(missing)] if document["missing"] else None,
    )
