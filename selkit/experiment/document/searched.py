"""The results of an experiment under the recipe that was chosen for every arm, from the store and the judges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selkit.experiment.cells.job import CellJob
from selkit.experiment.cells.work import answers, loss_of
from selkit.experiment.document.evidence import flags_of, judges_of, missing_of
from selkit.experiment.document.search import CHOSEN, Choice, Ground, choose, chosen_cells, ground_of
from selkit.experiment.document.verdicts import verdicts_of
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.again import ChosenMarks, chosen_marks, marked_again, validation_marks
from selkit.experiment.judging.judged import Marks, marked, marks_of
from selkit.experiment.judging.judging import Judged, judge_cell
from selkit.experiment.judging.scores import Outcome, score_table
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.testsets.sets import JudgedSet
from selkit.judge import responses_of


@dataclass(frozen=True)
class Searched:
    """What the search found.

    Args:
        choices: The recipe of every arm in every place.
        planned: The plan of the chosen cells alone, under the recipe :data:`selkit.experiment.document.search.CHOSEN`.
        outcome: Their results.
        owed: What the judge of validation answers still owes, by the labels of the cells.
    """

    choices: Mapping[Ground, Choice]
    planned: Plan
    outcome: Outcome
    owed: Mapping[str, str] = field(default_factory=dict)


def validation_scores(planned: Plan, failed: Collection[str]) -> tuple[dict[Cell, float | None], dict[str, str]]:
    """The validation score of every cell that has a recipe, lower being better; None where there is none.

    By judged answers it is the share of the prompts that is not won against the rows' own responses, ties counting
    half.

    Args:
        planned: The experiment.
        failed: Labels of the jobs that did not finish.

    Returns:
        The scores, and what the judge still owes, by the labels of the cells.
    """
    experiment = planned.experiment
    trained = {cell: job for cell, job in planned.jobs.items() if cell.recipe and cell.arm != ANCHOR}
    if not experiment.validation:
        return {cell: loss_of(job, experiment.store) for cell, job in trained.items()}, {}
    marks = validation_marks(experiment, trained)
    judged = {
        cell: _judged(experiment, cell, job, marks[cell.pool])
        for cell, job in trained.items()
        if job.label not in failed
    }
    owed = {trained[cell].label: one.missing for cell, one in judged.items() if not one.finished}
    return {cell: _not_won(judged[cell]) if cell in judged else None for cell in trained}, owed


def _judged(experiment: Experiment, cell: Cell, job: CellJob, marks: Marks) -> Judged:
    testset = experiment.validation[cell.pool]
    rows = answers(job, experiment.store, testset.asked)
    found = judge_cell(experiment, testset, cell, rows, testset.anchor.answers or {})
    (judged,) = marked(found, marks, experiment.store)
    return judged


def _not_won(judged: Judged) -> float | None:
    scores = [score for score in judged.scores.values() if score is not None]
    return 1 - sum(scores) / len(scores) if judged.finished and scores else None


def search(
    planned: Plan, outcome: Outcome, scores: Mapping[Cell, float | None], owed: Mapping[str, str] | None = None
) -> Searched:
    """Chooses by the validation scores, and gathers the results of the chosen cells.

    Where the anchor is an extra run of random, each recipe has its own, and scores against different anchors cannot be
    compared. So the chosen cells are judged against one anchor: the extra run under the control's own recipe.

    Args:
        planned: The experiment.
        outcome: Its results under every recipe.
        scores: The validation scores.
        owed: What the judge of validation answers still owes, by the labels of the cells: their arms are INCOMPLETE.
    """
    outcome = replace(outcome, failed={**outcome.failed, **(owed or {})})
    experiment = planned.experiment
    choices = choose(scores.items())
    given = {replace(one.cell, recipe=CHOSEN): one.cell for one in experiment.given}
    own = chosen_cells(choices, scores) | given
    jobs = {new: planned.jobs[old] for new, old in own.items() if old in planned.jobs}
    jobs |= _without(planned, outcome, choices)
    done = {new: old for new, old in own.items() if new not in jobs or jobs[new].label not in outcome.failed}
    found = Outcome(failed=outcome.failed)
    found.benchmarks = {
        (new, name): items
        for new, old in done.items()
        for (cell, name), items in outcome.benchmarks.items()
        if cell == old
    }
    anchors = [
        cell for cell in experiment.cells if cell.arm == ANCHOR and cell.recipe == _control(planned, cell, choices)
    ]
    # while some cell has no validation score yet the choice may change, and what it leads to is not marked
    final = not any(planned.jobs[cell].label in outcome.failed for cell in scores)
    for testset in experiment.testsets:
        marks = _marks(planned, testset) if final else None
        for new, old in done.items():
            if testset.anchor.kind == "random":
                _judge(planned, testset, new, old, anchors, outcome, found, marks)
            else:
                ends = {one.endpoint for one in testset.judges}
                ours = (one for one in outcome.judged if one.cell == old and one.endpoint in ends)
                found.judged += [replace(one, cell=new) for one in ours]
    return Searched(choices, replace(planned, jobs=jobs), found, owed or {})


def _without(planned: Plan, outcome: Outcome, choices: Mapping[Ground, Choice]) -> dict[Cell, CellJob]:
    """Cells that failed before they had a validation score: the choice of their arm may yet be another."""
    return {
        replace(cell, recipe=CHOSEN): job
        for cell, job in planned.jobs.items()
        if job.label in outcome.failed
        and (choice := choices.get(ground_of(cell))) is not None
        and any(one.recipe == cell.recipe and dict(one.runs).get(cell.run) is None for one in choice.tried)
    }


def _judge(
    planned: Plan,
    testset: JudgedSet,
    new: Cell,
    old: Cell,
    anchors: Sequence[Cell],
    outcome: Outcome,
    found: Outcome,
    marks: ChosenMarks | None,
) -> None:
    """Judges a cell against the control's anchor in every place where it stands."""
    for anchor in (one for one in anchors if replace(old, recipe="").covers(one)):
        place = replace(new, pool=anchor.pool, budget=anchor.budget, model=anchor.model)
        rows = outcome.responses.get((anchor, testset.label))
        if rows is None:
            found.anchorless += [(place, one.endpoint) for one in testset.judges]
            continue
        own = outcome.responses[old, testset.label]
        judged = judge_cell(planned.experiment, testset, place, own, responses_of(rows))
        found.judged += marked_again(judged, marks, old, anchor, planned.experiment.store) if marks else judged


def _marks(planned: Plan, testset: JudgedSet) -> ChosenMarks | None:
    """The marks of what is judged again, with every cell of the experiment."""
    experiment = planned.experiment
    marks = marks_of(experiment, testset, planned.jobs, planned.anchors)
    return chosen_marks(experiment, testset, marks, planned.jobs)


def _control(planned: Plan, anchor: Cell, choices: Mapping[Ground, Choice]) -> str | None:
    """The recipe chosen for the control in the place of an anchor."""
    choice = choices.get((anchor.pool, anchor.budget, planned.experiment.spec.control, anchor.model))
    return None if choice is None else choice.recipe


def search_failures(searched: Searched | None) -> list[dict[str, str]]:
    """What judges still owe of the search, as report.json lists failures: the same command tries it again."""
    if searched is None:
        return []
    late = [one for one in searched.outcome.judged if not one.finished]
    validation = [{"cell": f"{label}/validation", "error": error} for label, error in searched.owed.items()]
    return validation + [{"cell": f"{one.cell.label}/{one.endpoint}/chosen", "error": one.missing} for one in late]


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
