"""The plan: which cells an experiment has, and in which order their selections can be made. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """One (pool, budget, arm, run).

    ``budget`` is the text of the spec, or the size of a given subset; None for an arm that stands beside every budget,
    such as the full pool.
    """

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


def cells_of(spec: Spec, arms: Sequence[Arm], sizes: Mapping[tuple[str, str], int]) -> list[Cell]:
    """Every cell of the experiment, the anchors first, then in the order of the spec.

    Args:
        spec: The experiment.
        arms: Its arms.
        sizes: Rows of each given subset, by pool and arm: its size is its budget, and the control is drawn there too.
    """
    anchored = any(testset.anchor == "random" for testset in spec.testsets)
    cells: list[Cell] = []
    for pool in (pool.label for pool in spec.pools):
        given = {arm: str(rows) for (place, arm), rows in sizes.items() if place == pool}
        budgets = list(dict.fromkeys([*map(str, spec.budgets), *given.values()]))
        cells += [Cell(pool, budget, ANCHOR, ANCHOR_RUN) for budget in budgets if anchored]
        for arm in arms:
            own = budgets if arm.name == spec.control else [str(budget) for budget in spec.budgets]
            for budget in own if arm.selector.sized else [given.get(arm.name)]:
                cells += [Cell(pool, budget, arm.name, run) for run in range(1, arm.runs + 1)]
    return cells
