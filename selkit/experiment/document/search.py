"""Recipe search: for every arm the recipe that does best on validation rows, never on a test set.

Source: H. Moon et al., 'Call for Rigor in Reporting Quality of Instruction Tuning Data', section 5: report data under
the setting that gets the most out of it, among those tried. 'Data' is what an arm makes of a pool at a budget, over all
of its runs; so every (pool, arm, budget, base model) has one choice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selkit.experiment.setup.grid import ANCHOR, Cell

CHOSEN = "chosen"
"""What score tables and verdicts call the recipe where every arm has its own."""

Ground = tuple[str, str | None, str, str]
"""Pool, budget, arm and base model: what one choice is about."""


@dataclass(frozen=True)
class Tried:
    """One recipe of one arm: the mean of its runs' validation scores (lower is better), None where a run has none."""

    recipe: str
    score: float | None
    runs: tuple[tuple[int, float | None], ...]


@dataclass(frozen=True)
class Choice:
    """The recipe of one arm in one place; None where no recipe has a score in every run.

    Args:
        ground: Pool, budget, arm and base model.
        recipe: The chosen one.
        tried: All recipes, in the order of the spec.
    """

    ground: Ground
    recipe: str | None
    tried: tuple[Tried, ...]

    @property
    def missing(self) -> bool:
        """Whether some run under some recipe has no score, so that the choice may yet change."""
        return any(one.score is None for one in self.tried)

    def to_dict(self) -> dict[str, Any]:
        """The choice as report.json has it."""
        pool, budget, arm, model = self.ground
        tried = [
            {
                "recipe": one.recipe,
                "score": one.score,
                "runs": [{"run": run, "score": score} for run, score in one.runs],
            }
            for one in self.tried
        ]
        return {"pool": pool, "budget": budget, "arm": arm, "model": model, "recipe": self.recipe, "tried": tried}


def ground_of(cell: Cell) -> Ground:
    """What the choice that concerns a cell is about."""
    return cell.pool, cell.budget, cell.arm, cell.model


def choose(scores: Iterable[tuple[Cell, float | None]]) -> dict[Ground, Choice]:
    """The best recipe of every arm in every place.

    No score of a test set is looked at. The mean is over all runs of the arm; a recipe under which one run has no
    score (it failed, or its loss is no number) is not chosen. Of equal ones the first of the spec is taken.

    Args:
        scores: Every cell with its validation score, lower being better, in the order of the spec; None where there is
            none.
    """
    found: dict[Ground, dict[str, dict[int, float | None]]] = defaultdict(lambda: defaultdict(dict))
    for cell, score in scores:
        if cell.arm != ANCHOR:
            known = score is not None and math.isfinite(score)
            found[ground_of(cell)][cell.recipe][cell.run] = score if known else None
    return {ground: _choice(ground, recipes) for ground, recipes in found.items()}


def _choice(ground: Ground, recipes: Mapping[str, Mapping[int, float | None]]) -> Choice:
    tried = tuple(Tried(name, _mean(list(runs.values())), tuple(runs.items())) for name, runs in recipes.items())
    scored = [(one.score, one.recipe) for one in tried if one.score is not None]
    best = min(scored, key=lambda pair: pair[0], default=(None, None))[1]
    return Choice(ground, best if len(tried) > 1 else tried[0].recipe, tried)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) and known else None


def chosen_cells(choices: Mapping[Ground, Choice], cells: Iterable[Cell]) -> dict[Cell, Cell]:
    """The cells under the recipe chosen for them, as cells of the recipe :data:`CHOSEN`; each with its own."""
    return {
        replace(cell, recipe=CHOSEN): cell
        for cell in cells
        if cell.arm != ANCHOR and (choice := choices.get(ground_of(cell))) is not None and choice.recipe == cell.recipe
    }
