"""Scoring in shards: the scores of one process, whatever is killed, and what shards cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharded import ByNeighbours, Peeping, Trained
from toys import ByGrade, make_pool

from selkit.api import Example, Pool, WorkFailed
from selkit.select import LocalShards, best, rank, scoring_in, select, ties_at_cut
from selkit.select.ranking import ties_through
from selkit.select.scoring import BLOCK
from selkit.select.shards import MOST_ROWS, ShardDone, ShardTask, score_shard, shard_rows
from selkit.store import Store


@dataclass
class Here:
    """Runs shards one after the other in this process; is interrupted after ``most``."""

    most: int = 10**9
    numbers: list[int] = field(default_factory=list)

    def run(self, tasks: Iterator[ShardTask]) -> Iterator[ShardDone]:
        """As workers would."""
        for task in tasks:
            if len(self.numbers) == self.most:
                raise KeyboardInterrupt
            self.numbers.append(task.number)
            yield score_shard(task)


def scores_of(store: Store) -> tuple[dict[str, Any], pa.Table]:
    """Facts and table of the only scores in the store."""
    (artifact,) = store.artifacts(stage="scores")
    return {**artifact.manifest["facts"], "uses": None}, pq.read_table(artifact.file("scores.parquet"))


def graded(rows: int) -> Pool:
    """Rows with few different grades, so that ties are many, in no order."""
    draw = np.random.default_rng(3)
    grades = draw.integers(0, 7, rows).tolist()
    return Pool.from_examples(
        Example(f"r{number:05}", f"Say {number}.", response="x " * grade, extra={"grade": float(grade)})
        for number, grade in zip(draw.permutation(rows).tolist(), grades, strict=True)
    )


@pytest.mark.parametrize("scorer", [ByGrade(bad=("r00007",), out=("r00011", "r01500")), ByNeighbours()])
def test_shards_give_the_scores_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scorer: Any) -> None:
    """Every row, score, failure and exclusion, and the same choice; also where neighbours in a batch matter."""
    monkeypatch.setattr("selkit.select.shards.PARTS", 8)  # shards of several blocks
    pool = graded(1900)
    assert shard_rows(1900, BLOCK) > BLOCK
    alone = select(pool, scorer, 300, store=Store(tmp_path / "one"))
    shards = Here()
    parts = select(pool, scorer, 300, store=Store(tmp_path / "two"), shards=shards)
    assert shards.numbers == list(range(-(-1900 // shard_rows(1900, BLOCK))))
    assert parts.ids == alone.ids
    assert {**parts.facts, "notes": None} == {**alone.facts, "notes": None}
    assert parts.key == alone.key
    assert scores_of(Store(tmp_path / "two")) == scores_of(Store(tmp_path / "one"))


def test_a_killed_pass_goes_on_with_the_shards_that_are_left(tmp_path: Path, capsys: Any) -> None:
    """Scenario 1: finished shards are kept, by a pass in shards and by one in one process; the result is the same."""
    pool, calm = graded(1000), Store(tmp_path / "calm")
    expected = select(pool, ByGrade(), 100, store=calm).ids
    for name, again in (("shards", Here()), ("one process", None)):
        store, killed = Store(tmp_path / name), Here(most=5)
        with pytest.raises(KeyboardInterrupt):
            select(pool, ByGrade(), 100, store=store, shards=killed)
        assert select(pool, ByGrade(), 100, store=store, shards=again).ids == expected
        assert scores_of(store) == scores_of(calm)
        if again is not None:
            assert again.numbers == [n for n in range(-(-1000 // shard_rows(1000, None))) if n not in killed.numbers]
        else:
            assert f"{5 * shard_rows(1000, None)} of 1000 rows have a score already" in capsys.readouterr().err


def test_too_many_failures_end_the_pass_and_are_tried_again(tmp_path: Path) -> None:
    """Only the shards in which rows failed are scored again."""
    pool, store = graded(1000), Store(tmp_path / "store")
    bad = tuple(sorted(pool.ids)[8 * 64 : 8 * 64 + 40])
    with pytest.raises(WorkFailed, match=r"failed on 40 of 1000 rows, more than 2% \(max_failed\)"):
        select(pool, ByGrade(bad=bad), 100, store=store, shards=Here())
    again = Here()
    result = select(pool, ByGrade(bad=bad), 100, store=store, shards=again, max_failed=0.05)
    assert result.facts["failed"] == {"the scorer returned NaN": 40}
    assert again.numbers == list(range(8, 16))


@pytest.mark.parametrize(
    ("scorer", "said"),
    [(Peeping(), "it asks for the whole pool"), (Trained(), "it asks for scores of another component")],
)
def test_what_shards_do_not_have_is_scored_in_one_process(tmp_path: Path, capsys: Any, scorer: Any, said: str) -> None:
    """With a note; the choice is the one without shards."""
    pool = graded(300)
    expected = select(pool, scorer, 30, store=Store(tmp_path / "one")).ids
    result = select(pool, scorer, 30, store=Store(tmp_path / "two"), shards=Here())
    assert result.ids == expected
    assert f"{scorer.name} is run in one process: {said}" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_score_as_one_does(tmp_path: Path) -> None:
    """Two worker processes; a selection inside the block takes them without being told."""
    pool = make_pool(500)
    expected = select(pool, ByGrade(), 50, store=Store(tmp_path / "one")).ids
    with scoring_in(LocalShards(2)):
        assert select(pool, ByGrade(), 50, store=Store(tmp_path / "two")).ids == expected
    assert scores_of(Store(tmp_path / "two")) == scores_of(Store(tmp_path / "one"))


@given(st.integers(1, 12_000_000), st.sampled_from([None, 64, 2048]))
def test_shards_are_whole_blocks_and_depend_on_the_pool_alone(rows: int, block: int | None) -> None:
    """Never more rows than a worker should hold, and not many more shards than asked for."""
    size = shard_rows(rows, block)
    assert size % (block or 64) == 0
    assert 0 < size <= max(MOST_ROWS, block or 0)
    assert -(-rows // size) <= max(64, -(-rows // 18_432))


@given(
    st.lists(st.integers(-3, 3).map(float), max_size=40), st.integers(0, 45), st.booleans(), st.sampled_from([None, 5])
)
def test_the_best_are_the_first_of_the_ranking(scores: list[float], k: int, higher: bool, seed: int | None) -> None:
    """Against the full sort, ties by id or at random; and as many ties at the cut."""
    values = np.array(scores, dtype=float)
    ids = pa.array([f"{i:03}" for i in range(len(scores))], pa.string())
    order = rank(ids, values, higher_is_better=higher, tie_seed=seed)
    chosen = best(values, k, higher_is_better=higher, tie_seed=seed)
    assert chosen.tolist() == order[:k].tolist()
    assert ties_through(values, chosen) == ties_at_cut(values[order].tolist(), k)
