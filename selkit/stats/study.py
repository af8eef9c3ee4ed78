"""Everything that a score table says: verdicts, and over the grid flips, expectations, agreement and signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selkit.stats.adapters import AdapterRow, adapter_rows
from selkit.stats.agreement import AgreementRow, benchmark_rows, between_recipes
from selkit.stats.analysis import comparisons, verdict_rows
from selkit.stats.cells import blocks, cells
from selkit.stats.flips import FlipRow, RecipeRow, flip_rows, recipe_rows, recipe_table
from selkit.stats.permutation import PermutationRow, permutation_rows
from selkit.stats.pooling import PooledRow, pooled_rows
from selkit.stats.rules import Rules
from selkit.stats.signal import SignalRow, signal_rows
from selkit.stats.table import ScoreTable
from selkit.stats.verdicts import SCHEMA_VERSION, VerdictRow


@dataclass(frozen=True)
class Study:
    """The results of a score table; what its data do not allow is empty.

    Attributes:
        verdicts: One row per arm, pool, budget and endpoint: the mean over the recipes.
        recipes: The same under each recipe, where there are several.
        flips: Which conclusions depend on the recipe.
        adapters: Whether adapters say of an arm what full fine-tuning says, where there are recipes of both kinds.
        pooled: What to expect on a new pool or budget, where there are several.
        agreement: Whether benchmarks order the selectors alike, where there are several benchmarks and arms.
        recipe_agreement: Whether recipes do (adapters against full fine-tuning, for one).
        signal: Signal to noise of every benchmark, where there are several arms.
        permutation: What relabelling the runs says of every comparison, where there are runs enough.
    """

    verdicts: Sequence[VerdictRow]
    recipes: Sequence[RecipeRow] = ()
    flips: Sequence[FlipRow] = ()
    adapters: Sequence[AdapterRow] = ()
    pooled: Sequence[PooledRow] = ()
    agreement: Sequence[AgreementRow] = ()
    recipe_agreement: Sequence[AgreementRow] = ()
    signal: Sequence[SignalRow] = ()
    permutation: Sequence[PermutationRow] = ()

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """All but the verdicts, by name, as JSON writes them."""
        found: dict[str, Sequence[Any]] = {
            "recipes": self.recipes,
            "flips": self.flips,
            "adapters": self.adapters,
            "pooled": self.pooled,
            "agreement": self.agreement,
            "recipe_agreement": self.recipe_agreement,
            "signal": self.signal,
            "permutation": self.permutation,
        }
        return {name: [row.to_dict() for row in rows] for name, rows in found.items()}

    def to_json(self) -> dict[str, Any]:
        """``{"schema_version", "verdicts", "recipes", "flips", "pooled", ...}``."""
        verdicts = [row.to_dict() for row in self.verdicts]
        return {"schema_version": SCHEMA_VERSION, "verdicts": verdicts, **self.tables()}


def study(table: ScoreTable, rules: Rules) -> Study:
    """All results of ``table`` by ``rules``.

    Raises:
        DataError: The control has no scores, or runs have different items.
        UsageError: A rule names an arm or a benchmark that is not there.
        MissingExtra: scipy is not installed, or statsmodels where there are several recipes, pools or budgets.
    """
    rules.check(table)
    endpoints = rules.endpoints(table)
    grid = blocks(cells(table, intersect=rules.intersect))
    found = comparisons(grid, endpoints, rules)
    by_recipe = recipe_table(grid, endpoints, rules)
    verdicts = verdict_rows(found, rules)
    # What chose nothing is no selector: 'full' and 'base' would make any benchmark look as if it told selectors apart.
    selectors = [draft for draft in found if draft.arm.arm not in rules.everywhere]
    selectors_by_recipe = [group for group in by_recipe if group[0].arm.arm not in rules.everywhere]
    return Study(
        verdicts=verdicts,
        recipes=recipe_rows(by_recipe),
        flips=flip_rows(by_recipe, rules),
        adapters=adapter_rows(grid, endpoints, rules),
        pooled=pooled_rows(selectors),
        agreement=benchmark_rows(selectors, rules),
        recipe_agreement=between_recipes(selectors_by_recipe, rules),
        signal=signal_rows(selectors, rules),
        permutation=permutation_rows(found, verdicts, rules),
    )
