"""The plan: which cells an experiment has, and in which order their selections can be made. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selkit.api import BaseSelector
from selkit.experiment.spec import Spec

ANCHOR = "anchor"
"""The extra random run that judged runs are compared with; it belongs to no arm."""

ANCHOR_RUN = 0
"""Runs of arms count from 1, so the anchor's draw is one that no run of random has."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A selector under the name that the experiment gives it."""

    name: str
    selector: BaseSelector
    runs: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One (pool, budget, arm, run). ``budget`` is the text of the spec; None where the selector has its own size."""

    pool: str
    budget: str | None
    arm: str
    run: int

    @property
    def label(self) -> str:
        """What progress lines call the cell."""
        return f"{self.pool}/{self.budget or 'own size'}/{self.arm}/{self.run}"

    @property
    def seed(self) -> int:
        """The run's number fixes both the selection seed and the training seed."""
        return self.run


def waves(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms in the order of their selections: first those that look at no other, then methods that do, then controls."""
    free = [arm for arm in arms if not arm.selector.after_others]
    methods = [arm for arm in arms if arm.selector.after_others and not arm.selector.baseline]
    controls = [arm for arm in arms if arm.selector.after_others and arm.selector.baseline]
    return [wave for wave in (free, methods, controls) if wave]


def cells_of(spec: Spec, arms: Sequence[Arm]) -> list[Cell]:
    """Every cell of the experiment, the anchors first, then in the order of the spec."""
    pools = [pool.label for pool in spec.pools]
    budgets = [str(budget) for budget in spec.budgets]
    anchored = any(testset.anchor == "random" for testset in spec.testsets)
    cells = [Cell(p, b, ANCHOR, ANCHOR_RUN) for p in pools for b in budgets if anchored]
    for pool in pools:
        for arm in arms:
            for budget in budgets if arm.selector.sized else [None]:
                cells += [Cell(pool, budget, arm.name, run) for run in range(1, arm.runs + 1)]
    return cells
