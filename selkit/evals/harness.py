"""The bridge to lm-eval: one benchmark on one model, item by item, stored under what determines the answers."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selkit import __version__
from selkit.api import Benchmark, BenchmarkItem, DataError, PromptTemplate, WorkFailed, task_yaml
from selkit.api.tasks import FUNCTION
from selkit.evals.data import check_rows, read_rows
from selkit.evals.lm import as_lm
from selkit.files import digest_file
from selkit.models import models_cache
from selkit.models.engines import Engine, TextModel, engine_of
from selkit.plugins import check_requirements, provenance
from selkit.store import Artifact, Draft, Key, Store, package_version

if TYPE_CHECKING:
    from lm_eval.api.task import Task

ITEMS = "items.parquet"
SAMPLE_SEED = 0
FEWSHOT_SEED = 1234
"""lm-eval's own, so that its examples are those of a run by hand."""

_PARTIAL = "answers.jsonl"
_BRIDGE = 3
"""Goes up when what a model is asked changes, so that no answer to another question is taken from the store."""


@dataclass(frozen=True)
class BenchmarkJob:
    """A benchmark with its rows.

    Args:
        benchmark: The component.
        data: File of local rows by split.
        sample: How many rows to draw; None takes all.
        max_new_tokens: Limits answers below the task's own limit.
        seed: Seed of the draw.
    """

    benchmark: Benchmark
    data: Mapping[str, Path]
    sample: int | None = None
    max_new_tokens: int | None = None
    seed: int = SAMPLE_SEED

    @property
    def scored(self) -> Path:
        """The file of the rows that are scored."""
        return self.data[next(iter(self.benchmark.splits))]


def benchmark_key(
    job: BenchmarkJob, weights: str, template: PromptTemplate, threads: int, engine: Engine | None = None
) -> Key:
    """What the answers and scores of a benchmark depend on.

    Args:
        job: The benchmark.
        weights: Digest of the model, or of the key that it is stored under.
        template: The template of the training.
        threads: Threads that the model computes with.
        engine: What runs it, by default transformers.

    Raises:
        MissingExtra: What the benchmark needs is not installed.
    """
    check_requirements(job.benchmark)
    parameters = job.benchmark.parameters() | {"sample": job.sample, "max_new_tokens": job.max_new_tokens}
    if job.sample is not None:
        parameters["seed"] = job.seed
    engine = engine or engine_of("hf")
    packages = {name: _version(name) for name in sorted({"lm_eval", *job.benchmark.requires})}
    versions = {"selkit": __version__, "bridge": str(_BRIDGE)} | packages | engine.versions
    data = {f"data:{split}": digest_file(path) for split, path in job.data.items()}
    inputs = {"weights": weights, "template": template.digest, **data}
    made_by = provenance(job.benchmark) | versions
    conditions = engine.conditions(threads) | ({} if engine.name == "hf" else {"engine": engine.name})
    return Key("benchmark", job.benchmark.name, parameters, made_by, inputs, conditions)


def run_benchmark(
    job: BenchmarkJob,
    key: Key,
    model: Callable[[], TextModel],
    template: PromptTemplate,
    store: Store,
    together: int | None = None,
) -> Artifact:
    """The items of a benchmark with their scores, from the store or by running lm-eval.

    Args:
        job: The benchmark and its rows.
        key: What they are stored under, from :func:`benchmark_key`.
        model: Gives the engine; called only when there is something to compute.
        template: The template of the training.
        store: Where the items are kept.
        together: Prompts that the engine is asked at once, see :func:`selkit.evals.lm.as_lm`.

    Raises:
        MissingExtra: What the benchmark needs is not installed.
        DataError: The benchmark's rows, or what its scoring needs, are not there.
    """
    check_requirements(job.benchmark)

    def make(draft: Draft) -> None:
        lm = as_lm(model, template, job.max_new_tokens, draft.partial / _PARTIAL, together)
        items = benchmark_items(job, lm)
        pq.write_table(item_table(job.benchmark, items), draft.directory / ITEMS)
        draft.spend("tokens.out", float(lm.tokens), "engine")
        draft.record(rows=len(read_rows(job.scored)), items=len(items), published_rows=job.benchmark.size)

    return store.obtain(key, make)


def read_items(artifact: Artifact) -> pa.Table:
    """The stored items, as :func:`item_table` lays them out."""
    return pq.read_table(artifact.file(ITEMS))


def scored_rows(job: BenchmarkJob) -> dict[int, dict[str, Any]]:
    """The rows that count, by their number in the file."""
    rows = read_rows(job.scored)
    return {number: rows[number] for number in _drawn(job, len(rows))}


def item_table(benchmark: Benchmark, items: Sequence[BenchmarkItem]) -> pa.Table:
    """Columns item (a hash of the row), prompt, response, cluster, truncated, and per metric its score, with
    ``weight:METRIC`` where items count differently; in the order of the data."""
    weighted = sorted({metric for item in items for metric in item.weights})
    rows = [
        {
            "item": item.item,
            "prompt": item.prompt,
            "response": item.response,
            "cluster": item.cluster,
            "truncated": item.truncated,
            **{metric: item.scores[metric] for metric in benchmark.metrics},
            **{f"weight:{metric}": float(item.weights.get(metric, 1.0)) for metric in weighted},
        }
        for item in items
    ]
    names = ["item", "prompt", "response", "cluster"]
    numbers = [*benchmark.metrics, *(f"weight:{metric}" for metric in weighted)]
    texts = [(name, pa.string()) for name in names]
    schema = pa.schema([*texts, ("truncated", pa.bool_()), *((name, pa.float64()) for name in numbers)])
    return pa.Table.from_pylist(rows, schema=schema)


def benchmark_items(job: BenchmarkJob, lm: Any) -> list[BenchmarkItem]:
    """The scored items of a benchmark whose requests ``lm``, an lm-eval model, answers.

    Rows of which ``lm`` says that a question is ``missing`` (by lm-eval's number) are left out.

    Raises:
        DataError: A row is not one that the benchmark can score; nothing is asked then. Or no row is left.
    """
    job.benchmark.prepare(models_cache().parent)
    check_rows(job.benchmark, job.scored)
    samples = _samples(job, lm)
    each = job.benchmark.records_per_row
    missing = {number // each for number in getattr(lm, "missing", ())}
    kept = [sample for sample in samples if sample["doc_id"] // each not in missing]
    if not kept:
        raise DataError(f"no row of benchmark {job.benchmark.label!r} has a response to each of its {each} questions")
    items = job.benchmark.items(kept)
    cut = _cut_items(samples, getattr(lm, "cut", ()), each)
    return [replace(item, truncated=True) if item.item in cut else item for item in items]


def _cut_items(samples: Sequence[Mapping[str, Any]], cut: Collection[int | None], each: int) -> set[str]:
    """The hashes of the items of which a record was cut: an item has that of the first record of its row."""
    rows = {int(number) // each for number in cut if number is not None}
    return {
        sample["doc_hash"] for sample in samples if sample["doc_id"] % each == 0 and sample["doc_id"] // each in rows
    }


def _samples(job: BenchmarkJob, lm: Any) -> list[dict[str, Any]]:
    """lm-eval's sample records, in the order of the data, those of one row together in the order of the filters."""
    import lm_eval

    config = _with_data(job)
    name = str(config["task"])
    # `evaluate` rather than `simple_evaluate`, which reseeds the process and calls programs to describe the machine.
    with _apart():
        task = _load_task(config)
        chosen = _chosen(job, len(task.eval_docs))
        results = lm_eval.evaluate(
            lm,
            {"tasks": {name: task}, "groups": {}, "group_map": {}},
            samples={name: chosen},
            bootstrap_iters=0,
            apply_chat_template=getattr(lm, "framed", False),
        )
    samples: list[dict[str, Any]] = results["samples"][name]
    filters = list(dict.fromkeys(sample["filter"] for sample in samples))
    if len(samples) != len(chosen) * len(filters):
        raise WorkFailed(
            f"lm-eval gave {len(samples)} records for {len(chosen)} rows of benchmark {job.benchmark.label!r}"
        )
    return sorted(samples, key=lambda sample: (int(sample["doc_id"]), filters.index(sample["filter"])))


def _with_data(job: BenchmarkJob) -> dict[str, Any]:
    files = {split: str(path) for split, path in job.data.items()}
    loader = {"custom_dataset": f"{FUNCTION} selkit.evals.data.load_splits", "dataset_kwargs": {"splits": files}}
    return {**job.benchmark.task_config(), **loader}


def _load_task(config: dict[str, Any]) -> Task:
    """The task of a configuration, without lm-eval's own index, which takes many seconds and which nothing needs."""
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.yaml"
        path.write_text(task_yaml(config), encoding="utf-8")
        loaded = TaskManager(include_path=[folder], include_defaults=False).load([config["task"]])
    task: Task = loaded["tasks"][config["task"]]
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)
    return task


def _chosen(job: BenchmarkJob, records: int) -> list[int]:
    """The records that count, in their order."""
    each = job.benchmark.records_per_row
    return [each * row + number for row in _drawn(job, records // each) for number in range(each)]


def _drawn(job: BenchmarkJob, rows: int) -> list[int]:
    """The rows that count, in their order: a part is drawn by a fixed seed, the same for every model."""
    if job.sample is None or job.sample >= rows:
        return list(range(rows))
    drawn = np.random.default_rng(job.seed).choice(rows, size=job.sample, replace=False)
    return sorted(drawn.tolist())


def _version(package: str) -> str:
    # an engine of another kind may do without, and some modules are no package
    return package_version(package) or "absent"


@contextmanager
def _apart() -> Iterator[None]:
    """Keeps lm-eval off the terminal and off Python's random state, which it draws names from.

    What it prints goes to stderr; its bar and its advice on options go nowhere.
    """
    import lm_eval.api.task as task_module

    logger = logging.getLogger("lm_eval")
    level, bar, state = logger.level, task_module.tqdm, random.getstate()
    logger.setLevel(logging.ERROR)
    task_module.tqdm = partial(bar, disable=True)  # it has no switch of its own
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        logger.setLevel(level)
        task_module.tqdm = bar
        random.setstate(state)
