"""Selections that the user brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selkit.api import DataError, Example, Pool, UsageError
from selkit.plugins.builtin.given import Column, Full, Oracle, Subset
from selkit.select import select
from selkit.store import Store


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_full_is_the_whole_pool(pool: Pool, store: Store) -> None:
    """Every id once."""
    assert select(pool, Full(), store=store).ids == tuple(sorted(pool.ids))


def test_subset_by_ids(pool: Pool, store: Store, tmp_path: Path) -> None:
    """A text file with one id a line; unknown ids are counted and named, and its size is its budget."""
    (tmp_path / "ids.txt").write_text("r003\nr001\nnope\n\n", encoding="utf-8")
    result = select(pool, Subset(file=tmp_path / "ids.txt"), store=store)
    assert result.ids == ("r003", "r001")
    assert result.facts["unmatched"] == 1
    assert result.facts["unmatched_rows"] == ["nope"]


def test_subset_by_text(pool: Pool, store: Store, tmp_path: Path) -> None:
    """Rows of another file are found by what they say, not by their ids; what does not match is named."""
    rows = [{"instruction": e.instruction, "input": "", "output": e.response + " "} for e in list(pool)[4:7]]
    stranger = {"instruction": "never seen", "input": "", "output": "no"}
    path = write_lines(tmp_path / "rows.jsonl", [*rows, stranger])
    result = select(pool, Subset(file=path), store=store)
    assert result.ids == ("r004", "r005", "r006")
    assert result.facts["unmatched_rows"] == ["never seen"]


def test_subset_of_another_pool_is_refused(pool: Pool, store: Store, tmp_path: Path) -> None:
    """Nothing matches: the sentence asks whether it is the right file."""
    (tmp_path / "ids.txt").write_text("x\ny\n", encoding="utf-8")
    with pytest.raises(DataError, match="right file"):
        select(pool, Subset(file=tmp_path / "ids.txt"), store=store)
    with pytest.raises(DataError, match="there is no file"):
        select(pool, Subset(file=tmp_path / "none.jsonl"), store=store)


def test_column_of_the_pool(pool: Pool, store: Store) -> None:
    """Top and bottom by a column."""
    grade = {e.id: e.extra["grade"] for e in pool}
    top = select(pool, Column(column="grade"), 5, store=store).ids
    low = select(pool, Column(column="grade", order="ascending"), 5, store=store).ids
    assert list(top) == sorted(grade, key=lambda i: (-grade[i], i))[:5]
    assert list(low) == sorted(grade, key=lambda i: (grade[i], i))[:5]


def test_column_random_ties_follow_the_seed(pool: Pool, store: Store) -> None:
    """Rows with the highest grade are drawn among; none with a lower grade comes in."""
    draws = [select(pool, Column(column="grade", ties="random"), 3, seed=s, store=store).ids for s in range(6)]
    assert len(set(draws)) > 1
    grade = {e.id: e.extra["grade"] for e in pool}
    assert {grade[i] for ids in draws for i in ids} == {3.0}


def test_column_of_a_score_file_joins_by_id(pool: Pool, store: Store, tmp_path: Path) -> None:
    """Scenario 49: the rows of the file stand in any order; a row without a score is left out with its reason."""
    rows = [{"id": i, "s": n} for n, i in enumerate(reversed(pool.ids[:30]))]
    result = select(pool, Column(column="s", file=write_lines(tmp_path / "s.jsonl", rows)), 2, store=store)
    assert result.ids == ("r000", "r001")
    assert result.facts["excluded"] == {"no number in 's'": 10}


def test_column_bad_input(pool: Pool, store: Store, tmp_path: Path) -> None:
    """A column that is not there, and one that holds text."""
    with pytest.raises(UsageError, match=r"no column 'grad'; it has .*grade"):
        select(pool, Column(column="grad"), 2, store=store)
    with pytest.raises(UsageError, match="does not hold numbers"):
        select(pool, Column(column="instruction"), 2, store=store)


def test_oracle_knows_the_truth(store: Store) -> None:
    """Right rows only, as long as there are enough."""
    pool = Pool.from_examples(Example(f"{i:02d}", "do", response="x", extra={"truth": i % 3 == 0}) for i in range(30))
    ids = select(pool, Oracle(), 10, seed=1, store=store).ids
    assert {int(i) % 3 for i in ids} == {0}
    assert len(select(pool, Oracle(), 12, seed=1, store=store).ids) == 12
    with pytest.raises(UsageError, match="planted pool"):
        select(Pool.from_examples([Example("a", "b", response="c")]), Oracle(), 1, store=store)
