"""Win rates of models from their annotations: AlpacaEval's own, or direct against any baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selkit.api.errors import DataError, UsageError
from selkit.evals.alpaca_eval.annotations import UNNAMED, Annotation, Annotations
from selkit.evals.alpaca_eval.assets import BASELINE, LcAssets
from selkit.evals.alpaca_eval.difficulty import MIN_ARMS, joint_difficulties
from selkit.evals.alpaca_eval.official import Comparisons, official_win_rate
from selkit.evals.alpaca_eval.records import shown
from selkit.evals.length_control import LengthControlled, cluster_codes, direct_win_rate
from selkit.evals.logistic import Floats

Mode = Literal["official", "direct"]
Baselines = Literal["pooled", "drawn"]
Difficulty = Literal["none", "joint"]


@dataclass(frozen=True)
class ModelRates:
    """What the annotations say of one model; rates in percent, as AlpacaEval prints them.

    Attributes:
        name: The model.
        baselines: What it was compared with.
        n: Comparisons.
        prompts: Instructions that they are about.
        left_out: Rows without a preference or an output, by reason.
        win_rate: The mean preference.
        standard_error: Its standard error, over instructions.
        discrete_win_rate: Wins and half the draws, each comparison being won, drawn or lost.
        n_wins: Comparisons won.
        n_wins_base: Comparisons lost.
        n_draws: Comparisons drawn.
        lc_win_rate: The length-controlled win rate; None where it is not identified.
        lc_se: Its bootstrap standard error, over instructions; None where there is none.
        lc_ci: Its 95% bootstrap interval.
        mean_adjusted_win_rate: ``win_rate`` less 50, as 'Chasing Random' prints it.
        mean_adjusted_lc_win_rate: ``lc_win_rate`` less 50.
        theta: How much the longer response is preferred, in logits (AlpacaEval's coefficient with the other sign).
        overlap: The smaller share of comparisons in which either side is longer, equal lengths counting half.
        identified: Whether the comparisons say what the win rate at equal lengths is.
        avg_length: Mean length of the model's outputs in characters, cut to a whole number.
        reason: Why there is no rate or no interval, or what the rate rests on; empty where nothing is to say.
    """

    name: str
    baselines: tuple[str, ...]
    n: int
    prompts: int
    left_out: Mapping[str, int]
    win_rate: float
    standard_error: float | None
    discrete_win_rate: float
    n_wins: int
    n_wins_base: int
    n_draws: int
    lc_win_rate: float | None
    lc_se: float | None
    lc_ci: tuple[float, float] | None
    mean_adjusted_win_rate: float
    mean_adjusted_lc_win_rate: float | None
    theta: float | None
    overlap: float
    identified: bool
    avg_length: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The rates as JSON writes them."""
        return asdict(self)


@dataclass(frozen=True)
class RateSettings:
    """How win rates are estimated.

    Attributes:
        mode: 'official' is AlpacaEval's own GLM, 'direct' needs nothing but the comparisons.
        baselines: In direct mode with several baselines: 'pooled' takes all comparisons, 'drawn' one at random for each
            instruction, as in 'Chasing Random'.
        difficulty: In direct mode: 'joint' estimates difficulties of instructions over all models.
        bootstraps: Resamples that intervals rest on.
        seed: Seed of the draw and of the resampling.
    """

    mode: Mode = "official"
    baselines: Baselines = "pooled"
    difficulty: Difficulty = "none"
    bootstraps: int = 1000
    seed: int = 0


def win_rates(annotations: Annotations, settings: RateSettings, assets: LcAssets | None = None) -> list[ModelRates]:
    """The rates of every model, in the order in which the models were read.

    Args:
        annotations: The comparisons.
        settings: How to estimate.
        assets: AlpacaEval's difficulties and gamed comparisons, for the official mode.

    Raises:
        UsageError: Settings that do not go together, or several baselines in official mode.
        DataError: An instruction has no known difficulty, or there are too few arms for joint difficulties.
    """
    check_settings(settings)
    models = dict(annotations.models)
    if settings.baselines == "drawn":
        models = {name: _drawn(rows, settings.seed) for name, rows in models.items()}
    left_out = {name: Counter(row.reason for row in annotations.left_out if row.model == name) for name in models}
    if settings.mode == "direct":
        gamma = _joint(models) if settings.difficulty == "joint" else dict.fromkeys(models)
        found = {name: _direct(name, rows, gamma[name], settings) for name, rows in models.items()}
    else:
        if assets is None:
            raise UsageError("the official mode needs AlpacaEval's assets: read them with read_assets")
        found = {name: _official(name, rows, assets, settings) for name, rows in models.items()}
    return [_rates_of(name, rows, left_out[name], found[name]) for name, rows in models.items()]


def check_settings(settings: RateSettings) -> None:
    """Raises UsageError where an option belongs to the other mode."""
    if settings.mode == "official" and (settings.baselines, settings.difficulty) != ("pooled", "none"):
        raise UsageError(
            "drawn baselines and joint difficulties belong to the direct mode: add --mode direct, or leave them out"
        )


def _drawn(rows: Sequence[Annotation], seed: int) -> list[Annotation]:
    """One comparison for each instruction, drawn at random among its baselines."""
    by_prompt: dict[str, list[Annotation]] = {}
    for row in rows:
        by_prompt.setdefault(row.prompt, []).append(row)
    shares = np.random.default_rng(seed).random(len(by_prompt))
    return [options[int(share * len(options))] for share, options in zip(shares, by_prompt.values(), strict=True)]


def _official(name: str, rows: Sequence[Annotation], assets: LcAssets, settings: RateSettings) -> LengthControlled:
    baselines = {row.baseline for row in rows}
    if len(baselines) > 1:
        raise UsageError(
            f"{name!r} was compared with {len(baselines)} baselines ({shown(sorted(baselines))}), and AlpacaEval's GLM "
            "knows one: use --mode direct, or annotations against one baseline"
        )
    arrays = _arrays(rows)
    data = Comparisons(arrays.preference, arrays.gap, _looked_up(name, rows, assets), arrays.groups)
    found = official_win_rate(data, assets, bootstraps=settings.bootstraps, seed=settings.seed)
    return replace(_against_itself(found), theta=None) if name in baselines else found


def _against_itself(found: LengthControlled) -> LengthControlled:
    """AlpacaEval sets the rate of the baseline itself to 50, whatever a judge said of it."""
    known = replace(found, lc_win_rate=50.0, lc_se=None, lc_low=None, lc_high=None, identified=True)
    return replace(known, reason="the model is the baseline, which makes it 50 by construction")


def _looked_up(name: str, rows: Sequence[Annotation], assets: LcAssets) -> Floats:
    """The difficulty of each row's instruction."""
    if unknown := [row for row in rows if row.index is None]:
        raise DataError(
            f"{len(unknown)} annotations of {name!r} have an instruction and no index, by which AlpacaEval's "
            "difficulties go: name the eval set that gives instructions their index with --eval-set"
        )
    missing = sorted({row.index for row in rows if row.index is not None and row.index not in assets.difficulty})
    if missing:
        raise DataError(
            f"AlpacaEval's assets know no difficulty for {len(missing)} instructions of {name!r} (index "
            f"{shown(map(str, missing))}): they are about its own {len(assets.difficulty)}, so use --mode direct here"
        )
    return np.array([assets.difficulty[row.index] for row in rows if row.index is not None])


def _direct(name: str, rows: Sequence[Annotation], gamma: Floats | None, settings: RateSettings) -> LengthControlled:
    arrays = _arrays(rows)
    found = direct_win_rate(
        arrays.preference,
        arrays.length,
        arrays.baseline_length,
        arrays.groups,
        difficulty=gamma,
        bootstraps=settings.bootstraps,
        seed=settings.seed,
    )
    return _against_itself(found) if {row.baseline for row in rows} == {name} else found


def _joint(models: Mapping[str, Sequence[Annotation]]) -> dict[str, Floats]:
    """The difficulty of the instruction of each row of each model, from the other models."""
    asked = {name: {row.prompt for row in rows} for name, rows in models.items()}
    first = next(iter(asked.values()))
    other = next((name for name, prompts in asked.items() if prompts != first), None)
    if len(models) < MIN_ARMS or other is not None:
        why = (
            f"there are {len(models)}"
            if other is None
            else f"{other!r} has other instructions than {next(iter(asked))!r}"
        )
        raise DataError(
            f"joint difficulties need {MIN_ARMS} models or more on the same instructions, and {why}: leave out "
            "--difficulty joint, or add annotations"
        )
    places = {prompt: place for place, prompt in enumerate(sorted(first))}
    sizes = [len(rows) for rows in models.values()]
    arrays = [_arrays(rows) for rows in models.values()]
    prompts = [np.array([places[row.prompt] for row in rows]) for rows in models.values()]
    gamma = joint_difficulties(
        np.concatenate([one.preference for one in arrays]),
        np.concatenate([one.gap for one in arrays]),
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate(prompts),
    )
    return {name: gamma[arm][prompts[arm]] for arm, name in enumerate(models)}


class _Arrays(NamedTuple):
    """Preferences, lengths in characters and the instruction of each row, all of shape (n,)."""

    preference: Floats
    length: Floats
    baseline_length: Floats
    groups: NDArray[np.int64]

    @property
    def gap(self) -> Floats:
        """Model length less baseline length."""
        return self.length - self.baseline_length


def _arrays(rows: Sequence[Annotation]) -> _Arrays:
    return _Arrays(
        np.array([row.preference for row in rows]),
        np.array([float(len(row.output)) for row in rows]),
        np.array([float(len(row.baseline_output)) for row in rows]),
        cluster_codes([row.prompt for row in rows], len(rows)),
    )


def _rates_of(
    name: str, rows: Sequence[Annotation], left_out: Mapping[str, int], found: LengthControlled
) -> ModelRates:
    preference, length, _, groups = _arrays(rows)
    discrete = np.where(preference > 0.5, 1.0, np.where(preference < 0.5, 0.0, 0.5))
    rate, low, high = found.lc_win_rate, found.lc_low, found.lc_high
    return ModelRates(
        name=name,
        baselines=tuple(sorted({row.baseline for row in rows})),
        n=found.n,
        prompts=found.prompts,
        left_out=dict(left_out),
        win_rate=found.win_rate,
        standard_error=_standard_error(preference, groups),
        discrete_win_rate=100 * float(discrete.mean()),
        n_wins=int((discrete == 1).sum()),
        n_wins_base=int((discrete == 0).sum()),
        n_draws=int((discrete == 0.5).sum()),
        lc_win_rate=rate,
        lc_se=found.lc_se,
        lc_ci=None if low is None or high is None else (low, high),
        mean_adjusted_win_rate=found.win_rate - 50,
        mean_adjusted_lc_win_rate=None if rate is None else rate - 50,
        theta=found.theta,
        overlap=found.overlap,
        identified=found.identified,
        avg_length=int(length.mean()),
        reason=found.reason,
    )


def _standard_error(preference: Floats, groups: NDArray[np.int64]) -> float | None:
    """The standard error of the mean in percent, clustered on the instruction; with one row each that of AlpacaEval."""
    count = int(groups.max()) + 1
    if count < 2:
        return None
    sums = np.bincount(groups, weights=preference - preference.mean(), minlength=count)
    return 100 * float(np.sqrt(count / (count - 1) * (sums**2).sum()) / len(preference))


def other_baselines(annotations: Annotations) -> list[str]:
    """Named baselines other than the one that AlpacaEval's assets are about."""
    names = {row.baseline for rows in annotations.models.values() for row in rows}
    return sorted(names - {BASELINE, UNNAMED})
