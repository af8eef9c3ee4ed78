"""report.md: the verdicts first, then the evidence behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selkit.report.contamination import contamination_section
from selkit.report.costs import costs, machine, totals
from selkit.report.diagnostics import diagnostics_tables
from selkit.report.evidence import (
    comparisons,
    comparisons_in_full,
    direct,
    run_scores,
    selections,
    settings,
    training,
    win_rates,
)
from selkit.report.grid import GridTable, grid_tables
from selkit.report.judging import judges, missing
from selkit.report.search import search_tables
from selkit.report.tables import percent, table, verdict_table
from selkit.report.verdicts import in_full, short_note
from selkit.stats.rules import SECONDARY

_MATRIX_LIMIT = 16


def markdown(document: Mapping[str, Any]) -> str:
    """The report of a document as :func:`selkit.experiment.run_experiment` returns it."""
    sections = [
        _head(document),
        _failures(document),
        _verdicts(document),
        _comparisons(document),
        _search(document),
        _grid(document),
        _win_rates(document),
        _direct(document),
        _part(run_scores(document)),
        _part(selections(document)),
        _overlap(document),
        *map(_part, diagnostics_tables(document)),
        _contamination(document),
        _part(training(document)),
        judges(document),
        missing(document),
        _settings(document),
        _measured(document),
        costs(document),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(document: Mapping[str, Any]) -> str:
    parts = [f"# {document['name']}"]
    if document["note"]:
        parts.append(f"> {document['note']}")
    return "\n\n".join(parts)


def _verdicts(document: Mapping[str, Any]) -> str:
    parts = ["## Verdicts"]
    said = list(zip(document["verdicts"], document["sentences"], strict=True))
    parts.append("\n".join(f"- {sentence}." for row, sentence in said if row["family"] != SECONDARY))
    if others := [sentence for row, sentence in said if row["family"] == SECONDARY]:
        parts.append("Exploratory, on single benchmarks:\n\n" + "\n".join(f"- {sentence}." for sentence in others))
    if document["claims"]:
        parts.append("What this experiment cannot claim:\n\n" + "\n".join(f"- {claim}" for claim in document["claims"]))
    if document["verdicts"]:
        full = in_full(document["verdicts"])
        parts += [table(*verdict_table(document["verdicts"])), short_note(document)]
        parts += [f"### {full.title}", table(full.columns, full.rows), full.note]
    return "\n\n".join(part for part in parts if part)


def _comparisons(document: Mapping[str, Any]) -> str:
    """The pairs that the spec sets against each other."""
    found = comparisons(document)
    if not found.rows:
        return ""
    told = "\n".join(f"- {sentence}." for sentence in document["comparison_sentences"])
    full = comparisons_in_full(document)
    parts = [f"## {found.title}", told, table(found.columns, found.rows), found.note]
    return "\n\n".join([*parts, f"### {full.title}", table(full.columns, full.rows), full.note])


def _search(document: Mapping[str, Any]) -> str:
    """The recipe chosen for every arm, and what is said under it; nothing where no recipe was searched."""
    found = document.get("search")
    told = [f"- {sentence}." for sentence in found["sentences"]] if found else []
    return "\n\n".join([*map(_part, search_tables(document)), *(["\n".join(told)] if told else [])])


def _grid(document: Mapping[str, Any]) -> str:
    """What recipes, pools, budgets and benchmarks say together; nothing where there is one of each."""
    return "\n\n".join(map(_part, grid_tables(document["grid"])))


def _failures(document: Mapping[str, Any]) -> str:
    if not document["failures"]:
        return ""
    lines = [f"- {row['cell']}: {row['error']}" for row in document["failures"]]
    explanation = "The same command tries these again; until they are there, what they touch is INCOMPLETE."
    return "## Failed\n\n" + "\n".join(lines) + f"\n\n{explanation}"


def _win_rates(document: Mapping[str, Any]) -> str:
    return _part(win_rates(document)) if document["win_rates"] else ""


def _direct(document: Mapping[str, Any]) -> str:
    return _part(direct(document)) if document["direct"] else ""


def _part(one: GridTable) -> str:
    note = f"\n\n{one.note}" if one.note else ""
    return f"## {one.title}\n\n{table(one.columns, one.rows)}{note}"


def _contamination(document: Mapping[str, Any]) -> str:
    found = contamination_section(document)
    if found is None:
        return ""
    return _part(found) if found.rows else f"## {found.title}\n\n{found.note}"


def _overlap(document: Mapping[str, Any]) -> str:
    parts = []
    for group in document["overlap"]:
        names = group["selections"]
        if 1 < len(names) <= _MATRIX_LIMIT:
            rows = [[name, *(percent(v) for v in line)] for name, line in zip(names, group["matrix"], strict=True)]
            where = f"{group['pool']}, budget {group['budget']}" + (f", {group['model']}" if group["model"] else "")
            parts.append(f"{where}:\n\n" + table(["", *names], rows))
    if not parts:
        return ""
    return (
        "## Overlap of the selections\n\nShare of the row's selection that is also in the column's.\n\n"
        + "\n\n".join(parts)
    )


def _settings(document: Mapping[str, Any]) -> str:
    return "## Settings\n\n" + "\n".join(f"- {name}: {value}" for name, value in settings(document))


def _measured(document: Mapping[str, Any]) -> str:
    measured = document["measured"]
    lines = [
        f"- this command: {measured['wall_seconds']:.1f} s, finished {measured['finished']}",
        f"- machine: {machine(document)}",
        *(f"- {resource}: {quantity}" for resource, quantity in totals(document)),
    ]
    return "## Measured\n\nDepends on clock and machine, as costs do; everything above does not.\n\n" + "\n".join(lines)
