"""From stored answers to the score table: judging against the anchor, benchmark items, one row per score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from selkit.api import Benchmark
from selkit.evals import read_items
from selkit.experiment.cells.work import answers, items
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.judged import marked, marked_canaries, marks_of
from selkit.experiment.judging.judging import (
    Judged,
    Tried,
    direct_places,
    judge_cell,
    judge_direct,
    judged_places,
    random_anchor,
    try_canaries,
)
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.testsets.sets import JudgedSet
from selkit.judge import Response, responses_of

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
        ("model", pa.string()),
    ]
)
"""Columns of scores.parquet, the table that `selkit stats` reads. A null budget stands beside every budget."""


@dataclass(frozen=True)
class ScoredBenchmark:
    """A benchmark with the items of one cell."""

    benchmark: Benchmark
    items: pa.Table


@dataclass
class Outcome:
    """All that the experiment found, cell by cell.

    ``again`` holds what was judged in another place than its cell's own, for the pairs of ``compare:``, with that cell.
    ``failed`` holds the reason of every job that failed, by its label; ``anchorless`` the cells and endpoints that had
    nothing to be judged against, because the anchor's job failed.
    """

    judged: list[Judged] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    direct: list[Judged] = field(default_factory=list)
    again: list[tuple[Cell, Judged]] = field(default_factory=list)
    benchmarks: dict[tuple[Cell, str], list[ScoredBenchmark]] = field(default_factory=dict)
    responses: dict[tuple[Cell, str], list[Mapping[str, Any]]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    anchorless: list[tuple[Cell, str]] = field(default_factory=list)


def collect(planned: Plan, failed: Mapping[str, str]) -> Outcome:
    """Judges every finished cell and gathers its benchmark items; all from the store where it is there.

    ``failed`` names the jobs that did not finish, with the reason.
    """
    outcome = Outcome(failed=failed)
    experiment = planned.experiment
    jobs = {cell: job for cell, job in planned.jobs.items() if job.label not in failed}
    for testset in experiment.testsets:
        for cell, job in jobs.items():
            outcome.responses[cell, testset.label] = answers(job, experiment.store, testset.asked)
        for given in (one for one in experiment.given if one.outputs):
            outcome.responses[given.cell, testset.label] = list(given.outputs[testset.label])
        _judge_all(planned, testset, outcome)
    for endpoint in experiment.benchmarks:
        for cell, job in jobs.items():
            if cell.arm != ANCHOR:
                outcome.benchmarks[cell, endpoint.name] = [
                    ScoredBenchmark(one.benchmark, read_items(items(job, experiment.store, one)))
                    for one in endpoint.jobs
                ]
    return outcome


def _judge_all(planned: Plan, testset: JudgedSet, outcome: Outcome) -> None:
    experiment = planned.experiment
    marks = marks_of(experiment, testset, planned.jobs, planned.anchors)
    tried = False
    for (cell, label), rows in list(outcome.responses.items()):
        if label != testset.label or cell.arm == ANCHOR:
            continue
        for place in judged_places(experiment, testset, cell):
            anchor = _anchor(planned, testset, place, outcome)
            if anchor is None:
                outcome.anchorless += [(place, one.endpoint) for one in testset.judges]
                continue
            if not tried:  # whether a judge can be fooled is known before its verdicts
                found = try_canaries(experiment, testset, rows, anchor)
                outcome.tried += marked_canaries(found, testset, marks, place, experiment.store)
                tried = True
            judged = judge_cell(experiment, testset, place, rows, anchor)
            outcome.judged += marked(judged, marks, experiment.store)
        for place in direct_places(experiment, testset, cell):
            direct = judge_direct(experiment, testset, place, rows, outcome.responses)
            outcome.direct += marked(direct, marks, experiment.store)


def _anchor(planned: Plan, testset: JudgedSet, cell: Cell, outcome: Outcome) -> Mapping[str, Response] | None:
    """The anchor's responses by id; None where it failed."""
    anchor = testset.anchor
    if anchor.kind == "random":
        return random_anchor(testset, cell, outcome.responses)
    if anchor.kind != "model":
        return anchor.answers
    job = planned.anchors[anchor.model]
    if job.label in outcome.failed:
        return None
    return responses_of(answers(job, planned.experiment.store, testset.asked))


def score_table(experiment: Experiment, outcome: Outcome) -> pa.Table:
    """Every score of the experiment, in the order of the cells."""
    rows = [*judged_rows(experiment, outcome.judged), *(row for _, row in benchmark_rows(outcome))]
    return pa.Table.from_pylist(rows, schema=SCORES)


def judged_rows(experiment: Experiment, judgings: Iterable[Judged]) -> Iterator[dict[str, Any]]:
    """The rows of the score table that judgings make."""
    testsets = {one.endpoint: testset for testset in experiment.testsets for one in testset.judges}
    for judged in judgings:
        testset = testsets[judged.endpoint]
        for item, score in judged.scores.items():
            if score is not None:
                # the turns of a conversation depend on each other
                cluster = testset.conversations[item] if testset.asked.turns == "all" else None
                yield _row(judged.cell, item, judged.endpoint, score, cluster)


def benchmark_rows(outcome: Outcome) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """The rows of the score table that benchmarks make, each with its cell."""
    for (cell, endpoint), scored in outcome.benchmarks.items():
        for one in scored:
            columns = (one.items[name].to_pylist() for name in ("item", one.benchmark.primary, "cluster"))
            for item, score, cluster in zip(*columns, strict=True):
                yield cell, _row(cell, item, endpoint, score, cluster)


def _row(cell: Cell, item: str, benchmark: str, score: float, cluster: str | None = None) -> dict[str, Any]:
    return {**cell.columns(), "item": item, "benchmark": benchmark, "score": float(score), "cluster": cluster}
