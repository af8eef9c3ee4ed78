"""Tables of what the selections look like beside their pools: lengths, leading verbs, diversity, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selkit.report.grid import GridTable
from selkit.report.tables import number, percent, place_cells, place_columns, signed, text

Row = Mapping[str, Any]

_VERBS = 8


def diagnostics_tables(document: Row) -> list[GridTable]:
    """The tables that hold anything."""
    found = (categories(document), lengths(document), diversity(document), verbs(document))
    return [table for table in found if table.rows]


def categories(document: Row) -> GridTable:
    """Win rates by the category of the prompt (CaR, Table 4)."""
    rows = _rows(document, "categories")
    place = place_columns(rows)
    lines = [
        [
            *place_cells(row, place),
            *(text(row[name]) for name in ("testset", "arm", "category", "win", "lose", "tie")),
            number(row["win_rate"], 1),
            number(row["ws"], 3),
        ]
        for row in rows
    ]
    columns = [*place, "test set", "arm", "category", "win", "lose", "tie", "win rate", "WS"]
    note = (
        "All runs of an arm pooled; a comparison is won where its score over both orders is above a half. WS is "
        "(win - lose) / n + 1."
    )
    return GridTable("Win rates by category", columns, lines, note)


def lengths(document: Row) -> GridTable:
    """How far the mean lengths of every selection are from its pool's."""
    rows = [row for row in _rows(document, "selections") if row["shift"].get("response")]
    place = place_columns(rows)
    lines = [
        [
            *place_cells(row, place),
            *(text(row[name]) for name in ("arm", "run", "rows")),
            *(_shift(row, part) for part in ("instruction", "response")),
        ]
        for row in rows
    ]
    note = "Difference of the mean words from the pool's, in words and in standard deviations of the pool."
    return GridTable("Length of the selections", [*place, "arm", "run", "rows", "instruction", "response"], lines, note)


def diversity(document: Row) -> GridTable:
    """Rows that a plain ranking would not have taken."""
    rows = _rows(document, "diversity")
    place = place_columns(rows)
    lines = [
        [
            *place_cells(row, place),
            *(text(row[name]) for name in ("arm", "run", "rows", "changed")),
            percent(row["changed"] / row["rows"] if row["rows"] else None),
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row["facts"].items()),
        ]
        for row in rows
    ]
    note = "'Changed' are the rows that stand in the place of those that the ranking alone would have taken."
    columns = [*place, "arm", "run", "rows", "changed", "share", "how"]
    return GridTable("What the diversity stage changed", columns, lines, note)


def verbs(document: Row) -> GridTable:
    """The commonest leading verbs of the pools and of the first run of every selection."""
    chosen = [row for row in _rows(document, "selections") if row["verbs"] and row["run"] == 1]
    place = place_columns(chosen) if chosen else ["pool"]
    rows = [row for row in _rows(document, "pools") if row["verbs"]] + chosen
    lines = [
        [
            *place_cells(row, place),
            row.get("arm", "(the pool)"),
            *(_share(row, kind) for kind in ("imperative", "question", "other")),
            ", ".join(f"{verb} {percent(count / row['rows'])}" for verb, count in row["verbs"]["verbs"][:_VERBS]),
        ]
        for row in rows
    ]
    note = f"{(document.get('diagnostics') or {}).get('verb_method', '')} First runs.".strip()
    columns = [*place, "rows of", "a verb", "a question", "other", "commonest verbs"]
    return GridTable("How instructions begin", columns, lines, note)


def _share(row: Row, kind: str) -> str:
    return percent(row["verbs"][kind] / row["rows"] if row["rows"] else None)


def scorers(rows: Sequence[Row]) -> list[str]:
    """A name for every row of ``scores`` or of the costs of scoring, which no other row of its pool has.

    The scorer's name; where a pool was scored several times by it, with the parameters that differ, and the start of
    the key of the scores where none does (another base model, say).
    """
    return [_scorer(row, [other for other in rows if other is not row and _same_scorer(row, other)]) for row in rows]


def _same_scorer(row: Row, other: Row) -> bool:
    return (row["pool"], row["scorer"]) == (other["pool"], other["scorer"])


def _scorer(row: Row, others: Sequence[Row]) -> str:
    own: Row = row.get("parameters") or {}
    theirs: list[Row] = [other.get("parameters") or {} for other in others]
    told = [f"{name} {value}" for name, value in own.items() if any(one.get(name) != value for one in theirs)]
    if own in theirs:
        told.append(str(row["key"])[:8])
    return f"{row['scorer']} ({', '.join(told)})" if told else str(row["scorer"])


def _rows(document: Row, name: str) -> Sequence[Row]:
    found: Sequence[Row] = (document.get("diagnostics") or {}).get(name, ())
    return list(found)


def _shift(row: Row, part: str) -> str:
    shift = row["shift"].get(part)
    if shift is None:
        return ""
    deviations = "" if shift["deviations"] is None else f" ({shift['deviations']:+.2f} sd)"
    return f"{signed(shift['words'])}{deviations}"
