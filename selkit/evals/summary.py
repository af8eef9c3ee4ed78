"""From items to numbers: every metric's mean with its standard error, of benchmarks and of groups. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup
from selkit.evals.groups import leaves, members

AVERAGE = "average"
"""The metric of a group whose members are scored by different ones."""


@dataclass(frozen=True)
class Metric:
    """A mean over ``n`` items in [0, 1] with its standard error; NaN where one item says nothing of it."""

    value: float
    se: float
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON, which has no NaN."""
        return {"value": self.value, "se": self.se if math.isfinite(self.se) else None, "n": self.n}


def mean_with_error(
    scores: NDArray[np.float64], weights: NDArray[np.float64] | None = None, clusters: Sequence[object] | None = None
) -> Metric:
    """The weighted mean of item scores, and its standard error from the items.

    A weighted mean is a ratio of two sums; its error is that of the ratio estimator (Cochran, 'Sampling Techniques',
    6.4), with residuals summed within clusters first. With weights of 1 and no clusters this is the standard deviation
    over the square root of n.

    Args:
        scores: One number per item, (n,).
        weights: What each item counts, (n,); 1 by default.
        clusters: Items of one cluster are not independent of each other.
    """
    w = np.ones_like(scores) if weights is None else weights
    value = float(w @ scores / w.sum())
    residuals = w * (scores - value)
    if clusters is not None:
        _, place = np.unique(np.array([str(c) for c in clusters]), return_inverse=True)
        residuals = np.asarray(np.bincount(place, weights=residuals), dtype=np.float64)
    m = len(residuals)
    se = math.sqrt(m / (m - 1) * float(residuals @ residuals)) / float(w.sum()) if m > 1 else math.nan
    return Metric(value, se, len(scores))


def metrics_of(benchmark: Benchmark, items: pa.Table) -> dict[str, Metric]:
    """Every metric of a benchmark from its items (:func:`selkit.evals.item_table`)."""
    clusters = _clusters(items)
    return {metric: _metric(items, metric, clusters) for metric in benchmark.metrics}


def summaries(benchmark: BaseBenchmark, items: Mapping[str, pa.Table]) -> dict[str, dict[str, Metric]]:
    """The metrics of a benchmark, its groups and their members, by label; a group stands before its members.

    Args:
        benchmark: A benchmark or a group.
        items: The items of every benchmark in it, by label.
    """
    if isinstance(benchmark, Benchmark):
        return {benchmark.label: metrics_of(benchmark, items[benchmark.label])}
    found: dict[str, dict[str, Metric]] = {}
    for member in members(benchmark):
        found |= summaries(member, items)
    return {benchmark.label: _group(benchmark, items, found)} | found


def primary_of(benchmark: BaseBenchmark) -> str:
    """The metric that stands for a benchmark: a group's is that of its members, or their average where they differ."""
    primaries = {leaf.primary for leaf in leaves(benchmark)}
    return primaries.pop() if len(primaries) == 1 else AVERAGE


def _group(
    group: BaseBenchmark, items: Mapping[str, pa.Table], found: Mapping[str, Mapping[str, Metric]]
) -> dict[str, Metric]:
    assert isinstance(group, BenchmarkGroup)
    inside = leaves(group)
    shared = [metric for metric in inside[0].metrics if all(metric in leaf.metrics for leaf in inside)]
    if group.average == "items":
        table = pa.concat_tables([items[leaf.label] for leaf in inside], promote_options="default")
        return {metric: _metric(table, metric, _clusters(table)) for metric in shared}
    parts = members(group)
    names = shared if primary_of(group) != AVERAGE else []
    averages = {metric: _mean_of([found[part.label][metric] for part in parts]) for metric in names}
    if not names:
        averages[AVERAGE] = _mean_of([found[part.label][primary_of(part)] for part in parts])
    return averages


def _mean_of(metrics: Sequence[Metric]) -> Metric:
    """The plain mean over members, whose errors are independent."""
    k = len(metrics)
    se = math.sqrt(sum(metric.se**2 for metric in metrics)) / k
    return Metric(sum(metric.value for metric in metrics) / k, se, sum(metric.n for metric in metrics))


def _metric(items: pa.Table, metric: str, clusters: list[object] | None) -> Metric:
    scores = items[metric].to_numpy().astype(np.float64)
    name = f"weight:{metric}"
    weights = pc.fill_null(items[name], 1.0).to_numpy() if name in items.column_names else None
    return mean_with_error(scores, weights, clusters)


def _clusters(items: pa.Table) -> list[object] | None:
    """The cluster of each item; one without stands alone. None where no item has one."""
    given = items["cluster"].to_pylist()
    if all(cluster is None for cluster in given):
        return None
    return [cluster if cluster is not None else ("item", number) for number, cluster in enumerate(given)]
