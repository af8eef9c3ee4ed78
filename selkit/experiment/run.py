"""``selkit run``: select, train, answer, judge, compare, report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from selkit.api import DataError, WorkFailed
from selkit.console import get_console
from selkit.experiment.cells import CellJob, is_done
from selkit.experiment.document import document_of
from selkit.experiment.plan import Cell
from selkit.experiment.scores import Outcome, collect, score_table
from selkit.experiment.selecting import Chosen, choose_all
from selkit.experiment.setup import Experiment, prepare
from selkit.experiment.spec import Spec
from selkit.experiment.workers import default_workers, run_cells
from selkit.judge import pass_row
from selkit.report import write_report
from selkit.store import Store, atomic_write_text, canonical_json

SCORES_FILE = "scores.parquet"


@dataclass(frozen=True)
class Plan:
    """Every cell with its job, and which are finished."""

    experiment: Experiment
    chosen: Mapping[Cell, Chosen]
    jobs: Mapping[Cell, CellJob]
    done: frozenset[Cell]

    def rows(self) -> list[list[str]]:
        """One line per cell for a table: pool, budget, arm, run, rows, state."""
        return [
            [
                cell.pool,
                cell.budget or "own size",
                cell.arm,
                str(cell.run),
                str(len(self.chosen[cell].ids)),
                "done" if cell in self.done else "to do",
            ]
            for cell in self.jobs
        ]


def plan(spec: Spec, store: Store) -> Plan:
    """Checks the spec, makes the selections, and sees what is stored already."""
    experiment = prepare(spec, store)
    chosen = choose_all(experiment)
    workers, threads = _resources(spec)
    del workers
    jobs = {cell: _job(experiment, choice, threads) for cell, choice in chosen.items()}
    done = frozenset(cell for cell, job in jobs.items() if is_done(job, store))
    return Plan(experiment, chosen, jobs, done)


def run_experiment(spec: Spec, output: Path, *, store: Store | None = None) -> dict[str, Any]:
    """Runs what is not stored yet, and writes the report to ``output``; returns report.json's content.

    Raises:
        WorkFailed: Cells failed; the others are stored, and the same call tries the failed ones again.
        SelkitError: Whatever the checks before the first cell refuse.
    """
    started = time.time()
    store = store or Store()
    _check_output(output)
    planned = plan(spec, store)
    _run_missing(planned, spec)
    outcome = collect(planned.experiment, planned.jobs)
    table = score_table(planned.experiment, outcome)
    document = document_of(planned.experiment, planned.chosen, planned.jobs, outcome, table, started)
    pq.write_table(table, output / SCORES_FILE)
    _write_items(output, outcome)
    write_report(document, output / "report")
    return document


def _resources(spec: Spec) -> tuple[int, int]:
    workers, threads = default_workers()
    return spec.workers or workers, spec.threads or threads


def _job(experiment: Experiment, choice: Chosen, threads: int) -> CellJob:
    cell = choice.cell
    return CellJob(
        label=cell.label,
        rows=choice.rows,
        rows_digest=choice.digest,
        turns=experiment.pools[cell.pool].turns,
        model=experiment.spec.model,
        recipe=experiment.recipe,
        seed=cell.seed,
        prompts=tuple((judged.testset, judged.decoding) for judged in experiment.testsets),
        benchmarks=experiment.benchmarks if cell.arm != "anchor" else (),
        store=experiment.store.root,
        threads=threads,
        keep=_kept(experiment),
    )


def _kept(experiment: Experiment) -> bool:
    """Whether trained weights stay; 'adapters' keeps those of recipes that train adapters."""
    keep = experiment.spec.keep
    return keep == "all" or (keep == "adapters" and experiment.recipe.lora is not None)


def _run_missing(planned: Plan, spec: Spec) -> None:
    missing = [job for cell, job in planned.jobs.items() if cell not in planned.done]
    console = get_console()
    if planned.done:
        console.note(f"{len(planned.done)} of {len(planned.jobs)} cells are stored already")
    # Two cells may need the same training (a deterministic choice under one seed): the store makes it once.
    workers, threads = _resources(spec)
    failed = []
    outcomes = run_cells(missing, min(workers, len(missing)), threads) if missing else iter(())
    for ended in console.track(outcomes, total=len(missing), description="cells"):
        if ended.error is not None:
            failed.append(ended)
            console.error(f"cell {ended.label} failed: {ended.error}")
    if failed:
        raise WorkFailed(
            f"{len(failed)} of {len(planned.jobs)} cells failed, the first is {failed[0].label}: {failed[0].error}; "
            "the others are stored, and the same command tries the failed ones again"
        )


def _check_output(output: Path) -> None:
    try:
        (output / "report").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output} cannot be written ({error.strerror}): choose another folder with -o") from error


def _write_items(output: Path, outcome: Outcome) -> None:
    """The per-item data: answers, passes and benchmark items, one file per cell and endpoint."""
    for name in ("responses", "passes", "benchmarks"):
        shutil.rmtree(output / name, ignore_errors=True)
    for (cell, label), rows in outcome.responses.items():
        _write_lines(output / "responses" / _file(cell, label, "jsonl"), rows)
    for judged in outcome.judged:
        rows = [pass_row(judged.judge.name, judgement) for judgement in judged.passes]
        _write_lines(output / "passes" / _file(judged.cell, judged.endpoint, "jsonl"), rows)
    for (cell, name), table in outcome.benchmarks.items():
        path = output / "benchmarks" / _file(cell, name, "parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)


def _file(cell: Cell, label: str, ending: str) -> str:
    name = f"{cell.label}/{label}".replace("/", "_").replace("%", "pct").replace(" ", "-")
    return f"{name}.{ending}"


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, "".join(f"{canonical_json(row)}\n" for row in rows))


def read_document(folder: Path) -> dict[str, Any]:
    """report.json of a finished run."""
    path = folder / "report" / "report.json"
    if not path.is_file():
        raise DataError(f"{folder} holds no finished run: run `selkit run ... -o {folder}` first")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
