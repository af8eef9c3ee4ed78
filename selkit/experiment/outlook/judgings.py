"""Every judging of an experiment as a stage: cells against their anchors and directly, canaries, validation rows, arms
under the recipes chosen for them, and the pairs of ``compare:``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from selkit.experiment.cells.job import CellJob
from selkit.experiment.judging.again import chosen_marks, in_one_place, validation_marks
from selkit.experiment.judging.judged import Marks
from selkit.experiment.judging.judging import answers_everywhere, direct_places, judged_places
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.pairs import pairs_of
from selkit.experiment.setup.stages import Stage, asked_by, judged_characters
from selkit.experiment.testsets.sets import JudgedSet, NamedJudge
from selkit.judge.canaries import PROMPTS
from selkit.store import Key

CANARY, VALIDATION = "canaries", "validation answers"
CHOSEN = "under chosen recipes, at most"
PAIRS = "pairs of compare"


def judgings(
    experiment: Experiment,
    jobs: Mapping[Cell, CellJob],
    answers: Mapping[tuple[str, str], str],
    stages: Mapping[str, Stage],
    make: Callable[..., Stage],
) -> Iterator[tuple[str | None, Stage]]:
    """Every judging, with the label of its cell; None for one that belongs to the experiment as a whole.

    Args:
        experiment: The experiment.
        jobs: The jobs of its cells.
        answers: The ids of the stages that answer, by the label of the job and the digest of the test set.
        stages: The stages so far, with all answers.
        make: Makes a stage of a kind, a name and a key, with its size.
    """
    for pool, marks in validation_marks(experiment, jobs).items():
        testset = experiment.validation[pool]
        asked = _Asked(experiment, testset, marks, stages, make)
        for cell in (one for one, job in jobs.items() if testset.asked in job.prompts):
            (judge,) = testset.judges
            key = marks.key(cell, judge.judge, ANCHOR)
            yield cell.label, asked.stage(f"{cell.label}: {testset.label}", key, judge, (cell,), what=VALIDATION)
    for testset in experiment.testsets:
        marks = Marks(testset, _answers(experiment, testset, jobs, answers), experiment.spec.control)
        asked = _Asked(experiment, testset, marks, stages, make)
        cells = [*(cell for cell in jobs if cell.arm != ANCHOR), *(one.cell for one in experiment.given if one.outputs)]
        yield from asked.canaries(cells)
        for cell in cells:
            for stage in asked.cell(cell):
                yield cell.label, stage
        if testset.anchor.kind == "random":
            yield from ((None, stage) for stage in asked.pairs())
            yield from ((None, stage) for stage in asked.chosen(jobs))


def _answers(
    experiment: Experiment,
    testset: JudgedSet,
    jobs: Mapping[Cell, CellJob],
    answers: Mapping[tuple[str, str], str],
) -> dict[Cell | str, str]:
    """The answers to a test set by cell, those of models that are anchors by the labels of their jobs."""
    cells = {cell.label: cell for cell in jobs}
    own: dict[Cell | str, str] = {
        cells.get(label, label): digest
        for (label, asked), digest in answers.items()
        if asked == testset.asked.testset.digest
    }
    return answers_everywhere(experiment, testset, own)


@dataclass(frozen=True)
class _Asked:
    """The judges of one test set."""

    experiment: Experiment
    testset: JudgedSet
    marks: Marks
    stages: Mapping[str, Stage]
    make: Callable[..., Stage]

    def cell(self, cell: Cell) -> Iterator[Stage]:
        """A cell against the anchor and directly, everywhere where it stands."""
        met = [(place, ANCHOR) for place in judged_places(self.experiment, self.testset, cell)]
        direct = direct_places(self.experiment, self.testset, cell)
        met += [(place, opponent) for place in direct for opponent in self.marks.opponents(place)]
        for (place, opponent), judge in product(met, self.testset.judges):
            anchor = self.marks.anchor(place) if opponent == ANCHOR else None
            name = f"{place.label}: {judge.endpoint}" + ("" if opponent == ANCHOR else f" against {opponent}")
            yield self.stage(name, self.marks.key(place, judge.judge, opponent), judge, (place, anchor))

    def canaries(self, cells: list[Cell]) -> Iterator[tuple[None, Stage]]:
        """The canaries of each judge, which meet what the first cell meets."""
        tried = [one for one in self.testset.judges if one.canaries]
        for one in tried if cells else ():
            place = judged_places(self.experiment, self.testset, cells[0])[0]
            passes = 2 * len(one.canaries) * min(PROMPTS, len(self.testset.conversations))
            key, against = self.marks.canaries(one, place), (self.marks.anchor(place),)
            yield None, self.stage(f"canaries: {one.endpoint}", key, one, against, what=CANARY, passes=passes)

    def pairs(self) -> Iterator[Stage]:
        """The cells of ``compare:`` that meet the anchor of another place than their own."""
        for pair, judge in product(pairs_of(self.experiment), self.testset.judges):
            for cell, place, anchor in in_one_place(self.experiment, pair):
                if anchor is not None:
                    key = self.marks.between(judge.judge, self.marks.answers(cell), self.marks.answers(anchor))
                    name = f"{cell.label}: {judge.endpoint} in the place of {place.label}"
                    yield self.stage(name, key, judge, (cell, anchor), what=PAIRS)

    def chosen(self, jobs: Mapping[Cell, CellJob]) -> Iterator[Stage]:
        """The cells that are judged again where their arm gets another recipe than the control."""
        again = chosen_marks(self.experiment, self.testset, self.marks, jobs)
        if again is None:
            return
        for (cell, anchor), judge in product(again.met(), self.testset.judges):
            if (key := again.key(judge.judge, cell, anchor)) is not None:
                name = f"{cell.beside(anchor).label}: {judge.endpoint} under the chosen recipe"
                rests = [one for one in again.rests_on(cell, anchor) if one in self.stages]
                yield self.stage(name, key, judge, (cell, anchor), what=CHOSEN, more=rests)

    @cached_property
    def _each(self) -> float:
        """Characters that a judge reads for one comparison, on average."""
        return judged_characters(self.testset.asked) / max(len(self.testset.conversations), 1)

    def stage(
        self,
        name: str,
        key: Key,
        judge: NamedJudge,
        behind: tuple[Cell | str | None, ...],
        what: str = "",
        passes: int | None = None,
        more: Sequence[str] = (),
    ) -> Stage:
        """A judging of the answers ``behind`` and after the stages ``more``: ``passes`` of a judge, by default as many
        as there are orders of every comparison."""
        comparisons = len(self.testset.conversations)
        calls = comparisons * (2 if self.testset.spec.orders == "both" else 1) if passes is None else passes
        size: dict[str, Any] = {"rows": calls, "characters": calls * self._each, **asked_by(judge.judge, calls)}
        needs = (self.marks.answers(one) for one in behind if one is not None)
        own = tuple(one for one in needs if one in self.stages)  # outputs that are given are no stage
        return self.make("judging", name, key, needs=(*own, *more), detail={"what": what} if what else {}, **size)
