"""Judges the cells: every run against the anchor, and where the spec asks for it against the control's own runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from selkit.api import Comparison, Judgement, PairwiseJudge
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell, places
from selkit.experiment.testsets.sets import JudgedSet
from selkit.judge import (
    CanaryReport,
    Response,
    canary_comparisons,
    canary_report,
    compared,
    item_scores,
    judge_pairs,
    responses_of,
)
from selkit.judge.engine import PASSING
from selkit.models import HostContext
from selkit.store import digest_text

R = TypeVar("R")

Responses = Mapping[tuple[Cell, str], list[Mapping[str, Any]]]
"""Rows of responses.jsonl by cell and test set."""


@dataclass(frozen=True)
class Judged:
    """One cell judged on one test set by one judge against one opponent; ``key`` is that of the stored passes, None
    while some are missing."""

    cell: Cell
    endpoint: str
    judge: PairwiseJudge
    opponent: str
    comparisons: tuple[Comparison, ...]
    passes: tuple[Judgement, ...]
    finished: bool = True
    key: str | None = None

    @property
    def missing(self) -> str:
        """What the judge still owes, as a clause: passes that ended in a timeout, an error, or at the cap on costs."""
        return _missing(self.judge, self.passes)

    @property
    def scores(self) -> dict[str, float | None]:
        """Score by prompt: the mean over both orders; None where a pass has no verdict."""
        return item_scores(self.passes)


@dataclass(frozen=True)
class Tried:
    """How a judge did on canaries, tried against the anchor's answers to a test set; ``key`` is that of the stored
    passes, None while some are missing."""

    endpoint: str
    judge: PairwiseJudge
    report: CanaryReport
    passes: tuple[Judgement, ...]
    key: str | None = None

    @property
    def finished(self) -> bool:
        """Whether every pass has an answer of the judge."""
        return not any(one.outcome in PASSING for one in self.passes)

    @property
    def missing(self) -> str:
        """What the judge still owes, as a clause."""
        return _missing(self.judge, self.passes)


def judging_account(experiment: Experiment) -> str:
    """What the calls of the experiment's judges are charged to in the ledger."""
    return digest_text(f"judging\0{experiment.spec.name}")


def judge_cell(
    experiment: Experiment,
    testset: JudgedSet,
    cell: Cell,
    rows: Sequence[Mapping[str, Any]],
    anchor: Mapping[str, Response],
) -> Iterator[Judged]:
    """The answers of a cell (``rows``) against the anchor's, once per judge."""
    return _judge(experiment, testset, cell, rows, anchor, ANCHOR)


def try_canaries(
    experiment: Experiment, testset: JudgedSet, rows: Sequence[Mapping[str, Any]], anchor: Mapping[str, Response]
) -> Iterator[Tried]:
    """Canaries in the place of a cell's answers, against the anchor's, for the judges that are to be fooled."""
    comparisons = _comparisons(testset, rows, anchor)
    for one in testset.judges:
        if one.canaries:
            asked = canary_comparisons(comparisons, names=one.canaries)
            passes, artifact = judge_pairs(one.judge, asked, _context(experiment), experiment.store)
            key = None if artifact is None else artifact.digest
            yield Tried(one.endpoint, one.judge, canary_report(passes, one.canaries), tuple(passes), key)


def judge_direct(
    experiment: Experiment, testset: JudgedSet, cell: Cell, rows: Sequence[Mapping[str, Any]], answers: Responses
) -> Iterator[Judged]:
    """A cell's answers (``rows``) against those of the control's runs in the same place, as ``direct`` says.

    RELIABILITY 1.3 (4) pairs run k with run k, each used once; 'Chasing Random' (its AlpacaEval reference) draws one of
    the random runs for every prompt.
    """
    runs = _control_runs(experiment, testset, cell, answers)
    for opponent, responses in opponents_of(testset.spec.direct or "", cell, runs, testset.conversations):
        yield from _judge(experiment, testset, cell, rows, responses, opponent)


def judged_places(experiment: Experiment, testset: JudgedSet, cell: Cell) -> list[Cell]:
    """The cell in every place where it meets an anchor of its own; itself where one anchor serves everywhere."""
    if testset.anchor.kind != "random":
        return [cell]
    return places(cell, (one for one in experiment.cells if one.arm == ANCHOR))


def direct_places(experiment: Experiment, testset: JudgedSet, cell: Cell) -> list[Cell]:
    """The cell in every place where it meets runs of the control; none where the test set asks for no such judging."""
    control = experiment.spec.control
    if not testset.spec.direct or cell.arm == control:
        return []
    return places(cell, (one for one in experiment.cells if one.arm == control))


def answers_everywhere(
    experiment: Experiment, testset: JudgedSet, answers: Mapping[Cell | str, str]
) -> dict[Cell | str, str]:
    """Digests of the answers to a test set, those of given outputs too, by cell and in all places where it is judged.

    Args:
        experiment: The experiment.
        testset: The test set.
        answers: Digests of what cells answer, and of what models that are anchors answer.
    """
    found = dict(answers) | {one.cell: one.digest(testset.label) for one in experiment.given if one.outputs}
    for cell in [one for one in found if isinstance(one, Cell) and one.arm != ANCHOR]:
        spots = [*judged_places(experiment, testset, cell), *direct_places(experiment, testset, cell)]
        found |= dict.fromkeys(spots, found[cell])
    return found


def random_anchor(testset: JudgedSet, cell: Cell, answers: Responses) -> dict[str, Response] | None:
    """The responses of the extra random run in the cell's place; None where that run failed."""
    own = [c for c, label in answers if c.arm == ANCHOR and cell.covers(c) and label == testset.label]
    return responses_of(answers[own[0], testset.label]) if own else None


def _control_runs(
    experiment: Experiment, testset: JudgedSet, cell: Cell, answers: Responses
) -> dict[int, dict[str, Response]]:
    control = experiment.spec.control
    return {
        c.run: responses_of(rows)
        for (c, label), rows in answers.items()
        if c.arm == control and cell.covers(c) and label == testset.label
    }


def opponents_of(
    direct: str,
    cell: Cell,
    runs: Mapping[int, Mapping[str, R]],
    conversations: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Mapping[str, R]]]:
    """The control's responses that a cell meets under ``direct``, each under a name for files and tables.

    Args:
        direct: As the spec has it.
        cell: The cell.
        runs: The control's responses by run and id.
        conversations: The conversation of every response, where later turns are answered too.
    """
    if direct == "pooled":
        yield from ((f"run {run}", responses) for run, responses in runs.items())
    elif direct == "paired" and cell.run in runs:
        yield f"run {cell.run}", runs[cell.run]
    elif direct == "sampled" and runs:
        yield "a run per prompt", _drawn(sorted(runs.items()), cell, conversations or {})


def _drawn(runs: Sequence[tuple[int, Mapping[str, R]]], cell: Cell, conversations: Mapping[str, str]) -> dict[str, R]:
    """For every conversation the responses of one run, drawn by its id and the cell's run."""
    drawn = {}
    for name in runs[0][1]:
        rng = np.random.default_rng([cell.run, int(digest_text(conversations.get(name, name))[:16], 16)])
        drawn[name] = runs[int(rng.integers(len(runs)))][1][name]
    return drawn


def _judge(
    experiment: Experiment,
    testset: JudgedSet,
    cell: Cell,
    rows: Sequence[Mapping[str, Any]],
    opponent: Mapping[str, Response],
    name: str,
) -> Iterator[Judged]:
    comparisons = _comparisons(testset, rows, opponent)
    for one in testset.judges:
        ctx = _context(experiment)
        passes, artifact = judge_pairs(one.judge, comparisons, ctx, experiment.store, orders=testset.spec.orders)
        key = None if artifact is None else artifact.digest
        yield Judged(cell, one.endpoint, one.judge, name, comparisons, tuple(passes), key is not None, key)


def _comparisons(
    testset: JudgedSet, rows: Sequence[Mapping[str, Any]], opponent: Mapping[str, Response]
) -> tuple[Comparison, ...]:
    """Every answer against the opponent's to the same turn, with what the test set knows of first turns."""
    comparisons = []
    for name, response in responses_of(rows).items():
        comparison = compared(response, opponent[name])
        if (prompt := testset.prompts.get(name)) is not None:
            comparison = replace(comparison, reference=prompt.reference, input=prompt.prompt.input)
        comparisons.append(comparison)
    return tuple(comparisons)


def _context(experiment: Experiment) -> HostContext:
    return HostContext(
        seed=0,
        cache_dir=experiment.store.root,
        base_model=experiment.base_model,
        chat_service=experiment.chat,
        account=partial(judging_account, experiment),
    )


def _missing(judge: PairwiseJudge, passes: Sequence[Judgement]) -> str:
    owed = Counter(str(one.outcome) for one in passes if one.outcome in PASSING)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(owed.items()))
    return f"{owed.total()} of {len(passes)} passes of judge {judge.name} are missing ({counts})"
