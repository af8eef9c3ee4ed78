"""Verdicts on the pairs of ``compare:``, over pools, budgets and recipes. Computed for report.json.

A judged score says something against its anchor alone. Where each place has an anchor of its own (a random run), both
sides of a pair are judged against one: that of the control's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from selkit.experiment.document.evidence import flags_of, missing_of
from selkit.experiment.document.verdicts import flagged, judged_behind
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.again import in_one_place, mark_pair
from selkit.experiment.judging.judging import Judged, judge_cell, random_anchor
from selkit.experiment.judging.scores import SCORES, Outcome, benchmark_rows, judged_rows
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.pairs import Pair, pairs_of
from selkit.experiment.setup.rules import rules_of
from selkit.stats import Gap, Rules, ScoreTable, sentence
from selkit.stats.analysis import comparisons, verdict_rows
from selkit.stats.cells import blocks, cells
from selkit.stats.drafts import Draft

Row = dict[str, Any]


def comparisons_of(planned: Plan, outcome: Outcome, judges: Sequence[Row]) -> dict[str, Any]:
    """``comparisons`` of report.json: a verdict for every pair and endpoint, corrected for their number among
    themselves; and ``comparison_sentences``.

    Args:
        planned: The experiment.
        outcome: What it found.
        judges: What is known of its judges, see :func:`selkit.experiment.document.evidence.judges_of`.
    """
    found: list[Draft] = []
    behind: list[Sequence[Row]] = []
    rules = rules_of(planned.experiment)
    for pair in pairs_of(planned.experiment):
        judged = _both_sides(planned, pair, outcome)
        more = _drafts(planned, pair, judged, outcome, rules)
        found += more
        behind += [_evidence(pair, judged, judges)] * len(more)
    rows = verdict_rows(found, rules) if found else []
    several = len(planned.experiment.models) > 1
    told = [sentence(row if several else replace(row, model=None)) for row in rows]
    compared = [flagged(row, judged_behind(row, own, rules)) for row, own in zip(rows, behind, strict=True)]
    return {"comparisons": compared, "comparison_sentences": told}


def _both_sides(planned: Plan, pair: Pair, outcome: Outcome) -> list[tuple[Cell, Judged]]:
    """Every judging of both sides, against the anchor of the place that they share."""
    places = [(cell, place) for cell, place, _ in in_one_place(planned.experiment, pair)]
    judged = [(cell, one) for cell, place in places for one in _judged(planned, cell, place, outcome)]
    mark_pair(planned, pair, judged)
    outcome.again += [(cell, one) for cell, one in judged if not cell.covers(one.cell)]  # for the files of items
    return judged


def _evidence(pair: Pair, judged: Sequence[tuple[Cell, Judged]], judges: Sequence[Row]) -> list[Row]:
    """What the judging says of the first side, beside the second, under the names of the pair."""
    sides = zip(pair.names, (pair.arm, pair.control), strict=True)
    rows = [
        {**row, **pair.shared, "recipe": row["recipe"] if len(pair.recipes()) > 1 else None, "arm": name}
        for name, side in sides
        for row in missing_of(one for cell, one in judged if cell in side)
    ]
    return flags_of(rows, judges, pair.names[1])


def _drafts(
    planned: Plan, pair: Pair, judged: Sequence[tuple[Cell, Judged]], outcome: Outcome, rules: Rules
) -> list[Draft]:
    arm, control = pair.names
    rows = list(_named_rows(planned, pair, judged, outcome))
    if not rows:
        return []
    own = replace(
        rules,
        control=control,
        arms=(arm,),
        intersect=True,
        gaps=[*_failed(planned, pair, outcome), *_owed(pair, judged)],
    )
    table = ScoreTable.from_arrow(pa.Table.from_pylist(rows, schema=SCORES))
    return comparisons(blocks(cells(table, intersect=True)), own.endpoints(table), own)


def _judged(planned: Plan, cell: Cell, place: Cell, outcome: Outcome) -> Iterator[Judged]:
    for testset in planned.experiment.testsets:
        rows = outcome.responses.get((cell, testset.label))
        if rows is None:
            continue
        if testset.anchor.kind == "random":
            anchor = random_anchor(testset, place, outcome.responses)
            if anchor is not None:
                yield from judge_cell(planned.experiment, testset, place, rows, anchor)
        else:
            endpoints = {one.endpoint for one in testset.judges}
            yield from (one for one in outcome.judged if one.cell == cell and one.endpoint in endpoints)


def _named_rows(planned: Plan, pair: Pair, judged: Sequence[tuple[Cell, Judged]], outcome: Outcome) -> Iterator[Row]:
    """The scores of both sides under the names of the pair, in the place that they share."""
    several, sides = len(pair.recipes()) > 1, {*pair.arm, *pair.control}
    own = {cell: name for name, side in zip(pair.names, (pair.arm, pair.control), strict=True) for cell in side}
    own |= {cell: f"{cell.arm} beside them" for cell in _lenders(planned, pair)}
    every = [*judged, *((one.cell, one) for one in outcome.judged if one.cell in own and one.cell not in sides)]
    scored = [(cell, row) for cell, one in every for row in judged_rows(planned.experiment, [one])]
    scored += [(cell, row) for cell, row in benchmark_rows(outcome) if cell in own]
    for cell, row in scored:
        place = {**pair.shared, "recipe": cell.recipe} if several else pair.shared
        yield {**row, **place, "arm": own[cell], "run": cell.run}


def _lenders(planned: Plan, pair: Pair) -> list[Cell]:
    """The cells of other selectors in the control's place, which lend their run variance to arms of one run."""
    taken = {ANCHOR, planned.experiment.spec.control, pair.arm[0].arm, pair.control[0].arm}
    places = {(*cell.setting, cell.budget) for cell in pair.control}
    cells = planned.experiment.cells
    return [cell for cell in cells if cell.arm not in taken and (*cell.setting, cell.budget) in places]


def _failed(planned: Plan, pair: Pair, outcome: Outcome) -> Iterator[Gap]:
    for name, side in zip(pair.names, (pair.arm, pair.control), strict=True):
        for cell in side:
            if cell.label in outcome.failed:
                yield Gap(name, f"run {cell.run} failed ({outcome.failed[cell.label]})")


def _owed(pair: Pair, judged: Sequence[tuple[Cell, Judged]]) -> Iterator[Gap]:
    for cell, one in judged:
        if not one.finished:
            yield Gap(pair.names[cell not in pair.arm], one.missing, one.endpoint)
