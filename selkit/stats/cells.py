"""From a score table to one dense matrix (run x item) per cell and benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selkit.api.errors import DataError
from selkit.stats.table import PLACE, ScoreTable, combined


class Place(NamedTuple):
    """Where arms ran; None where the table does not say."""

    pool: Any
    budget: Any
    model: Any
    recipe: Any

    @property
    def ground(self) -> tuple[Any, Any, Any]:
        """The place without its recipe: what one verdict is about."""
        return self.pool, self.budget, self.model


@dataclass(frozen=True)
class Matrix:
    """The scores of one benchmark in one cell, complete: every run has every item.

    Attributes:
        benchmark: The benchmark's name.
        units: (arm, run) of each row of ``scores``, sorted.
        scores: Shape (units, items).
        clusters: The cluster of each item as an integer, shape (items,); None where every item is its own.
        groups: The same as numbers that mean the same in every cell of the table, shape (items,).
        items: The items as numbers that mean the same in every cell of the table, ascending, shape (items,).
        dropped: Items left out because some run lacks them.
    """

    benchmark: str
    units: tuple[tuple[str, Any], ...]
    scores: NDArray[np.float64]
    clusters: NDArray[np.int64] | None
    groups: NDArray[np.int64]
    items: NDArray[np.int64]
    dropped: int = 0

    def runs(self, arm: str) -> tuple[Any, ...]:
        """The runs of this arm."""
        return tuple(run for name, run in self.units if name == arm)

    def of(self, arm: str, runs: Sequence[Any] | None = None) -> NDArray[np.float64]:
        """The scores of this arm's runs (all, or only ``runs``), shape (runs, items)."""
        rows = [row for row, (name, run) in enumerate(self.units) if name == arm and (runs is None or run in runs)]
        return self.scores[rows]


@dataclass(frozen=True)
class Cell:
    """All that was measured in one place.

    Attributes:
        place: Pool, budget, base model and recipe.
        matrices: The scores by benchmark.
        runs: The runs that any of the matrices has, by arm.
        visiting: The arms that stand in several pools, budgets or models with the same runs, because theirs is null.
    """

    place: Place
    matrices: Mapping[str, Matrix]
    runs: Mapping[str, tuple[Any, ...]]
    visiting: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Block:
    """The cells of one pool, budget and base model, one per recipe: what one verdict is about.

    Attributes:
        cells: The cells, in the order of the recipes.
        units: For each cell and arm, the number of each run's unit. Runs of one number in several recipes are one
            unit: the same seeds, so that they may have drawn the same rows.
    """

    cells: tuple[Cell, ...]
    units: tuple[Mapping[str, Mapping[Any, Any]], ...]

    @property
    def place(self) -> Place:
        """Pool, budget, model, and the recipe where there is one only."""
        place = self.cells[0].place
        return place if len(self.cells) == 1 else place._replace(recipe=None)

    @property
    def recipes(self) -> tuple[Any, ...]:
        """The recipes, in order."""
        return tuple(cell.place.recipe for cell in self.cells)

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms, sorted."""
        return tuple(sorted({arm for cell in self.cells for arm in cell.runs}))


def blocks(found: Sequence[Cell]) -> list[Block]:
    """The cells of :func:`cells` brought together by pool, budget and model, in their order."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in found:
        groups.setdefault(cell.place.ground, []).append(cell)
    return [block_of(group) for group in groups.values()]


def block_of(group: Sequence[Cell]) -> Block:
    """One block of cells that differ in their recipe alone."""
    arms = sorted({arm for cell in group for arm in cell.runs})
    numbered = {arm: _units([cell.runs.get(arm, ()) for cell in group]) for arm in arms}
    return Block(tuple(group), tuple({arm: numbered[arm][place] for arm in arms} for place in range(len(group))))


def _units(runs: Sequence[tuple[Any, ...]]) -> list[dict[Any, Any]]:
    """The unit of each run, recipe by recipe.

    Where no name comes twice and all recipes have as many runs, the runs are taken to be independent, and then any
    matching is as good as another: theirs is the order of their names.
    """
    named = [run for part in runs for run in part]
    if len(runs) > 1 and len(set(named)) == len(named) and len({len(part) for part in runs}) == 1:
        return [{run: unit for unit, run in enumerate(part)} for part in runs]
    return [{run: run for run in part} for part in runs]


def cells(table: ScoreTable, *, intersect: bool = False) -> list[Cell]:
    """The cells of a table, in the order of pool, budget, model and recipe.

    Rows whose pool, budget, model or recipe is null belong to every cell that agrees with them otherwise.

    Args:
        table: The scores.
        intersect: Keep only the items that all runs of a cell have; by default a missing item is an error.

    Raises:
        DataError: Runs have different items (unless ``intersect``) or no item in common, or a row belongs to a cell
            twice.
    """
    places, rows_of = _rows_by_place(table)
    return [
        _cell(table, place, {other: rows_of[other] for other in places if _covers(other, place)}, intersect)
        for place in places
        if not any(other != place and _covers(place, other) for other in places)
    ]


def _rows_by_place(table: ScoreTable) -> tuple[list[tuple[int, ...]], dict[tuple[int, ...], NDArray[np.int64]]]:
    codes = [table.codes[name] for name in PLACE]
    groups = _groups(combined(codes))
    rows_of = {tuple(int(code[rows[0]]) for code in codes): rows for rows in groups}
    return sorted(rows_of), rows_of


def _groups(key: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Positions of equal keys."""
    order = np.argsort(key, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1)


def _covers(general: tuple[int, ...], special: tuple[int, ...]) -> bool:
    return all(mine in (-1, other) for mine, other in zip(general, special, strict=True))


def _cell(
    table: ScoreTable, place: tuple[int, ...], parts: Mapping[tuple[int, ...], NDArray[np.int64]], intersect: bool
) -> Cell:
    rows = np.concatenate(list(parts.values()))
    guests = [table.codes["arm"][own] for other, own in parts.items() if other[:-1] != place[:-1]]
    visiting = frozenset(table.names["arm"][code] for codes in guests for code in np.unique(codes))
    names = Place(*(table.names[name][code] if code >= 0 else None for name, code in zip(PLACE, place, strict=True)))
    matrices = [_matrix(table, rows[chosen], names, intersect) for chosen in _groups(table.codes["benchmark"][rows])]
    runs: dict[str, set[Any]] = {}
    for matrix in matrices:
        for arm, run in matrix.units:
            runs.setdefault(arm, set()).add(run)
    ordered = {arm: tuple(run for run in table.names["run"] if run in runs[arm]) for arm in sorted(runs)}
    return Cell(names, {matrix.benchmark: matrix for matrix in matrices}, ordered, visiting)


def _matrix(table: ScoreTable, rows: NDArray[np.int64], place: Place, intersect: bool) -> Matrix:
    arm, run, item = (table.codes[name][rows] for name in ("arm", "run", "item"))
    benchmark = table.names["benchmark"][table.codes["benchmark"][rows[0]]]
    _, first_of_unit, unit_of = np.unique(combined([arm, run]), return_index=True, return_inverse=True)
    items, first_of_item, item_of = np.unique(item, return_index=True, return_inverse=True)
    units = tuple((table.names["arm"][arm[row]], table.names["run"][run[row]]) for row in first_of_unit.tolist())
    scores = np.full((len(units), len(items)), np.nan)
    scores[unit_of, item_of] = table.scores[rows]
    absent = np.isnan(scores)
    if absent.sum() != scores.size - len(rows):
        raise DataError(
            f"some arm has scores on {benchmark!r} both for {_where(place)} and for everywhere: "
            "give its pool, budget, model and recipe in all of its rows or in none"
        )
    keep = ~absent.any(axis=0)
    if not keep.all() and not intersect:
        raise DataError(_missing(benchmark, units, absent, [table.names["item"][code] for code in items]))
    if not keep.any():
        raise DataError(f"no item of {benchmark!r} was scored in every run, so the arms have nothing in common")
    clusters = table.codes["cluster"][rows[first_of_item]][keep]
    groups = np.where(clusters < 0, len(table.names["cluster"]) + items[keep], clusters)
    return Matrix(benchmark, units, scores[:, keep], _clusters(clusters), groups, items[keep], int((~keep).sum()))


def _clusters(codes: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Clusters counted from 0; an item without one is a cluster of its own."""
    if (codes < 0).all():
        return None
    alone = codes < 0
    codes = np.where(alone, codes.max() + 1 + np.cumsum(alone), codes)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _missing(benchmark: str, units: Sequence[tuple[str, Any]], absent: NDArray[np.bool_], items: list[Any]) -> str:
    lacking = [(unit, np.flatnonzero(row)) for unit, row in zip(units, absent, strict=True) if row.any()]
    (arm, run), gaps = max(lacking, key=lambda pair: len(pair[1]))
    shown = ", ".join(str(items[gap]) for gap in gaps[:5]) + (", ..." if len(gaps) > 5 else "")
    others = Counter(name for (name, number), _ in lacking if (name, number) != (arm, run))
    more = f"; so do {others.total()} other runs of {', '.join(sorted(others))}" if others else ""
    return (
        f"arm {arm!r} run {run} lacks {len(gaps)} of the {len(items)} items of {benchmark!r} ({shown}){more}: arms are "
        "compared on the same items, so complete the scores or intersect the items (--intersect)"
    )


def _where(place: Place) -> str:
    named = [f"{name} {value}" for name, value in zip(PLACE, place, strict=True) if value is not None]
    return ", ".join(named) or "one place"
