"""Which conclusions depend on the training recipe, and how many would by chance alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from selkit.stats import heterogeneity as many
from selkit.stats import inference
from selkit.stats.cells import Block, block_of
from selkit.stats.drafts import Draft, drafts
from selkit.stats.endpoints import Endpoint, item_shares
from selkit.stats.rules import Gap, Rules
from selkit.stats.variance import Estimate


@dataclass(frozen=True)
class RecipeRow:
    """One arm under one recipe: its difference from the control with the unadjusted 95% interval, in points of 100.

    What is not known is None, and ``reason`` says why; it is empty where all is known.
    """

    arm: str
    control: str
    benchmark: str
    pool: Any
    budget: Any
    model: Any
    recipe: Any
    effect: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    runs: int
    control_runs: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


@dataclass(frozen=True)
class FlipRow:
    """How one arm fares over the recipes of one pool and budget, in points of 100.

    A recipe that lacks runs is not counted, and one whose scores do not vary is counted but not tested; ``reason``
    names them. What fewer than two recipes leave to say is None.

    Attributes:
        recipes: The number of recipes that are counted.
        better: Recipes under which the arm is above the control; ``worse`` those under which it is below.
        share: min(better, worse) / recipes: the share of recipes that say the opposite of the others.
        chance_share: What ``share`` would be on average if the difference were the same under every recipe.
        chance: The mean chance that one recipe shows the wrong sign if the difference were the same everywhere.
        effect: The difference that the recipes have in common: their mean weighted by precision.
        q: Cochran's Q with ``q_df`` degrees of freedom and its p value ``q_p``.
        i2: Share of the spread over recipes that chance does not explain; ``tau`` its standard deviation.
        interaction_p: Whether recipe and arm interact, by Welch's test; ``interaction_p_holm`` over the family.
        opposite: Two recipes have 95% intervals on opposite sides of 0.
        flips: The conclusion depends on the recipe: the interaction is significant, or two intervals are opposite.
        reason: Which recipes are left out of the counts or of the tests, and why; empty where none is.
    """

    arm: str
    control: str
    benchmark: str
    pool: Any
    budget: Any
    model: Any
    recipes: int
    better: int
    worse: int
    share: float | None
    chance_share: float | None
    chance: float | None
    effect: float | None
    q: float | None
    q_df: int | None
    q_p: float | None
    i2: float | None
    tau: float | None
    interaction_p: float | None
    interaction_p_holm: float | None
    opposite: bool
    flips: bool | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def recipe_table(blocks: Sequence[Block], endpoints: Sequence[Endpoint], rules: Rules) -> list[list[Draft]]:
    """For every arm, pool, budget and endpoint with two recipes or more: its comparison under each recipe."""
    return [group for block in blocks for endpoint in endpoints for group in _by_arm(block, endpoint, rules)]


def _by_arm(block: Block, endpoint: Endpoint, rules: Rules) -> Iterator[list[Draft]]:
    """The comparisons of every arm, one for each recipe, also where there is nothing to compare."""
    if len(block.cells) < 2:
        return
    groups: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for cell in block.cells:
        own = block_of([cell])
        absent = [Gap(arm, "no scores under this recipe") for arm in block.arms if arm not in own.arms]
        for draft in drafts(own, endpoint, replace(rules, gaps=[*absent, *rules.gaps])):
            groups[draft.arm.arm, draft.control.arm].append(draft)
    yield from groups.values()


def recipe_rows(groups: Sequence[Sequence[Draft]]) -> list[RecipeRow]:
    """The rows of a forest plot, recipe by recipe."""
    return [_recipe_row(draft) for group in groups for draft in group]


def _recipe_row(draft: Draft) -> RecipeRow:
    place, estimate = draft.block.place, draft.estimate
    reason = _unknown(draft)
    effect = None if estimate is None else float(estimate.effect)
    low = high = p = None
    if estimate is not None and not reason:
        half, bound = float(inference.half_width(estimate.se, estimate.df, 0.95)), draft.endpoint.bound
        low, high = inference.clipped(float(estimate.effect) - half, float(estimate.effect) + half, bound)
        p = float(inference.p_value(estimate.effect, estimate.se, estimate.df))
    return RecipeRow(
        arm=draft.arm.arm,
        control=draft.control.arm,
        benchmark=draft.endpoint.name,
        pool=place.pool,
        budget=place.budget,
        model=place.model,
        recipe=place.recipe,
        effect=_points(effect),
        ci_low=_points(low),
        ci_high=_points(high),
        p=p,
        runs=len(draft.arm.runs),
        control_runs=len(draft.control.runs),
        reason=reason,
    )


def _unknown(draft: Draft) -> str:
    """Why a comparison has no interval; empty where it has one."""
    if draft.gap:
        return draft.gap
    if draft.estimate is None or not math.isfinite(draft.estimate.variance):
        return "there is too little to tell how much runs or items differ"
    if draft.estimate.variance == 0:
        return "the scores do not vary"
    return "" if math.isfinite(draft.estimate.df) else "there is too little to tell how much runs differ"


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def flip_rows(groups: Sequence[Sequence[Draft]], rules: Rules) -> list[FlipRow]:
    """The flips of every group, next to what chance would give; Holm's correction within each family.

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    found = [_flip_row(group) for group in groups]
    p = np.array([np.nan if row.interaction_p is None else row.interaction_p for row in found])
    families = np.array([rules.family(row.benchmark) for row in found])
    for family in set(families.tolist()):
        mine = families == family
        p[mine] = inference.holm(p[mine])
    return [
        replace(row, interaction_p_holm=float(one), flips=bool(one < rules.alpha or row.opposite))
        if math.isfinite(one)
        else replace(row, flips=True if row.opposite else None)
        for row, one in zip(found, p, strict=True)
    ]


def _flip_row(group: Sequence[Draft]) -> FlipRow:
    counted = [draft for draft in group if draft.estimate is not None and not draft.gap]
    effects = np.array([float(draft.estimate.effect) for draft in counted if draft.estimate is not None])
    rows = [_recipe_row(draft) for draft in group]
    first = rows[0]
    above = any(row.ci_low is not None and row.ci_low > 0 for row in rows)
    below = any(row.ci_high is not None and row.ci_high < 0 for row in rows)
    tested, left_out = _tested(counted)
    reasons = [f"{row.recipe}: {row.reason}" for row in rows if row.reason] + left_out
    return FlipRow(
        arm=first.arm,
        control=first.control,
        benchmark=first.benchmark,
        pool=first.pool,
        budget=first.budget,
        model=first.model,
        recipes=len(counted),
        better=int((effects > 0).sum()),
        worse=int((effects < 0).sum()),
        share=many.flip_share(effects) if len(effects) else None,
        **_against_chance(tested),
        interaction_p_holm=None,
        opposite=above and below,
        flips=None,
        reason="; ".join(reasons),
    )


def _tested(counted: Sequence[Draft]) -> tuple[list[Estimate], list[str]]:
    """The estimates whose own variance is known, and why others are left out of the tests though they are counted."""
    usable = [draft for draft in counted if not _unknown(draft)]
    found = [(draft, one) for draft, one in zip(usable, apart(usable), strict=True)] if usable else []
    sure = [one for _, one in found if one.variance > 0]
    unsure = [draft for draft, one in found if not one.variance > 0]
    why = [f"{draft.block.place.recipe}: nothing varies besides what all recipes share" for draft in unsure]
    return sure, why


def _against_chance(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """What two estimates or more say of the spread over recipes; None for each where there are fewer."""
    names = ("chance_share", "chance", "effect", "q", "q_df", "q_p", "i2", "tau", "interaction_p")
    if len(estimates) < 2:
        return dict.fromkeys(names)
    effects, variances, df = (
        np.array([float(getattr(one, name)) for one in estimates]) for name in ("effect", "variance", "df")
    )
    spread = many.heterogeneity(effects, variances, df)
    common = float(np.average(effects, weights=1 / variances))
    found = {
        "chance_share": many.expected_flip_share(common, np.sqrt(variances)),
        "chance": many.chance_of_flip(common, np.sqrt(variances)),
        "effect": 100 * common,
        "tau": 100 * spread.tau,
    }
    return found | {name: getattr(spread, name) for name in names if name not in found}


def apart(group: Sequence[Draft]) -> list[Estimate]:
    """The estimates of comparisons without the variance that they share by standing on the same items."""
    common = shared(group)
    return [
        replace(draft.estimate, item_part=np.maximum(draft.estimate.item_part - common, 0.0))
        for draft in group
        if draft.estimate is not None
    ]


def shared(group: Sequence[Draft]) -> float:
    """The variance that comparisons share, 0 where the items are fixed."""
    if any(draft.estimate is None or draft.estimate.item_part == 0 for draft in group):
        return 0.0
    endpoint = group[0].endpoint
    return many.common_variance(
        [
            [item_shares(draft.block, endpoint, name, draft.arm, draft.control) for draft in group]
            for name in endpoint.weights
        ]
    )
