"""LoRA against full fine-tuning: differences of differences, paired by run and by item."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from selkit.stats import Rules, ScoreTable, study
from selkit.stats.adapters import adapter_rows
from selkit.stats.cells import blocks, cells

pytest.importorskip("scipy")

Arms = dict[str, NDArray]


def rows_of(table: ScoreTable, **options: object) -> list:
    """The rows on the difference between adapters and all weights."""
    rules = Rules(**options)
    return adapter_rows(blocks(cells(table, intersect=rules.intersect)), rules.endpoints(table), rules)


def drawn(effects: dict[str, float], *, seed: int, runs: tuple[int, int] = (3, 5), items: int = 60) -> dict[str, Arms]:
    """The arm ``s`` against random under each recipe, ``effects`` in points; seeds act alike under all recipes."""
    rng = np.random.default_rng(seed)
    item = rng.uniform(0.3, 0.6, items)
    seeds = {"s": rng.normal(0, 0.02, (runs[0], 1)), "random": rng.normal(0, 0.02, (runs[1], 1))}
    return {
        recipe: {
            arm: np.clip(
                item + luck + (effect / 100 if arm == "s" else 0) + rng.normal(0, 0.03, (len(luck), items)), 0, 1
            )
            for arm, luck in seeds.items()
        }
        for recipe, effect in effects.items()
    }


@pytest.fixture
def table(columns: Callable, joined: Callable) -> Callable[..., ScoreTable]:
    """A table from matrices (run x item) by recipe and arm."""
    return lambda data: ScoreTable.from_columns(
        joined(*(columns(arms, recipe=recipe) for recipe, arms in data.items()))
    )


def test_golden_numbers(columns: Callable, joined: Callable) -> None:
    """Worked out by hand on two runs and two items: the seeds' luck, alike under both recipes, cancels."""
    full = {"s": np.array([[0.5, 0.7], [0.6, 0.8]]), "random": np.array([[0.4, 0.4], [0.5, 0.5], [0.3, 0.3]])}
    lora = {"s": np.array([[0.4, 0.5], [0.5, 0.6]]), "random": np.array([[0.4, 0.4], [0.5, 0.5], [0.3, 0.3]])}
    parts = [columns(full, recipe="full"), columns(lora, recipe="a-lora")]
    (row,) = rows_of(ScoreTable.from_columns(joined(*parts)))
    # s: lora less full is -0.1 and -0.2 on the two items in both runs; random: 0. So -15 points, from the items alone:
    # V_I = 2/1 * ((0.05/2)^2 + (0.05/2)^2) = 0.0025, se 5 points on 1 degree of freedom.
    assert (row.lora_effect, row.full_effect, row.difference) == pytest.approx((10, 25, -15))
    assert row.df == pytest.approx(1)
    assert (row.ci_low, row.ci_high) == pytest.approx((-15 - 12.7062047 * 5, -15 + 12.7062047 * 5))
    assert row.p == row.p_holm == pytest.approx(2 / np.pi * np.arctan(1 / 3))  # t of 3 with one degree of freedom
    assert (row.lora_score, row.full_score) == pytest.approx((50, 65))
    assert (row.runs, row.control_runs, row.items, row.lora_recipes, row.full_recipes) == (2, 3, 2, 1, 1)
    assert not row.opposite


def test_intervals_reach_no_further_than_differences(columns: Callable, joined: Callable) -> None:
    """A difference from the control ends at 100 points, a difference of two of them at 200."""
    full = {"s": np.array([[0.9, 0.0], [0.0, 0.1]]), "random": np.array([[0.0, 0.8], [0.4, 0.1]])}
    lora = {"s": np.array([[0.0, 0.2], [0.9, 0.3]]), "random": np.array([[0.7, 0.3], [0.0, 0.9]])}
    (row,) = rows_of(ScoreTable.from_columns(joined(columns(full, recipe="full"), columns(lora, recipe="a-lora"))))
    assert (row.lora_low, row.lora_high, row.full_low, row.full_high) == (-100, 100, -100, 100)
    assert (row.ci_low, row.ci_high) == (-200, 200)


def test_against_loops(table: Callable) -> None:
    """Two recipes of each kind: the means within each run and item, and the two-way variance of their differences."""
    data = drawn({"x-lora": 1.0, "y-lora": 2.0, "x": 4.0, "y": 3.0}, seed=1)
    (row,) = rows_of(table(data))
    gap = {
        arm: (data["x-lora"][arm] + data["y-lora"][arm]) / 2 - (data["x"][arm] + data["y"][arm]) / 2
        for arm in ("s", "random")
    }
    runs = {arm: scores.mean(1) for arm, scores in gap.items()}
    differences = gap["s"].mean(0) - gap["random"].mean(0)
    n = len(differences)
    v_runs = sum(values.var(ddof=1) / len(values) for values in runs.values())
    v_items = differences.var(ddof=1) / n
    v_residual = 0.0
    for scores in gap.values():
        k = len(scores)
        left = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
        v_residual += (left**2).sum() / ((k - 1) * (n - 1)) / (n * k)
    v = max(v_runs + v_items - v_residual, v_runs, v_items)
    assert row.difference == pytest.approx(100 * (runs["s"].mean() - runs["random"].mean()))
    from scipy import stats

    assert row.ci_high - row.difference == pytest.approx(100 * stats.t.ppf(0.975, row.df) * np.sqrt(v))
    assert row.difference == pytest.approx(row.lora_effect - row.full_effect)


def test_what_recipes_share_is_paired_away(table: Callable) -> None:
    """Luck of the seeds under both kinds widens neither; with runs matched wrongly the interval is far wider."""
    data = drawn({"a-lora": 0.0, "a": 0.0}, seed=2)
    (paired,) = rows_of(table(data))
    data["a"]["s"] = data["a"]["s"][::-1]
    data["a"]["random"] = data["a"]["random"][::-1]
    (crossed,) = rows_of(table(data))
    assert paired.difference == pytest.approx(crossed.difference)
    assert paired.ci_high - paired.ci_low < 0.7 * (crossed.ci_high - crossed.ci_low)


def test_opposite_conclusions_are_told(table: Callable) -> None:
    """Better with adapters, worse without: opposite, and the difference is found."""
    (row,) = rows_of(table(drawn({"a-lora": 8.0, "a": -8.0}, seed=3)))
    assert row.opposite
    assert row.p < 0.01
    assert row.lora_low > 0 > row.full_high


def test_exchanging_the_kinds_turns_the_sign(table: Callable) -> None:
    """The recipes named by the rules count, whatever they are called."""
    data = drawn({"one": 1.0, "two": 4.0}, seed=4)
    assert rows_of(table(data)) == []
    (there,), (back,) = (rows_of(table(data), lora=(name,)) for name in ("one", "two"))
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p)
    assert (there.lora_effect, there.full_effect) == pytest.approx((back.full_effect, back.lora_effect))


def test_only_runs_and_items_that_both_kinds_have(columns: Callable, joined: Callable) -> None:
    """An item that one recipe lacks is left out of the difference where items are intersected."""
    data = drawn({"a-lora": 2.0, "a": 2.0}, seed=5)
    parts = [columns(arms, recipe=recipe) for recipe, arms in data.items()]
    keep = [place for place, item in enumerate(parts[0]["item"]) if item != parts[0]["item"][7]]
    parts[0] = {name: [values[place] for place in keep] for name, values in parts[0].items()}
    (row,) = rows_of(ScoreTable.from_columns(joined(*parts)), intersect=True)
    gap = {arm: np.delete(data["a-lora"][arm] - data["a"][arm], 7, axis=1) for arm in ("s", "random")}
    assert row.items == 59
    assert row.difference == pytest.approx(100 * (gap["s"].mean() - gap["random"].mean()))


def test_the_study_has_the_rows_and_the_report_a_table(table: Callable) -> None:
    """They stand in the study's tables, and the agreement of recipes is marked by the same rule."""
    pytest.importorskip("statsmodels")
    from selkit.report import grid_tables

    found = study(table(drawn({"a-lora": 2.0, "a": 1.0}, seed=6)), Rules())
    (shown,) = (one for one in grid_tables(found.tables()) if one.title.startswith("LoRA"))
    assert shown.columns == [
        "on",
        "arm",
        "LoRA",
        "95% interval",
        "full",
        "95% interval",
        "difference",
        "95% interval",
        "Holm p",
    ]
    assert [row[1] for row in shown.rows] == ["s"]


def test_runs_with_names_of_their_own_are_matched_by_order(columns: Callable, joined: Callable) -> None:
    """Where no run comes under two recipes, the first of one is paired with the first of the other."""
    data = drawn({"a-lora": 2.0, "a": 1.0}, seed=7)
    parts = [columns(arms, recipe=recipe) for recipe, arms in data.items()]
    (same,) = rows_of(ScoreTable.from_columns(joined(*parts)))
    parts[1]["run"] = [run + 10 for run in parts[1]["run"]]
    (renamed,) = rows_of(ScoreTable.from_columns(joined(*parts)))
    assert (renamed.difference, renamed.ci_low, renamed.runs) == pytest.approx((same.difference, same.ci_low, 3))
