"""The official mode against AlpacaEval's own function, on its published annotations of seven models.

golden.json holds what alpaca_eval 0.6.6 says; compute_golden.py beside it says how that was computed.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selkit.api import DataError
from selkit.evals.alpaca_eval import (
    Annotations,
    LcAssets,
    RateSettings,
    read_annotations,
    read_assets,
    read_eval_set,
    win_rates,
)
from selkit.evals.alpaca_eval.official import GAMED_WEIGHT, RIDGE, Comparisons, official_win_rate

GOLDEN: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())["models"]
QUICK = RateSettings(bootstraps=2)


@pytest.fixture(scope="module")
def alpaca(shared_data: Path) -> Path:
    """AlpacaEval's eval set, annotations and assets."""
    return shared_data / "alpaca-eval"


@pytest.fixture(scope="module")
def assets(alpaca: Path) -> LcAssets:
    """The difficulties and gamed annotations."""
    return read_assets(alpaca)


@pytest.fixture(scope="module")
def published(alpaca: Path) -> Annotations:
    """The annotations of the seven models."""
    return read_annotations(sorted((alpaca / "annotations").iterdir()), read_eval_set(alpaca / "eval-set.jsonl"))


def rows_of(alpaca: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one model's annotations as they stand in the file."""
    return [json.loads(line) for line in gzip.open(alpaca / "annotations" / f"{name}.jsonl.gz", "rt", encoding="utf-8")]


def test_it_agrees_with_alpaca_eval(published: Annotations, assets: LcAssets) -> None:
    """Within 0.15 points on every model, whatever order of rows alpaca_eval saw; raw rates to the last digit."""
    found = {one.name: one for one in win_rates(published, QUICK, assets)}
    assert found.keys() == GOLDEN.keys()
    for name, golden in GOLDEN.items():
        for theirs in [golden["lc_win_rate"], *golden["orders"]]:
            assert found[name].lc_win_rate == pytest.approx(theirs, abs=0.15), name
        for ours in ("win_rate", "standard_error", "discrete_win_rate"):
            assert getattr(found[name], ours) == pytest.approx(golden[ours], abs=1e-9), (name, ours)
        assert (found[name].n_wins, found[name].n_wins_base, found[name].n_draws, found[name].n) == (
            golden["n_wins"], golden["n_wins_base"], golden["n_draws"], golden["n_total"],
        )  # fmt: skip


def test_a_subset_gets_its_own_difficulties(published: Annotations, assets: LcAssets) -> None:
    """On 303 of the rows it agrees with alpaca_eval told the true indices, not with alpaca_eval as it is called.

    alpaca_eval differs from itself by up to 0.27 points here when the rows change their order.
    """
    subset = {name: [row for row in rows if row.index % 8 < 3] for name, rows in published.models.items()}
    for one in win_rates(Annotations(subset, [], []), QUICK, assets):
        golden = GOLDEN[one.name]
        assert one.n == 303
        for theirs in [golden["subset"], *golden["subset_orders"]]:
            assert one.lc_win_rate == pytest.approx(theirs, abs=0.2), one.name
        assert abs(one.lc_win_rate - golden["subset_by_row_number"]) > 0.2
    assert max(abs(GOLDEN[n]["subset"] - GOLDEN[n]["subset_by_row_number"]) for n in GOLDEN) > 3


def test_the_leaderboard_is_near(alpaca: Path, published: Annotations, assets: LcAssets) -> None:
    """The published rates are 1.7 points away at most: the shared assets are reconstructions."""
    with (alpaca / "leaderboard.csv").open() as file:
        board = {row[""]: float(row["length_controlled_winrate"]) for row in csv.DictReader(file)}
    ours = {one.name: one.lc_win_rate for one in win_rates(published, QUICK, assets)}
    assert {name: ours[name] - board[name] for name in board} == pytest.approx(dict.fromkeys(board, 0.0), abs=1.7)


def test_neither_order_nor_form_of_the_file_matters(alpaca: Path, tmp_path: Path, evaluate: Callable[..., Any]) -> None:
    """Shuffled rows, and AlpacaEval's annotations.json without any index, give the same bytes as the file itself."""
    name = "claude-2.1"
    baseline = {row["index"]: row for row in map(json.loads, (alpaca / "eval-set.jsonl").open(encoding="utf-8"))}
    rows = rows_of(alpaca, name)
    random.Random(0).shuffle(rows)
    (tmp_path / "shuffled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    theirs = [
        {
            **{key: value for key, value in row.items() if key != "index"},
            "instruction": baseline[row["index"]]["instruction"],
            "output_1": baseline[row["index"]]["output"],
        }
        for row in rows
    ]
    (tmp_path / "annotations.json").write_text(json.dumps(theirs))
    options = ("--eval-set", alpaca / "eval-set.jsonl", "--lc-assets", alpaca, "--bootstraps", 20, "--json")
    files = (alpaca / "annotations" / f"{name}.jsonl.gz", tmp_path / "shuffled.jsonl", tmp_path / "annotations.json")
    found = [evaluate("--annotations", file, *options).out for file in files]
    assert found[0] == found[1] == found[2]
    assert json.loads(found[0])["models"][0]["lc_win_rate"] == pytest.approx(GOLDEN[name]["lc_win_rate"], abs=0.15)


def test_the_eval_set_may_be_alpaca_evals_own_file(alpaca: Path, tmp_path: Path) -> None:
    """Its 805 instructions in their order need no index; in another order, or in part, they would have a wrong one."""
    rows = [json.loads(line) for line in (alpaca / "eval-set.jsonl").open(encoding="utf-8")]
    plain = [{key: value for key, value in row.items() if key != "index"} for row in rows]
    for name, chosen in (("whole", plain), ("turned", plain[::-1]), ("part", plain[:300])):
        (tmp_path / f"{name}.json").write_text(json.dumps(chosen))
    assert [row.index for row in read_eval_set(tmp_path / "whole.json").rows] == list(range(805))
    for name in ("turned", "part"):
        assert {row.index for row in read_eval_set(tmp_path / f"{name}.json").rows} == {None}


def test_errors_are_those_of_resampling(published: Annotations, assets: LcAssets) -> None:
    """The bootstrap finds the errors of EVALUATION 2.2, several times what alpaca_eval prints for the same models."""
    two = {name: published.models[name] for name in ("alpaca-7b", "OpenHermes-2.5-Mistral-7B")}
    small, middle = win_rates(Annotations(two, [], []), RateSettings(bootstraps=400), assets)
    assert small.lc_se == pytest.approx(1.02, abs=0.12)
    assert middle.lc_se == pytest.approx(1.54, abs=0.15)
    assert small.lc_ci[0] < small.lc_win_rate < small.lc_ci[1]
    assert small.reason.startswith("rests on AlpacaEval's gamed annotations: the baseline's response is the longer one")
    assert small.identified
    assert middle.reason == ""


def test_rows_without_preference_hardly_matter(published: Annotations, assets: LcAssets) -> None:
    """A twentieth of the preferences missing moves the rate by less than its error."""
    rows = published.models["claude-2.1"]
    (whole,) = win_rates(Annotations({"m": rows}, [], []), QUICK, assets)
    (most,) = win_rates(Annotations({"m": [r for r in rows if r.index % 20]}, [], []), QUICK, assets)
    assert most.lc_win_rate == pytest.approx(whole.lc_win_rate, abs=0.7)


def made(
    n: int, seed: int, *, psi: float = -1.0, theta: float = 1.2, shift: float = -1.0
) -> tuple[Comparisons, LcAssets]:
    """Comparisons of a made judge, and gamed comparisons of the same judge."""
    rng = np.random.default_rng(seed)
    gamma = rng.normal(size=n)
    gap = 300 * (rng.normal(size=n) + shift)
    logit = theta * np.tanh(gap / gap.std(ddof=1)) + 0.8 * gamma + psi
    wins = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    gamed_gap = np.concatenate([rng.normal(2, 0.5, n), rng.normal(-2, 0.5, n)])
    gamed = 1 / (1 + np.exp(-(theta * np.tanh(gamed_gap) + 0.8 * np.tile(gamma, 2))))
    known = LcAssets(dict(enumerate(gamma)), gamed, gamed_gap, np.tile(gamma, 2))
    return Comparisons(wins, gap, gamma, np.arange(n)), known


def test_the_fit_is_the_maximum() -> None:
    """The rate is that of the coefficients that scipy's optimiser finds for the likelihood written out."""
    optimize = pytest.importorskip("scipy.optimize")
    data, known = made(150, 3)

    def loss(b: np.ndarray) -> float:
        own = b[0] * np.tanh(data.gap / data.gap.std(ddof=1)) + b[1] * data.difficulty + b[2]
        gamed = b[0] * np.tanh(known.gamed_gap) + b[1] * known.gamed_difficulty
        return float(
            (np.logaddexp(0, own) - data.preference * own).sum()
            + GAMED_WEIGHT * (np.logaddexp(0, gamed) - known.gamed_preference * gamed).sum()
            + RIDGE * (b**2).sum() / 2
        )

    best = optimize.minimize(loss, [1.0, -1.0, 1.0], method="BFGS", options={"gtol": 1e-9}).x
    found = official_win_rate(data, known, bootstraps=2)
    assert found.theta == pytest.approx(best[0], abs=1e-5)
    rate = 100 * (1 / (1 + np.exp(-(best[1] * data.difficulty + best[2])))).mean()
    assert found.lc_win_rate == pytest.approx(rate, abs=1e-4)


@pytest.mark.slow
def test_bias_and_coverage() -> None:
    """Over 100 made models that are mostly shorter: no bias to speak of, and intervals that hold about 95%."""
    grid = np.linspace(-6, 6, 4001)
    density = np.exp(-(grid**2) / 2)
    truth = 100 * float((density / (1 + np.exp(-(0.8 * grid - 1)))).sum() / density.sum())
    found = [official_win_rate(*made(400, seed), bootstraps=100, seed=seed) for seed in range(100)]
    rates = np.array([one.lc_win_rate for one in found])
    assert rates.mean() == pytest.approx(truth, abs=1.0)
    assert np.mean([one.lc_se for one in found]) == pytest.approx(rates.std(), rel=0.2)
    assert 0.88 <= np.mean([one.lc_low <= truth <= one.lc_high for one in found]) <= 0.99


def test_a_model_that_never_wins() -> None:
    """A rate near 0, and no interval of no width."""
    data, known = made(100, 1)
    found = official_win_rate(data._replace(preference=np.zeros(100)), known, bootstraps=20)
    assert 0 < found.lc_win_rate < 3
    assert found.lc_se is found.lc_low is None
    assert "do not vary" in found.reason


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "has no file df_gamed.csv: get it from the dataset tatsu-lab/alpaca_eval"),
        ("preference,index\n0.5,1\n", "should have the columns preference, index, std_delta_len"),
        ("preference,index,std_delta_len,instruction_difficulty\n", "is empty, or has a preference outside"),
        ("preference,index,std_delta_len,instruction_difficulty\n1.5,0,1,1\n", "a preference outside of 0 to 1"),
        ("preference,index,std_delta_len,instruction_difficulty\n0.5,0,x,1\n", "all numbers"),
        ("preference,index,std_delta_len,instruction_difficulty\n0.5,0,nan,1\n", "a number that is none"),
    ],
)
def test_bad_assets(tmp_path: Path, text: str | None, match: str) -> None:
    """What is wrong with the assets is said in one sentence that says where they come from."""
    if text is not None:
        (tmp_path / "df_gamed.csv").write_text(text)
    with pytest.raises(DataError, match=match):
        read_assets(tmp_path)
