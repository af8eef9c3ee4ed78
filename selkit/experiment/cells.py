"""One cell from its rows to its answers: train, then answer every test set and benchmark, then let the weights go.

Each stage is stored under a key that names what it depends on, and asks for the weights only when it has to compute.
So a finished stage never trains again, and weights can go once all that needs them is stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selkit.api import Decoding, Pool
from selkit.experiment.spec import BenchmarkSpec
from selkit.models import load_model, prompt_template, resolve
from selkit.pools import TestSet, load_pool
from selkit.store import Artifact, Draft, Key, Store, atomic_write_text, canonical_json, read_jsonl
from selkit.train import Recipe, train

RESPONSES = "responses.jsonl"
TRAINING = "training.json"
MODEL = "model"


@dataclass(frozen=True)
class CellJob:
    """Everything a worker needs to do one cell; plain data, so that it can go to another process.

    Args:
        label: What progress lines call the cell.
        pool_file: Arrow file of the cell's training rows.
        rows_digest: Digest of the rows' ids.
        pool_fingerprint: Fingerprint of the pool they come from.
        model: Reference of the base model.
        seed: The training seed.
        prompts: The test sets to answer, each with its decoding.
        keep: Whether the weights stay.
    """

    label: str
    pool: Any
    ids: tuple[str, ...]
    rows_digest: str
    pool_fingerprint: str
    model: str
    recipe: Recipe
    seed: int
    prompts: tuple[tuple[TestSet, Decoding], ...]
    benchmarks: tuple[BenchmarkSpec, ...]
    store: Path
    threads: int
    keep: bool = False


def weights_key(job: CellJob) -> Key:
    """What the trained weights depend on."""
    inputs = {"model": resolve(job.model).digest, "pool": job.pool_fingerprint, "rows": job.rows_digest}
    return Key(
        "weights",
        "sft",
        job.recipe.settings,
        _versions("torch", "transformers", "trl"),
        inputs,
        {"seed": job.seed, "threads": job.threads},
    )


def training_key(job: CellJob) -> Key:
    """The record of the training, which stays when the weights go."""
    return Key("training", "sft", inputs={"weights": weights_key(job).digest})


def responses_key(job: CellJob, testset: TestSet, decoding: Decoding) -> Key:
    """What the answers to a test set depend on."""
    template = prompt_template(job.recipe.template, job.model)
    return Key(
        "responses",
        "hf",
        asdict(decoding),
        _versions("torch", "transformers"),
        {"weights": weights_key(job).digest, "testset": testset.digest, "template": template.digest},
        {"seed": job.seed, "threads": job.threads},
    )


def is_done(job: CellJob, store: Store) -> bool:
    """Whether everything the cell is asked for is stored."""
    return all(store.find(key) is not None for key in cell_keys(job))


def cell_keys(job: CellJob) -> list[Key]:
    """Keys of all that the cell leaves behind."""
    from selkit.evals import benchmark_key

    keys = [training_key(job), *(responses_key(job, testset, decoding) for testset, decoding in job.prompts)]
    template = prompt_template(job.recipe.template, job.model)
    keys += [benchmark_key(benchmark, weights_key(job).digest, template, job.threads) for benchmark in job.benchmarks]
    return keys


def run_cell(job: CellJob) -> None:
    """Does whatever of the cell is not stored yet."""
    store = Store(job.store)
    training_record(job, store)
    for testset, decoding in job.prompts:
        answer(job, store, testset, decoding)
    for benchmark in job.benchmarks:
        _benchmark(job, store, benchmark)
    if not job.keep:
        store.discard(weights_key(job))


def training_record(job: CellJob, store: Store) -> dict[str, Any]:
    """What the training recorded; trains where it has not been done."""

    def make(draft: Draft) -> None:
        report = _weights(job, store).file(TRAINING).read_text(encoding="utf-8")
        atomic_write_text(draft.directory / TRAINING, report)

    artifact = store.obtain(training_key(job), make)
    record: dict[str, Any] = json.loads(artifact.file(TRAINING).read_text(encoding="utf-8"))
    return record


def answer(job: CellJob, store: Store, testset: TestSet, decoding: Decoding) -> list[dict[str, Any]]:
    """The trained model's answers to a test set, one row per prompt."""

    def make(draft: Draft) -> None:
        model = load_model(str(_weights(job, store).directory / MODEL))
        template = prompt_template(job.recipe.template, job.model)
        texts = [template.prompt(prompt.prompt) for prompt in testset.prompts]
        answers = model.generate(texts, decoding, seed=job.seed)
        rows = [
            {
                "id": prompt.id,
                "prompt": prompt.prompt.question,
                "response": generation.text,
                "finish_reason": generation.finish_reason,
                "tokens": generation.tokens,
            }
            for prompt, (generation, *_) in zip(testset.prompts, answers, strict=True)
        ]
        draft.spend("tokens.out", float(sum(row["tokens"] for row in rows)), "engine")
        atomic_write_text(draft.directory / RESPONSES, "".join(f"{canonical_json(row)}\n" for row in rows))

    artifact = store.obtain(responses_key(job, testset, decoding), make)
    return list(read_jsonl(artifact.file(RESPONSES)))


def _benchmark(job: CellJob, store: Store, benchmark: BenchmarkSpec) -> Artifact:
    from selkit.evals import run_benchmark

    template = prompt_template(job.recipe.template, job.model)
    return run_benchmark(
        benchmark,
        lambda: str(_weights(job, store).directory / MODEL),
        weights_key(job).digest,
        template,
        store,
        threads=job.threads,
    )


def _weights(job: CellJob, store: Store) -> Artifact:
    def make(draft: Draft) -> None:
        rows = _rows(job)
        report = train(job.model, rows, job.recipe, draft.directory / MODEL, seed=job.seed, threads=job.threads)
        atomic_write_text(draft.directory / TRAINING, json.dumps(asdict(report), indent=2, ensure_ascii=False))
        draft.spend("tokens.trained", float(report.supervised_tokens), "trainer")

    return store.obtain(weights_key(job), make)


def _rows(job: CellJob) -> Pool:
    # Sorted by id: the order in which a selector names its rows must not change what the model learns from them.
    return load_pool(job.pool, store=Store(job.store)).take(sorted(job.ids))


def _versions(*packages: str) -> dict[str, str]:
    from importlib.metadata import version

    from selkit import __version__

    return {"selkit": __version__, **{package: version(package) for package in packages}}


def with_rows(job: CellJob, ids: Sequence[str], digest: str) -> CellJob:
    """The same job on other rows."""
    return replace(job, ids=tuple(ids), rows_digest=digest)
