"""Judges the cells: every run against the anchor, and where the spec asks for it against the control's own runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from selkit.api import Comparison, Judgement, PairwiseJudge
from selkit.experiment.plan import ANCHOR, Cell
from selkit.experiment.setup import Experiment, JudgedSet
from selkit.judge import item_scores, judge_pairs
from selkit.judge.engine import PASSING
from selkit.models import HostContext
from selkit.store import digest_text

Responses = Mapping[tuple[Cell, str], list[Mapping[str, Any]]]
"""Rows of responses.jsonl by cell and test set."""


@dataclass(frozen=True)
class Judged:
    """One cell judged on one test set by one judge against one opponent."""

    cell: Cell
    endpoint: str
    judge: PairwiseJudge
    opponent: str
    comparisons: tuple[Comparison, ...]
    passes: tuple[Judgement, ...]
    finished: bool = True

    @property
    def missing(self) -> str:
        """What the judge still owes, as a clause: passes that ended in a timeout, an error, or at the cap on costs."""
        owed = Counter(str(one.outcome) for one in self.passes if one.outcome in PASSING)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(owed.items()))
        return f"{owed.total()} of {len(self.passes)} passes of judge {self.judge.name} are missing ({counts})"

    @property
    def scores(self) -> dict[str, float | None]:
        """Score by prompt: the mean over both orders; None where a pass has no verdict."""
        return item_scores(self.passes)


def endpoint_name(testset: JudgedSet, judge: PairwiseJudge) -> str:
    """What the score table calls a test set under a judge: the judge is named where there are several."""
    if len(testset.judges) == 1:
        return testset.label
    return f"{testset.label}/{testset.spec.judge_labels[testset.judges.index(judge)]}"


def judging_account(experiment: Experiment) -> str:
    """What the calls of the experiment's judges are charged to in the ledger."""
    return digest_text(f"judging\0{experiment.spec.name}")


def judge_cell(
    experiment: Experiment, testset: JudgedSet, cell: Cell, answers: Responses, anchor: Mapping[str, str]
) -> Iterator[Judged]:
    """The cell's answers against the anchor's (by prompt), once per judge."""
    return _judge(experiment, testset, cell, answers[cell, testset.label], anchor, ANCHOR)


def judge_direct(experiment: Experiment, testset: JudgedSet, cell: Cell, answers: Responses) -> Iterator[Judged]:
    """The cell's answers against those of the control's runs at the same pool and budget, as ``direct`` says.

    RELIABILITY 1.3 (4) pairs run k with run k, each used once; 'Chasing Random' (its AlpacaEval reference) draws one of
    the random runs for every prompt.
    """
    runs = _control_runs(experiment, testset, cell, answers)
    for opponent, responses in opponents_of(testset.spec.direct or "", cell, runs):
        yield from _judge(experiment, testset, cell, answers[cell, testset.label], responses, opponent)


def random_anchor(testset: JudgedSet, cell: Cell, answers: Responses) -> dict[str, str] | None:
    """The responses of the extra random run at the cell's pool and budget; None where that run failed.

    A cell without a budget (the full pool) stands beside every budget, and takes the anchor of the first.
    """
    runs = [c for c, label in answers if c.arm == ANCHOR and c.pool == cell.pool and label == testset.label]
    own = runs if cell.budget is None else [c for c in runs if c.budget == cell.budget]
    return _by_prompt(answers[own[0], testset.label]) if own else None


def _control_runs(
    experiment: Experiment, testset: JudgedSet, cell: Cell, answers: Responses
) -> dict[int, dict[str, str]]:
    budgets = [c.budget for c, _ in answers if c.arm == experiment.spec.control and c.pool == cell.pool]
    budget = budgets[0] if cell.budget is None and budgets else cell.budget
    return {
        c.run: _by_prompt(rows)
        for (c, label), rows in answers.items()
        if (c.arm, c.pool, c.budget, label) == (experiment.spec.control, cell.pool, budget, testset.label)
    }


def opponents_of(
    direct: str, cell: Cell, runs: Mapping[int, Mapping[str, str]]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The control's responses by prompt that a cell meets under ``direct``, each under a name for files and tables."""
    if direct == "pooled":
        yield from ((f"run {run}", responses) for run, responses in runs.items())
    elif direct == "paired" and cell.run in runs:
        yield f"run {cell.run}", runs[cell.run]
    elif direct == "sampled" and runs:
        yield "a run per prompt", _drawn(sorted(runs.items()), cell)


def _drawn(runs: Sequence[tuple[int, Mapping[str, str]]], cell: Cell) -> dict[str, str]:
    """For every prompt the response of one run, drawn by the prompt's id and the cell's seed."""
    drawn = {}
    for prompt in runs[0][1]:
        rng = np.random.default_rng([cell.seed, int(digest_text(prompt)[:16], 16)])
        drawn[prompt] = runs[int(rng.integers(len(runs)))][1][prompt]
    return drawn


def _judge(
    experiment: Experiment,
    testset: JudgedSet,
    cell: Cell,
    rows: Sequence[Mapping[str, Any]],
    opponent: Mapping[str, str],
    name: str,
) -> Iterator[Judged]:
    prompts = {prompt.id: prompt for prompt in testset.testset.prompts}
    comparisons = tuple(
        Comparison(
            *(row["id"], row["prompt"], row["response"], opponent[row["id"]], prompts[row["id"]].reference),
            input=prompts[row["id"]].prompt.input,
        )
        for row in rows
    )
    for judge in testset.judges:
        ctx = HostContext(
            seed=0,
            cache_dir=experiment.store.root,
            base_model=experiment.spec.model,
            chat_service=experiment.chat,
            account=partial(judging_account, experiment),
        )
        passes, artifact = judge_pairs(judge, comparisons, ctx, experiment.store, orders=testset.spec.orders)
        endpoint = endpoint_name(testset, judge)
        yield Judged(cell, endpoint, judge, name, comparisons, tuple(passes), artifact is not None)


def _by_prompt(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["response"] for row in rows}
