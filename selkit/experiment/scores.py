"""From stored answers to the score table: judging against the anchor, benchmark items, one row per score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from selkit.api import Comparison, Judgement, PairwiseJudge
from selkit.evals import read_items
from selkit.experiment.cells import CellJob, answers, items
from selkit.experiment.plan import ANCHOR, ANCHOR_RUN, Cell
from selkit.experiment.setup import Experiment, JudgedSet
from selkit.judge import item_scores, judge_pairs, read_responses
from selkit.models import HostContext

SCORES = pa.schema(
    [
        ("arm", pa.string()),
        ("run", pa.int64()),
        ("item", pa.string()),
        ("benchmark", pa.string()),
        ("score", pa.float64()),
        ("cluster", pa.string()),
        ("recipe", pa.string()),
        ("pool", pa.string()),
        ("budget", pa.string()),
    ]
)
"""Columns of scores.parquet, the table that `selkit stats` reads. A null budget stands beside every budget."""


@dataclass(frozen=True)
class Judged:
    """One cell judged on one test set by one judge."""

    cell: Cell
    endpoint: str
    judge: PairwiseJudge
    comparisons: tuple[Comparison, ...]
    passes: tuple[Judgement, ...]

    @property
    def scores(self) -> dict[str, float | None]:
        """Score by prompt: the mean over both orders; None where a pass has no verdict."""
        return item_scores(self.passes)


@dataclass
class Outcome:
    """All that the experiment found, cell by cell."""

    judged: list[Judged] = field(default_factory=list)
    benchmarks: dict[tuple[Cell, str], pa.Table] = field(default_factory=dict)
    responses: dict[tuple[Cell, str], list[Mapping[str, Any]]] = field(default_factory=dict)


def collect(experiment: Experiment, jobs: Mapping[Cell, CellJob]) -> Outcome:
    """Judges every finished cell and gathers its benchmark items; all from the store where it is there."""
    outcome = Outcome()
    for testset in experiment.testsets:
        for cell, job in jobs.items():
            outcome.responses[cell, testset.label] = answers(job, experiment.store, testset.testset, testset.decoding)
        for cell in jobs:
            if cell.arm != ANCHOR:
                outcome.judged += list(_judge(experiment, testset, cell, outcome))
    for benchmark in experiment.benchmarks:
        for cell, job in jobs.items():
            if cell.arm != ANCHOR:
                table = read_items(items(job, experiment.store, benchmark))
                outcome.benchmarks[cell, benchmark.benchmark.name] = table
    return outcome


def score_table(experiment: Experiment, outcome: Outcome) -> pa.Table:
    """Every score of the experiment, in the order of the cells."""
    rows = [*_judged_rows(experiment, outcome), *_benchmark_rows(experiment, outcome)]
    return pa.Table.from_pylist(rows, schema=SCORES)


def endpoint_name(testset: JudgedSet, judge: PairwiseJudge) -> str:
    """What the score table calls a test set under a judge: the judge is named where there are several."""
    return testset.label if len(testset.judges) == 1 else f"{testset.label}/{judge.name}"


def _judge(experiment: Experiment, testset: JudgedSet, cell: Cell, outcome: Outcome) -> Iterator[Judged]:
    anchor = _anchor(testset, cell, outcome)
    references = {prompt.id: prompt.reference for prompt in testset.testset.prompts}
    comparisons = tuple(
        Comparison(row["id"], row["prompt"], row["response"], anchor[row["id"]], references[row["id"]])
        for row in outcome.responses[cell, testset.label]
    )
    for judge in testset.judges:
        ctx = HostContext(seed=0, cache_dir=experiment.store.root, base_model=experiment.spec.model)
        passes, _ = judge_pairs(judge, comparisons, ctx, experiment.store, orders=testset.spec.orders)
        yield Judged(cell, endpoint_name(testset, judge), judge, comparisons, tuple(passes))


def _anchor(testset: JudgedSet, cell: Cell, outcome: Outcome) -> dict[str, str]:
    """The anchor's answer by prompt."""
    if testset.spec.anchor == "reference":
        return {prompt.id: prompt.reference or "" for prompt in testset.testset.prompts}
    if testset.spec.anchor != "random":
        return {row_id: r.response for row_id, r in read_responses(Path(testset.spec.anchor)).items()}
    candidates = [c for c, label in outcome.responses if c.arm == ANCHOR and c.pool == cell.pool]
    own = [c for c in candidates if c.budget == cell.budget] or candidates
    anchor = Cell(cell.pool, own[0].budget, ANCHOR, ANCHOR_RUN)
    return {row["id"]: row["response"] for row in outcome.responses[anchor, testset.label]}


def _judged_rows(experiment: Experiment, outcome: Outcome) -> Iterator[dict[str, Any]]:
    for judged in outcome.judged:
        for item, score in judged.scores.items():
            if score is not None:
                yield _row(experiment, judged.cell, item, judged.endpoint, score)


def _benchmark_rows(experiment: Experiment, outcome: Outcome) -> Iterator[dict[str, Any]]:
    primary = {job.benchmark.name: job.benchmark.primary for job in experiment.benchmarks}
    for (cell, name), table in outcome.benchmarks.items():
        for item, score in zip(table["item"].to_pylist(), table[primary[name]].to_pylist(), strict=True):
            yield _row(experiment, cell, item, name, score)


def _row(experiment: Experiment, cell: Cell, item: str, benchmark: str, score: float) -> dict[str, Any]:
    return {
        "arm": cell.arm,
        "run": cell.run,
        "item": item,
        "benchmark": benchmark,
        "score": float(score),
        "cluster": None,
        "recipe": experiment.recipe.name,
        "pool": cell.pool,
        "budget": cell.budget,
    }
