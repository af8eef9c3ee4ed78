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
from selkit.experiment.cells.job import cell_keys
from selkit.experiment.cells.work import training_record
from selkit.experiment.contamination.shared import contamination, sources_of
from selkit.experiment.document.citations import citations_of
from selkit.experiment.document.comparing import comparisons_of
from selkit.experiment.document.costs import costs_of
from selkit.experiment.document.diagnostics import diagnostics_of, scoring_costs
from selkit.experiment.document.evidence import by_arm, flags_of, judges_of, missing_of, unfit_claims
from selkit.experiment.document.searched import Searched, search_document, search_failures
from selkit.experiment.document.verdicts import verdicts_of
from selkit.experiment.jobs import Plan
from selkit.experiment.judging.judging import Judged, judging_account
from selkit.experiment.judging.scores import Outcome
from selkit.experiment.selection.charged import used_by
from selkit.experiment.selection.selecting import Chosen, distinct
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import Cell
from selkit.experiment.setup.rules import changed_claims, declare
from selkit.select import overlap_matrix
from selkit.store import measured_since, totals
from selkit.train import TrainReport

SCHEMA_VERSION = 1


def document_of(
    planned: Plan, outcome: Outcome, table: pa.Table, started: float, searched: Searched | None = None
) -> dict[str, Any]:
    """The document of a finished experiment; ``started`` is the time (seconds since the epoch) of its command."""
    experiment, spec = planned.experiment, planned.experiment.spec
    jobs = {cell: job for cell, job in planned.jobs.items() if job.label not in outcome.failed}
    training = {cell: training_record(j, j.training, experiment.store) for cell, j in jobs.items() if j.training}
    done = [*(job for job in planned.anchors.values() if job.label not in outcome.failed), *jobs.values()]
    keys = [key.digest for job in done for key in cell_keys(job)]
    rules = declare(experiment, experiment.store)
    judges, missing = judges_of([*outcome.judged, *outcome.direct], outcome.tried), missing_of(outcome.judged)
    made = distinct({cell: planned.chosen[cell] for cell in jobs if cell in planned.chosen})
    diagnostics, stored = diagnostics_of(experiment, {one.cell: one for one in made}, outcome.judged)
    scoring = {"scoring": scoring_costs(experiment.store, diagnostics["scores"])}
    selections = dict.fromkeys(choice.key for choice in planned.chosen.values())
    judgings = dict.fromkeys(one.key for one in [*outcome.judged, *outcome.direct] if one.key)
    others = [*selections, *used_by(experiment.store, selections), *judgings]
    verdicts = verdicts_of(planned, outcome, table, flags_of(missing, judges, spec.control))
    measured = _measured(experiment, [*keys, *others, judging_account(experiment)], training, started)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": spec.name,
        "selkit": __version__,
        "note": spec.note,
        "spec": spec.model_dump(mode="json", by_alias=True),
        "recipes": [recipe.as_dict() for recipe in experiment.recipes.values()],
        "rules": rules,
        "claims": [*experiment.notes, *unfit_claims(judges), *changed_claims(rules)],
        "failures": [*_failures(outcome), *search_failures(searched)],
        **verdicts,
        **comparisons_of(planned, outcome, judges),
        **search_document(searched),
        "scores": _mean_scores(table),
        "win_rates": _win_rates(outcome.judged),
        "direct": _win_rates(outcome.direct),
        "judges": judges,
        "missing": missing,
        "selections": [_selection(experiment, choice) for choice in made],
        "overlap": _overlap(planned.chosen),
        "contamination": contaminated(experiment, made),
        "diagnostics": diagnostics,
        "citations": citations_of(experiment),
        "training": [_trained(cell, record.to_json()) for cell, record in training.items()],
        "keys": list(dict.fromkeys([*keys, *others, *stored, rules["key"]])),
        "measured": {**measured, **costs_of(planned, training, outcome.judged, verdicts), **scoring},
    }


def _failures(outcome: Outcome) -> list[dict[str, str]]:
    failed = [{"cell": label, "error": error} for label, error in sorted(outcome.failed.items())]
    owed = [one for one in [*outcome.judged, *outcome.direct] if not one.finished]
    untried = [{"cell": f"canaries/{one.endpoint}", "error": one.missing} for one in outcome.tried if not one.finished]
    return failed + [{"cell": f"{one.cell.label}/{one.endpoint}", "error": one.missing} for one in owed] + untried


def _mean_scores(table: pa.Table) -> list[dict[str, Any]]:
    keys = ["pool", "budget", "recipe", "model", "benchmark", "arm", "run"]
    means = table.group_by(keys, use_threads=False).aggregate([("score", "mean"), ("score", "count")])
    return [
        {**{key: row[key] for key in keys}, "score": row["score_mean"], "items": row["score_count"]}
        for row in means.to_pylist()
    ]


def _win_rates(judgings: Iterable[Judged]) -> list[dict[str, Any]]:
    """Raw and length-controlled win rates of every arm, all its runs (and opponents) pooled."""
    return [{**place, **_win_rate(group)} for place, group in by_arm(judgings)]


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
        **choice.cell.columns(),
        "rows": len(choice.ids),
        "mean_words": float(np.mean(words)) if words else None,
        "key": choice.key,
        "facts": dict(choice.facts),
    }


def contaminated(experiment: Experiment, chosen: Iterable[Chosen]) -> dict[str, Any]:
    """The test-set contamination of every selection, see :mod:`selkit.experiment.contamination.shared`."""
    tested = sources_of(experiment.testsets, experiment.benchmarks)
    selections = [(choice.cell.columns(), choice.ids) for choice in chosen]
    return contamination(experiment.pools, tested, selections, experiment.store)


def _overlap(chosen: Mapping[Cell, Chosen]) -> list[dict[str, Any]]:
    """Overlap of every selection with every other of the same pool and budget, once for all models that agree."""
    groups: dict[tuple[str, str | None], dict[str, dict[str, Chosen]]] = defaultdict(lambda: defaultdict(dict))
    for cell, choice in chosen.items():
        groups[cell.pool, cell.budget][cell.model][f"{cell.arm}/{cell.run}"] = choice
    rows = []
    for (pool, budget), models in groups.items():
        keys = {model: [choice.key for choice in group.values()] for model, group in models.items()}
        alike = all(own == next(iter(keys.values())) for own in keys.values())
        for model, group in list(models.items())[: 1 if alike else None]:
            matrix = overlap_matrix({name: choice.ids for name, choice in group.items()}).tolist()
            place = {"pool": pool, "budget": budget, "model": None if alike else model}
            rows.append({**place, "selections": list(group), "matrix": matrix})
    return rows


def _trained(cell: Cell, record: str) -> dict[str, Any]:
    import json

    values = json.loads(record)
    values.pop("measured")
    values["dropped"] = values["dropped"][:100]
    return {**values, **cell.columns()}


def _measured(
    experiment: Experiment, keys: Sequence[str], training: Mapping[Cell, TrainReport], started: float
) -> dict[str, Any]:
    return {
        **measured_since(started),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "training": [
            {**cell.columns(), "seconds": record.seconds, "tokens_per_second": record.tokens_per_second}
            for cell, record in training.items()
        ],
        "totals": totals(experiment.store.ledger(keys)),
    }
