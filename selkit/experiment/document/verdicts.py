"""The verdicts of an experiment, with all that the statistics say of its grid. Computed for report.json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from selkit.api import MissingExtra
from selkit.experiment.document.evidence import answer_shares
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.scores import Outcome
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.rules import rules_of
from selkit.stats import COMPOSITE, Gap, Rules, ScoreTable, VerdictRow, analyse, sentence, study


def verdicts_of(planned: Plan, outcome: Outcome, table: pa.Table, flags: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``verdicts``, ``sentences`` and ``grid`` of report.json.

    Args:
        planned: The experiment.
        outcome: What it found.
        table: Its scores.
        flags: What the judging says of every arm, see :func:`selkit.experiment.document.evidence.flags_of`.
    """
    experiment, spec = planned.experiment, planned.experiment.spec
    arms = {arm.name for arm in experiment.arms} | {given.cell.arm for given in experiment.given}
    scored = set(table["arm"].to_pylist())
    if spec.control not in scored or len(arms) < 2:
        return {"verdicts": [], "sentences": [], "grid": {}}
    everywhere = [arm.name for arm in experiment.arms if not arm.selector.sized and arm.selector.baseline]
    everywhere += [given.cell.arm for given in experiment.given]
    rules = rules_of(
        experiment, gaps=_gaps(planned, outcome), intersect=_has_holes(table), everywhere=tuple(everywhere)
    )
    scores = ScoreTable.from_arrow(table)
    rows, grid = _results(scores, rules)
    several = len(experiment.models) > 1
    return {
        "verdicts": [flagged(row, judged_behind(row, flags, rules)) for row in rows],
        # A sentence names the base model where there are several; the recipe is always named.
        "sentences": [sentence(row if several else replace(row, model=None)) for row in rows],
        "grid": grid,
    }


def _results(scores: ScoreTable, rules: Rules) -> tuple[Sequence[VerdictRow], dict[str, Any]]:
    """The verdicts, and the tables over the grid that hold anything; without statsmodels there are none of these."""
    try:
        found = study(scores, rules)
    except MissingExtra:
        return analyse(scores, rules), {}
    return found.verdicts, {name: rows for name, rows in found.tables().items() if rows}


def flagged(row: VerdictRow, judged: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A verdict with what its judging adds: flags, and the shares of empty and of equal answers on both sides.

    Args:
        row: The verdict.
        judged: The rows of :func:`selkit.experiment.document.evidence.flags_of` that stand behind it.
    """
    found = row.to_dict()
    more = [flag for other in judged for flag in other["flags"]]
    return {**found, "flags": list(dict.fromkeys([*found["flags"], *more])), **answer_shares(judged)}


def judged_behind(row: VerdictRow, judged: Sequence[Mapping[str, Any]], rules: Rules) -> list[Mapping[str, Any]]:
    """The judgings behind a verdict, under any of its recipes; behind the composite those of all that it is made of."""
    weights = rules.weights or {}
    parts = [name for name in weights if weights[name] > 0] if row.benchmark == COMPOSITE else [row.benchmark]
    return [other for other in judged if other["testset"] in parts and _concerns(other, row)]


def _concerns(judged: Mapping[str, Any], row: VerdictRow) -> bool:
    """Whether a row of judgings is of a verdict's arm and place; one without a budget was judged once for all."""
    names = ("pool", "budget", "model", "recipe") if row.recipe else ("pool", "budget", "model")
    return judged["arm"] == row.arm and all(judged[name] in (None, getattr(row, name)) for name in names)


def _gaps(planned: Plan, outcome: Outcome) -> list[Gap]:
    """What failed, as the verdicts see it: those it touches are INCOMPLETE."""
    failed = [
        _gap(cell, f"run {cell.run} failed ({outcome.failed[job.label]})")
        for cell, job in planned.jobs.items()
        if job.label in outcome.failed and cell.arm != ANCHOR
    ]
    anchorless = [_gap(cell, "the anchor failed", endpoint) for cell, endpoint in outcome.anchorless]
    owed = [_gap(one.cell, one.missing, one.endpoint) for one in outcome.judged if not one.finished]
    return [*failed, *anchorless, *owed]


def _gap(cell: Cell, reason: str, endpoint: str | None = None) -> Gap:
    place = cell.columns()
    return Gap(cell.arm, reason, endpoint, place["pool"], place["budget"], place["recipe"], place["model"])


def _has_holes(table: pa.Table) -> bool:
    """Whether some run lacks an item: a judge gave no verdict on it."""
    counts = table.group_by(["pool", "budget", "recipe", "model", "arm", "run", "benchmark"]).aggregate(
        [("item", "count")]
    )
    by_benchmark: dict[str, set[int]] = defaultdict(set)
    for benchmark, count in zip(counts["benchmark"].to_pylist(), counts["item_count"].to_pylist(), strict=True):
        by_benchmark[benchmark].add(count)
    return any(len(sizes) > 1 for sizes in by_benchmark.values())
