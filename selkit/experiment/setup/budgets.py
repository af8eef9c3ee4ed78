"""Budgets that come to the same number of rows: what is trained for one is what is trained for the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from selkit.api import Budget, UsageError


def alike_budgets(budgets: Sequence[int | str], sizes: Mapping[str, int]) -> list[str]:
    """What is to be said of budgets that are the same in some pools; each of these shares its cells in the store.

    Args:
        budgets: As the spec has them.
        sizes: Rows of every pool, by its name.

    Raises:
        UsageError: Two budgets are the same in every pool: their verdicts would be one, counted twice.
        BudgetError: One is more than a pool has.
    """
    alike: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for pool, size in sizes.items():
        rows = [(str(budget), Budget.parse(budget).rows(size, f"pool {pool!r}")) for budget in budgets]
        for (one, mine), (other, its) in combinations(rows, 2):
            if mine == its:
                alike[one, other][pool] = mine
    for (one, other), found in alike.items():
        if len(found) == len(sizes):
            raise UsageError(f"budgets: {one} and {other} are both {_rows(found)}: leave one out")
    return [
        f"The budgets {one} and {other} are both {_rows(found)}: they share their selections and models, and what is "
        "said of one is said of the other again."
        for (one, other), found in alike.items()
    ]


def _rows(found: Mapping[str, int]) -> str:
    return " and ".join(f"{rows} rows of pool {pool!r}" for pool, rows in found.items())
