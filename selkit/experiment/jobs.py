"""From a spec to jobs: every cell with all that a worker needs, and whether it is stored already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selkit.evals import BenchmarkJob
from selkit.experiment.cells.job import Asked, CellJob, TrainingJob
from selkit.experiment.cells.work import is_done
from selkit.experiment.executors.local import default_workers
from selkit.experiment.selection.selecting import Chosen, choose_all
from selkit.experiment.setup.experiment import Experiment, prepare
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.pairs import pairs_of
from selkit.experiment.setup.rules import rules_of
from selkit.experiment.spec.spec import Spec
from selkit.models import has_gpu
from selkit.store import Store
from selkit.train import Recipe, precision_on
from selkit.unchanging import unchanging


@dataclass(frozen=True)
class Plan:
    """Every cell with its job, the jobs of models that are anchors by their reference, and which are finished."""

    experiment: Experiment
    chosen: Mapping[Cell, Chosen]
    jobs: Mapping[Cell, CellJob]
    anchors: Mapping[str, CellJob]
    done: frozenset[str]

    @property
    def missing(self) -> list[CellJob]:
        """Jobs that are not finished, anchors first."""
        return [job for job in [*self.anchors.values(), *self.jobs.values()] if job.label not in self.done]

    def rows(self) -> list[list[str]]:
        """One line per job for a table: pool, budget, arm, run, recipe, model, rows, state."""
        return [
            *(["", "", job.label, "", "", "", "", self._state(job)] for job in self.anchors.values()),
            *(
                [
                    cell.pool,
                    cell.budget or ("own size" if cell.pool else ""),
                    cell.arm,
                    str(cell.run),
                    cell.recipe,
                    cell.model,
                    str(len(self.chosen[cell].ids)) if cell in self.chosen else "",
                    self._state(job),
                ]
                for cell, job in self.jobs.items()
            ),
        ]

    def _state(self, job: CellJob) -> str:
        return "done" if job.label in self.done else "to do"


def plan(spec: Spec, store: Store, device: str | None = None) -> Plan:
    """Checks the spec, makes the selections, and sees what is stored already by cells on this kind of device."""
    experiment = prepare(spec, store, device)
    rules_of(experiment)
    pairs_of(experiment)
    with unchanging():
        chosen = choose_all(experiment)
        for cell, choice in chosen.items():
            if cell.pool in experiment.splits:
                experiment.splits[cell.pool].check(choice.ids)
        jobs = {cell: cell_job(experiment, choice) for cell, choice in chosen.items()} | given_jobs(experiment)
        anchors = anchor_jobs(experiment)
        done = frozenset(job.label for job in [*anchors.values(), *jobs.values()] if is_done(job, store))
    return Plan(experiment, chosen, jobs, anchors, done)


def resources(spec: Spec) -> tuple[int, int]:
    """Workers, and threads of each; where several processes train a model, so many workers fewer."""
    workers, threads = default_workers()
    return spec.workers or max(1, workers // spec.processes), spec.threads or threads


def cell_job(experiment: Experiment, choice: Chosen) -> CellJob:
    """The job of a cell on its selection."""
    cell, spec = choice.cell, experiment.spec
    recipe = experiment.recipes[cell.recipe]
    return CellJob(
        label=cell.label,
        model=experiment.models[cell.model],
        training=_training(experiment, choice, recipe),
        template=recipe.template,
        seed=cell.training_seed,
        prompts=(*(judged.asked for judged in experiment.testsets), *_validation(experiment, cell)),
        benchmarks=_benchmarks(experiment) if cell.arm != ANCHOR else (),
        store=experiment.store.root,
        threads=resources(experiment.spec)[1],
        keep=spec.keep == "all" or (spec.keep == "adapters" and recipe.lora is not None),
        engine=experiment.spec.engine,
        held_out=experiment.held.get(cell.pool) if cell.arm != ANCHOR else None,
        device=experiment.device,
    )


def _training(experiment: Experiment, choice: Chosen, recipe: Recipe) -> TrainingJob:
    spec, device = experiment.spec, experiment.device
    return TrainingJob(
        choice.rows,
        choice.digest,
        experiment.pools[choice.cell.pool].turns,
        recipe,
        spec.processes,
        spec.deepspeed,
        precision_on(recipe, device, elsewhere=device == "cuda" and not has_gpu()),
    )


def given_jobs(experiment: Experiment) -> dict[Cell, CellJob]:
    """The jobs of given models: they answer as they are."""
    spec = experiment.spec
    return {
        given.cell: CellJob(
            label=given.cell.label,
            model=given.model,
            training=None,
            template=given.template,
            seed=0,
            prompts=tuple(judged.asked for judged in experiment.testsets),
            benchmarks=_benchmarks(experiment),
            store=experiment.store.root,
            threads=resources(spec)[1],
            engine=spec.engine,
            device=experiment.device,
        )
        for given in experiment.given
        if given.model
    }


def _validation(experiment: Experiment, cell: Cell) -> tuple[Asked, ...]:
    """The validation prompts of the cell's pool, where answers to them are judged; not for the anchor."""
    judged = experiment.validation.get(cell.pool)
    return (judged.asked,) if judged is not None and cell.arm != ANCHOR else ()


def _benchmarks(experiment: Experiment) -> tuple[BenchmarkJob, ...]:
    """The benchmarks behind all endpoints; one that stands behind two of them is run once."""
    jobs: list[BenchmarkJob] = []
    for endpoint in experiment.benchmarks:
        jobs += [job for job in endpoint.jobs if job not in jobs]
    return tuple(jobs)


def anchor_jobs(experiment: Experiment) -> dict[str, CellJob]:
    """One job per model that is an anchor: it answers the test sets that name it."""
    named = {judged.anchor.model: judged.anchor for judged in experiment.testsets if judged.anchor.kind == "model"}
    return {
        model: CellJob(
            label=f"anchor {model}",
            model=model,
            training=None,
            template=anchor.template,
            seed=0,
            prompts=tuple(j.asked for j in experiment.testsets if j.anchor.model == model),
            benchmarks=(),
            store=experiment.store.root,
            threads=resources(experiment.spec)[1],
            engine=experiment.spec.engine,
            device=experiment.device,
        )
        for model, anchor in named.items()
    }
