"""The grid's tables as people read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selkit.report import grid_tables
from selkit.stats import Rules, ScoreTable, equal_weights, study

pytest.importorskip("scipy")
pytest.importorskip("statsmodels")


def test_only_what_the_data_allow(table: Callable, noisy: Callable) -> None:
    """One arm on one benchmark in one place has no table beyond its verdict."""
    scores = table({"arm": noisy(0.6, 3, seed=1), "random": noisy(0.5, 5, seed=2)})
    assert grid_tables(study(scores, Rules()).tables()) == []


def test_rows_of_a_grid(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """Of a composite and its benchmarks the composite is shown; columns that nobody fills are left out."""
    means = {"a": 0.6, "b": 0.4, "c": 0.5}
    parts = [
        columns(
            {arm: noisy(mean, 3, 40, seed=seed + k) for k, (arm, mean) in enumerate(means.items())}
            | {"random": noisy(0.5, 5, 40, seed=seed + 9)},
            benchmark,
            budget=budget,
        )
        for seed, (benchmark, budget) in enumerate((name, size) for name in "xy" for size in (100, 200, 400))
    ]
    scores = ScoreTable.from_columns(joined(*parts))
    tables = {one.title: one for one in grid_tables(study(scores, Rules(weights=equal_weights("xy"))).tables())}
    assert list(tables)[:3] == ["What to expect elsewhere", "Do the benchmarks agree?", "Signal to noise"]
    pooled = tables["What to expect elsewhere"]
    assert pooled.columns[:4] == ["on", "arm", "over", "better in"]
    assert [row[:4] for row in pooled.rows] == [
        ["composite", "a", "budgets", "3 of 3"],
        ["composite", "b", "budgets", "0 of 3"],
        ["composite", "c", "budgets", pooled.rows[2][3]],
    ]
    assert "prediction interval" in pooled.note
    agreement = tables["Do the benchmarks agree?"]
    assert [row[1] for row in agreement.rows[:1]] == ["x and y"]
    assert len(tables["Signal to noise"].rows) == 9
