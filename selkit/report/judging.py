"""The parts of the reports on the judges: what they said, whether they can be fooled, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selkit.report.grid import GridTable
from selkit.report.tables import number, percent, place_cells, place_columns, table


def judges(document: Mapping[str, Any]) -> str:
    """Every judge's outcomes and biases, and how canaries did; empty without judges."""
    if not document["judges"]:
        return ""
    one = judge_table(document)
    parts = [f"## {one.title}", table(one.columns, one.rows), one.note, *_served(document), _canaries(document)]
    return "\n\n".join(part for part in parts if part)


def judge_table(document: Mapping[str, Any]) -> GridTable:
    """Every judge's outcomes and biases, and whether canaries fooled it."""
    columns = [
        *("test set", "judge", "passes", "outcomes", "first position wins", "longer answer wins", "of", "equally long"),
        *("contradictions between orders", "canaries"),
    ]
    rows = [
        [
            row["testset"],
            row["judge"],
            f"{row['passes']:,}",
            _outcomes(row["outcomes"]),
            _share(row, "first_position_rate"),
            _share(row, "length_bias"),
            _count(row.get("length_bias_n")),
            _count(row.get("equal_length")),
            _share(row, "inconsistency"),
            _fitness(row["canaries"]),
        ]
        for row in document["judges"]
    ]
    return GridTable("Judges", columns, rows, _JUDGES_NOTE)


_JUDGES_NOTE = (
    "Shares with their 95% intervals over comparisons, for the length over prompts. 'First position wins': of the "
    "passes with a winner, how often it was the answer shown first; 50% is no bias. 'Longer answer wins': of the "
    "decided comparisons between answers of different length (in characters), how often the longer one won; 'of' "
    "counts these, 'equally long' those with a verdict whose answers are of one length, which say nothing of it. "
    "Longer answers may also be better ones. 'Contradictions': comparisons whose verdict changed with the order."
)


def _share(row: Mapping[str, Any], name: str) -> str:
    """A share with its interval, where the report has one."""
    bounds = (row.get("intervals") or {}).get(name)
    return percent(row.get(name)) + (f" ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})" if bounds else "")


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def missing(document: Mapping[str, Any]) -> str:
    """How every arm's passes ended, and what the missing verdicts could change; empty without judges."""
    rows = document["missing"]
    if not rows:
        return ""
    one = missing_table(document)
    return "\n\n".join(
        part for part in (f"## {one.title}", table(one.columns, one.rows) if one.rows else "", one.note) if part
    )


def missing_table(document: Mapping[str, Any]) -> GridTable:
    """How every arm's passes ended; no rows where there is nothing to tell."""
    title, rows = "What the judges did not say", document["missing"]
    broken = any("broken_answers" in row["flags"] for row in document["verdicts"])
    if not broken and all(set(row["outcomes"]) <= {"ok"} and not row["verdict_like"] for row in rows):
        return GridTable(title, [], [], "Every pass gave a verdict, and no response holds what looks like one.")
    place = place_columns(rows)
    columns = [*place, "test set", "arm", "no verdict", "passes", "win rate", "bounds", "verdict-like"]
    columns += ["empty", "the same"]
    lines = [
        [
            *place_cells(row, place),
            row["testset"],
            row["arm"],
            f"{row['missing']} of {row['comparisons']}",
            _outcomes(row["outcomes"]),
            number(row["win_rate"], 1),
            f"{row['lowest']:.1f} to {row['highest']:.1f}" if row["lowest"] is not None else "",
            percent(row["verdict_like"]),
            percent(row.get("empty")),
            percent(row.get("same")),
        ]
        for row in rows
    ]
    explanation = (
        "Comparisons without a verdict in every order have no score. The bounds are the win rates (percent) with all "
        "of them lost, and with all of them won. Verdict-like is the share of an arm's responses that hold what looks "
        "like a judge's verdict or an order to a judge. The flag 'judge missingness' stands at verdicts where over 2% "
        "of the comparisons of the arm or of its control have none, or the two shares differ by more than chance. "
        "'Empty' is the share of the arm's responses that say nothing, 'the same' that of its commonest response: over "
        "half of the one or nine tenths of the other, on either side, and a verdict has the flag 'broken answers'."
    )
    return GridTable(title, columns, lines, explanation)


def _canaries(document: Mapping[str, Any]) -> str:
    one = canary_table(document)
    return f"{table(one.columns, one.rows)}\n\n{one.note}" if one.rows else ""


def canary_table(document: Mapping[str, Any]) -> GridTable:
    """How often every canary won; no rows where none was tried."""
    rows = [
        [
            row["testset"],
            row["judge"],
            canary["name"],
            f"{canary['wins']} of {canary['verdicts']}",
            percent(canary["win_rate"]),
            f"{percent(canary['interval'][0])} to {percent(canary['interval'][1])}" if canary["interval"] else "",
            str(canary["passes"] - canary["verdicts"]),
        ]
        for row in document["judges"]
        if row["canaries"]
        for canary in row["canaries"]["canaries"]
    ]
    columns = ["test set", "judge", "canary", "passes won", "win rate", "95% interval", "no verdict"]
    explanation = (
        "Canaries are answers that nobody should like, set against the anchor's. A judge that lets one win more than "
        "5% of its passes is unfit: what it says of the arms may follow from the form of their answers."
    )
    return GridTable("Canaries", columns, rows, explanation)


def _served(document: Mapping[str, Any]) -> list[str]:
    return ["\n".join(f"- {line}" for line in served(document))]


def served(document: Mapping[str, Any]) -> list[str]:
    """A sentence on every judge that was not one model in one state all along."""
    return [
        f"{row['judge']} on {row['testset']} was not one model in one state: {_outcomes(row['served'])}. Judge some "
        "comparisons again to see how far the verdicts differ."
        for row in document["judges"]
        if len(row["served"]) > 1
    ]


def _fitness(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return "not tried"
    if report["fit"] is None:
        return "no verdict"
    return "fit" if report["fit"] else "unfit"


def _outcomes(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
