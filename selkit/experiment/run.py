"""``selkit run``: select, train, answer, judge, compare, report."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from selkit.api import DataError, WorkFailed
from selkit.console import get_console
from selkit.experiment.cells.failures import failure_of
from selkit.experiment.cells.job import CellJob
from selkit.experiment.cells.work import has_weights, let_go
from selkit.experiment.document.document import document_of
from selkit.experiment.document.searched import Searched, search, validation_scores
from selkit.experiment.executors import Executor, LocalExecutor
from selkit.experiment.jobs import Plan, plan, resources
from selkit.experiment.judging.itemfiles import write_items
from selkit.experiment.judging.scores import Outcome, collect, score_table
from selkit.experiment.outlook.live import announced
from selkit.experiment.setup.rules import declare
from selkit.experiment.spec.spec import Spec
from selkit.experiment.upkeep.remembered import kept_for_others, remember
from selkit.report import write_report
from selkit.store import Store

SCORES_FILE = "scores.parquet"


def run_experiment(
    spec: Spec, output: Path, *, store: Store | None = None, executor: Executor | None = None
) -> dict[str, Any]:
    """Runs what is not stored yet, and writes the report to ``output``; returns report.json's content.

    Cells that failed stand under ``failures`` with the reason, and what they touch is INCOMPLETE: the others are
    stored, and the same call tries the failed ones again.

    Args:
        spec: The experiment.
        output: Folder for the report and the per-item data.
        store: Where results are kept, by default the user's store.
        executor: Where cells are done, by default in processes of this machine. It changes nothing in the report but
            what is measured.

    Raises:
        WorkFailed: No cell ended well, so that there is nothing to report.
        SelkitError: Whatever the checks before the first cell refuse.
    """
    store = store or Store()
    executor = executor or LocalExecutor(*resources(spec))
    _check_output(output)
    with announced(store, spec.name, output):
        return _run(spec, output, store, executor)


def _run(spec: Spec, output: Path, store: Store, executor: Executor) -> dict[str, Any]:
    started = time.time()
    with executor.open(spec, store):
        settled = spec.model_copy(update={"device": executor.device(spec)})
        remember(store, output, settled)
        planned = plan(spec, store, settled.device)
        planned = replace(planned, jobs=kept_for_others(store, output, planned.jobs))
        declare(planned.experiment, store)
        failed = _run_missing(planned, executor)
    with planned.experiment.chat:
        outcome = collect(planned, failed)
        searched = _searched(planned, outcome)
    table = score_table(planned.experiment, outcome)
    document = document_of(planned, outcome, table, started, searched)
    document["measured"] |= _logs(planned, failed)
    pq.write_table(table, output / SCORES_FILE)
    write_items(output, planned.experiment, planned.chosen, outcome)
    write_report(document, output / "report", output)
    remember(store, output, settled, store.used)
    return document


def _run_missing(planned: Plan, executor: Executor) -> dict[str, str]:
    """Does the jobs that are not finished; returns the reason of every one that failed, by its label."""
    missing = planned.missing
    jobs = {job.label: job for job in missing}
    console = get_console()
    if planned.done:
        console.note(f"{len(planned.done)} of {len(planned.jobs) + len(planned.anchors)} cells are stored already")
    # Two cells may need the same training (a deterministic choice under one seed): the store makes it once.
    failed: dict[str, str] = {}
    with closing(executor.run(missing)) as outcomes:
        # The jobs are tracked, not the outcomes: an outcome that has come is done.
        for _, ended in zip(console.track(missing, description="cells"), outcomes, strict=True):
            if ended.error is not None:
                failed[ended.label] = ended.error
                console.error(f"cell {ended.label} failed: {ended.error}{_log(jobs[ended.label])}")
    done = [job for job in planned.jobs.values() if job.label in planned.done]
    for job in done:  # a kill right after its last stage leaves its weights
        let_go(job, planned.experiment.store)
    if gone := sum(not has_weights(job, planned.experiment.store) for job in done if job.keep):
        console.note(f"the weights of {gone} of them were not kept: with another --store they are trained anew")
    if failed and all(job.label in failed for job in planned.jobs.values()):
        label, error = next(iter(failed.items()))
        log = _log(jobs[label])
        raise WorkFailed(f"every cell failed, the first is {label}: {error}{log}; the same command tries them again")
    return failed


def _log(job: CellJob) -> str:
    """Where the traceback of a failed cell is, as a remark."""
    failure = failure_of(job)
    return "" if failure is None else f" (log: {failure.log})"


def _logs(planned: Plan, failed: Collection[str]) -> dict[str, Any]:
    """Files with the tracebacks of failed cells by their labels, as what is measured; nothing where none failed."""
    jobs = [*planned.anchors.values(), *planned.jobs.values()]
    found = {job.label: one.log for job in jobs if job.label in failed and (one := failure_of(job)) is not None}
    return {"logs": found} if found else {}


def _searched(planned: Plan, outcome: Outcome) -> Searched | None:
    """What a recipe search found; None where the spec asks for none."""
    if planned.experiment.spec.search is None:
        return None
    return search(planned, outcome, *validation_scores(planned, outcome.failed))


def _check_output(output: Path) -> None:
    try:
        (output / "report").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output} cannot be written ({error.strerror}): choose another folder with -o") from error
