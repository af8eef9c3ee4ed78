"""An evaluation against others: the paired difference from a baseline, and a verdict against several random seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from selkit.api import DataError
from selkit.evals.evaluation import Evaluation, Plan, subject_of
from selkit.evals.summary import mean_with_error
from selkit.stats import ScoreTable, compare, sentence

SEEDS = "seeds"
"""The control in the verdict against models of several seeds."""

_NORMAL_95 = 1.959963984540054


def against_baseline(plan: Plan, evaluation: Evaluation, baseline: Evaluation) -> dict[str, Any]:
    """The baseline, and the paired difference from it on every benchmark's primary metric.

    Items are joined by lm-eval's hash of the row.

    Returns:
        ``subject``, and ``differences`` by benchmark: metric, value (in [-1, 1]), se, ci_low and ci_high (95%, normal),
        n, and the baseline's mean.

    Raises:
        DataError: The two share no item of a benchmark.
    """
    gaps = {
        label: _difference(evaluation.items[label], baseline.items[label], job.benchmark.primary, label)
        for label, job in plan.jobs.items()
    }
    return {"subject": subject_of(baseline), "differences": gaps}


def against_seeds(primaries: Mapping[str, str], evaluation: Evaluation, seeds: Sequence[Evaluation]) -> dict[str, Any]:
    """Verdicts on the model against models that differ by their seed: run and item variance both count.

    The model is one run, so that the variance between runs is that of the seeds, and is flagged as borrowed.

    Args:
        primaries: The metric that counts, by benchmark or test set.
        evaluation: The model's.
        seeds: Those of the others.

    Raises:
        DataError: The items differ.
        MissingExtra: scipy is not installed.
    """
    rows = [*_scores(primaries, evaluation, "model", 1)]
    for run, one in enumerate(seeds, 1):
        rows += _scores(primaries, one, SEEDS, run)
    verdicts = compare(ScoreTable.from_arrow(pa.Table.from_pylist(rows)), SEEDS)
    return {
        "subjects": [subject_of(one) for one in seeds],
        "verdicts": [row.to_dict() for row in verdicts],
        "sentences": [sentence(row) for row in verdicts],
    }


def _scores(primaries: Mapping[str, str], evaluation: Evaluation, arm: str, run: int) -> Iterator[dict[str, Any]]:
    for label, primary in primaries.items():
        items = evaluation.items[label]
        columns = (items[name].to_pylist() for name in ("item", primary, "cluster"))
        for item, score, cluster in zip(*columns, strict=True):
            place = {"arm": arm, "run": run, "benchmark": label}
            yield {**place, "item": item, "score": score, "cluster": cluster or item}


def _difference(mine: pa.Table, theirs: pa.Table, metric: str, label: str) -> dict[str, Any]:
    other = dict(zip(theirs["item"].to_pylist(), theirs[metric].to_pylist(), strict=True))
    shared = [(i, item) for i, item in enumerate(mine["item"].to_pylist()) if item in other]
    if not shared:
        raise DataError(f"the model and the baseline share no item of benchmark {label!r}")
    scores = mine[metric].to_numpy()
    delta = np.array([scores[i] - other[item] for i, item in shared])
    clusters = [mine["cluster"][i].as_py() or item for i, item in shared]
    gap = mean_with_error(delta, clusters=clusters)
    half = _NORMAL_95 * gap.se
    return {
        "metric": metric,
        **gap.as_dict(),
        "ci_low": gap.value - half if np.isfinite(half) else None,
        "ci_high": gap.value + half if np.isfinite(half) else None,
        "baseline": float(np.mean([other[item] for _, item in shared])),
    }
