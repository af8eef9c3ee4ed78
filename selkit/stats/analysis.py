"""Every arm against its control: from a score table to verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from selkit.stats import inference
from selkit.stats.cells import Block, blocks, cells
from selkit.stats.drafts import Draft, drafts
from selkit.stats.endpoints import Endpoint
from selkit.stats.rules import MIN_CONTROL_RUNS, SECONDARY, Rules
from selkit.stats.table import ScoreTable
from selkit.stats.variance import Estimate, Floats
from selkit.stats.verdicts import Flag, VerdictRow, Word, points

Settling = tuple[int | None, int | None]
"""Runs of each arm, and items, either of which would settle an open comparison."""


def compare(table: ScoreTable, control: str = "random", **rules: Any) -> list[VerdictRow]:
    """A verdict for every arm in every cell and at every endpoint.

    Args:
        table: The scores.
        control: The arm that all others are compared with.
        rules: The further fields of :class:`selkit.stats.Rules`: alpha, margins, weights of a composite, gaps, ...

    Returns:
        Rows in the order of cell, endpoint (the composite first) and arm.

    Raises:
        DataError: The control has no scores, or runs have different items.
        UsageError: A rule names an arm or a benchmark that is not there, or a number is out of range.
        MissingExtra: scipy is not installed.
    """
    return analyse(table, Rules(control=control, **rules))


def analyse(table: ScoreTable, rules: Rules) -> list[VerdictRow]:
    """:func:`compare` with its rules in one object, as a spec declares them before the run."""
    rules.check(table)
    return verdict_rows(
        comparisons(blocks(cells(table, intersect=rules.intersect)), rules.endpoints(table), rules), rules
    )


def comparisons(found: Sequence[Block], endpoints: Sequence[Endpoint], rules: Rules) -> list[Draft]:
    """Every comparison that the rules ask for, in the order of block, endpoint and arm."""
    return [draft for block in found for endpoint in endpoints for draft in drafts(block, endpoint, _of(block, rules))]


def _of(block: Block, rules: Rules) -> Rules:
    """The rules of a block. Its verdicts are means over all recipes that were planned: what is missing under a recipe
    that left no scores there touches them as well."""
    gaps = [
        gap
        if gap.recipe is None or gap.recipe in block.recipes
        else replace(gap, recipe=None, reason=f"{gap.reason} under {gap.recipe}, which has no scores")
        for gap in rules.gaps
    ]
    return replace(rules, gaps=gaps)


def verdict_rows(found: Sequence[Draft], rules: Rules) -> list[VerdictRow]:
    """The verdicts of all comparisons, corrected for their number."""
    families = [rules.family(draft.endpoint.name) for draft in found]
    sizes = Counter(families)
    effect, se, df = (_column(found, name) for name in ("effect", "se", "df"))
    p = inference.p_value(effect, se, df)
    adjusted, exploratory = np.full(len(found), np.nan), np.full(len(found), np.nan)
    for family in sizes:
        mine = np.array([name == family for name in families])
        adjusted[mine] = inference.holm(p[mine])
        if family == SECONDARY:
            exploratory[mine] = inference.benjamini_hochberg(p[mine])
    together = 1 - rules.alpha / np.array([sizes[name] for name in families], dtype=np.float64)
    numbers = {
        "effect": effect,
        "se": se,
        "df": df,
        "p": p,
        "p_holm": adjusted,
        "p_bh": exploratory,
        "ci": inference.half_width(se, df, 0.95),
        "simultaneous": inference.half_width(se, df, together),
        "equivalence": inference.half_width(se, df, 0.90),
        "mde": inference.detectable(se, df, rules.alpha),
    }
    return [
        _row(draft, rules, family, sizes[family], {name: float(values[row]) for name, values in numbers.items()})
        for row, (draft, family) in enumerate(zip(found, families, strict=True))
    ]


def _column(found: Sequence[Draft], name: str) -> Floats:
    values = [float("nan") if draft.estimate is None else float(getattr(draft.estimate, name)) for draft in found]
    return np.array(values, dtype=np.float64)


def _row(draft: Draft, rules: Rules, family: str, size: int, numbers: Mapping[str, float]) -> VerdictRow:
    margin = rules.margin(draft.endpoint.name)
    word, reason, settle = _word(draft, rules, numbers, margin)
    effect = numbers["effect"]
    evidence = draft.evidence
    flags = draft.flags
    if word in (Word.BEATS, Word.WORSE) and abs(effect) + numbers["ci"] < margin / 100:
        flags += (Flag.BELOW_MARGIN,)
    bound = draft.endpoint.bound
    if numbers["mde"] > bound:
        flags += (Flag.UNDETECTABLE,)
    place = draft.block.place
    return VerdictRow(
        arm=draft.arm.arm,
        control=draft.control.arm,
        benchmark=draft.endpoint.name,
        pool=place.pool,
        budget=place.budget,
        model=place.model,
        recipe=place.recipe,
        recipes=len(draft.block.cells),
        recipes_alike=_alike(draft),
        effect=_points(effect),
        **_interval("ci", effect, numbers["ci"], bound),
        **_interval("simultaneous", effect, numbers["simultaneous"], bound),
        **_interval("equivalence", effect, numbers["equivalence"], bound),
        se=None if numbers["se"] == 0 else _points(numbers["se"]),
        df=_known(numbers["df"]),
        p=_known(numbers["p"]),
        p_holm=_known(numbers["p_holm"]),
        p_bh=_known(numbers["p_bh"]),
        family=family,
        family_size=size,
        margin=margin,
        verdict=word,
        reason=reason,
        items=draft.items,
        clusters=draft.clusters,
        runs=len(draft.arm.runs),
        control_runs=len(draft.control.runs),
        arm_score=_points(float(np.mean(draft.arm.scores))) if draft.arm.runs else None,
        control_score=_points(float(np.mean(draft.control.scores))) if draft.control.runs else None,
        run_sd=None if evidence is None else _points(math.sqrt(evidence.variance)),
        control_run_sd=None if evidence is None else _points(math.sqrt(evidence.control_variance)),
        mde=_points(numbers["mde"]) if numbers["mde"] <= bound else None,
        runs_to_settle=settle[0],
        items_to_settle=settle[1],
        flags=tuple(flags),
    )


def _alike(draft: Draft) -> int | None:
    """Recipes under which the arm stands on the side that the mean says; None where there is one, or no mean."""
    if len(draft.block.cells) < 2 or draft.estimate is None:
        return None
    weights = draft.endpoint.weights
    alike = 0
    for place in range(len(draft.block.cells)):
        sides = (draft.arm.parts, draft.control.parts)
        arm, control = (sum(w * float(side[place, name].runs.mean()) for name, w in weights.items()) for side in sides)
        alike += bool((arm - control) * float(draft.estimate.effect) > 0)
    return alike


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _points(value: float) -> float | None:
    return 100 * value if math.isfinite(value) else None


def _interval(name: str, effect: float, half: float, bound: float) -> dict[str, Any]:
    low, high = inference.clipped(effect - half, effect + half, bound)
    return {f"{name}_low": _points(low), f"{name}_high": _points(high)}


def _word(draft: Draft, rules: Rules, numbers: Mapping[str, float], margin: float) -> tuple[Word, str, Settling]:
    """The word, why (empty where the numbers say it), and what would settle an open comparison."""
    control_runs, effect, delta = len(draft.control.runs), numbers["effect"], margin / 100
    nothing = (None, None)
    if draft.gap:
        return Word.INCOMPLETE, f"{draft.gap}, so nothing is claimed", nothing
    if control_runs < MIN_CONTROL_RUNS:
        have = f"{control_runs} run{'s' if control_runs > 1 else ''}"
        return Word.UNDERPOWERED, f"{draft.control.arm} has {have} and a claim needs {MIN_CONTROL_RUNS}", nothing
    if draft.estimate is None or not numbers["se"] > 0:
        return Word.INCONCLUSIVE, _unknown(draft), nothing
    low, high = effect - numbers["equivalence"], effect + numbers["equivalence"]
    if numbers["p_holm"] < rules.alpha:
        return (Word.BEATS if effect > 0 else Word.WORSE), "", nothing
    if -delta < low and high < delta:
        return Word.EQUIVALENT, "", nothing
    if -delta < low:
        return Word.NOT_WORSE, "", nothing
    return Word.INCONCLUSIVE, *_open(draft, draft.estimate, rules, numbers, margin)


def _unknown(draft: Draft) -> str:
    if draft.estimate is not None and draft.estimate.variance == 0:
        return "the scores do not vary, so there is nothing to judge the difference by"
    # The control has runs enough to tell how much runs differ, so what is left to lack is items.
    where = "there is" if len(draft.endpoint.weights) == 1 else "a benchmark in it has"
    return f"{where} one item or one cluster of items, so nothing tells how the difference varies between items"


def _open(
    draft: Draft, estimate: Estimate, rules: Rules, numbers: Mapping[str, float], margin: float
) -> tuple[str, Settling]:
    """What would settle a comparison that is open, in a sentence and in numbers."""
    # Enough to find the margin and open all the same: the effect itself, or its distance from the margin, is smaller.
    effect, delta, mde = abs(numbers["effect"]), margin / 100, numbers["mde"]
    target = delta if mde > delta else max(effect, delta - effect)
    runs, control_runs = len(draft.arm.runs), len(draft.control.runs)
    plan = inference.Plan(estimate, runs, control_runs, draft.items, target, rules.alpha)
    settling = plan.more_runs(), plan.more_items()
    found = f"{100 * mde:.1f} points" if mde <= draft.endpoint.bound else "no difference that is possible"
    return f"as it stands {found} would be found with 80% power; {_advice(plan, *settling)}", settling


def _advice(plan: inference.Plan, runs: int | None, items: int | None) -> str:
    goal = f"find {points(float(f'{100 * plan.target:.1f}'))}"
    ways = [f"{runs} runs of each arm"] if runs is not None else []
    ways += [f"{items:,} items"] if items is not None else []
    if ways:
        return f"{' or '.join(ways)} would {goal}"
    both = plan.more_of_both()
    if both is None:
        return f"no sensible number of runs and items would {goal}"
    return f"{both[0]} runs of each arm on {both[1]:,} items would {goal}"
