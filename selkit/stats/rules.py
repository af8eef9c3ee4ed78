"""What is fixed before the scores are seen."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from selkit.api.errors import DataError, UsageError
from selkit.stats.cells import Block
from selkit.stats.endpoints import Endpoint, composite, single
from selkit.stats.table import ScoreTable
from selkit.stats.verdicts import COMPOSITE

MIN_CONTROL_RUNS = 3
"""With fewer runs of the control nothing is claimed."""

MIN_RUNS = 3
"""Fewer runs of an arm are noted."""

DEFAULT_MARGIN = 1.0
"""Margin in points for a benchmark that none was declared for."""


def advised_control_runs(arms: int) -> int:
    """The runs of the control that so many arms should be compared with: every one of them rests on it (K_R)."""
    return max(5, math.ceil(3 * math.sqrt(arms)))


PRIMARY = "primary"
SECONDARY = "secondary"
"""The families of tests: what the experiment was made for, and what may be looked at besides."""


def equal_weights(benchmarks: Collection[str]) -> dict[str, float] | None:
    """The weights of a composite in which every benchmark counts alike; None where there is nothing to put together."""
    return dict.fromkeys(benchmarks, 1.0) if len(benchmarks) > 1 else None


@dataclass(frozen=True)
class Gap:
    """Work that was planned and is missing; None stands for everywhere. Verdicts that it touches are INCOMPLETE."""

    arm: str
    reason: str
    benchmark: str | None = None
    pool: Any = None
    budget: Any = None
    recipe: Any = None
    model: Any = None

    def touches(self, block: Block, benchmarks: Collection[str]) -> bool:
        """Whether the gap is in this pool, budget, model and any of the recipes, and in one of these benchmarks."""
        place = block.place
        return (
            self.pool in (None, place.pool)
            and self.budget in (None, place.budget)
            and self.model in (None, place.model)
            and (self.recipe is None or self.recipe in block.recipes)
            and (self.benchmark is None or self.benchmark in benchmarks)
        )


@dataclass(frozen=True)
class Rules:
    """What is fixed before the scores are seen.

    Attributes:
        control: The arm that all others are compared with.
        alpha: Family-wise error rate of BEATS and WORSE.
        margins: Points of 100 below which a difference does not matter, by benchmark ('composite' for the composite);
            benchmarks that are not in the table may be among them.
        default_margin: The margin where ``margins`` has none.
        weights: Weights of the composite by benchmark; without them there is none.
        scales: What one unit of a benchmark is worth in the composite; 1 where not given.
        primary: The endpoints of the confirmatory family; by default the composite where there is one, else every
            benchmark. The others form the family 'secondary'. Holm's correction is within a family, over all cells.
        arms: Only these arms against the control; by default all. Others still lend their run variance.
        pairs: Further comparisons as (arm, control).
        gaps: Planned work that is missing.
        intersect: Keep only the items that all runs have, instead of refusing.
        lora: The recipes that train adapters; by default those whose name holds 'lora'.
        items: 'fixed' makes the claim about exactly these items, and the interval leaves out their choice.
        everywhere: Arms that choose no rows and so stand in every place with the same runs (an untrained model, the
            whole pool): they say nothing about new places, and are no selectors that a benchmark should tell apart.
        variance: 'separate' lets every arm use its own run variance.

    Raises:
        UsageError: alpha or a margin is out of range.
    """

    control: str = "random"
    alpha: float = 0.05
    margins: Mapping[str, float] = field(default_factory=dict)
    default_margin: float = DEFAULT_MARGIN
    weights: Mapping[str, float] | None = None
    scales: Mapping[str, float] | None = None
    primary: Collection[str] | None = None
    arms: Collection[str] | None = None
    pairs: Sequence[tuple[str, str]] = ()
    gaps: Sequence[Gap] = ()
    intersect: bool = False
    lora: Collection[str] | None = None
    items: Literal["random", "fixed"] = "random"
    variance: Literal["pooled", "separate"] = "pooled"
    everywhere: Collection[str] = ()

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UsageError(f"alpha is {self.alpha:g}: it must lie between 0 and 1")
        for name, margin in [*self.margins.items(), ("every other benchmark", self.default_margin)]:
            if not (margin > 0 and math.isfinite(margin)):
                raise UsageError(f"the margin of {name} is {margin:g} points: it must be above 0")

    def margin(self, endpoint: str) -> float:
        """The margin of an endpoint, in points."""
        return self.margins.get(endpoint, self.default_margin)

    def trains_adapters(self, recipe: Any) -> bool:
        """Whether the recipe of this name trains adapters in place of all weights."""
        return "lora" in str(recipe).lower() if self.lora is None else recipe in self.lora

    def endpoints(self, table: ScoreTable) -> list[Endpoint]:
        """The composite where there are weights, then every benchmark of the table."""
        whole = [] if self.weights is None else [composite(self.weights, self.scales)]
        return whole + [single(name) for name in table.benchmarks]

    def family(self, endpoint: str) -> str:
        """The family of tests that an endpoint belongs to."""
        primary = self.primary
        if primary is None:
            primary = None if self.weights is None else (COMPOSITE,)
        return PRIMARY if primary is None or endpoint in primary else SECONDARY

    def check(self, table: ScoreTable) -> None:
        """Whether all that the rules name is in the table; margins may name more, being declared before the run.

        Raises:
            DataError: The control has no scores, or a benchmark has the composite's name.
            UsageError: An arm or a benchmark is named that is not there.
        """
        if self.control not in table.arms:
            have = ", ".join(table.arms)
            raise DataError(f"no scores of the control {self.control!r} (the arms are {have}): name the control")
        if COMPOSITE in table.benchmarks:
            raise DataError(f"a benchmark is called {COMPOSITE!r}, the name of the weighted mean: rename it")
        arms = {*table.arms, *(gap.arm for gap in self.gaps)}
        for arm in [*(self.arms or ()), *(name for pair in self.pairs for name in pair)]:
            if arm not in arms:
                raise UsageError(f"there is no arm {arm!r}: the arms are {', '.join(sorted(arms))}")
        known = {*table.benchmarks} | (set() if self.weights is None else {COMPOSITE})
        for name in [*(self.primary or ()), *(self.weights or ())]:
            if name not in known:
                raise UsageError(f"there is no benchmark {name!r}: the benchmarks are {', '.join(sorted(known))}")
