"""A cell as plain data that can go to another process, and the keys under which its results are stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import Decoding, Turns
from selkit.evals import BenchmarkJob, benchmark_key
from selkit.models import device_here, prompt_template, resolve
from selkit.models.conversations import AnsweredTurns
from selkit.models.engines import Engine, EngineName, engine_of
from selkit.pools import TestSet
from selkit.store import Key
from selkit.train import Recipe, training_versions


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
        precision: What training computes in, 'float32' or 'bf16'.
    """

    rows: Path
    rows_digest: str
    turns: Turns
    recipe: Recipe
    processes: int = 1
    deepspeed: str | None = None
    precision: str = "float32"

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
        device: The kind of device that trains and answers, wherever that is; it stands in the keys, so that a worker
            with another one refuses the cell.
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
    device: str = field(default_factory=device_here)

    @property
    def runs_on(self) -> Engine:
        """What runs the model when it answers, on the device that was declared."""
        return engine_of(self.engine, self.device)

    @cached_property
    def weights(self) -> Key | None:
        """Key of the trained weights; asked for by every stage that follows."""
        return weights_key(self, self.training) if self.training else None

    @property
    def weights_digest(self) -> str:
        """What stands for the weights in keys: those of a trained model need not be there any more."""
        return self.weights.digest if self.weights else resolve(self.model).digest


def weights_key(job: CellJob, training: TrainingJob) -> Key:
    """What the trained weights depend on."""
    machine: dict[str, Any] = {"threads": job.threads}  # of a CPU, where all is computed in float32
    if job.device != "cpu":
        machine = {"device": job.device, "precision": training.precision}
    return Key(
        "weights",
        "sft",
        training.recipe.settings,
        training_versions(training.recipe, training.deepspeed),
        {"model": resolve(job.model).digest, "rows": training.rows_digest},
        {"seed": job.seed, **machine, "turns": training.turns, **training.spread},
    )


def record_key(job: CellJob, training: TrainingJob) -> Key:
    """The record of the training, which stays when the weights go."""
    return Key("training", "sft", inputs={"weights": job.weights_digest})


def responses_key(job: CellJob, asked: Asked) -> Key:
    """What the answers to a test set depend on."""
    template = prompt_template(job.template, job.model)
    inputs = {"weights": job.weights_digest, "testset": asked.testset.digest, "template": template.digest}
    conditions = {"seed": job.seed, **job.runs_on.conditions(job.threads)}
    how = asdict(asked.decoding) | ({} if asked.turns == "first" else {"turns": asked.turns})
    versions = {"selkit": __version__, **job.runs_on.versions}
    return Key("responses", job.engine, how, versions, inputs, conditions)


def bench_key(job: CellJob, benchmark: BenchmarkJob) -> Key:
    """What the items of a benchmark depend on."""
    template = prompt_template(job.template, job.model)
    return benchmark_key(benchmark, job.weights_digest, template, job.threads, job.runs_on)


def loss_key(job: CellJob, held: HeldOut) -> Key:
    """What the loss on held-out rows depends on."""
    engine, template = job.runs_on, prompt_template(job.template, job.model)
    inputs = {"weights": job.weights_digest, "rows": held.rows_digest, "template": template.digest}
    conditions = {"turns": held.turns, **engine.conditions(job.threads)}
    versions = {"selkit": __version__, **engine.versions}
    return Key("validation", job.engine, {"measure": "held-out-loss"}, versions, inputs, conditions)


def cell_keys(job: CellJob) -> list[Key]:
    """Keys of all that the cell leaves behind, without the weights."""
    trained = [record_key(job, job.training)] if job.training else []
    answers = [responses_key(job, asked) for asked in job.prompts]
    trained += [loss_key(job, job.held_out)] if job.held_out else []
    return [*trained, *answers, *(bench_key(job, benchmark) for benchmark in job.benchmarks)]
