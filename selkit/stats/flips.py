"""Which conclusions depend on the training recipe, and how many would by chance alone."""

from __future__ import annotations

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
from selkit.stats.rules import Rules
from selkit.stats.variance import Estimate


@dataclass(frozen=True)
class RecipeRow:
    """One arm under one recipe: its difference from the control with the unadjusted 95% interval, in points of 100."""

    arm: str
    control: str
    benchmark: str
    pool: Any
    budget: Any
    model: Any
    recipe: Any
    effect: float
    ci_low: float | None
    ci_high: float | None
    p: float | None
    runs: int
    control_runs: int

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


@dataclass(frozen=True)
class FlipRow:
    """How one arm fares over the recipes of one pool and budget, in points of 100.

    Attributes:
        recipes: The number of recipes.
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
    share: float
    chance_share: float
    chance: float
    effect: float
    q: float
    q_df: int
    q_p: float
    i2: float
    tau: float
    interaction_p: float
    interaction_p_holm: float
    opposite: bool
    flips: bool

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON writes it."""
        return asdict(self)


def recipe_table(blocks: Sequence[Block], endpoints: Sequence[Endpoint], rules: Rules) -> list[list[Draft]]:
    """For every arm, pool, budget and endpoint with two recipes or more: its comparison under each recipe."""
    return [group for block in blocks for endpoint in endpoints for group in _by_arm(block, endpoint, rules)]


def _by_arm(block: Block, endpoint: Endpoint, rules: Rules) -> Iterator[list[Draft]]:
    if len(block.cells) < 2:
        return
    groups: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for cell in block.cells:
        for draft in drafts(block_of([cell]), endpoint, rules):
            if draft.estimate is not None and not draft.gap and draft.estimate.variance > 0:
                groups[draft.arm.arm, draft.control.arm].append(draft)
    yield from (group for group in groups.values() if len(group) > 1)


def recipe_rows(groups: Sequence[Sequence[Draft]]) -> list[RecipeRow]:
    """The rows of a forest plot, recipe by recipe."""
    return [_recipe_row(draft, draft.estimate) for group in groups for draft in group if draft.estimate is not None]


def _recipe_row(draft: Draft, estimate: Estimate) -> RecipeRow:
    place = draft.block.place
    effect, half = float(estimate.effect), float(inference.half_width(estimate.se, estimate.df, 0.95))
    p = float(inference.p_value(estimate.effect, estimate.se, estimate.df))
    known = np.isfinite(half)
    return RecipeRow(
        arm=draft.arm.arm,
        control=draft.control.arm,
        benchmark=draft.endpoint.name,
        pool=place.pool,
        budget=place.budget,
        model=place.model,
        recipe=place.recipe,
        effect=100 * effect,
        ci_low=100 * (effect - half) if known else None,
        ci_high=100 * (effect + half) if known else None,
        p=p if known else None,
        runs=len(draft.arm.runs),
        control_runs=len(draft.control.runs),
    )


def flip_rows(groups: Sequence[Sequence[Draft]], rules: Rules) -> list[FlipRow]:
    """The flips of every group, next to what chance would give; Holm's correction within each family.

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    found = [row for group in groups if (row := _flip_row(group)) is not None]
    families = np.array([rules.family(row.benchmark) for row in found])
    adjusted = np.ones(len(found))
    for family in set(families.tolist()):
        mine = families == family
        adjusted[mine] = inference.holm(np.array([row.interaction_p for row in found])[mine])
    return [
        replace(row, interaction_p_holm=float(p), flips=bool(p < rules.alpha or row.opposite))
        for row, p in zip(found, adjusted, strict=True)
    ]


def _flip_row(group: Sequence[Draft]) -> FlipRow | None:
    estimates = apart(group)
    effects = np.array([float(one.effect) for one in estimates])
    variances = np.array([float(one.variance) for one in estimates])
    df = np.array([float(one.df) for one in estimates])
    if not (np.isfinite(variances) & np.isfinite(df) & (variances > 0)).all():
        return None
    spread = many.heterogeneity(effects, variances, df)
    common = float(np.average(effects, weights=1 / variances))
    rows = [_recipe_row(draft, draft.estimate) for draft in group if draft.estimate is not None]
    first = rows[0]
    above = any(row.ci_low is not None and row.ci_low > 0 for row in rows)
    below = any(row.ci_high is not None and row.ci_high < 0 for row in rows)
    return FlipRow(
        arm=first.arm,
        control=first.control,
        benchmark=first.benchmark,
        pool=first.pool,
        budget=first.budget,
        model=first.model,
        recipes=len(group),
        better=int((effects > 0).sum()),
        worse=int((effects < 0).sum()),
        share=many.flip_share(effects),
        chance_share=many.expected_flip_share(common, np.sqrt(variances)),
        chance=many.chance_of_flip(common, np.sqrt(variances)),
        effect=100 * common,
        q=spread.q,
        q_df=spread.q_df,
        q_p=spread.q_p,
        i2=spread.i2,
        tau=100 * spread.tau,
        interaction_p=spread.interaction_p,
        interaction_p_holm=1.0,
        opposite=above and below,
        flips=False,
    )


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
