"""The results of an experiment under the recipe that was chosen for every arm, from the store and the judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from selkit.experiment.cells import CellJob, loss_of
from selkit.experiment.evidence import flags_of, judges_of, missing_of
from selkit.experiment.jobs import Plan
from selkit.experiment.judging import Judged, judge_cell, random_anchor
from selkit.experiment.plan import Cell
from selkit.experiment.scores import Outcome, score_table
from selkit.experiment.search import CHOSEN, Choice, Ground, choose, chosen_cells, ground_of
from selkit.experiment.testsets import JudgedSet
from selkit.experiment.verdicts import verdicts_of


@dataclass(frozen=True)
class Searched:
    """What the search found.

    Args:
        choices: The recipe of every arm in every place.
        planned: The plan of the chosen cells alone, under the recipe :data:`selkit.experiment.search.CHOSEN`.
        outcome: Their results.
    """

    choices: Mapping[Ground, Choice]
    planned: Plan
    outcome: Outcome


def search(planned: Plan, outcome: Outcome) -> Searched | None:
    """Chooses by the stored validation scores and gathers the results of the chosen cells; None without a search.

    Where the anchor is an extra run of random, each recipe has its own, and scores against different anchors cannot be
    compared. So the chosen cells are judged against one anchor: the extra run under the control's own recipe.
    """
    experiment = planned.experiment
    if experiment.spec.search is None:
        return None
    choices = choose((cell, loss_of(job, experiment.store)) for cell, job in planned.jobs.items())
    own = chosen_cells(choices, planned.jobs)
    jobs = {new: planned.jobs[old] for new, old in own.items()} | _without(planned, outcome, choices)
    done = {new: old for new, old in own.items() if jobs[new].label not in outcome.failed}
    found = Outcome(failed=outcome.failed)
    found.benchmarks = {
        (new, name): outcome.benchmarks[old, name]
        for new, old in done.items()
        for name in (endpoint.name for endpoint in experiment.benchmarks)
    }
    for testset in experiment.testsets:
        for new, old in done.items():
            judged = list(_judged(planned, testset, old, choices, outcome))
            found.judged += [replace(one, cell=new) for one in judged]
            if not judged:
                found.anchorless += [(new, one.endpoint) for one in testset.judges]
    return Searched(choices, replace(planned, jobs=jobs), found)


def _without(planned: Plan, outcome: Outcome, choices: Mapping[Ground, Choice]) -> dict[Cell, CellJob]:
    """Cells that failed before they had a validation score: the choice of their arm may yet be another."""
    return {
        replace(cell, recipe=CHOSEN): job
        for cell, job in planned.jobs.items()
        if job.label in outcome.failed
        and (choice := choices.get(ground_of(cell))) is not None
        and any(one.recipe == cell.recipe and dict(one.runs).get(cell.run) is None for one in choice.tried)
    }


def _judged(
    planned: Plan, testset: JudgedSet, cell: Cell, choices: Mapping[Ground, Choice], outcome: Outcome
) -> Iterator[Judged]:
    endpoints = {one.endpoint for one in testset.judges}
    if testset.anchor.kind != "random":
        yield from (one for one in outcome.judged if one.cell == cell and one.endpoint in endpoints)
        return
    recipe = _control_recipe(planned, cell, choices)
    anchor = None if recipe is None else random_anchor(testset, replace(cell, recipe=recipe), outcome.responses)
    if anchor is not None:
        yield from judge_cell(planned.experiment, testset, cell, outcome.responses[cell, testset.label], anchor)


def _control_recipe(planned: Plan, cell: Cell, choices: Mapping[Ground, Choice]) -> str | None:
    """The recipe of the control at the cell's budget; at its first for an arm that stands beside every budget."""
    control = planned.experiment.spec.control
    own = [
        choice
        for (pool, budget, arm, model), choice in choices.items()
        if (pool, arm, model) == (cell.pool, control, cell.model) and cell.budget in (None, budget)
    ]
    return own[0].recipe if own else None


def search_document(searched: Searched | None) -> dict[str, Any]:
    """``search`` of report.json: what was held out, every recipe's score with the choice, and the verdicts under it."""
    if searched is None:
        return {}
    experiment, outcome = searched.planned.experiment, searched.outcome
    spec = experiment.spec.search
    assert spec is not None
    judges, missing = judges_of(outcome.judged, ()), missing_of(outcome.judged)
    flags = flags_of(missing, judges, experiment.spec.control)
    found = {
        "by": spec.by,
        "validation": [
            {
                "pool": name,
                "rows": len(split.held),
                "left_out": len(split.alike),
                "barred": split.barred,
                "kept": len(split.kept),
            }
            for name, split in experiment.splits.items()
        ],
        "choices": [choice.to_dict() for choice in searched.choices.values()],
        **verdicts_of(searched.planned, outcome, score_table(experiment, outcome), flags),
    }
    return {"search": found}
