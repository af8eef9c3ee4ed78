"""The mean score of every run, on benchmarks and on the composite of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from selkit.stats import COMPOSITE

Row = Mapping[str, Any]

_RUN = ("pool", "budget", "recipe", "model", "arm", "run")


def scores_on(document: Row, benchmark: str) -> list[Row]:
    """The rows of ``scores`` of a benchmark; on the composite the weighted mean of every run that has all its parts."""
    if benchmark != COMPOSITE:
        return [row for row in document["scores"] if row["benchmark"] == benchmark]
    weights: Mapping[str, float] = document["rules"].get("weights") or {}
    runs: dict[tuple[Any, ...], dict[str, float]] = defaultdict(dict)
    for row in document["scores"]:
        runs[tuple(row[name] for name in _RUN)][row["benchmark"]] = row["score"]
    whole = sum(weights.values())
    return [
        {
            **dict(zip(_RUN, run, strict=True)),
            "benchmark": COMPOSITE,
            "score": sum(weight * parts[name] for name, weight in weights.items()) / whole,
        }
        for run, parts in runs.items()
        if weights and weights.keys() <= parts.keys()
    ]


def around_their_mean(rows: Sequence[Row]) -> list[tuple[Row, float]]:
    """Every run with its distance, in points of 100, from the mean of the runs under its recipe and base model.

    Runs under another recipe are no further draw of the same thing, so that each recipe has its own mean.
    """
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.get("recipe"), row.get("model")].append(row)
    means = {key: sum(row["score"] for row in group) / len(group) for key, group in groups.items()}
    return [(row, 100 * (row["score"] - means[row.get("recipe"), row.get("model")])) for row in rows]
