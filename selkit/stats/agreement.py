"""Do two benchmarks, or two recipes, order the selectors alike? Kendall's tau over differences from the control."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selkit.api.errors import MissingExtra
from selkit.stats import inference
from selkit.stats.drafts import Draft
from selkit.stats.rules import Rules
from selkit.stats.variance import Floats
from selkit.stats.verdicts import COMPOSITE

MIN_POINTS = 3
"""With fewer arms there is no order to speak of."""

DRAWS = 1000
"""Bootstrap samples of runs."""

_MOST = 2e8  # comparisons of pairs of arms that the bootstrap may make, so that it ends within seconds

Point = tuple[Any, ...]
"""What is ordered: (arm, pool, budget, model)."""

Ground = tuple[Any, Any, Any]
"""(pool, budget, model), each None where there are several."""


@dataclass(frozen=True)
class AgreementRow:
    """How far two measures order the arms alike.

    Attributes:
        over: 'benchmark' or 'recipe': what ``first`` and ``second`` are.
        benchmark: Between recipes, the benchmark on which the arms are compared.
        pool: The pool; None where arms of several pools are ordered together. Likewise ``budget`` and ``model``.
        lora: One of the two recipes trains adapters and the other all weights.
        points: Arms (in places) that are ordered.
        tau: Kendall's tau-b; ``p`` its two-sided p value, exact where there are no ties.
        ci_low: 95% interval from drawing the runs again, with ``ci_high``; None where some arm has one run. Draws add
            noise, which pulls tau towards 0, so the interval reaches further that way.
        detectable: The smallest |tau| that so many points could show at alpha; None where none could.
        mde_first: The difference from the control that ``first`` detects for a typical (median) arm, in points of 100;
            ``mde_second`` likewise. Orders of arms that differ by less are mostly noise. None where no difference that
            is possible would be detected.
    """

    over: str
    first: str
    second: str
    benchmark: str | None
    pool: Any
    budget: Any
    model: Any
    lora: bool
    points: int
    tau: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    detectable: float | None
    mde_first: float | None
    mde_second: float | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def benchmark_rows(found: Sequence[Draft], rules: Rules) -> list[AgreementRow]:
    """Every pair of benchmarks: in each pool, budget and model, and where there are several, over all of them together.

    Raises:
        MissingExtra: scipy is not installed.
    """
    singles = [draft for draft in _usable(found) if draft.endpoint.name != COMPOSITE]
    rows: list[AgreementRow] = []
    for place, group in _places(singles):
        rows += _pairs("benchmark", group, lambda draft: draft.endpoint.name, place, None, rules)
    return rows


def between_recipes(groups: Sequence[Sequence[Draft]], rules: Rules) -> list[AgreementRow]:
    """Every pair of recipes on every endpoint, over all pools, budgets and models together.

    Raises:
        MissingExtra: scipy is not installed.
    """
    by_endpoint: dict[str, list[Draft]] = defaultdict(list)
    for draft in _usable([draft for group in groups for draft in group]):
        by_endpoint[draft.endpoint.name].append(draft)
    rows: list[AgreementRow] = []
    for name, group in by_endpoint.items():
        rows += _pairs("recipe", group, lambda draft: str(draft.block.place.recipe), _common(group), name, rules)
    return rows


def _usable(found: Sequence[Draft]) -> list[Draft]:
    """One control only, because differences from two controls have no common zero."""
    there = [draft for draft in found if draft.arm.runs and draft.control.runs and not draft.gap]
    first = there[0].control.arm if there else ""
    return [draft for draft in there if draft.control.arm == first]


def _places(found: Sequence[Draft]) -> Iterator[tuple[Ground, list[Draft]]]:
    groups: dict[Ground, list[Draft]] = defaultdict(list)
    for draft in found:
        groups[draft.block.place.ground].append(draft)
    if len(groups) > 1:
        yield _common(found), list(found)
    yield from groups.items()


def _common(found: Sequence[Draft]) -> Ground:
    """Pool, budget and model of the comparisons, each None where they have several."""
    axes = zip(*(draft.block.place.ground for draft in found), strict=True)
    pool, budget, model = (values[0] if len(set(values)) == 1 else None for values in axes)
    return pool, budget, model


def _pairs(
    over: str,
    group: Sequence[Draft],
    measure: Callable[[Draft], str],
    place: Ground,
    benchmark: str | None,
    rules: Rules,
) -> list[AgreementRow]:
    """A row for every pair of measures that at least three arms have in common."""
    table: dict[str, dict[Point, Draft]] = defaultdict(dict)
    for draft in group:
        table[measure(draft)][draft.arm.arm, *draft.block.place.ground] = draft
    rows = []
    for first, second in combinations(sorted(table), 2):
        points = [point for point in table[first] if point in table[second]]
        if len(points) >= MIN_POINTS:
            both = [[table[name][point] for point in points] for name in (first, second)]
            rows.append(_row(over, first, second, both, place, benchmark, rules))
    return rows


def _row(
    over: str,
    first: str,
    second: str,
    both: Sequence[Sequence[Draft]],
    place: Ground,
    benchmark: str | None,
    rules: Rules,
) -> AgreementRow:
    effects = [np.array([draft.arm.scores.mean() - draft.control.scores.mean() for draft in side]) for side in both]
    tau, p = kendall(*effects)
    low, high = _interval(both, tau)
    lora = over == "recipe" and rules.trains_adapters(first) != rules.trains_adapters(second)
    mde = [_median_mde(side, rules.alpha) for side in both]
    return AgreementRow(
        over=over,
        first=first,
        second=second,
        benchmark=benchmark,
        pool=place[0],
        budget=place[1],
        model=place[2],
        lora=lora,
        points=len(effects[0]),
        tau=tau,
        ci_low=low,
        ci_high=high,
        p=p,
        detectable=detectable_tau(len(effects[0]), rules.alpha),
        mde_first=mde[0],
        mde_second=mde[1],
    )


def kendall(first: Floats, second: Floats) -> tuple[float | None, float | None]:
    """scipy's Kendall tau-b and its two-sided p; None where one side is constant."""
    found = _scipy_stats().kendalltau(first, second)
    return _known(found.statistic), _known(found.pvalue)


@lru_cache(maxsize=256)
def detectable_tau(points: int, alpha: float) -> float | None:
    """The smallest |tau| of ``points`` untied pairs that is significant at ``alpha``; None where none is."""
    pairs = points * (points - 1) // 2
    low, high = 0, pairs // 2  # discordant pairs; the more, the smaller tau
    if not _significant(points, 0, alpha):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _significant(points, middle, alpha) else (low, middle - 1)
    return 1 - 2 * low / pairs


def _significant(points: int, discordant: int, alpha: float) -> bool:
    """Whether an order with so many inversions differs from chance, asked of scipy itself."""
    order: list[int] = []
    for element in range(points):  # put before k smaller ones, an element makes k inversions
        before = min(discordant, element)
        order.insert(element - before, element)
        discordant -= before
    return bool(_scipy_stats().kendalltau(np.arange(points), order).pvalue < alpha)


def _median_mde(side: Sequence[Draft], alpha: float) -> float | None:
    known = [
        float(inference.detectable(draft.estimate.se, draft.estimate.df, alpha))
        for draft in side
        if draft.estimate is not None
    ]
    finite = [value for value in known if math.isfinite(value)]
    median = float(np.median(finite)) if finite else math.inf
    return 100 * median if median <= side[0].endpoint.bound else None


def _interval(both: Sequence[Sequence[Draft]], tau: float | None) -> tuple[float | None, float | None]:
    """Percentile interval of tau where the runs of every arm are drawn again, the same for both measures.

    One run is scored on all benchmarks, so its draw is the same on both sides; under two recipes the run of one number
    is the same seeds.
    """
    if tau is None or any(len(side.runs) < 2 for draft in [*both[0], *both[1]] for side in (draft.arm, draft.control)):
        return None, None
    points = len(both[0])
    draws = int(min(DRAWS, max(100, _MOST / points**2)))
    rng = np.random.default_rng(0)
    drawn: dict[Hashable, NDArray[np.int64]] = {}
    sides = [np.stack([_resampled(draft, rng, drawn, draws) for draft in side], -1) for side in both]
    taus = np.array([_tau(sides[0][draw], sides[1][draw]) for draw in range(draws)])
    taus = taus[np.isfinite(taus)]
    if not len(taus):
        return None, None
    low, high = np.quantile(taus, [0.025, 0.975])
    return min(float(low), tau), max(float(high), tau)


def _resampled(draft: Draft, rng: np.random.Generator, drawn: dict[Hashable, NDArray[np.int64]], draws: int) -> Floats:
    """The difference from the control in every draw, shape (draws,)."""
    means = []
    for side in (draft.arm, draft.control):
        # A run of one number is one draw on both measures, so the draw is remembered by arm and place.
        key = (side.arm, *draft.block.place.ground, len(side.runs))
        if key not in drawn:
            drawn[key] = rng.integers(0, len(side.runs), (draws, len(side.runs)))
        centre, k = side.scores.mean(), len(side.runs)
        # The mean of k draws from k values varies by (k - 1)/k of what it should.
        means.append(centre + (side.scores[drawn[key]].mean(-1) - centre) * math.sqrt(k / (k - 1)))
    return np.asarray(means[0] - means[1])


def _tau(first: Floats, second: Floats) -> float:
    """Kendall's tau-b without its p value, which scipy would compute along each time."""
    left, right = (np.sign(side[:, None] - side[None, :]) for side in (first, second))
    scale = math.sqrt(float((left**2).sum() * (right**2).sum()))
    return float((left * right).sum() / scale) if scale else math.nan


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtra.of("statistics", "eval") from error
    return stats
