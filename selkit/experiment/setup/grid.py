"""The plan: which cells an experiment has, and in which order their selections can be made. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from selkit.api import BaseSelector
from selkit.experiment.spec.spec import Spec

ANCHOR = "anchor"
"""The extra random run that judged runs are compared with; it belongs to no arm."""

ANCHOR_RUN = 0
"""Runs of arms count from 1, so the anchor's draw is one that no run of random has."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A selector under the name that the experiment gives it; its model parameters may still be open."""

    name: str
    selector: BaseSelector
    runs: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One (pool, arm, budget, run, recipe, base model).

    Args:
        pool: Name of the pool; empty, as are recipe and model, for an arm that is given and stands beside all of them.
        budget: The text of the spec, or the size of a given subset; None for an arm that stands beside every budget,
            such as the full pool.
        arm: Name of the arm.
        run: Number of the repetition.
        recipe: Name of the recipe.
        model: Name of the base model.
        tags: What the label adds: recipe and model, where the experiment has several.
        seeds: Selection and training seed, where the spec pins one of them; both are the run's number otherwise.
    """

    pool: str
    budget: str | None
    arm: str
    run: int
    recipe: str = ""
    model: str = ""
    tags: tuple[str, ...] = field(default=(), compare=False, repr=False)
    seeds: tuple[int, int] | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """What progress lines call the cell."""
        if not self.pool:
            return "/".join([self.arm, *self.tags])
        return "/".join([self.pool, self.budget or "own size", self.arm, str(self.run), *self.tags])

    @property
    def selection_seed(self) -> int:
        """The seed of the selection."""
        return self.seeds[0] if self.seeds else self.run

    @property
    def training_seed(self) -> int:
        """The seed of the training, and of the answers."""
        return self.seeds[1] if self.seeds else self.run

    @property
    def setting(self) -> tuple[str, str, str]:
        """Pool, recipe and base model: within one of these arms are compared, and judged against the same anchor."""
        return self.pool, self.recipe, self.model

    @property
    def draw(self) -> tuple[str, str | None, str, int, str]:
        """What the selection depends on at most: cells that differ in their recipe alone share it."""
        return self.pool, self.budget, self.arm, self.run, self.model

    def covers(self, other: Cell) -> bool:
        """Whether the other is in a place where this one stands too."""
        mine, its = (*self.setting, self.budget or ""), (*other.setting, other.budget or "")
        return all(name in ("", own) for name, own in zip(mine, its, strict=True))

    def beside(self, other: Cell) -> Cell:
        """This cell in the place of the other."""
        where = {name: getattr(other, name) for name in ("pool", "budget", "recipe", "model", "tags")}
        return replace(self, **where)

    def columns(self) -> dict[str, Any]:
        """The cell as rows of reports name it; None for what it does not name."""
        named = ("pool", "budget", "arm", "run", "recipe", "model")
        return {name: None if getattr(self, name) == "" else getattr(self, name) for name in named}


def waves(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms in the order of their selections: first those that look at no other, then methods that do, then controls."""
    free = [arm for arm in arms if not arm.selector.after_others]
    methods = [arm for arm in arms if arm.selector.after_others and not arm.selector.baseline]
    controls = [arm for arm in arms if arm.selector.after_others and arm.selector.baseline]
    return [wave for wave in (free, methods, controls) if wave]


def places(cell: Cell, others: Iterable[Cell]) -> list[Cell]:
    """The cell in every place of the others where it stands: the full pool beside every budget, a given model beside
    everything. A cell of a pool that has one such place only, or none, is itself."""
    found = dict.fromkeys(cell.beside(other) for other in others if cell.covers(other))
    return list(found) if len(found) > 1 or (found and not cell.pool) else [cell]


def cells_of(
    spec: Spec, arms: Sequence[Arm], recipes: Sequence[str], sizes: Mapping[tuple[str, str, str], int]
) -> list[Cell]:
    """Every cell of the experiment: pool by pool, model by model and recipe by recipe the anchors, then the arms.

    Args:
        spec: The experiment.
        arms: Its arms.
        recipes: The names of its recipes.
        sizes: Rows of each given subset, by pool, arm and model: its size is its budget, and the control is drawn
            there too.
    """
    models = [model.label for model in spec.model_specs]
    cells: list[Cell] = []
    for pool, model, recipe in product([pool.label for pool in spec.pools], models, recipes):
        tags = (recipe,) * (len(recipes) > 1) + (model,) * (len(models) > 1)
        given = {arm: str(rows) for (place, arm, base), rows in sizes.items() if (place, base) == (pool, model)}
        for budget, arm, run in _runs(spec, arms, given):
            seeds = None if arm == ANCHOR else spec.seeds.of(run)
            cells.append(Cell(pool, budget, arm, run, recipe, model, tags, seeds))
    return cells


def _runs(spec: Spec, arms: Sequence[Arm], given: Mapping[str, str]) -> Iterator[tuple[str | None, str, int]]:
    """Budget, arm and run of every cell of one pool, model and recipe; ``given`` is the budget of each subset."""
    every = list(dict.fromkeys([*map(str, spec.budgets), *given.values()]))
    if any(testset.anchor == "random" for testset in spec.testsets):
        yield from ((budget, ANCHOR, ANCHOR_RUN) for budget in every)
    for arm in arms:
        own = every if arm.name == spec.control else [str(budget) for budget in spec.budgets]
        for budget in own if arm.selector.sized else [given.get(arm.name)]:
            yield from ((budget, arm.name, run) for run in range(1, arm.runs + 1))
