"""A mark for what has been judged: it is found by the keys of two sets of answers, without reading them, so that a plan
can tell what judges still have to say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from selkit.api import PairwiseJudge
from selkit.experiment.cells.job import CellJob, responses_key
from selkit.experiment.judging.judging import Judged, Tried, answers_everywhere, opponents_of
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.testsets.sets import JudgedSet, NamedJudge
from selkit.judge.engine import judging_key
from selkit.store import Draft, Key, Store, canonical_json, digest_text

JUDGEMENT = "judgement"
"""The fact of a mark that names the stored passes."""


class Marks:
    """The keys of the marks of one test set.

    Args:
        testset: The test set with its judges and anchor.
        answers: Digest of the key of every cell's answers, and of those of models that are anchors by the jobs' labels.
        control: Name of the control.
    """

    def __init__(self, testset: JudgedSet, answers: Mapping[Cell | str, str], control: str) -> None:
        self._testset, self._answers, self._control = testset, answers, control
        self._by_setting: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
        for cell in answers:
            if isinstance(cell, Cell) and cell.arm in (ANCHOR, control):
                self._by_setting[cell.arm, *cell.setting].append(cell)
        self._judges = {id(one.judge): judging_key(one.judge, ()).digest for one in testset.judges}

    def answers(self, of: Cell | str) -> str:
        """Digest of the key of a job's answers."""
        return self._answers[of]

    def key(self, cell: Cell, judge: PairwiseJudge, opponent: str) -> Key:
        """The key of the mark for a cell's answers under a judge, against the anchor or another opponent."""
        second = self._anchor(cell) if opponent == ANCHOR else self._direct(cell, opponent)
        return self.between(judge, self._answers[cell], second)

    def between(self, judge: PairwiseJudge, first: str, second: str) -> Key:
        """The key of the mark for two sets of answers under a judge; ``first`` and ``second`` are what stands for
        them."""
        inputs = {
            "judge": self._judges[id(judge)],
            "first": first,
            "second": second,
            "testset": self._testset.asked.testset.digest,
        }
        return Key("judged", judge.name, inputs=inputs, conditions={"orders": self._testset.spec.orders})

    def canaries(self, one: NamedJudge, cell: Cell) -> Key:
        """The key of the mark for a judge's canaries, tried against what ``cell`` meets."""
        return self.between(one.judge, digest_text("\0".join(("canaries", *one.canaries))), self._anchor(cell))

    def anchor(self, cell: Cell) -> Cell | str | None:
        """Whose answers a cell is compared with; None where these are given, or there are none.

        A cell without a budget stands beside every budget, and takes the anchor of the first.
        """
        anchor = self._testset.anchor
        if anchor.kind == "model":
            return f"anchor {anchor.model}"
        runs = self._by_setting[ANCHOR, *cell.setting]
        own = [one for one in runs if cell.budget in (None, one.budget)]
        return own[0] if own and anchor.kind == "random" else None

    def opponents(self, cell: Cell) -> list[str]:
        """Whom a cell meets beside the anchor, as :func:`selkit.experiment.judging.judging.judge_direct` names them."""
        runs: dict[int, dict[str, None]] = {one.run: {} for one in self._controls(cell)}
        return [name for name, _ in opponents_of(self._testset.spec.direct or "", cell, runs)]

    def _controls(self, cell: Cell) -> list[Cell]:
        if cell.arm == self._control or not self._testset.spec.direct:
            return []
        runs = self._by_setting[self._control, *cell.setting]
        budget = runs[0].budget if cell.budget is None and runs else cell.budget
        return [one for one in runs if one.budget == budget]

    def _anchor(self, cell: Cell) -> str:
        of = self.anchor(cell)
        if of is not None:
            return self._answers[of]
        answers = self._testset.anchor.answers or {}
        return digest_text(canonical_json({name: [one.prompt, one.response] for name, one in answers.items()}))

    def _direct(self, cell: Cell, opponent: str) -> str:
        return digest_text("\0".join([opponent, *(self._answers[one] for one in self._controls(cell))]))


def answers_of(
    testset: JudgedSet, jobs: Mapping[Cell, CellJob], anchors: Mapping[str, CellJob]
) -> dict[Cell | str, str]:
    """What :class:`Marks` needs of the answers to a test set."""
    every: list[tuple[Cell | str, CellJob]] = [*jobs.items(), *((job.label, job) for job in anchors.values())]
    return {of: responses_key(job, testset.asked).digest for of, job in every if testset.asked in job.prompts}


def marks_of(
    experiment: Experiment, testset: JudgedSet, jobs: Mapping[Cell, CellJob], anchors: Mapping[str, CellJob]
) -> Marks:
    """The marks of a test set, with the answers of all jobs and given outputs."""
    digests = answers_everywhere(experiment, testset, answers_of(testset, jobs, anchors))
    return Marks(testset, digests, experiment.spec.control)


def marked(judged: Iterable[Judged], marks: Marks, store: Store) -> Iterator[Judged]:
    """Hands on what was judged, with a mark in the store for all that is complete."""
    for one in judged:
        if one.key is not None:
            mark(store, marks.key(one.cell, one.judge, one.opponent), one.key)
        yield one


def marked_canaries(
    tried: Iterable[Tried], testset: JudgedSet, marks: Marks, cell: Cell, store: Store
) -> Iterator[Tried]:
    """As :func:`marked`, for canaries that were tried against what ``cell`` meets."""
    judges = {one.endpoint: one for one in testset.judges}
    for one in tried:
        if one.key is not None:
            mark(store, marks.canaries(judges[one.endpoint], cell), one.key)
        yield one


def mark(store: Store, key: Key, judgement: str) -> None:
    """Notes that a judging is complete, and where its passes are stored."""

    def make(draft: Draft) -> None:
        draft.record(**{JUDGEMENT: judgement})

    store.obtain(key, make)
