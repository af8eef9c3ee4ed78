"""The component facility-location against greedy by definition, and its similarities against the library's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from selkit_diversity.facility_location import FacilityLocation, facility_location, similarities

from selkit.api import DataError, Pool, UsageError
from selkit.plugins.builtin.length import Longest
from selkit.select import SelectionResult, select
from selkit.store import Store

pytest.importorskip("torch")
pytest.importorskip("submodlib", reason="the extra facility-location is not installed")


def greedy(kernel: np.ndarray, count: int) -> list[int]:
    """Each pick is the column that raises the sum of the rows' best similarities most."""
    best, picks = np.zeros(len(kernel)), []
    for _ in range(count):
        gains = np.maximum(kernel - best[:, None], 0).sum(axis=0)
        gains[picks] = -1
        picks.append(int(gains.argmax()))
        best = np.maximum(best, kernel[:, picks[-1]])
    return picks


@pytest.mark.parametrize("similarity", ["euclidean", "cosine"])
def test_similarities_are_the_librarys_own(similarity: str) -> None:
    """What submodlib computes from the data itself, as Superfiltering.D lets it."""
    import submodlib_cpp

    points = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    wanted = np.array(submodlib_cpp.create_square_kernel_dense(points.tolist(), similarity))
    np.testing.assert_allclose(similarities(points, points, similarity), wanted, atol=1e-5)


@pytest.mark.parametrize("similarity", ["euclidean", "cosine"])
@pytest.mark.parametrize("count", [1, 12, 59, 60])
def test_picks_are_those_of_greedy(similarity: str, count: int) -> None:
    """One pick, several, all but one, all (which the library refuses); ties, of which there are many, by index."""
    points = np.random.default_rng(1).normal(size=(60, 6)).astype(np.float32)
    kernel = similarities(points, points, similarity).astype(np.float64)
    assert facility_location(points, count, similarity) == greedy(kernel, count)


def test_copies_count_but_are_picked_last() -> None:
    """Forty copies of one point draw the first pick to it, and none of the others."""
    points = np.random.default_rng(2).normal(size=(50, 6)).astype(np.float32)
    points[5:45] = points[5]
    picks = facility_location(points, 50, "euclidean")
    assert picks[0] == 5
    assert sorted(picks[:11]) == [0, 1, 2, 3, 4, 5, 45, 46, 47, 48, 49]
    assert picks[11:] == list(range(6, 45))
    assert facility_location(np.zeros((3, 2), np.float32), 3, "cosine") == [0, 1, 2]


@pytest.fixture
def chosen(pool: Pool, tiny: str, tmp_path: Path) -> Callable[..., SelectionResult]:
    """Runs the component on the rows."""

    def run(budget: int = 6, rows: Pool = pool, **parameters: object) -> SelectionResult:
        selector = FacilityLocation(**{"embedder": tiny, **parameters})  # type: ignore[arg-type]
        return select(rows, selector, budget, store=Store(tmp_path))

    return run


def test_rows_stand_for_the_pool(
    chosen: Callable[..., SelectionResult], by_hand: Callable[[str], np.ndarray], pool: Pool
) -> None:
    """Greedy on embeddings made one at a time and brought to length 1; the order of the pool changes nothing."""
    ids, points = sorted(pool.ids), by_hand("both")
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    result = chosen()
    assert result.ids == tuple(ids[pick] for pick in greedy(np.exp(-distances / 32), 6))
    assert chosen(rows=pool.take(pool.ids[::-1])).ids == result.ids


def test_candidates_are_the_best_of_a_scorer(chosen: Callable[..., SelectionResult], pool: Pool) -> None:
    """The two stages of Superfiltering.D: a share by score first; a larger budget is a shortfall with a reason."""
    lengths = {row.id: len(row.response.split()) for row in pool}
    longest = sorted(lengths, key=lambda row_id: (-lengths[row_id], row_id))[:8]
    result = chosen(4, scorer=Longest(unit="words"), candidates="25%")
    assert set(result.ids) < set(longest)
    assert result.facts["candidates"] == 8
    short = chosen(9, scorer=Longest(unit="words"), candidates="25%")
    assert set(short.ids) == set(longest)
    assert str(short.selection.shortfall).startswith("8 of 32 rows are candidates")


def test_what_does_not_fit_into_memory_is_refused(chosen: Callable[..., SelectionResult]) -> None:
    """Before anything is embedded, with the numbers, and what to do about it."""
    with pytest.raises(DataError, match=r"0\.0 GB of similarities between 32 rows, more than max_memory=1e-06: take"):
        chosen(max_memory=1e-6)
    with pytest.raises(UsageError, match="above 0, not 0"):
        chosen(max_memory=0)
    with pytest.raises(UsageError, match="budget 'half'"):
        chosen(scorer=Longest(unit="words"), candidates="half")
