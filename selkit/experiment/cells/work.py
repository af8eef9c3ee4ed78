"""One cell from its rows to its answers: train, then answer every test set and benchmark, then let the weights go.

Each stage is stored under a key that names what it depends on, and asks for the weights only when it has to compute.
So a finished stage never trains again, and weights can go once all that needs them is stored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from selkit.api import Continuation, PromptTemplate, UsageError
from selkit.evals import BenchmarkJob, run_benchmark
from selkit.experiment.cells.job import (
    Asked,
    CellJob,
    HeldOut,
    TrainingJob,
    bench_key,
    cell_keys,
    loss_key,
    record_key,
    responses_key,
    weights_key,
)
from selkit.models import device_of, has_gpu, kind_of, prompt_template
from selkit.models.conversations import answer_turns
from selkit.models.engines import TextModel, engine_of
from selkit.models.generate import answer_rows
from selkit.pools import TestSet, load_pool
from selkit.store import Artifact, Draft, Store, atomic_write_text, canonical_json, read_jsonl
from selkit.train import TrainReport, precision_on, train
from selkit.train.turns import training_pairs

RESPONSES = "responses.jsonl"
MODEL = "model"
RECORD = "training.json"
LOSS = "loss.json"


def is_done(job: CellJob, store: Store) -> bool:
    """Whether everything that the cell is asked for is stored."""
    return all(store.find(key) is not None for key in cell_keys(job))


def run_cell(job: CellJob, begin: Callable[[str], None] = lambda stage: None) -> str:
    """Does whatever of the cell is not stored yet; returns its label. ``begin`` hears the name of every stage."""
    store = Store(job.store)
    with _weights_in_use(job, store):
        _do_stages(job, store, begin)
    let_go(job, store)
    return job.label


def _weights_in_use(job: CellJob, store: Store) -> AbstractContextManager[None]:
    """Keeps another experiment that has the same weights, and is done with them, from letting them go meanwhile."""
    if job.weights is None:
        return nullcontext()
    return store.using(job.weights, "\n".join(key.digest for key in cell_keys(job)), f"cell/{job.label}")


def _do_stages(job: CellJob, store: Store, begin: Callable[[str], None]) -> None:
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


def let_go(job: CellJob, store: Store) -> None:
    """Removes the weights of a cell that is done, unless they are to stay; also those that a killed run left.

    Where a cell of another experiment still needs them, that one removes them when it is done.
    """
    if job.weights is not None and not job.keep:
        store.discard(job.weights)


def has_weights(job: CellJob, store: Store) -> bool:
    """Whether the weights of a cell are stored; a model that is given needs none."""
    return job.weights is None or store.find(job.weights) is not None


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
            block=job.runs_on.together,
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
    together = job.runs_on.together
    return run_benchmark(benchmark, bench_key(job, benchmark), lambda: _model(job, store), template, store, together)


def _template(job: CellJob) -> PromptTemplate:
    return prompt_template(job.template, job.model)


def _model(job: CellJob, store: Store) -> TextModel:
    engine = engine_of(job.engine, _device(job))
    return engine.open(str(_weights(job, job.training, store).directory / MODEL) if job.training else job.model)


def _device(job: CellJob) -> str:
    """The device of this process that the cell is to compute on. Raises UsageError where there is none of its kind."""
    if job.device == "cuda" and not has_gpu():
        raise UsageError(
            "the cell is to compute on a GPU, by which its results are stored, and here is none: ask the executor for "
            "GPUs, or set device: cpu in the spec"
        )
    return device_of(job.device)


def _check_precision(training: TrainingJob, device: str) -> None:
    """Refuses a GPU that computes in other numbers than the weights are stored by."""
    found = precision_on(training.recipe, kind_of(device))
    if found != training.precision:
        raise UsageError(
            f"this machine's GPU trains in {found} where {training.precision} was expected, by which the weights are "
            "stored: set precision: float32 in the recipe, or take GPUs of one kind"
        )


def _weights(job: CellJob, training: TrainingJob, store: Store) -> Artifact:
    def make(draft: Draft) -> None:
        device = _device(job)
        _check_precision(training, device)
        rows = load_pool(training.rows, turns=training.turns)
        rows.name = job.label  # by which people know them in errors
        train(
            job.model,
            rows,
            training.recipe,
            draft.directory / MODEL,
            seed=job.seed,
            device=device,
            threads=job.threads,
            partial=draft.partial / "training",
            processes=training.processes,
            deepspeed=training.deepspeed,
        )

    return store.obtain(weights_key(job, training), make)
