"""The grid's tables as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from selkit.report import grid_tables
from selkit.report.evidence import win_rates
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
    assert "where two or three agree by chance it is narrow" in pooled.note
    agreement = tables["Do the benchmarks agree?"]
    assert [row[1] for row in agreement.rows[:1]] == ["x and y"]
    assert len(tables["Signal to noise"].rows) == 9
    said = "This is the composite; the single benchmarks' rows are in the JSON."
    told = {title for title, one in tables.items() if said in one.note}
    assert told == {"What to expect elsewhere", "Where relabelling the runs disagrees"}


def test_one_benchmark_has_its_signal_to_noise(table: Callable, noisy: Callable) -> None:
    """Also alone it tells selectors apart, or does not."""
    scores = table({"a": noisy(0.6, 3, seed=1), "b": noisy(0.5, 3, seed=2), "random": noisy(0.5, 5, seed=3)})
    found = next(one for one in grid_tables(study(scores, Rules()).tables()) if one.title == "Signal to noise")
    assert [row[0] for row in found.rows] == ["bench"]
    assert found.rows[0][-1] in ("yes", "no")


def test_recipes_that_say_nothing_are_in_the_tables(columns: Callable, joined: Callable, noisy: Callable) -> None:
    """A recipe without variance stands in both tables, with the reason, and no test is made up."""
    one = {"arm": noisy(0.6, 3, 40, seed=1), "random": noisy(0.5, 5, 40, seed=2)}
    two = {"arm": np.full((3, 40), 0.25), "random": np.full((5, 40), 0.75)}
    scores = ScoreTable.from_columns(joined(columns(one, recipe="lives"), columns(two, recipe="dead")))
    tables = {one.title: one for one in grid_tables(study(scores, Rules()).tables())}
    (dead, lives), (flips,) = tables["Recipe by recipe"].rows, tables["Flips over recipes"].rows
    assert dead == ["bench", "arm", "dead", "-50.0", "", "3 vs 5", "the scores do not vary"]
    assert lives[-1] == ""
    named = dict(zip(tables["Flips over recipes"].columns, flips, strict=True))
    assert (named["better in"], named["flipped"], named["recipe decides"]) == ("1 of 2", "50.0%", "not known")
    assert named["left out"] == "dead: the scores do not vary"
    assert "Cochran's Q" not in named


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        ({"identified": True, "lc_win_rate": 50.0, "lc_low": 48.0, "lc_high": 52.0}, ["50.0", "48.0 to 52.0"]),
        ({"identified": True, "lc_win_rate": 50.0, "lc_low": None, "lc_high": None}, ["50.0", "not known"]),
        ({"identified": False, "lc_win_rate": None, "lc_low": None, "lc_high": None}, ["not identified", ""]),
    ],
)
def test_an_interval_that_is_not_there_is_said(rate: dict[str, Any], says: list[str]) -> None:
    """A length-controlled rate without an interval is not shown as if it were certain."""
    place = {"pool": "p", "budget": "10", "testset": "t", "arm": "a", "win_rate": 50.0, "overlap": 0.5, "words": 9.0}
    found = win_rates({"win_rates": [place | rate]})
    assert found.rows[0][found.columns.index("length-controlled") :][:2] == says
    assert "'not known' where the preferences hardly vary" in found.note
