"""An endpoint is what arms are compared on: one benchmark, or a weighted mean of several formed within each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.api.errors import UsageError
from selkit.stats.cells import Block, Cell
from selkit.stats.variance import Floats, Moments, moments, spread_of
from selkit.stats.verdicts import COMPOSITE


@dataclass(frozen=True)
class Endpoint:
    """A weighted sum of benchmarks; the weights of a composite sum to 1 before they are divided by the scales."""

    name: str
    weights: Mapping[str, float]

    @property
    def bound(self) -> float:
        """The largest difference that two arms can have: scores lie between 0 and 1."""
        return float(sum(self.weights.values()))


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


Slot = tuple[int, str]
"""One matrix of a block: the position of its recipe, and the benchmark."""


def slots(block: Block, endpoint: Endpoint) -> dict[Slot, float]:
    """The weight of every matrix in the mean over the block's recipes, which count alike."""
    recipes = len(block.cells)
    return {(place, name): weight / recipes for place in range(recipes) for name, weight in endpoint.weights.items()}


@dataclass(frozen=True)
class ArmData:
    """One arm at one endpoint in one block: its complete runs and their moments by matrix.

    Attributes:
        arm: The arm's name.
        runs: The runs that have every benchmark of the endpoint under every recipe.
        lacking: For each other run of the block, what it lacks, such as 'ifeval'.
        scores: The endpoint's value in each of ``runs``, shape (K,): formed within each run, so that what a run's
            seeds do to several benchmarks or recipes is counted once.
        parts: Moments by matrix.
    """

    arm: str
    runs: tuple[Any, ...]
    lacking: Mapping[Any, str]
    scores: Floats
    parts: Mapping[Slot, Moments] = field(repr=False)


def arm_data(block: Block, endpoint: Endpoint, arm: str) -> ArmData:
    """What ``block`` holds of ``arm`` for ``endpoint``."""
    weights = slots(block, endpoint)
    there = {slot: _runs_by_unit(block, slot, arm) for slot in weights}
    units = dict.fromkeys(named.get(run) for cell, named in _by_recipe(block, arm) for run in cell.runs.get(arm, ()))
    lacking = {
        unit: _missing(block, next(slot for slot in weights if unit not in there[slot]))
        for unit in units
        if not all(unit in runs for runs in there.values())
    }
    whole = tuple(unit for unit in units if unit not in lacking)
    if not whole:
        return ArmData(arm, (), lacking, np.empty(0), {})
    parts = {}
    for slot in weights:
        matrix = block.cells[slot[0]].matrices[slot[1]]
        parts[slot] = moments(matrix.of(arm, [there[slot][unit] for unit in whole]), matrix.clusters)
    scores = sum((weight * parts[slot].runs for slot, weight in weights.items()), np.zeros(len(whole)))
    return ArmData(arm, whole, lacking, scores, parts)


def _by_recipe(block: Block, arm: str) -> list[tuple[Cell, Mapping[Any, Any]]]:
    return [(cell, units.get(arm, {})) for cell, units in zip(block.cells, block.units, strict=True)]


def _runs_by_unit(block: Block, slot: Slot, arm: str) -> dict[Any, Any]:
    """The runs of one matrix by their unit."""
    place, benchmark = slot
    matrix = block.cells[place].matrices.get(benchmark)
    return {} if matrix is None else {block.units[place][arm][run]: run for run in matrix.runs(arm)}


def _missing(block: Block, slot: Slot) -> str:
    place, benchmark = slot
    return benchmark if len(block.cells) == 1 else f"{benchmark} with recipe {block.recipes[place]}"


def residual_part(data: ArmData, weights: Mapping[Slot, float]) -> float:
    """V_E of one arm: the squared weights times the matrices' residual parts; NaN where it has one run."""
    return float(sum(weight**2 * data.parts[slot].residual for slot, weight in weights.items()))


def item_part(block: Block, endpoint: Endpoint, arm: ArmData, control: ArmData) -> tuple[float, float]:
    """V_I of a comparison and its degrees of freedom: clusters less one, by Satterthwaite's rule over benchmarks."""
    total, spread = 0.0, 0.0
    for name in endpoint.weights:
        groups, shares = item_shares(block, endpoint, name, arm, control)
        part = float(spread_of(shares))
        total += part
        spread += part**2 / max(len(groups) - 1, 1)
    return total, total**2 / spread if spread > 0 else 1.0


def item_shares(
    block: Block, endpoint: Endpoint, benchmark: str, arm: ArmData, control: ArmData
) -> tuple[NDArray[np.int64], Floats]:
    """What each item, or cluster of items, adds to the difference of two arms beyond the mean item.

    The recipes answer the same items, so what they say on one item is added before anything is squared.

    Returns:
        The items as :attr:`selkit.stats.cells.Matrix.groups` has them, shape (G,), and their shares, shape (G,).
    """
    weight = endpoint.weights[benchmark] / len(block.cells)
    groups, shares = [], []
    for place, cell in enumerate(block.cells):
        differences = arm.parts[place, benchmark].items - control.parts[place, benchmark].items
        groups.append(cell.matrices[benchmark].groups)
        shares.append(weight * (differences - differences.mean()) / len(differences))
    names, position = np.unique(np.concatenate(groups), return_inverse=True)
    return names.astype(np.int64), np.asarray(np.bincount(position, np.concatenate(shares)), dtype=np.float64)


def item_count(block: Block, endpoint: Endpoint) -> tuple[int, int, int]:
    """Items of an endpoint that all runs of a recipe have, their clusters, and the items that some run lacks."""
    items = clusters = dropped = 0
    for name in endpoint.weights:
        here = [cell.matrices[name] for cell in block.cells if name in cell.matrices]
        items += max((matrix.scores.shape[1] for matrix in here), default=0)
        clusters += len(np.unique(np.concatenate([matrix.groups for matrix in here]))) if here else 0
        dropped += sum(matrix.dropped for matrix in here)
    return items, clusters, dropped
