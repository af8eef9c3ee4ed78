"""One cell from its rows to its answers: train, then answer every test set and benchmark, then let the weights go.

Each stage is stored under a key that names what it depends on, and asks for the weights only when it has to compute.
So a finished stage never trains again, and weights can go once all that needs them is stored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import Continuation, Decoding, PromptTemplate, Turns
from selkit.evals import BenchmarkJob, benchmark_key, run_benchmark
from selkit.models import prompt_template, resolve
from selkit.models.conversations import AnsweredTurns, answer_turns
from selkit.models.engines import EngineName, TextModel, engine_of
from selkit.models.generate import answer_rows
from selkit.pools import TestSet, load_pool
from selkit.store import Artifact, Draft, Key, Store, atomic_write_text, canonical_json, package_version, read_jsonl
from selkit.train import Recipe, TrainReport, train
from selkit.train.turns import training_pairs

RESPONSES = "responses.jsonl"
MODEL = "model"
RECORD = "training.json"
LOSS = "loss.json"


@dataclass(frozen=True)
class TrainingJob:
    """What a cell trains on.

    Args:
        rows: File of the training rows.
        rows_digest: Fingerprint of those rows.
        turns: Which assistant turns train.
        recipe: How the model is trained.
        processes: Processes that train together.
        deepspeed: DeepSpeed preset that spreads the work over them, or None.
    """

    rows: Path
    rows_digest: str
    turns: Turns
    recipe: Recipe
    processes: int = 1
    deepspeed: str | None = None

    @property
    def spread(self) -> dict[str, Any]:
        """How the work is spread, where it is: sums in another order round otherwise."""
        alone = self.processes == 1 and self.deepspeed is None
        return {} if alone else {"processes": self.processes, "deepspeed": self.deepspeed}


@dataclass(frozen=True)
class Asked:
    """A test set as a model is asked it.

    Args:
        testset: The prompts.
        decoding: How answers are written.
        turns: Whether only the first turn of each conversation is answered, or all.
    """

    testset: TestSet
    decoding: Decoding
    turns: AnsweredTurns = "first"


@dataclass(frozen=True)
class HeldOut:
    """Rows that recipes are chosen by.

    Args:
        rows: File of the rows, which no selection holds.
        rows_digest: Fingerprint of those rows.
        turns: Which of their assistant turns count.
    """

    rows: Path
    rows_digest: str
    turns: Turns


@dataclass(frozen=True)
class CellJob:
    """Everything a worker needs to do one cell; plain data, so that it can go to another process.

    Args:
        label: What progress lines call the cell.
        model: Reference of the base model.
        training: What it is trained on; None for a model that answers as it is.
        template: Name of the prompt template that training and answering share.
        seed: The training seed.
        prompts: The test sets to answer.
        benchmarks: The benchmarks to run.
        store: Root of the store.
        threads: Threads of the processor that the cell may use.
        keep: Whether the weights stay.
        engine: What runs the model when it answers.
        held_out: Rows whose loss is taken, where recipes are searched.
    """

    label: str
    model: str
    training: TrainingJob | None
    template: str
    seed: int
    prompts: tuple[Asked, ...]
    benchmarks: tuple[BenchmarkJob, ...]
    store: Path
    threads: int
    keep: bool = False
    engine: EngineName = "hf"
    held_out: HeldOut | None = None

    @cached_property
    def weights(self) -> Key | None:
        """Key of the trained weights; asked for by every stage that follows."""
        return weights_key(self, self.training) if self.training else None


def weights_key(job: CellJob, training: TrainingJob) -> Key:
    """What the trained weights depend on."""
    return Key(
        "weights",
        "sft",
        training.recipe.settings,
        _versions("torch", "transformers", "trl"),
        {"model": resolve(job.model).digest, "rows": training.rows_digest},
        {"seed": job.seed, "threads": job.threads, "turns": training.turns, **training.spread},
    )


def record_key(job: CellJob, training: TrainingJob) -> Key:
    """The record of the training, which stays when the weights go."""
    return Key("training", "sft", inputs={"weights": _digest(job)})


def responses_key(job: CellJob, asked: Asked) -> Key:
    """What the answers to a test set depend on."""
    template = prompt_template(job.template, job.model)
    inputs = {"weights": _digest(job), "testset": asked.testset.digest, "template": template.digest}
    conditions = {"seed": job.seed, "threads": job.threads}
    how = asdict(asked.decoding) | ({} if asked.turns == "first" else {"turns": asked.turns})
    versions = {"selkit": __version__, **engine_of(job.engine).versions}
    return Key("responses", job.engine, how, versions, inputs, conditions)


def bench_key(job: CellJob, benchmark: BenchmarkJob) -> Key:
    """What the items of a benchmark depend on."""
    template = prompt_template(job.template, job.model)
    return benchmark_key(benchmark, _digest(job), template, job.threads, engine_of(job.engine))


def loss_key(job: CellJob, held: HeldOut) -> Key:
    """What the loss on held-out rows depends on."""
    engine = engine_of(job.engine)
    inputs = {"weights": _digest(job), "rows": held.rows_digest, "template": _template(job).digest}
    conditions = {"turns": held.turns, "threads": job.threads}
    versions = {"selkit": __version__, **engine.versions}
    return Key("validation", job.engine, {"measure": "held-out-loss"}, versions, inputs, conditions)


def cell_keys(job: CellJob) -> list[Key]:
    """Keys of all that the cell leaves behind, without the weights."""
    trained = [record_key(job, job.training)] if job.training else []
    answers = [responses_key(job, asked) for asked in job.prompts]
    trained += [loss_key(job, job.held_out)] if job.held_out else []
    return [*trained, *answers, *(bench_key(job, benchmark) for benchmark in job.benchmarks)]


def is_done(job: CellJob, store: Store) -> bool:
    """Whether everything that the cell is asked for is stored."""
    return all(store.find(key) is not None for key in cell_keys(job))


def run_cell(job: CellJob, begin: Callable[[str], None] = lambda stage: None) -> str:
    """Does whatever of the cell is not stored yet; returns its label. ``begin`` hears the name of every stage."""
    store = Store(job.store)
    if job.training:
        begin("training")
        training_record(job, job.training, store)
    if job.held_out:
        begin("loss on held-out rows")
        held_out_loss(job, store, job.held_out)
    for asked in job.prompts:
        begin(f"answering {asked.testset.name}")
        answers(job, store, asked)
    for benchmark in job.benchmarks:
        begin(benchmark.benchmark.label)
        items(job, store, benchmark)
    let_go(job, store)
    return job.label


def let_go(job: CellJob, store: Store) -> None:
    """Removes the weights of a cell that is done, unless they are to stay; also those that a killed run left."""
    if job.training and not job.keep:
        store.discard(weights_key(job, job.training))


def training_record(job: CellJob, training: TrainingJob, store: Store) -> TrainReport:
    """What the training recorded; trains where it has not been done."""

    def make(draft: Draft) -> None:
        report = TrainReport.read(_weights(job, training, store).directory / MODEL)
        draft.record(steps=report.steps, final_loss=report.final_loss)
        # Charged here and not where the weights are made: what they cost must outlive them.
        draft.spend("training.seconds", report.seconds, "trainer")
        draft.spend("tokens.trained", report.total_tokens * report.epochs, "trainer")
        atomic_write_text(draft.directory / RECORD, report.to_json())

    return TrainReport.read(store.obtain(record_key(job, training), make).directory)


def held_out_loss(job: CellJob, store: Store, held: HeldOut) -> float | None:
    """Mean loss (nats) of the trained model over all response tokens of the held-out rows; None where it is no number.

    Every recipe is measured on the same tokens: what lies beyond the model's context is cut off, whatever the recipe's
    own length. The prompt is formatted as the recipe's template does it.
    """

    def make(draft: Draft) -> None:
        pool = load_pool(held.rows, turns=held.turns)
        pairs = (Continuation(one.prompt, one.response) for one in training_pairs(pool, _template(job)))
        found = [
            (float(one.losses.sum(dtype="float64")), len(one.losses)) for one in _model(job, store).token_losses(pairs)
        ]
        total, tokens = sum(loss for loss, _ in found), sum(count for _, count in found)
        loss = total / tokens if tokens and math.isfinite(total) else None
        record = {"loss": loss, "tokens": tokens, "rows": len(pool)}
        atomic_write_text(draft.directory / LOSS, canonical_json(record))

    return _loss(store.obtain(loss_key(job, held), make))


def loss_of(job: CellJob, store: Store) -> float | None:
    """The stored loss on held-out rows; None where it is not there, or no number."""
    artifact = store.find(loss_key(job, job.held_out)) if job.held_out else None
    return None if artifact is None else _loss(artifact)


def _loss(artifact: Artifact) -> float | None:
    loss = json.loads(artifact.file(LOSS).read_text("utf-8"))["loss"]
    return None if loss is None else float(loss)


def answers(job: CellJob, store: Store, asked: Asked) -> list[Mapping[str, Any]]:
    """The trained model's answers to a test set: one row per answer, as in responses.jsonl."""

    def answer(testset: TestSet, partial: Path | None) -> list[dict[str, Any]]:
        return answer_rows(
            lambda: _model(job, store),
            testset,
            prompt_template(job.template, job.model),
            asked.decoding,
            seed=job.seed,
            partial=partial,
            block=engine_of(job.engine).together,
        )

    def make(draft: Draft) -> None:
        partial = draft.partial / "answers.jsonl"
        every = asked.turns == "all"
        rows = answer_turns(answer, asked.testset, partial) if every else answer(asked.testset, partial)
        draft.spend("tokens.out", float(sum(row["tokens"] for row in rows)), "engine")
        atomic_write_text(draft.directory / RESPONSES, "".join(f"{canonical_json(row)}\n" for row in rows))

    artifact = store.obtain(responses_key(job, asked), make)
    return read_jsonl(artifact.file(RESPONSES))


def items(job: CellJob, store: Store, benchmark: BenchmarkJob) -> Artifact:
    """The items of a benchmark with the trained model's scores."""
    template = prompt_template(job.template, job.model)
    together = engine_of(job.engine).together
    return run_benchmark(benchmark, bench_key(job, benchmark), lambda: _model(job, store), template, store, together)


def _template(job: CellJob) -> PromptTemplate:
    return prompt_template(job.template, job.model)


def _digest(job: CellJob) -> str:
    """What stands for the weights in keys: those of a trained model need not be there any more."""
    return job.weights.digest if job.weights else resolve(job.model).digest


def _model(job: CellJob, store: Store) -> TextModel:
    ref = str(_weights(job, job.training, store).directory / MODEL) if job.training else job.model
    return engine_of(job.engine).open(ref)


def _weights(job: CellJob, training: TrainingJob, store: Store) -> Artifact:
    def make(draft: Draft) -> None:
        train(
            job.model,
            load_pool(training.rows, turns=training.turns),
            training.recipe,
            draft.directory / MODEL,
            seed=job.seed,
            threads=job.threads,
            partial=draft.partial / "training",
            processes=training.processes,
            deepspeed=training.deepspeed,
        )

    return store.obtain(weights_key(job, training), make)


def _versions(*packages: str) -> dict[str, str]:
    return {"selkit": __version__, **{package: package_version(package) or "absent" for package in packages}}
