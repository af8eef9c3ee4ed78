"""The component k-center: from rows to a selection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from selkit_diversity.k_center import KCenter

from selkit.api import BudgetError, DataError, Pool, UsageError
from selkit.select import SelectionResult, select
from selkit.store import Store

pytest.importorskip("torch")


def loop(points: np.ndarray, start: int, count: int) -> list[int]:
    """Farthest first, with every distance computed for every pick."""
    picks = [start]
    while len(picks) < count:
        nearest = np.min([np.linalg.norm(points - points[pick], axis=1) for pick in picks], axis=0)
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return picks


@pytest.fixture
def chosen(pool: Pool, tiny: str, tmp_path: Path) -> Callable[..., SelectionResult]:
    """Runs the component on the rows."""

    def run(budget: int = 9, seed: int = 0, rows: Pool = pool, **parameters: object) -> SelectionResult:
        selector = KCenter(**{"embedder": tiny, **parameters})  # type: ignore[arg-type]
        return select(rows, selector, budget, seed=seed, store=Store(tmp_path))

    return run


@pytest.mark.parametrize("text", ["question", "instruction", "response", "both"])
def test_rows_are_those_of_the_plain_loop(
    chosen: Callable[..., SelectionResult], by_hand: Callable[[str], np.ndarray], pool: Pool, text: str
) -> None:
    """On embeddings made one at a time by transformers; from the row that the notes name, with the radius they name."""
    ids, points = sorted(pool.ids), by_hand(text)
    result = chosen(text=text, seed=4)
    start = ids.index(result.facts["start"])
    picks = loop(points, start, 9)
    assert result.ids == tuple(ids[pick] for pick in picks)
    nearest = np.min([np.linalg.norm(points - points[pick], axis=1) for pick in picks], axis=0)
    assert result.facts["radius"] == pytest.approx(nearest.max(), rel=1e-4)
    assert result.facts["truncated"] == (1 if text in ("question", "instruction", "both") else 0)


def test_normalized_distances_are_those_of_directions(
    chosen: Callable[..., SelectionResult], by_hand: Callable[[str], np.ndarray], pool: Pool
) -> None:
    """With normalize the lengths of the embeddings do not matter."""
    ids, points = sorted(pool.ids), by_hand("question")
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    result = chosen(normalize=True)
    assert result.ids == tuple(ids[pick] for pick in loop(points, ids.index(result.facts["start"]), 9))


def test_the_start(chosen: Callable[..., SelectionResult], by_hand: Callable[[str], np.ndarray], pool: Pool) -> None:
    """Drawn by the seed, or the medoid; the first of the selection, or left out of it."""
    ids, points = sorted(pool.ids), by_hand("question")
    assert len({chosen(2, seed=seed).facts["start"] for seed in range(6)}) > 1
    sums = ((points[:, None] - points[None]) ** 2).sum(axis=(1, 2))
    medoid = chosen(start="medoid", seed=1)
    assert medoid.ids[0] == medoid.facts["start"] == ids[int(sums.argmin())]
    without = chosen(8, start="medoid", return_start=False, seed=2)
    assert without.ids == medoid.ids[1:]


def test_every_row_can_be_taken(chosen: Callable[..., SelectionResult], pool: Pool) -> None:
    """The two equal rows come last, by id; without its start one row is lacking, and the reason is given."""
    everything = chosen(len(pool))
    assert sorted(everything.ids) == sorted(pool.ids)
    assert everything.ids[-1] in ("r29", "r30")
    assert everything.facts["radius"] == 0
    lacking = chosen(len(pool), return_start=False)
    assert len(lacking.ids) == len(pool) - 1
    assert "return_start=false" in str(lacking.selection.shortfall)
    with pytest.raises(BudgetError, match="a budget of 33 is more than the 32 rows"):
        chosen(len(pool) + 1)


def test_the_order_of_the_pool_changes_nothing(chosen: Callable[..., SelectionResult], pool: Pool) -> None:
    """Turned round it gives the same rows in the same order."""
    assert chosen(rows=pool.take(pool.ids[::-1])).ids == chosen().ids


def test_what_cannot_work_is_refused(
    chosen: Callable[..., SelectionResult], pool: Pool, damaged: str, tmp_path: Path
) -> None:
    """No model, a senseless length, an embedding that is no number: a sentence each, and nothing is stored."""
    with pytest.raises(UsageError, match="k-center needs a model that embeds: give -p embedder=MODEL"):
        chosen(embedder=None)
    with pytest.raises(UsageError, match="from 1 on, not 0"):
        chosen(max_length=0)
    with pytest.raises(DataError, match="embeddings that hold NaN or infinity"):
        chosen(embedder=damaged)
    assert list(Store(tmp_path).artifacts()) == []
