"""LoRA against full fine-tuning: does training adapters say the same of a selector as training all weights?

A run's scores under the recipes with adapters, less its scores under the others, item by item: whatever is computed of
these differences is paired by run (the same seeds, so the same rows) and by item. An arm's difference of differences
from the control then has the two-way variance of every other comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.stats import inference
from selkit.stats.cells import Block, Cell, Matrix, block_of
from selkit.stats.drafts import Draft, drafts
from selkit.stats.endpoints import Endpoint
from selkit.stats.rules import Rules


@dataclass(frozen=True)
class AdapterRow:
    """One arm under recipes that train adapters, and under recipes that train all weights; in points of 100.

    Attributes:
        lora_recipes: Recipes that train adapters; ``full_recipes`` those that train all weights.
        lora_effect: The arm's difference from the control, as the mean over the recipes with adapters, with its
            unadjusted 95% interval ``lora_low`` to ``lora_high``. Likewise ``full_effect``.
        difference: ``lora_effect`` less ``full_effect`` over the runs and items that both have, with its 95% interval.
        p: Two-sided p of no such difference; ``p_holm`` adjusted within the family of all such rows.
        lora_score: Mean score of the arm with adapters; ``full_score`` with all weights.
        opposite: The two intervals lie on opposite sides of 0.
    """

    arm: str
    control: str
    benchmark: str
    pool: Any
    budget: Any
    model: Any
    lora_recipes: int
    full_recipes: int
    lora_effect: float
    lora_low: float
    lora_high: float
    full_effect: float
    full_low: float
    full_high: float
    difference: float
    ci_low: float
    ci_high: float
    df: float
    p: float
    p_holm: float
    lora_score: float
    full_score: float
    runs: int
    control_runs: int
    items: int
    opposite: bool

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def adapter_rows(blocks: Sequence[Block], endpoints: Sequence[Endpoint], rules: Rules) -> list[AdapterRow]:
    """Every arm in every place that has recipes of both kinds; Holm's correction within each family.

    Raises:
        MissingExtra: scipy is not installed.
    """
    found = [row for block in blocks for endpoint in endpoints for row in _rows(block, endpoint, rules)]
    families = np.array([rules.family(row.benchmark) for row in found])
    adjusted = np.ones(len(found))
    for family in set(families.tolist()):
        mine = families == family
        adjusted[mine] = inference.holm(np.array([row.p for row in found])[mine])
    return [replace(row, p_holm=float(p)) for row, p in zip(found, adjusted, strict=True)]


def _rows(block: Block, endpoint: Endpoint, rules: Rules) -> Iterator[AdapterRow]:
    adapters = [rules.trains_adapters(cell.place.recipe) for cell in block.cells]
    kinds = [[cell for cell, one in zip(block.cells, adapters, strict=True) if one is lora] for lora in (True, False)]
    if not all(kinds) or any(name not in cell.matrices for cell in block.cells for name in endpoint.weights):
        return
    lora, full = (_by_pair(block_of(kind), endpoint, rules) for kind in kinds)
    between = _by_pair(_contrast(block_of(kinds[0]), block_of(kinds[1])), endpoint, rules)
    for pair, draft in between.items():
        if pair in lora and pair in full:
            yield _row(draft, lora[pair], full[pair], len(kinds[0]), len(kinds[1]))


def _by_pair(block: Block, endpoint: Endpoint, rules: Rules) -> dict[tuple[str, str], Draft]:
    """The comparisons of a block whose variance is known, by arm and control."""
    return {
        (draft.arm.arm, draft.control.arm): draft
        for draft in drafts(block, endpoint, rules)
        if draft.estimate is not None and not draft.gap and _known(draft)
    }


def _known(draft: Draft) -> bool:
    assert draft.estimate is not None
    return bool(np.isfinite(draft.estimate.df)) and bool(draft.estimate.variance > 0)


def _contrast(lora: Block, full: Block) -> Block:
    """One cell with the scores under the first block's recipes less those under the second's."""
    cells = [*lora.cells, *full.cells]
    both = block_of(cells)
    weights = [1 / len(lora.cells)] * len(lora.cells) + [-1 / len(full.cells)] * len(full.cells)
    names = [name for name in cells[0].matrices if all(name in cell.matrices for cell in cells)]
    matrices = {name: _difference([cell.matrices[name] for cell in cells], both, weights) for name in names}
    runs: dict[str, tuple[Any, ...]] = {}
    for arm, unit in dict.fromkeys(unit for matrix in matrices.values() for unit in matrix.units):
        runs[arm] = (*runs.get(arm, ()), unit)
    return block_of([Cell(cells[0].place._replace(recipe=None), matrices, runs)])


def _difference(matrices: Sequence[Matrix], block: Block, weights: Sequence[float]) -> Matrix:
    """The weighted sum of one benchmark's matrices over the units and items that all of them have."""
    rows = [
        {(arm, units[arm][run]): row for row, (arm, run) in enumerate(matrix.units)}
        for matrix, units in zip(matrices, block.units, strict=True)
    ]
    shared = tuple(unit for unit in rows[0] if all(unit in other for other in rows))
    items = reduce(np.intersect1d, [matrix.items for matrix in matrices])
    scores = sum(
        (
            weight * matrix.scores[[place[unit] for unit in shared]][:, _positions(matrix.items, items)]
            for weight, matrix, place in zip(weights, matrices, rows, strict=True)
        ),
        np.zeros((len(shared), len(items))),
    )
    first = matrices[0]
    kept = _positions(first.items, items)
    clusters = None if first.clusters is None else np.unique(first.clusters[kept], return_inverse=True)[1]
    dropped = max(len(matrix.items) for matrix in matrices) - len(items)
    return Matrix(first.benchmark, shared, scores, clusters, first.groups[kept], items, dropped)


def _positions(among: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of ``wanted`` stands in ``among``, which is sorted."""
    return np.searchsorted(among, wanted).astype(np.int64)


def _row(between: Draft, lora: Draft, full: Draft, lora_recipes: int, full_recipes: int) -> AdapterRow:
    sides = {"lora": _interval(lora), "full": _interval(full)}
    effect, low, high = _interval(between, sides=2)
    estimate, place = between.estimate, between.block.place
    assert estimate is not None
    return AdapterRow(
        arm=between.arm.arm,
        control=between.control.arm,
        benchmark=between.endpoint.name,
        pool=place.pool,
        budget=place.budget,
        model=place.model,
        lora_recipes=lora_recipes,
        full_recipes=full_recipes,
        **_named(sides),
        difference=effect,
        ci_low=low,
        ci_high=high,
        df=float(estimate.df),
        p=float(inference.p_value(estimate.effect, estimate.se, estimate.df)),
        p_holm=1.0,
        lora_score=100 * float(np.mean(lora.arm.scores)),
        full_score=100 * float(np.mean(full.arm.scores)),
        runs=len(between.arm.runs),
        control_runs=len(between.control.runs),
        items=between.items,
        opposite=_opposite(*sides.values()),
    )


def _named(sides: Mapping[str, tuple[float, float, float]]) -> dict[str, float]:
    ends = ("effect", "low", "high")
    return {f"{side}_{end}": value for side, values in sides.items() for end, value in zip(ends, values, strict=True)}


def _opposite(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether two intervals lie on opposite sides of 0."""
    return (one[1] > 0 > other[2]) or (other[1] > 0 > one[2])


def _interval(draft: Draft, sides: int = 1) -> tuple[float, float, float]:
    """The effect with its unadjusted 95% interval, in points of 100; a difference of two differences has two sides."""
    assert draft.estimate is not None
    effect, half = float(draft.estimate.effect), float(inference.half_width(draft.estimate.se, draft.estimate.df, 0.95))
    low, high = inference.clipped(effect - half, effect + half, sides * draft.endpoint.bound)
    return 100 * effect, 100 * low, 100 * high
