"""report.md: the verdicts first, then the evidence behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from selkit.report.grid import grid_tables
from selkit.report.judging import judges, missing
from selkit.report.tables import (
    VERDICT_COLUMNS,
    number,
    percent,
    table,
    text,
    verdict_rows,
)

_MATRIX_LIMIT = 16


def markdown(document: Mapping[str, Any]) -> str:
    """The report of a document as :func:`selkit.experiment.run_experiment` returns it."""
    sections = [
        _head(document),
        _failures(document),
        _verdicts(document),
        _grid(document),
        _win_rates(document),
        _direct(document),
        _scores(document),
        _selections(document),
        _overlap(document),
        _training(document),
        judges(document),
        missing(document),
        _settings(document),
        _measured(document),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(document: Mapping[str, Any]) -> str:
    parts = [f"# {document['name']}"]
    if document["note"]:
        parts.append(f"> {document['note']}")
    return "\n\n".join(parts)


def _verdicts(document: Mapping[str, Any]) -> str:
    parts = ["## Verdicts"]
    if document["sentences"]:
        parts.append("\n".join(f"- {sentence}." for sentence in document["sentences"]))
    if document["claims"]:
        parts.append("What this experiment cannot claim:\n\n" + "\n".join(f"- {claim}" for claim in document["claims"]))
    if document["verdicts"]:
        parts.append(table(VERDICT_COLUMNS, verdict_rows(document["verdicts"])))
        parts.append(
            "Effects are differences in points of 100 from the control. The 95% interval is unadjusted; the "
            "simultaneous one holds for all comparisons of the family at once. 'Detectable' is the difference that "
            "would be found with a power of 80%. An arm with borrowed variance had one run: how much its runs would "
            "differ is taken from the other arms."
        )
    return "\n\n".join(parts)


def _grid(document: Mapping[str, Any]) -> str:
    """What recipes, pools, budgets and benchmarks say together; nothing where there is one of each."""
    found = grid_tables(document["grid"])
    return "\n\n".join(f"## {one.title}\n\n{table(one.columns, one.rows)}\n\n{one.note}" for one in found)


def _failures(document: Mapping[str, Any]) -> str:
    if not document["failures"]:
        return ""
    lines = [f"- {row['cell']}: {row['error']}" for row in document["failures"]]
    explanation = "The same command tries these again; until they are there, what they touch is INCOMPLETE."
    return "## Failed\n\n" + "\n".join(lines) + f"\n\n{explanation}"


def _win_rates(document: Mapping[str, Any]) -> str:
    if not document["win_rates"]:
        return ""
    explanation = (
        "Win rates in percent against the anchor, both orders averaged, all runs of an arm pooled. The "
        "length-controlled rate is the model's estimate at equal length; where fewer than 5% of the answers are on the "
        "other side of the anchor's length, these data cannot give it."
    )
    return f"## Win rates\n\n{_rates(document['win_rates'])}\n\n{explanation}"


def _direct(document: Mapping[str, Any]) -> str:
    if not document["direct"]:
        return ""
    explanation = (
        f"Win rates in percent against the runs of {document['spec']['control']} themselves, as in 'Chasing Random'. "
        "They are shown and give no verdict: the same control runs stand behind every one of them."
    )
    return f"## Directly against {document['spec']['control']}\n\n{_rates(document['direct'])}\n\n{explanation}"


def _rates(rates: Iterable[Mapping[str, Any]]) -> str:
    columns = ["pool", "budget", "test set", "arm", "win rate", "length-controlled", "95% interval", "overlap", "words"]
    rows = [
        [
            row["pool"],
            text(row["budget"]),
            row["testset"],
            row["arm"],
            number(row["win_rate"], 1),
            number(row["lc_win_rate"], 1) if row["identified"] else "not identified",
            f"{row['lc_low']:.1f} to {row['lc_high']:.1f}" if row["lc_low"] is not None else "",
            percent(row["overlap"]),
            number(row["words"], 1),
        ]
        for row in rates
    ]
    return table(columns, rows)


def _scores(document: Mapping[str, Any]) -> str:
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in document["scores"]:
        place = (row["pool"], text(row["budget"]), row["benchmark"], row["arm"])
        groups[place].append(f"{100 * row['score']:.1f}")
    rows = [[*place, ", ".join(scores)] for place, scores in groups.items()]
    return "## Mean score of every run\n\n" + table(["pool", "budget", "on", "arm", "runs (points of 100)"], rows)


def _selections(document: Mapping[str, Any]) -> str:
    columns = ["pool", "budget", "arm", "run", "rows", "mean words", "notes"]
    rows = [
        [
            row["pool"],
            text(row["budget"]),
            row["arm"],
            str(row["run"]),
            str(row["rows"]),
            number(row["mean_words"], 1),
            "; ".join(_facts(row["facts"])),
        ]
        for row in document["selections"]
    ]
    return "## Selections\n\n" + table(columns, rows)


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("shortfall"):
        yield facts["shortfall"]
    for name in ("excluded", "failed"):
        for reason, count in (facts.get(name) or {}).items():
            yield f"{count} {name}: {reason}"
    for name in ("truncated", "ties_at_cut", "unmatched", "topped_up"):
        if facts.get(name):
            yield f"{name.replace('_', ' ')}: {facts[name]}"
    if len(facts.get("filter_passes") or ()) > 1:  # of DEITA, where the first threshold kept too few rows
        yield f"similarity threshold raised to {facts['similarity_threshold']:g}"
    if "rows_changed_by_diversity" in facts:  # of CaR, where none is news too
        yield f"rows changed by diversity: {facts['rows_changed_by_diversity']}"


def _overlap(document: Mapping[str, Any]) -> str:
    parts = []
    for group in document["overlap"]:
        names = group["selections"]
        if 1 < len(names) <= _MATRIX_LIMIT:
            rows = [[name, *(percent(v) for v in line)] for name, line in zip(names, group["matrix"], strict=True)]
            where = f"{group['pool']}, budget {group['budget']}"
            parts.append(f"{where}:\n\n" + table(["", *names], rows))
    if not parts:
        return ""
    return (
        "## Overlap of the selections\n\nShare of the row's selection that is also in the column's.\n\n"
        + "\n\n".join(parts)
    )


def _training(document: Mapping[str, Any]) -> str:
    columns = [
        "pool",
        "budget",
        "arm",
        "run",
        "trained",
        "cut off",
        "dropped",
        "supervised tokens",
        "steps",
        "final loss",
    ]
    rows = [
        [
            row["pool"],
            text(row["budget"]),
            row["arm"],
            str(row["run"]),
            f"{row['n_trained']} of {row['n_selected']}",
            str(row["n_truncated"]),
            str(row["n_dropped"]),
            str(row["supervised_tokens"]),
            str(row["steps"]),
            number(row["final_loss"], 3),
        ]
        for row in document["training"]
    ]
    return "## Training\n\n" + table(columns, rows)


def _settings(document: Mapping[str, Any]) -> str:
    spec, recipe = document["spec"], document["recipe"]
    shown = {k: v for k, v in recipe.items() if v not in (None, "", [], {})}
    margins = ", ".join(f"{name} {points:g}" for name, points in document["rules"]["margins"].items())
    lines = [
        f"- model: {spec['model']}",
        f"- recipe: {', '.join(f'{k} {v}' for k, v in shown.items())}",
        f"- control: {spec['control']}; alpha {spec['alpha']}; selkit {document['selkit']}",
        f"- margins, in points: {margins or 'none'}; declared under {document['rules']['digest'][:12]}",
    ]
    return "## Settings\n\n" + "\n".join(lines)


def _measured(document: Mapping[str, Any]) -> str:
    measured = document["measured"]
    machine = ", ".join(f"{name}: {value}" for name, value in measured["machine"].items())
    totals = [f"- {resource}: {quantity:,.1f}" for resource, quantity in sorted(measured["totals"].items())]
    lines = [
        f"- this command: {measured['wall_seconds']:.1f} s, finished {measured['finished']}",
        f"- machine: {machine}",
        *totals,
    ]
    return "## Measured\n\nDepends on clock and machine; everything above does not.\n\n" + "\n".join(lines)
