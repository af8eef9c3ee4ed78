"""The content of report.json: everything that a report shows, computed once. What depends on clock or machine stands
under ``measured`` and nowhere else."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from selkit import __version__
from selkit.api import MissingExtra
from selkit.experiment.cells import cell_keys, training_record
from selkit.experiment.contamination import contamination
from selkit.experiment.diagnostics import diagnostics_of
from selkit.experiment.evidence import flags_of, judges_of, missing_of, unfit_claims
from selkit.experiment.jobs import Plan
from selkit.experiment.judging import Judged, judging_account
from selkit.experiment.plan import ANCHOR, Cell
from selkit.experiment.rules import changed_claims, declare, rules_of
from selkit.experiment.scores import Outcome
from selkit.experiment.selecting import Chosen
from selkit.experiment.setup import Experiment
from selkit.select import overlap_matrix
from selkit.stats import Gap, Rules, ScoreTable, VerdictRow, analyse, sentence, study
from selkit.store import measured_since, totals
from selkit.train import TrainReport

SCHEMA_VERSION = 1


def document_of(planned: Plan, outcome: Outcome, table: pa.Table, started: float) -> dict[str, Any]:
    """The document of a finished experiment; ``started`` is the time (seconds since the epoch) of its command."""
    experiment, spec = planned.experiment, planned.experiment.spec
    jobs = {cell: job for cell, job in planned.jobs.items() if job.label not in outcome.failed}
    training = {cell: training_record(j, j.training, experiment.store) for cell, j in jobs.items() if j.training}
    done = [*(job for job in planned.anchors.values() if job.label not in outcome.failed), *jobs.values()]
    keys = [key.digest for job in done for key in cell_keys(job)]
    rules = declare(experiment, experiment.store)
    judges, missing = judges_of([*outcome.judged, *outcome.direct], outcome.tried), missing_of(outcome.judged)
    diagnostics, stored = diagnostics_of(experiment, {cell: planned.chosen[cell] for cell in jobs}, outcome.judged)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": spec.name,
        "selkit": __version__,
        "note": spec.note,
        "spec": spec.model_dump(mode="json", by_alias=True),
        "recipe": experiment.recipe.as_dict(),
        "rules": rules,
        "claims": [*experiment.notes, *unfit_claims(judges), *changed_claims(rules)],
        "failures": _failures(outcome),
        **_verdicts(planned, outcome, table, flags_of(missing, judges, spec.control)),
        "scores": _mean_scores(table),
        "win_rates": _win_rates(outcome.judged),
        "direct": _win_rates(outcome.direct),
        "judges": judges,
        "missing": missing,
        "selections": [_selection(experiment, planned.chosen[cell]) for cell in jobs],
        "overlap": _overlap(planned.chosen),
        "contamination": contaminated(experiment, {cell: planned.chosen[cell] for cell in jobs}),
        "diagnostics": diagnostics,
        "training": [_trained(cell, record.to_json()) for cell, record in training.items()],
        "keys": [*keys, *stored, rules["key"]],
        "measured": _measured(experiment, [*keys, judging_account(experiment)], training, started),
    }


def _verdicts(
    planned: Plan, outcome: Outcome, table: pa.Table, flags: Mapping[tuple[Any, ...], list[str]]
) -> dict[str, Any]:
    experiment, spec = planned.experiment, planned.experiment.spec
    arms = {arm.name for arm in experiment.arms}
    scored = set(table["arm"].to_pylist())
    if spec.control not in scored or len(arms) < 2:
        return {"verdicts": [], "sentences": [], "grid": {}}
    rules = rules_of(experiment, gaps=_gaps(planned, outcome), intersect=_has_holes(table))
    scores = ScoreTable.from_arrow(table)
    rows, grid = _results(scores, rules)
    return {
        "verdicts": [_flagged(row, flags) for row in rows],
        "sentences": [sentence(row) for row in rows],
        "grid": grid,
    }


def _results(scores: ScoreTable, rules: Rules) -> tuple[Sequence[VerdictRow], dict[str, Any]]:
    """The verdicts, and the tables over the grid that hold anything; without statsmodels there are none of these."""
    try:
        found = study(scores, rules)
    except MissingExtra:
        return analyse(scores, rules), {}
    return found.verdicts, {name: rows for name, rows in found.tables().items() if rows}


def _flagged(row: VerdictRow, flags: Mapping[tuple[Any, ...], list[str]]) -> dict[str, Any]:
    """A verdict with what its judging adds to its flags; an arm without a budget was judged once, for every budget."""
    found = row.to_dict()
    places = [(row.pool, budget, row.benchmark, row.arm) for budget in (row.budget, None)]
    more = next((flags[place] for place in places if place in flags), [])
    return {**found, "flags": [*found["flags"], *more]}


def _failures(outcome: Outcome) -> list[dict[str, str]]:
    failed = [{"cell": label, "error": error} for label, error in sorted(outcome.failed.items())]
    owed = [one for one in [*outcome.judged, *outcome.direct] if not one.finished]
    untried = [{"cell": f"canaries/{one.endpoint}", "error": one.missing} for one in outcome.tried if not one.finished]
    return failed + [{"cell": f"{one.cell.label}/{one.endpoint}", "error": one.missing} for one in owed] + untried


def _gaps(planned: Plan, outcome: Outcome) -> list[Gap]:
    """What failed, as the verdicts see it: those it touches are INCOMPLETE."""
    failed = [
        Gap(cell.arm, f"run {cell.run} failed ({outcome.failed[job.label]})", pool=cell.pool, budget=cell.budget)
        for cell, job in planned.jobs.items()
        if job.label in outcome.failed and cell.arm != ANCHOR
    ]
    owed = [one for one in outcome.judged if not one.finished]
    return [
        *failed,
        *(
            Gap(cell.arm, "the anchor failed", endpoint, cell.pool, cell.budget)
            for cell, endpoint in outcome.anchorless
        ),
        *(Gap(one.cell.arm, one.missing, one.endpoint, one.cell.pool, one.cell.budget) for one in owed),
    ]


def _has_holes(table: pa.Table) -> bool:
    """Whether some run lacks an item: a judge gave no verdict on it."""
    counts = table.group_by(["pool", "budget", "arm", "run", "benchmark"]).aggregate([("item", "count")])
    by_benchmark: dict[str, set[int]] = defaultdict(set)
    for benchmark, count in zip(counts["benchmark"].to_pylist(), counts["item_count"].to_pylist(), strict=True):
        by_benchmark[benchmark].add(count)
    return any(len(sizes) > 1 for sizes in by_benchmark.values())


def _mean_scores(table: pa.Table) -> list[dict[str, Any]]:
    keys = ["pool", "budget", "benchmark", "arm", "run"]
    means = table.group_by(keys, use_threads=False).aggregate([("score", "mean"), ("score", "count")])
    return [
        {**{key: row[key] for key in keys}, "score": row["score_mean"], "items": row["score_count"]}
        for row in means.to_pylist()
    ]


def _win_rates(judgings: Iterable[Judged]) -> list[dict[str, Any]]:
    """Raw and length-controlled win rates of every arm, all its runs (and opponents) pooled."""
    groups: dict[tuple[str, str | None, str, str], list[Judged]] = defaultdict(list)
    for judged in judgings:
        groups[judged.cell.pool, judged.cell.budget, judged.endpoint, judged.cell.arm].append(judged)
    return [
        {"pool": pool, "budget": budget, "testset": endpoint, "arm": arm, **_win_rate(group)}
        for (pool, budget, endpoint, arm), group in groups.items()
    ]


def _win_rate(group: list[Judged]) -> dict[str, Any]:
    from selkit.evals.length_control import direct_win_rate

    prompts, preferences, ours, theirs = [], [], [], []
    for judged in group:
        scores = judged.scores
        for comparison in judged.comparisons:
            if (score := scores[comparison.id]) is not None:
                prompts.append(comparison.id)
                preferences.append(score)
                ours.append(len(comparison.first))
                theirs.append(len(comparison.second))
    result = direct_win_rate(np.array(preferences), np.array(ours), np.array(theirs), clusters=prompts, seed=0)
    words = float(np.mean([len(c.first.split()) for j in group for c in j.comparisons]))
    return {**asdict(result), "words": words}


def _selection(experiment: Experiment, choice: Chosen) -> dict[str, Any]:
    pool = experiment.pools[choice.cell.pool]
    rows = pool.take(choice.ids)
    words = [len(example.response.split()) for example in rows]
    return {
        **_place(choice.cell),
        "rows": len(choice.ids),
        "mean_words": float(np.mean(words)) if words else None,
        "key": choice.key,
        "facts": dict(choice.facts),
    }


def contaminated(experiment: Experiment, chosen: Mapping[Cell, Chosen]) -> dict[str, Any]:
    """The test-set contamination of every selection, see :func:`selkit.experiment.contamination.contamination`."""
    return contamination(experiment, [(_place(cell), choice.ids) for cell, choice in chosen.items()])


def _overlap(chosen: Mapping[Cell, Chosen]) -> list[dict[str, Any]]:
    """Overlap of every selection with every other of the same pool and budget."""
    groups: dict[tuple[str, str | None], dict[str, tuple[str, ...]]] = defaultdict(dict)
    for cell, choice in chosen.items():
        groups[cell.pool, cell.budget][f"{cell.arm}/{cell.run}"] = choice.ids
    return [
        {"pool": pool, "budget": budget, "selections": list(group), "matrix": overlap_matrix(group).tolist()}
        for (pool, budget), group in groups.items()
    ]


def _trained(cell: Cell, record: str) -> dict[str, Any]:
    import json

    values = json.loads(record)
    values.pop("measured")
    values["dropped"] = values["dropped"][:100]
    return {**_place(cell), **values}


def _place(cell: Cell) -> dict[str, Any]:
    return {"pool": cell.pool, "budget": cell.budget, "arm": cell.arm, "run": cell.run}


def _measured(
    experiment: Experiment, keys: Sequence[str], training: Mapping[Cell, TrainReport], started: float
) -> dict[str, Any]:
    return {
        **measured_since(started),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "training": [
            {**_place(cell), "seconds": record.seconds, "tokens_per_second": record.tokens_per_second}
            for cell, record in training.items()
        ],
        "totals": totals(experiment.store.ledger(keys)),
    }
