"""What judges are asked beside every cell against its own anchor: answers to validation rows, arms under the recipes
chosen for them, and the pairs of ``compare:``; each with a mark, so that a plan can tell what is left.

Which recipe an arm gets follows from the validation scores alone. So the mark of an arm's judging under its chosen
recipe names what these scores rest on and the answers under every recipe: its key is known before the choice is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selkit.api import PairwiseJudge
from selkit.experiment.cells.job import CellJob, loss_key
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.judged import Marks, answers_of, mark, marks_of
from selkit.experiment.judging.judging import Judged
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.pairs import Pair
from selkit.experiment.testsets.sets import JudgedSet
from selkit.store import Key, Store, canonical_json, digest_text


def validation_marks(experiment: Experiment, jobs: Mapping[Cell, CellJob]) -> dict[str, Marks]:
    """The marks of the judged validation prompts, by pool; none where recipes are chosen by their loss."""
    return {
        pool: Marks(testset, answers_of(testset, jobs, {}), experiment.spec.control)
        for pool, testset in experiment.validation.items()
    }


def validations(experiment: Experiment, jobs: Mapping[Cell, CellJob]) -> dict[Cell, str]:
    """Digest of what the validation score of every trained cell rests on."""
    marks = validation_marks(experiment, jobs)
    found = {}
    for cell, job in jobs.items():
        if cell.arm == ANCHOR or not cell.recipe:
            continue
        if job.held_out is not None:
            found[cell] = loss_key(job, job.held_out).digest
        elif cell.pool in marks:
            judge = experiment.validation[cell.pool].judges[0].judge
            found[cell] = marks[cell.pool].key(cell, judge, ANCHOR).digest
    return found


class ChosenMarks:
    """The keys of the marks of what is judged again under chosen recipes, for one test set with a random anchor.

    Args:
        marks: The marks of the test set.
        control: Name of the control.
        validated: Digest of what the validation score of every trained cell rests on.
        anchors: The cells of the extra random runs.
    """

    def __init__(self, marks: Marks, control: str, validated: Mapping[Cell, str], anchors: Iterable[Cell]) -> None:
        self._marks, self._control = marks, control
        self._anchors: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
        for anchor in anchors:
            self._anchors[anchor.pool, anchor.budget, anchor.model].append(anchor)
        self._recipes: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
        self._tried: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for cell, digest in validated.items():
            self._recipes[cell.draw].append(cell)
            self._tried[cell.pool, cell.budget, cell.arm, cell.model].append(digest)

    def met(self) -> Iterator[tuple[Cell, Cell]]:
        """Every cell that may be judged again, under its first recipe, with an anchor of each place that it meets.

        The control is judged against the anchor under its own recipe already, and a given arm against those under all.
        """
        for cells in self._recipes.values():
            if cells[0].arm != self._control:
                mine = (one for one in self._anchors.values() if cells[0].covers(_under(one[0], cells[0].recipe)))
                yield from ((cells[0], anchors[0]) for anchors in mine)

    def key(self, judge: PairwiseJudge, cell: Cell, anchor: Cell) -> Key | None:
        """The key of the mark of a cell (under any recipe) in the place of an anchor; None where nothing is judged
        again."""
        if cell.arm == self._control or cell.draw not in self._recipes:
            return None
        place = anchor.pool, anchor.budget, anchor.model
        mine = [self._marks.answers(one) for one in self._recipes[cell.draw]]
        theirs = [self._marks.answers(one) for one in self._anchors[place]]
        return self._marks.between(judge, _digest(["chosen", mine, self.rests_on(cell, anchor)]), _digest(theirs))

    def rests_on(self, cell: Cell, anchor: Cell) -> list[str]:
        """Digests of what the choices rest on of a cell's arm, and of the control in the place of an anchor."""
        own = self._tried.get((cell.pool, cell.budget, cell.arm, cell.model), [])
        return own + self._tried.get((anchor.pool, anchor.budget, self._control, anchor.model), [])


def chosen_marks(
    experiment: Experiment, testset: JudgedSet, marks: Marks, jobs: Mapping[Cell, CellJob]
) -> ChosenMarks | None:
    """The marks of what is judged again; None where no recipe is searched, or one anchor serves all recipes."""
    if experiment.spec.search is None or testset.anchor.kind != "random":
        return None
    anchors = [cell for cell in experiment.cells if cell.arm == ANCHOR]
    return ChosenMarks(marks, experiment.spec.control, validations(experiment, jobs), anchors)


def marked_again(
    judged: Iterable[Judged], marks: ChosenMarks, old: Cell, anchor: Cell, store: Store
) -> Iterator[Judged]:
    """Hands on what was judged of the cell ``old`` in the place of an anchor, with a mark for all that is complete."""
    for one in judged:
        key = marks.key(one.judge, old, anchor)
        if one.key is not None and key is not None:
            mark(store, key, one.key)
        yield one


def in_one_place(experiment: Experiment, pair: Pair) -> Iterator[tuple[Cell, Cell, Cell | None]]:
    """Every cell of both sides with the place whose anchor it meets, which is the control's if that stands in one, and
    with that anchor where there is one."""
    anchors = [cell for cell in experiment.cells if cell.arm == ANCHOR]
    for _, mine, theirs in pair.recipes():
        host = next((cell for cell in [*theirs, *mine] if cell.pool), None)
        met = next((one for one in anchors if host is None or host.covers(one)), None)
        for cell in [*mine, *theirs]:
            yield cell, cell if met is None else cell.beside(met), met


def mark_pair(planned: Plan, pair: Pair, judged: Sequence[tuple[Cell, Judged]]) -> None:
    """Marks what was judged of the cells of a pair against the anchor of one place."""
    experiment = planned.experiment
    met = {cell: anchor for cell, _, anchor in in_one_place(experiment, pair)}
    for testset in experiment.testsets:
        if testset.anchor.kind != "random":
            continue
        marks, ends = marks_of(experiment, testset, planned.jobs, planned.anchors), {j.endpoint for j in testset.judges}
        for cell, one in judged:
            anchor = met.get(cell)
            if one.endpoint in ends and one.key is not None and anchor is not None:
                key = marks.between(one.judge, marks.answers(cell), marks.answers(anchor))
                mark(experiment.store, key, one.key)


def _under(anchor: Cell, recipe: str) -> Cell:
    return replace(anchor, recipe=recipe)


def _digest(parts: list[Any]) -> str:
    return digest_text(canonical_json(parts))
