"""The bridge to lm-eval: one benchmark on one model, item by item, stored under what determines the answers."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from selkit import __version__
from selkit.api import Benchmark, LanguageModel, PromptTemplate, WorkFailed
from selkit.evals.lm import as_lm
from selkit.models import models_cache
from selkit.plugins import check_requirements, provenance
from selkit.store import Artifact, Draft, Key, Store, digest_file

if TYPE_CHECKING:
    from lm_eval.api.task import Task

ITEMS = "items.parquet"
SAMPLE_SEED = 0
_FUNCTION = "!function"


@dataclass(frozen=True)
class BenchmarkJob:
    """A benchmark with its rows.

    Args:
        benchmark: The component.
        data: File of local rows.
        sample: How many rows to draw; None takes all.
        max_new_tokens: Limits answers below the task's own limit.
    """

    benchmark: Benchmark
    data: Path
    sample: int | None = None
    max_new_tokens: int | None = None


def benchmark_key(job: BenchmarkJob, weights: str, template: PromptTemplate, threads: int) -> Key:
    """What the answers and scores of a benchmark depend on.

    Args:
        job: The benchmark.
        weights: Digest of the model, or of the key that it is stored under.
        template: The template of the training.
        threads: Threads that the model computes with.

    Raises:
        MissingExtra: What the benchmark needs is not installed.
    """
    check_requirements(job.benchmark)
    parameters = job.benchmark.parameters() | {"sample": job.sample, "max_new_tokens": job.max_new_tokens}
    packages = {"lm_eval", "torch", "transformers", *job.benchmark.requires}
    versions = {"selkit": __version__} | {name: _version(name) for name in sorted(packages)}
    inputs = {"weights": weights, "data": digest_file(job.data), "template": template.digest}
    made_by = provenance(job.benchmark) | versions
    return Key("benchmark", job.benchmark.name, parameters, made_by, inputs, {"threads": threads})


def run_benchmark(
    job: BenchmarkJob,
    key: Key,
    model: Callable[[], LanguageModel],
    template: PromptTemplate,
    store: Store,
) -> Artifact:
    """The items of a benchmark with their scores, from the store or by running lm-eval.

    Args:
        job: The benchmark and its rows.
        key: What they are stored under, from :func:`benchmark_key`.
        model: Gives the engine; called only when there is something to compute.
        template: The template of the training.
        store: Where the items are kept.

    Raises:
        MissingExtra: What the benchmark needs is not installed.
        DataError: The benchmark's rows, or what its scoring needs, are not there.
    """
    check_requirements(job.benchmark)

    def make(draft: Draft) -> None:
        job.benchmark.prepare(models_cache().parent)
        lm = as_lm(model, template, job.max_new_tokens)
        rows = [_item(job.benchmark, sample) for sample in _samples(job, lm)]
        pq.write_table(pa.Table.from_pylist(rows), draft.directory / ITEMS)
        draft.spend("tokens.out", float(lm.tokens), "engine")
        draft.record(rows=len(rows), published_rows=job.benchmark.size)

    return store.obtain(key, make)


def read_items(artifact: Artifact) -> pa.Table:
    """Columns item (a hash of the row), prompt, response, and one per metric, in the order of the data."""
    return pq.read_table(artifact.file(ITEMS))


def _samples(job: BenchmarkJob, lm: Any) -> list[dict[str, Any]]:
    """lm-eval's sample records, in the order of the data."""
    import lm_eval

    config = job.benchmark.task_config(job.data)
    name = str(config["task"])
    # `evaluate` rather than `simple_evaluate`, which reseeds the process and calls programs to describe the machine.
    with _apart():
        task = _load_task(config)
        chosen = _chosen(job.sample, len(task.eval_docs))
        results = lm_eval.evaluate(
            lm, {"tasks": {name: task}, "groups": {}, "group_map": {}}, samples={name: chosen}, bootstrap_iters=0
        )
    samples: list[dict[str, Any]] = results["samples"][name]
    if len(samples) != len(chosen):
        raise WorkFailed(
            f"lm-eval gave {len(samples)} records for {len(chosen)} rows of benchmark {job.benchmark.name!r}: selkit "
            "serves tasks with one filter and one answer a row"
        )
    return sorted(samples, key=lambda sample: int(sample["doc_id"]))


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
    task.set_fewshot_seed(seed=SAMPLE_SEED)
    return task


def task_yaml(config: dict[str, Any]) -> str:
    """A task as lm-eval's YAML: a text ``!function module.name`` becomes a node of that tag."""
    return yaml.dump(config, Dumper=_TaskDumper, sort_keys=False, allow_unicode=True)


class _TaskDumper(yaml.SafeDumper):
    """Writes references to functions with their tag."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    tag, _, function = text.partition(" ")
    return dumper.represent_scalar(tag, function) if tag == _FUNCTION and function else dumper.represent_str(text)


_TaskDumper.add_representer(str, _represent_text)


def _chosen(sample: int | None, rows: int) -> list[int]:
    """The rows that count, in their order: a part is drawn by a fixed seed, so that every model answers the same."""
    if sample is None or sample >= rows:
        return list(range(rows))
    return sorted(np.random.default_rng(SAMPLE_SEED).choice(rows, size=sample, replace=False).tolist())


def _item(benchmark: Benchmark, sample: dict[str, Any]) -> dict[str, Any]:
    prompt, response = sample["arguments"][0][0], sample["filtered_resps"][0]
    scores = benchmark.item_scores(sample)
    return {"item": sample["doc_hash"], "prompt": str(prompt), "response": str(response), **scores}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # an engine of another kind may do without, and some modules are no package
        return "absent"


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
