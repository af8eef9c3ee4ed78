"""CSV tables of a report, for other programs: every number as it was computed, one row per fact."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_TRIGGERS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula."""


def csv_text(rows: Sequence[Row]) -> str:
    """A table with a header; a column for every name in the rows, in the order of first use.

    None is an empty cell, a list is joined by '; ', a truth is true or false. A text that a spreadsheet would take for
    a formula gets an apostrophe in front.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180; a carriage return within a text is then quoted, too
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def csv_tables(document: Row) -> dict[str, list[Row]]:
    """The rows of every table of a document that holds anything, by the table's name."""
    diagnostics = document.get("diagnostics") or {}
    found: dict[str, Iterable[Row]] = {
        "verdicts": document["verdicts"],
        "comparisons": document.get("comparisons", ()),
        "scores": document["scores"],
        "win_rates": document["win_rates"],
        "direct": document["direct"],
        "judges": map(_flat, document["judges"]),
        "missing": map(_flat, document["missing"]),
        "selections": map(_flat, document["selections"]),
        "overlap": _overlap(document["overlap"]),
        "training": ({k: v for k, v in _flat(row).items() if k != "loss_curve"} for row in document["training"]),
        "training_curves": _curves(document["training"]),
        **{f"grid_{name}": rows for name, rows in document["grid"].items()},
        **_diagnostics(diagnostics),
        "costs": map(_flat, (document.get("measured") or {}).get("costs") or ()),
        "scoring_costs": map(_flat, (document.get("measured") or {}).get("scoring") or ()),
    }
    tables = {name: list(rows) for name, rows in found.items()}
    return {name: rows for name, rows in tables.items() if rows}


def place_of(row: Row) -> dict[str, Any]:
    """Where a row belongs, without what it does not say."""
    return {name: row[name] for name in ("pool", "budget", "recipe", "model", "arm", "run") if name in row}


def _diagnostics(diagnostics: Row) -> dict[str, Iterable[Row]]:
    profiles = [*diagnostics.get("pools", ()), *diagnostics.get("selections", ())]
    return {
        "lengths": (_lengths(row, part) for row in profiles for part in row["words"]),
        "verbs": (
            {**place_of(row), "verb": verb, "count": count, "rows": row["rows"]}
            for row in profiles
            for verb, count in (row["verbs"] or {"verbs": ()})["verbs"]
        ),
        "score_histograms": (line for row in diagnostics.get("scores", ()) for line in _histogram(row)),
        "diversity": map(_flat, diagnostics.get("diversity", ())),
        "categories": diagnostics.get("categories", ()),
    }


def _lengths(row: Row, part: str) -> dict[str, Any]:
    words, shift = row["words"][part], row.get("shift", {}).get(part, {})
    names = ("q05", "q25", "q50", "q75", "q95")
    quantiles = dict(zip(names, words["quantiles"], strict=False))
    moved = {f"shift_{name}": value for name, value in shift.items()}
    return {
        **place_of(row),
        "part": part,
        "rows": row["rows"],
        "mean": words["mean"],
        "sd": words["sd"],
        **quantiles,
    } | moved


def _histogram(row: Row) -> Iterator[Row]:
    """One row per bin of the pool and of every selection; below the first edge and above the last have one, too."""
    edges = row["edges"]
    if not edges:
        return
    lows, highs = [None, *edges[:-1], edges[-1]], [edges[0], *edges[1:], None]
    for one in ({"pool": row["pool"], **{k: row[k] for k in ("counts", "below", "above")}}, *row["selections"]):
        for low, high, count in zip(lows, highs, [one["below"], *one["counts"], one["above"]], strict=True):
            place = {**place_of(one), "pool": row["pool"], "scorer": row["scorer"]}
            yield {"pool": None, "scorer": None, **place, "low": low, "high": high, "count": count}


def _curves(training: Iterable[Row]) -> Iterator[Row]:
    for row in training:
        for step, loss in row["loss_curve"]:
            yield {**place_of(row), "step": step, "loss": loss}


def _overlap(groups: Iterable[Row]) -> Iterator[Row]:
    for group in groups:
        for name, line in zip(group["selections"], group["matrix"], strict=True):
            for other, share in zip(group["selections"], line, strict=True):
                place = {key: group[key] for key in ("pool", "budget", "model") if key in group}
                yield {**place, "selection": name, "other": other, "share": share}


def _flat(row: Row) -> dict[str, Any]:
    """Mappings within the row as columns NAME.KEY; lists of mappings and of lists are left out."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in _flat(value).items()}
        elif not (isinstance(value, (list, tuple)) and any(isinstance(one, (Mapping, list, tuple)) for one in value)):
            flat[name] = value
    return flat


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return _guarded("; ".join(map(str, value)))
    return _guarded(value) if isinstance(value, str) else value


def _guarded(text: str) -> str:
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_TRIGGERS) else text
