"""What to expect elsewhere: one arm's differences over pools and budgets, by Hartung and Knapp."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from selkit.stats import inference
from selkit.stats.cells import Place
from selkit.stats.drafts import Draft
from selkit.stats.flips import apart, shared
from selkit.stats.heterogeneity import combined_effects
from selkit.stats.variance import Floats


@dataclass(frozen=True)
class Pooled:
    """Several estimates of one difference brought together, each in a place of its own.

    Attributes:
        effect: The mean over the places; ``se`` its standard error with ``df`` degrees of freedom.
        tau: Standard deviation of the true differences between places; ``i2`` its share of the spread.
        q: Cochran's Q; ``q_p`` its p value.
        spread: Standard deviation of what a new place would show, mean and place together; its degrees of freedom are
            the number of places less two, so that three are needed.
    """

    effect: float
    se: float
    df: float
    tau: float
    i2: float
    q: float
    q_p: float
    places: int

    @property
    def spread(self) -> float:
        """Standard deviation of the difference in a new place around ``effect``."""
        return math.hypot(self.tau, self.se)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The interval of the mean over all places like these."""
        half = float(inference.quantile((1 + level) / 2, self.df)) * self.se
        return self.effect - half, self.effect + half

    def prediction(self, level: float = 0.95) -> tuple[float, float] | None:
        """The interval of the true difference in a new place; None with fewer than three places.

        Source: J. Higgins, S. Thompson and D. Spiegelhalter, 'A re-evaluation of random-effects meta-analysis', 2009.
        """
        if self.places < 3:
            return None
        half = float(inference.quantile((1 + level) / 2, self.places - 2)) * self.spread
        return self.effect - half, self.effect + half

    def chance_better(self) -> float | None:
        """The chance that the true difference in a new place is above 0, by the distribution of :meth:`prediction`."""
        if self.places < 3 or not self.spread > 0:
            return None
        from scipy import special

        return float(special.stdtr(self.places - 2, self.effect / self.spread))

    @property
    def p(self) -> float:
        """Two-sided p of a mean difference of 0."""
        return float(inference.p_value(np.asarray(self.effect), np.asarray(self.se), np.asarray(self.df)))


def pool_effects(effects: Floats, variances: Floats, common: float = 0.0, common_df: float = math.inf) -> Pooled:
    """Random-effects mean with Hartung and Knapp's standard error.

    Source: J. Hartung and G. Knapp, 'On tests of the overall treatment effect in meta-analysis with normally
    distributed responses', 2001, as statsmodels computes it. An error that all estimates share cannot be seen in their
    spread, so it is added to the variance of the mean. Where a few estimates agree by chance, their spread is no sign
    of more degrees of freedom: these are taken from the variance that their own errors give where that is larger.

    Args:
        effects: The estimates, two or more, shape (k,).
        variances: The variances of their own errors, above 0, shape (k,).
        common: The variance of the error that they share.
        common_df: Its degrees of freedom.

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    meta = combined_effects(effects, variances)
    places, own = len(effects), float(meta.var_hksj_re)
    variance = own + common
    expected = max(own, float(meta.var_eff_w_re))
    terms = expected**2 / (places - 1) + (common**2 / common_df if common else 0.0)
    return Pooled(
        effect=float(meta.mean_effect_re),
        se=math.sqrt(variance),
        df=(expected + common) ** 2 / terms if terms > 0 else places - 1.0,
        tau=math.sqrt(max(float(meta.tau2), 0.0)),
        i2=max(float(np.nan_to_num(meta.i2, neginf=0.0)), 0.0),
        q=float(meta.q),
        q_p=float(meta.test_homogeneity().pvalue),
        places=places,
    )


@dataclass(frozen=True)
class PooledRow:
    """What to expect of an arm in a new place like those seen, in points of 100.

    Attributes:
        over: What varies between the places: 'pools', 'budgets' or 'pools and budgets'.
        pool: The pool where it does not vary; likewise ``budget``. ``model`` is the base model.
        places: How many places there are, ``better`` in how many of them the arm is above the control.
        effect: Mean difference with its 95% interval and p value; None where the places agree exactly, which says
            nothing on how sure the mean is.
        tau: Standard deviation of the true differences between places, ``i2`` its share of the spread.
        predicted_low: The 95% prediction interval for a new place, with ``predicted_high``; None under three places.
        chance_better: Chance that the arm is better than the control in a new place.
    """

    arm: str
    control: str
    benchmark: str
    over: str
    pool: Any
    budget: Any
    model: Any
    places: int
    better: int
    effect: float
    ci_low: float | None
    ci_high: float | None
    df: float
    p: float | None
    tau: float
    i2: float
    q: float
    q_p: float
    predicted_low: float | None
    predicted_high: float | None
    chance_better: float | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def pooled_rows(found: Sequence[Draft]) -> list[PooledRow]:
    """Every arm, endpoint and base model over pools, over budgets, and over both, as far as there are two or more.

    An arm that stands in several places with the same runs (an untrained model) says nothing about new places and is
    left out, as are places where its difference has no known variance.

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    groups: dict[tuple[Any, ...], list[Draft]] = defaultdict(list)
    for draft in found:
        if _usable(draft):
            groups[draft.arm.arm, draft.control.arm, draft.endpoint.name, draft.block.place.model].append(draft)
    return [row for group in groups.values() for over, part in _axes(group).items() for row in _rows(over, part)]


def _usable(draft: Draft) -> bool:
    visiting = frozenset[str]().union(*(cell.visiting for cell in draft.block.cells))
    known = draft.estimate is not None and not draft.gap and bool(draft.estimate.variance > 0)
    return known and not visiting & {draft.arm.arm, draft.control.arm}


def _axes(group: Sequence[Draft]) -> dict[str, list[list[Draft]]]:
    """The draft of one arm by what varies between them."""
    pools = {draft.block.place.pool for draft in group}
    budgets = {draft.block.place.budget for draft in group}
    if len(pools) > 1 and len(budgets) > 1:
        return {
            "pools and budgets": [list(group)],
            "pools": _split(group, "budget"),
            "budgets": _split(group, "pool"),
        }
    return {"pools" if len(pools) > 1 else "budgets": [list(group)]} if len(group) > 1 else {}


def _split(group: Sequence[Draft], axis: str) -> list[list[Draft]]:
    parts: dict[Any, list[Draft]] = defaultdict(list)
    for draft in group:
        parts[getattr(draft.block.place, axis)].append(draft)
    return [part for part in parts.values() if len(part) > 1]


def _rows(over: str, parts: Sequence[Sequence[Draft]]) -> list[PooledRow]:
    return [row for part in parts if (row := _row(over, part)) is not None]


def _row(over: str, group: Sequence[Draft]) -> PooledRow | None:
    common = shared(group)
    own = apart(group)
    effects = np.array([float(one.effect) for one in own])
    variances = np.array([float(one.variance) for one in own])
    if not (np.isfinite(variances) & (variances > 0)).all():
        return None
    item_df = float(np.mean([float(one.item_df) for one in own]))
    pooled = pool_effects(effects, variances, common, item_df)
    sure = pooled.se > 0
    interval = pooled.interval() if sure else None
    predicted = pooled.prediction() if sure else None
    first = group[0]
    bound = first.endpoint.bound
    place = _place(over, first.block.place)
    return PooledRow(
        arm=first.arm.arm,
        control=first.control.arm,
        benchmark=first.endpoint.name,
        over=over,
        **place,
        places=pooled.places,
        better=int((effects > 0).sum()),
        effect=100 * pooled.effect,
        **_ends("ci", interval, bound),
        df=pooled.df,
        p=pooled.p if sure else None,
        tau=100 * pooled.tau,
        i2=pooled.i2,
        q=pooled.q,
        q_p=pooled.q_p,
        **_ends("predicted", predicted, bound),
        chance_better=pooled.chance_better() if sure else None,
    )


def _ends(name: str, interval: tuple[float, float] | None, bound: float) -> dict[str, Any]:
    """The ends of an interval in points, no further than differences reach; None where there is none."""
    low, high = (None, None) if interval is None else inference.clipped(*interval, bound)
    return {f"{name}_{end}": None if value is None else 100 * value for end, value in (("low", low), ("high", high))}


def _place(over: str, place: Place) -> Mapping[str, Any]:
    pool, budget = (None if "pools" in over else place.pool), (None if "budgets" in over else place.budget)
    return {"pool": pool, "budget": budget, "model": place.model}
