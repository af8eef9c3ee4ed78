"""A comparison of two arms in one cell at one endpoint, before the family of all comparisons is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from selkit.stats.cells import Block
from selkit.stats.endpoints import ArmData, Endpoint, arm_data, item_count, item_part, slots
from selkit.stats.lending import RunEvidence, run_evidence
from selkit.stats.rules import MIN_RUNS, Rules, advised_control_runs
from selkit.stats.variance import Estimate
from selkit.stats.verdicts import Flag


@dataclass(frozen=True)
class Draft:
    """One comparison: the numbers, and what is missing (``gap``, empty where nothing is)."""

    arm: ArmData
    control: ArmData
    endpoint: Endpoint
    block: Block
    estimate: Estimate | None
    evidence: RunEvidence | None
    gap: str
    items: int
    clusters: int
    flags: tuple[Flag, ...]


def drafts(block: Block, endpoint: Endpoint, rules: Rules) -> Iterator[Draft]:
    """Every comparison that ``rules`` ask for in ``block`` at ``endpoint``: the mean over the block's recipes."""
    gaps = {gap.arm: gap.reason for gap in rules.gaps if gap.touches(block, list(endpoint.weights))}
    names = sorted({*block.arms, *gaps, rules.control})
    data = {name: arm_data(block, endpoint, name) for name in names}
    pairs = _pairs(names, rules)
    for control in dict.fromkeys(control for _, control in pairs):
        evidence = _evidence(data, control, block, endpoint, rules)
        arms = [arm for arm, other in pairs if other == control]
        for arm in arms:
            missing = _gap(arm, control, data, gaps, endpoint)
            yield _draft(block, endpoint, data[arm], data[control], evidence.get(arm), missing, rules, len(arms))


def _pairs(names: list[str], rules: Rules) -> list[tuple[str, str]]:
    wanted = [name for name in names if name != rules.control and (rules.arms is None or name in rules.arms)]
    further = [pair for pair in rules.pairs if pair[0] in names and pair[1] in names]
    return list(dict.fromkeys([*((name, rules.control) for name in wanted), *further]))


def _evidence(
    data: Mapping[str, ArmData], control: str, block: Block, endpoint: Endpoint, rules: Rules
) -> dict[str, RunEvidence]:
    there = [arm for arm in data.values() if arm.runs and arm.arm != control]
    if not data[control].runs:
        return {}
    # Random's runs hold the draw as well, so where it is the arm of a further pair it neither lends nor shares.
    selectors = [arm for arm in there if arm.arm != rules.control]
    others = [arm for arm in there if arm.arm == rules.control]
    weights = slots(block, endpoint)
    shared = run_evidence(selectors, data[control], weights, pool=rules.variance == "pooled")
    return shared | run_evidence(others, data[control], weights, pool=False)


def _gap(arm: str, control: str, data: Mapping[str, ArmData], gaps: Mapping[str, str], endpoint: Endpoint) -> str:
    for name in (arm, control):
        if name in gaps:
            return f"{name}: {gaps[name]}"
        if not data[name].runs and not data[name].lacking:
            return f"{name} has no scores here"
        for run, benchmark in data[name].lacking.items():
            return f"run {run} of {name} has no scores on {benchmark}"
    return ""


def _draft(
    block: Block,
    endpoint: Endpoint,
    arm: ArmData,
    control: ArmData,
    evidence: RunEvidence | None,
    gap: str,
    rules: Rules,
    family: int,
) -> Draft:
    items, clusters, dropped = item_count(block, endpoint)
    estimate = None if evidence is None else _estimate(block, endpoint, arm, control, evidence)
    if estimate is not None and rules.items == "fixed":
        estimate = estimate.with_fixed_items()
    flags = _flags(arm, control, estimate, family)
    flags += (Flag.INTERSECTED,) if dropped else ()
    flags += () if evidence is None else evidence.flags
    return Draft(arm, control, endpoint, block, estimate, evidence, gap, items, clusters, flags)


def _estimate(block: Block, endpoint: Endpoint, arm: ArmData, control: ArmData, evidence: RunEvidence) -> Estimate:
    item, item_df = item_part(block, endpoint, arm, control)
    residual = np.nan_to_num(evidence.residual) + np.nan_to_num(evidence.control_residual)
    return Estimate(
        effect=np.asarray(arm.scores.mean() - control.scores.mean()),
        arm_part=np.asarray(evidence.variance / len(arm.runs)),
        arm_df=np.asarray(evidence.df),
        control_part=np.asarray(evidence.control_variance / len(control.runs)),
        control_df=np.asarray(evidence.control_df),
        item_part=np.asarray(item),
        item_df=np.asarray(item_df),
        residual_part=np.asarray(residual),
        shared=np.asarray(evidence.shared),
    )


def _flags(arm: ArmData, control: ArmData, estimate: Estimate | None, family: int) -> tuple[Flag, ...]:
    several = len(arm.runs) > 1 and len(control.runs) > 1
    held = {
        Flag.FEW_RUNS: len(arm.runs) < MIN_RUNS,
        Flag.FEW_CONTROL_RUNS: len(control.runs) < advised_control_runs(family),
        Flag.DEGENERATE: estimate is not None and bool(estimate.variance == 0),
        Flag.NO_RUN_VARIANCE: several and estimate is not None and bool(estimate.run_part == 0),
    }
    return tuple(flag for flag, holds in held.items() if holds)
