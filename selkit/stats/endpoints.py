"""An endpoint is what arms are compared on: one benchmark, or a weighted mean of several formed within each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from selkit.api.errors import UsageError
from selkit.stats.cells import Cell
from selkit.stats.variance import Floats, Moments, item_variance, moments
from selkit.stats.verdicts import COMPOSITE


@dataclass(frozen=True)
class Endpoint:
    """A weighted sum of benchmarks; the weights of a composite sum to 1 before they are divided by the scales."""

    name: str
    weights: Mapping[str, float]


def single(benchmark: str) -> Endpoint:
    """One benchmark as it is."""
    return Endpoint(benchmark, {benchmark: 1.0})


def composite(weights: Mapping[str, float], scales: Mapping[str, float] | None = None) -> Endpoint:
    """The composite of RELIABILITY 1.3: sum of w_b (M_b - ref_b) / scale_b, of which ref_b cancels in a difference.

    Args:
        weights: Weight of each benchmark, not negative; brought to a sum of 1.
        scales: What one unit of a benchmark is worth (1 less the chance level); 1 where not given.

    Raises:
        UsageError: A weight is negative, all are 0, or a scale is not positive.
    """
    scales = scales or {}
    total = sum(weights.values())
    if min(weights.values(), default=0) < 0 or total <= 0:
        raise UsageError("the weights of the composite must not be negative and one of them must be above 0")
    if any(scale <= 0 for scale in scales.values()):
        raise UsageError("the scale of a benchmark in the composite must be above 0")
    shares = {name: weight / total / scales.get(name, 1.0) for name, weight in weights.items() if weight > 0}
    return Endpoint(COMPOSITE, shares)


@dataclass(frozen=True)
class ArmData:
    """One arm at one endpoint: its complete runs and their moments by benchmark.

    Attributes:
        arm: The arm's name.
        runs: The runs that have every benchmark of the endpoint.
        lacking: For each other run of the cell, a benchmark that it lacks.
        scores: The endpoint's value in each of ``runs``, shape (K,).
        parts: Moments by benchmark.
    """

    arm: str
    runs: tuple[Any, ...]
    lacking: Mapping[Any, str]
    scores: Floats
    parts: Mapping[str, Moments] = field(repr=False)


def arm_data(cell: Cell, endpoint: Endpoint, arm: str) -> ArmData:
    """What ``cell`` holds of ``arm`` for ``endpoint``."""
    there = {name: set(cell.matrices[name].runs(arm)) if name in cell.matrices else set() for name in endpoint.weights}
    lacking = {
        run: next(name for name in endpoint.weights if run not in there[name])
        for run in cell.runs.get(arm, ())
        if not all(run in runs for runs in there.values())
    }
    runs = tuple(run for run in cell.runs.get(arm, ()) if run not in lacking)
    if not runs:
        return ArmData(arm, (), lacking, np.empty(0), {})
    parts = {}
    for name in endpoint.weights:
        matrix = cell.matrices[name]
        parts[name] = moments(matrix.of(arm, runs), matrix.clusters)
    scores = sum((weight * parts[name].runs for name, weight in endpoint.weights.items()), np.zeros(len(runs)))
    return ArmData(arm, runs, lacking, scores, parts)


def residual_part(data: ArmData, endpoint: Endpoint) -> float:
    """V_E of one arm: the squared weights times the benchmarks' residual parts; NaN where it has one run."""
    return float(sum(weight**2 * data.parts[name].residual for name, weight in endpoint.weights.items()))


def item_part(cell: Cell, endpoint: Endpoint, arm: ArmData, control: ArmData) -> tuple[float, float]:
    """V_I of a comparison and its degrees of freedom: clusters less one, by Satterthwaite's rule over benchmarks."""
    total, spread = 0.0, 0.0
    for name, weight in endpoint.weights.items():
        clusters = cell.matrices[name].clusters
        part = weight**2 * float(item_variance(arm.parts[name].items - control.parts[name].items, clusters))
        total += part
        spread += part**2 / max(cluster_count(cell, name) - 1, 1)
    return total, total**2 / spread if spread > 0 else 1.0


def cluster_count(cell: Cell, benchmark: str) -> int:
    """The number of groups that the items of a benchmark fall into."""
    matrix = cell.matrices[benchmark]
    return matrix.scores.shape[1] if matrix.clusters is None else int(matrix.clusters.max()) + 1
