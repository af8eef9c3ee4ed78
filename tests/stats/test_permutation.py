"""The randomisation check: p values against scipy's, the lowest that is possible, and what a study shows of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("scipy")

from selkit.stats import Rules, study
from selkit.stats.permutation import EXACT, lowest_p, permutation_p


@pytest.mark.parametrize(("runs", "control"), [(3, 5), (4, 4), (2, 9)])
def test_p_is_that_of_scipy(runs: int, control: int) -> None:
    """All relabellings, two-sided, with ties among the scores."""
    from scipy.stats import permutation_test

    rng = np.random.default_rng(runs)
    for digits in (1, 6):
        arm, other = rng.normal(0.4, 1, runs).round(digits), rng.normal(0, 1, control).round(digits)
        expected = permutation_test(
            (arm, other), lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis), n_resamples=np.inf, vectorized=True
        )
        assert permutation_p(arm, other) == pytest.approx(expected.pvalue)


def test_many_relabellings_are_drawn() -> None:
    """10 against 10 runs: near the exact value, the same every time, and never 0."""
    rng = np.random.default_rng(1)
    arm, other = rng.normal(0.7, 1, 10), rng.normal(0, 1, 10)
    every = np.concatenate([arm, other])
    sums = np.array([every[list(chosen)].sum() for chosen in combinations(range(20), 10)])
    exact = min(1.0, 2 * min(np.mean(sums >= arm.sum() - 1e-12), np.mean(sums <= arm.sum() + 1e-12)))
    assert permutation_p(arm, other) == pytest.approx(exact, abs=4 * (exact / EXACT) ** 0.5)
    assert permutation_p(arm, other) == permutation_p(arm, other)
    assert permutation_p(arm + 100, other) == pytest.approx(2 / (EXACT + 1), rel=1.1)


@pytest.mark.parametrize(
    ("runs", "control", "lowest"), [(3, 3, 0.1), (4, 4, 2 / 70), (3, 5, 2 / 56), (3, 9, 2 / 220), (5, 5, 2 / 252)]
)
def test_the_lowest_p_is_that_of_complete_separation(runs: int, control: int, lowest: float) -> None:
    """RELIABILITY 1.1: three against three runs can never reach 0.05."""
    assert lowest_p(runs, control) == pytest.approx(lowest)
    assert permutation_p(np.arange(runs) + 100.0, np.arange(control) * 1.0) == pytest.approx(lowest)


def test_swapping_arm_and_control_changes_nothing() -> None:
    """The check has no sign; equal scores give 1."""
    arm, other = np.array([1.0, 2.0, 5.0]), np.array([0.0, 1.5, 1.0, 2.5])
    assert permutation_p(arm, other) == pytest.approx(permutation_p(other, arm))
    assert permutation_p(np.ones(3), np.ones(5)) == 1.0


def test_a_study_checks_what_can_be_checked() -> None:
    """Three against five runs have a row, one against three have none; the p of the t test stands beside it."""
    rng = np.random.default_rng(3)

    made = {"random": rng.random((5, 30)) * 0.5, "good": 0.4 + rng.random((3, 30)) * 0.5, "few": rng.random((1, 30))}
    rows: dict[str, list] = {"arm": [], "run": [], "item": [], "benchmark": [], "score": []}
    for arm, scores in made.items():
        for run, line in enumerate(scores):
            for item, score in enumerate(line):
                for name, value in zip(rows, (arm, run, f"i{item}", "b", float(score)), strict=True):
                    rows[name].append(value)
    from selkit.stats import ScoreTable

    found = study(ScoreTable.from_columns(rows), Rules())
    (row,) = found.permutation
    verdict = next(one for one in found.verdicts if one.arm == "good")
    assert (row.arm, row.runs, row.control_runs, row.relabellings, row.exact) == ("good", 3, 5, 56, True)
    assert row.p == pytest.approx(2 / 56)
    assert row.t_p == verdict.p
    assert row.disagrees is (verdict.p >= 0.05)
    assert found.tables()["permutation"][0]["lowest"] == pytest.approx(2 / 56)


def test_people_see_a_disagreement_and_no_more() -> None:
    """The table has the comparison of which one p is below alpha and the other is not."""
    from selkit.report import grid_tables

    row = {"benchmark": "b", "pool": "p", "budget": "9", "model": None, "arm": "a", "runs": 3, "control_runs": 5}
    row |= {"relabellings": 56, "exact": True, "lowest": 2 / 56, "p": 0.07, "t_p": 0.03}
    (table,) = grid_tables({"permutation": [row | {"disagrees": True}, row | {"arm": "c", "disagrees": False}]})
    assert table.rows == [["p", "9", "b", "a", "3 vs 5", "56", "0.036", "0.070", "0.030"]]
    assert grid_tables({"permutation": [row | {"disagrees": False}]}) == []
