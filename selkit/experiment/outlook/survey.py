"""Which stages an experiment has, and which of them are stored: nothing is computed for it.

A stage that several cells share stands there once. Selections that are stored are known exactly; what rests on one that
is not stored yet is counted, and taken to be of the size that the budget says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from selkit.api import Budget, Pool, Scorer
from selkit.experiment.cells.job import CellJob, bench_key, loss_key, record_key, responses_key
from selkit.experiment.jobs import anchor_jobs, cell_job, given_jobs
from selkit.experiment.outlook.judgings import judgings
from selkit.experiment.selection.selecting import ROWS, Chosen, in_order, others_of, read_choice, selection_key
from selkit.experiment.selection.training import ComponentTraining
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.experiment.setup.pairs import pairs_of
from selkit.experiment.setup.rules import rules_of
from selkit.experiment.setup.stages import Kind, Stage, Survey, answers_size, asked_by, lines_in, mean_characters
from selkit.select import Arms, score_key
from selkit.select.training import nested
from selkit.store import Artifact, Key, digest_text
from selkit.unchanging import unchanging


def survey(experiment: Experiment) -> Survey:
    """Sees what there is to do and what is stored. Computes no selection and loads no model."""
    pairs_of(experiment)  # refuses pairs that cannot be,
    rules_of(experiment)  # and margins and weights that name nothing
    found = _Surveyor(experiment)
    with unchanging():
        chosen = found.selections()
        for label, job in found.jobs_of(chosen):
            found.cell(label, job)
        found.judgings(chosen)
    cells = {label: tuple(dict.fromkeys(ids)) for label, ids in found.cells.items()}
    return Survey(experiment, found.stages, cells, found.jobs)


@dataclass
class _Surveyor:
    experiment: Experiment
    stages: dict[str, Stage] = field(default_factory=dict)
    cells: dict[str, list[str]] = field(default_factory=dict)
    jobs: dict[str, CellJob] = field(default_factory=dict)
    score_keys: dict[tuple[Any, ...], Key] = field(default_factory=dict)
    sizes: dict[int, dict[str, float]] = field(default_factory=dict)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, label: str, stage: Stage) -> Stage:
        """Enters a stage and what it is for; the same one again is the one that is there."""
        self.cells.setdefault(label, []).append(stage.id)
        return self.stages.setdefault(stage.id, stage)

    def stage(self, kind: Kind, name: str, key: Key, **size: Any) -> Stage:
        """A stage whose key is known."""
        if key.digest in self.stages:
            return self.stages[key.digest]
        artifact = self.experiment.store.find(key)
        return Stage(kind, name, key.digest, artifact is not None, component=key.component, artifact=artifact, **size)

    def jobs_of(self, chosen: Mapping[Cell, Chosen]) -> Iterator[tuple[str, CellJob]]:
        """The jobs by the labels of their cells, those of models that are anchors first."""
        for job in anchor_jobs(self.experiment).values():
            yield job.label, job
        for cell, choice in chosen.items():
            yield cell.label, cell_job(self.experiment, choice)
        for job in given_jobs(self.experiment).values():
            yield job.label, job

    def selections(self) -> dict[Cell, Chosen]:
        """The stored selections, and in the place of others a stand-in under the id of the stage."""
        chosen: dict[Cell, Chosen] = {}
        drawn: dict[tuple[Any, ...], Chosen] = {}
        missing: set[tuple[Any, ...]] = set()
        for cell in in_order(self.experiment):
            if cell.draw not in drawn:
                drawn[cell.draw] = self._selection(cell, chosen, missing)
            chosen[cell] = replace(drawn[cell.draw], cell=cell)
            self.cells.setdefault(cell.label, []).extend(self._behind(drawn[cell.draw].key))
        return {cell: chosen[cell] for cell in self.experiment.cells}

    def _behind(self, selection: str) -> tuple[str, ...]:
        passes = (one for one in self.stages[selection].needs if self.stages[one].kind == "scoring")
        return *passes, selection

    def _selection(self, cell: Cell, chosen: Mapping[Cell, Chosen], missing: set[tuple[Any, ...]]) -> Chosen:
        arm, pool = self.experiment.arm_of(cell), self.experiment.pools[cell.pool]
        training = ComponentTraining(self.experiment.store)
        passes = self._scoring(cell, pool, training)
        looks = arm.selector.after_others
        waits = looks and cell.setting in missing
        others = others_of(self.experiment, cell, chosen) if looks and not waits else Arms()
        key = selection_key(arm, cell, pool, others, training, self.experiment.models[cell.model])
        rows = self._size(cell, pool)
        size: dict[str, Any] = {"rows": rows, "characters": rows * mean_characters(pool)}
        name = f"{cell.arm} at {cell.budget or 'own size'} on {cell.pool}"
        if waits:  # what it depends on is not known yet
            made_up = digest_text(f"{key.digest}\0{cell.draw}")
            stage = Stage("selection", name, made_up, False, component=arm.selector.name, **size)
        else:
            stage = self.stage("selection", name, key, **size)
        # A pass that is gone, or was made under other conditions, is not made again for a selection that is stored.
        behind = [one for one in passes if one.stored or not stage.stored]
        self.stages |= {one.id: one for one in behind if one.id not in self.stages}
        peers = _peers(cell, chosen) if looks else ()
        needs = tuple(dict.fromkeys([*(one.id for one in behind), *peers]))
        stage = self.stages.setdefault(stage.id, replace(stage, needs=needs))
        if stage.artifact is None:
            missing.add(cell.setting)
            return Chosen(cell, (), {}, Path("not-chosen-yet"), stage.id, stage.id)
        return self._brief(cell, stage.artifact)

    def _brief(self, cell: Cell, artifact: Artifact) -> Chosen:
        """The stored selection; its ids are read only where other arms look at them."""
        if self._looked_at or "fingerprint" not in artifact.facts:
            return read_choice(cell, artifact)
        return Chosen(cell, (), {}, artifact.file(ROWS), str(artifact.facts["fingerprint"]), artifact.digest)

    @cached_property
    def _looked_at(self) -> bool:
        return any(arm.selector.after_others for arm in self.experiment.arms)

    def _size(self, cell: Cell, pool: Pool) -> int:
        if self.experiment.arm_of(cell).selector.sized and cell.budget is not None:
            return Budget.parse(cell.budget).rows(len(pool), f"pool {pool.name!r}")
        return self.experiment.sizes.get((cell.pool, cell.arm, cell.model), len(pool))

    def _scoring(self, cell: Cell, pool: Pool, training: ComponentTraining) -> list[Stage]:
        """The scoring passes behind a cell's selection; one serves every budget and run."""
        passes = []
        for number, part in enumerate(nested(self.experiment.arm_of(cell).selector)):
            if isinstance(part, Scorer):
                place = cell.pool, cell.arm, cell.model, number
                if place not in self.score_keys:
                    self.score_keys[place] = score_key(part, pool, training, self.experiment.models[cell.model])
                size = {"rows": len(pool), "characters": len(pool) * mean_characters(pool)}
                name = f"{part.name} on {cell.pool}"
                passes.append(self.stage("scoring", name, self.score_keys[place], **size, **asked_by(part, len(pool))))
        return passes

    def cell(self, label: str, job: CellJob) -> None:
        """Training, answers and benchmarks of a cell."""
        self.jobs[label] = job
        trained = (self._training(label, job).id,) if job.training else ()
        for asked in job.prompts:
            if id(asked) not in self.sizes:
                self.sizes[id(asked)] = answers_size(asked)
            key, size = responses_key(job, asked), self.sizes[id(asked)]
            name = f"{label}: {asked.testset.name}"
            stage = self.add(label, self.stage("answers", name, key, needs=trained, model=job.model, **size))
            self.answers[label, asked.testset.digest] = stage.id
        if job.held_out:
            rows, key = lines_in(job.held_out.rows), loss_key(job, job.held_out)
            self.add(label, self.stage("validation", label, key, needs=trained, model=job.model, rows=rows))
        for benchmark in job.benchmarks:
            name = f"{label}: {benchmark.benchmark.label}"
            rows = benchmark.sample or lines_in(benchmark.scored)
            key = bench_key(job, benchmark)
            self.add(label, self.stage("benchmark", name, key, needs=trained, model=job.model, rows=rows))

    def _training(self, label: str, job: CellJob) -> Stage:
        training = job.training
        assert training is not None
        recipe, selection = training.recipe, self.stages[self.cells[label][-1]]
        facts = selection.artifact.facts if selection.artifact else {}
        rows = int(facts.get("selected", selection.rows))
        longest = 4.0 * recipe.max_length  # a token is about four characters
        each = min(float(facts.get("characters", selection.characters)) / max(rows, 1), longest)
        passes = recipe.epochs or (recipe.max_steps or 0) * recipe.batch_size / max(rows, 1)
        key = record_key(job, training)
        size = {"rows": round(rows * passes), "characters": rows * passes * each, "model": job.model}
        detail = {
            "name": recipe.name,
            "recipe": recipe.settings,
            "weights": key.inputs["weights"],
            "keep": job.keep,
        }
        return self.add(label, self.stage("training", label, key, needs=(selection.id,), detail=detail, **size))

    def judgings(self, chosen: Mapping[Cell, Chosen]) -> None:
        """What the judges of all test sets say."""
        jobs = {
            cell: self.jobs[cell.label] for cell in [*chosen, *(one.cell for one in self.experiment.given if one.model)]
        }
        for label, stage in judgings(self.experiment, jobs, self.answers, self.stages, self.stage):
            if label is None:
                self.stages.setdefault(stage.id, stage)
            else:
                self.add(label, stage)


def _peers(cell: Cell, chosen: Mapping[Cell, Chosen]) -> list[str]:
    """The selections of other arms that a cell's may look at."""
    return [one.key for c, one in chosen.items() if c.setting == cell.setting and c.arm not in (ANCHOR, cell.arm)]
