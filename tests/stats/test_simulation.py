"""Simulated experiments: how often selkit is wrong where the truth is known.

The scores are drawn as RELIABILITY.md does: 805 items, a residual of sd .25 in every score, differences between arms
that vary from item to item with sd .20, and runs that vary with the seed's standard deviation. The statistics run on
stacks of experiments through the very functions that a verdict calls.

Most experiments are drawn by what the statistics take from them (run means, spread over items, residuals), whose
distribution is known exactly where scores are normal; a test holds them against experiments drawn score by score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from selkit.stats import compare
from selkit.stats.inference import half_width, holm, p_value
from selkit.stats.variance import Estimate, Moments, item_variance, moments, run_variance, selector_variances

pytest.importorskip("scipy")

ITEMS = 805
RESIDUAL = 0.25
INTERACTION = 0.20 / np.sqrt(2)  # of each arm, so that differences have .20
BATCH = 200


class Result(NamedTuple):
    """P values and whether the 95% interval holds the truth; shape (experiments, arms)."""

    p: NDArray
    covered: NDArray


def draw(rng: np.random.Generator, runs: int, seed_sd: float, mean: float) -> NDArray:
    """Scores of one arm in a batch of experiments, shape (BATCH, runs, ITEMS); ``seed_sd`` and ``mean`` in points."""
    scores = rng.standard_normal((BATCH, runs, ITEMS), np.float32) * np.float32(RESIDUAL)
    scores += rng.standard_normal((BATCH, 1, ITEMS), np.float32) * np.float32(INTERACTION)
    scores += rng.normal(mean / 100, seed_sd / 100, (BATCH, runs, 1)).astype(np.float32)
    return scores.astype(np.float64)


class Drawn(NamedTuple):
    """What the statistics take from one arm in a stack of experiments: run means (E, K) and residual part (E,)."""

    runs: NDArray
    residual: NDArray


def whole(rng: np.random.Generator, runs: Sequence[int], sds: Sequence[float], means: Sequence[float]) -> list[Moments]:
    """The moments of every arm in a batch of experiments that are drawn score by score."""
    return [moments(draw(rng, k, sd, mean)) for k, sd, mean in zip(runs, sds, means, strict=True)]


def item_parts(drawn: Sequence[Moments]) -> list[NDArray]:
    """V_I of every arm against the last one."""
    return [item_variance(arm.items - drawn[-1].items) for arm in drawn[:-1]]


def summaries(
    rng: np.random.Generator, experiments: int, runs: Sequence[int], sds: Sequence[float], means: Sequence[float]
) -> tuple[list[Drawn], list[NDArray]]:
    """The same without scores: normal run means, chi-square residuals, Wishart sums of squares over the items."""
    from scipy import stats

    drawn = []
    for k, sd, mean in zip(runs, sds, means, strict=True):
        shift = rng.normal(mean / 100, INTERACTION / np.sqrt(ITEMS), (experiments, 1))
        own = rng.normal(0, np.hypot(sd / 100, RESIDUAL / np.sqrt(ITEMS)), (experiments, k))
        freedom = (k - 1) * (ITEMS - 1)
        square = rng.chisquare(freedom, experiments) / freedom if k > 1 else np.full(experiments, np.nan)
        drawn.append(Drawn(shift + own, RESIDUAL**2 * square / (ITEMS * k)))
    scale = np.diag([INTERACTION**2 + RESIDUAL**2 / k for k in runs])
    sums = stats.wishart(ITEMS - 1, scale).rvs(experiments, random_state=rng)
    last = len(runs) - 1
    items = [(sums[:, a, a] + sums[:, last, last] - 2 * sums[:, a, last]) / (ITEMS * (ITEMS - 1)) for a in range(last)]
    return drawn, items


def estimates(arms: Sequence[Moments | Drawn], control: Moments | Drawn, items: Sequence[NDArray]) -> list[Estimate]:
    """Each arm against the control, with the run variance that a verdict would use; ``items`` holds V_I."""
    control_runs = control.runs.shape[-1]
    own = np.stack([run_variance(arm.runs) for arm in arms], -1)
    runs = np.array([arm.runs.shape[-1] for arm in arms])
    control_own = run_variance(control.runs)
    used = selector_variances(own, runs, control_own, control_runs)
    # One run has no residual of its own: the others' stands in, weighted by degrees of freedom, else the control's.
    several = runs > 1
    residuals = np.stack([arm.residual for arm in arms], -1)[..., several] * runs[several]
    lent = np.average(residuals, -1, weights=runs[several] - 1) if several.any() else control.residual * control_runs
    return [
        Estimate(
            effect=arm.runs.mean(-1) - control.runs.mean(-1),
            arm_part=used.value[..., a] / runs[a],
            arm_df=used.df[..., a],
            control_part=control_own / control_runs,
            control_df=np.asarray(control_runs - 1.0),
            item_part=items[a],
            item_df=np.asarray(ITEMS - 1.0),
            residual_part=(lent if runs[a] < 2 else arm.residual) + control.residual,
            shared=used.from_control[..., a],
        )
        for a, arm in enumerate(arms)
    ]


def simulate(
    experiments: int,
    runs: Sequence[int],
    control_runs: int,
    seed_sd: Sequence[float],
    control_sd: float,
    effect: float = 0.0,
    seed: int = 0,
    *,
    by_score: bool = False,
) -> Result:
    """Experiments in which every arm is ``effect`` points better than the control."""
    rng = np.random.default_rng([seed, control_runs, *runs])
    plan = [*runs, control_runs], [*seed_sd, control_sd], [*[effect] * len(runs), 0.0]
    if not by_score:
        drawn, items = summaries(rng, experiments, *plan)
        return _result(estimates(drawn[:-1], drawn[-1], items), effect)
    results = []
    for _ in range(experiments // BATCH):
        batch = whole(rng, *plan)
        results.append(_result(estimates(batch[:-1], batch[-1], item_parts(batch)), effect))
    return Result(*(np.concatenate(parts) for parts in zip(*results, strict=True)))


def _result(found: Sequence[Estimate], effect: float) -> Result:
    inside = [np.abs(e.effect - effect / 100) <= half_width(e.se, e.df, 0.95) for e in found]
    return Result(np.stack([p_value(e.effect, e.se, e.df) for e in found], -1), np.stack(inside, -1))


SETTINGS = [(sd, k) for sd in (0.5, 1.0, 2.0) for k in ((3, 3), (3, 7), (5, 5))]


def error_and_coverage(
    experiments: int, sd: float, runs: tuple[int, int], *, by_score: bool = False
) -> tuple[float, float]:
    """The false-positive rate without an effect, and the coverage with one of 2 points."""
    null = simulate(experiments, [runs[0]], runs[1], [sd], sd, by_score=by_score)
    real = simulate(experiments, [runs[0]], runs[1], [sd], sd, effect=2.0, seed=1, by_score=by_score)
    return float((null.p < 0.05).mean()), float(real.covered.mean())


@pytest.mark.parametrize(("sd", "runs"), SETTINGS)
def test_false_positives_and_coverage(sd: float, runs: tuple[int, int]) -> None:
    """20,000 experiments a setting: 3 to 7% false positives at 5%, 93 to 97% coverage."""
    error, coverage = error_and_coverage(20_000, sd, runs)
    assert 0.03 <= error <= 0.07
    assert 0.93 <= coverage <= 0.97


def test_false_positives_score_by_score() -> None:
    """Drawn score by score, over all settings together, with the chance error that 3,600 experiments leave."""
    found = [error_and_coverage(400, sd, runs, by_score=True) for sd, runs in SETTINGS]
    error, coverage = np.mean(found, axis=0)
    assert 0.037 <= error <= 0.062
    assert 0.938 <= coverage <= 0.963


@pytest.mark.parametrize("runs", [[3], [3, 3, 3, 1]])
def test_summaries_are_drawn_as_scores_are(runs: list[int]) -> None:
    """Drawn either way, effects, variances and degrees of freedom have the same distribution."""
    from scipy import stats

    rng = np.random.default_rng(6)
    plan = [*runs, 5], [1.0] * (len(runs) + 1), [0.0] * (len(runs) + 1)
    batches = [whole(rng, *plan) for _ in range(4)]
    by_score = [estimates(batch[:-1], batch[-1], item_parts(batch)) for batch in batches]
    drawn, items = summaries(rng, 4000, *plan)
    for arm, fast in enumerate(estimates(drawn[:-1], drawn[-1], items)):
        for name in ("effect", "variance", "df", "item_part", "residual_part", "run_part"):
            slow = np.concatenate([getattr(found[arm], name) for found in by_score])
            assert stats.ks_2samp(slow, getattr(fast, name)).pvalue > 0.001, name


@pytest.mark.parametrize("ratio", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("sd", [0.5, 1.0, 2.0])
def test_family_of_five_null_selectors(ratio: float, sd: float) -> None:
    """Five null selectors with 3 runs against 7: some word is wrong in under 6%, also where random's variance is
    half or twice theirs."""
    found = simulate(20_000, [3] * 5, 7, [sd] * 5, sd * np.sqrt(ratio), seed=2)
    wrong = np.mean([holm(p).min() < 0.05 for p in found.p])
    assert 0.02 < wrong < 0.06


@pytest.mark.parametrize("runs", [[1], [2, 1, 1], [1, 1, 1]])
def test_borrowed_variance(runs: list[int]) -> None:
    """Arms of one run against 4 are wrong about as often as they should be where runs do vary alike."""
    found = simulate(20_000, runs, 4, [1.0] * len(runs), 1.0, seed=3)
    assert ((found.p < 0.05).mean(0) <= 0.07).all()
    assert ((found.p < 0.05).mean(0) >= 0.02).all()


def test_scores_of_a_judge() -> None:
    """Scores of 0, 0.25, ... 1 instead of normal ones: the rates are the same."""
    rng = np.random.default_rng(7)
    wrong = []
    for _ in range(6):
        arms = [np.clip(np.round(4 * (0.5 + draw(rng, k, 1.0, 0.0)[:, :, :300])) / 4, 0, 1) for k in (3, 7)]
        batch = [moments(scores) for scores in arms]
        (found,) = estimates(batch[:1], batch[1], item_parts(batch))
        found = replace(found, item_df=np.asarray(299.0))
        wrong.append(p_value(found.effect, found.se, found.df) < 0.05)
    assert 0.03 <= np.mean(wrong) <= 0.07


def test_the_papers_practice_is_caught() -> None:
    """One run against one, judged over items alone, finds 'differences' in far more than 5%: what selkit is for."""
    rng = np.random.default_rng(4)
    arms = [draw(rng, 1, 1.5, 0.0)[:, 0] for _ in range(2)]
    t = (arms[0] - arms[1]).mean(-1) / np.sqrt(item_variance(arms[0] - arms[1]))
    assert (np.abs(t) > 1.96).mean() > 0.15


@pytest.mark.parametrize(
    "runs",
    [{"a": 3, "b": 3, "c": 2, "one": 1, "random": 5}, {"a": 3, "b": 4, "random": 5}, {"a": 1, "b": 1, "random": 4}],
)
def test_a_verdict_is_what_was_simulated(table: Callable, runs: dict[str, int]) -> None:
    """The stacked statistics of the simulation are those of :func:`selkit.stats.compare`, experiment by experiment."""
    rng = np.random.default_rng(5)
    scores = {arm: 0.5 + draw(rng, k, 1.0, 0.0)[:3, :, :60] / 10 for arm, k in runs.items()}
    stacked = {arm: moments(values) for arm, values in scores.items()}
    arms = [stacked[arm] for arm in runs if arm != "random"]
    expected = estimates(arms, stacked["random"], item_parts([*arms, stacked["random"]]))
    for trial in range(3):
        rows = compare(table({arm: values[trial] for arm, values in scores.items()}))
        for row, estimate in zip(rows, expected, strict=True):
            assert row.effect == pytest.approx(100 * estimate.effect[trial])
            assert row.se == pytest.approx(100 * estimate.se[trial])
            exact = replace(estimate, item_df=np.asarray(59.0))  # 60 items here
            assert row.df == pytest.approx(exact.df[trial])
