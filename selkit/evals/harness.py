"""The bridge to lm-eval: one benchmark on one model, item by item, stored under what determines the answers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from selkit.api import Benchmark, DataError, LanguageModel, PromptTemplate
from selkit.evals.lm import as_lm
from selkit.models import models_cache
from selkit.plugins import check_requirements, provenance
from selkit.store import Artifact, Draft, Key, Store, digest_file

ITEMS = "items.parquet"
SAMPLE_SEED = 0


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


def find_data(benchmark: Benchmark, data: Path | None = None) -> Path:
    """The local file of a benchmark's rows: ``data``, or below it, or below $SELKIT_SHARED_DATA/benchmarks.

    Raises:
        DataError: There is none; the sentence names the file that would serve.
    """
    shared = os.environ.get("SELKIT_SHARED_DATA")
    places = [data, data / benchmark.data_name] if data else []
    places += [Path(shared) / "benchmarks" / benchmark.data_name] if shared else []
    for place in places:
        if place.is_file():
            return place
    raise DataError(
        f"benchmark {benchmark.name!r} finds no rows of {benchmark.hub_data}: put them into {benchmark.data_name} in a "
        "folder and name it with `data:`, or set SELKIT_SHARED_DATA"
    )


def benchmark_key(job: BenchmarkJob, weights: str, template: PromptTemplate, threads: int) -> Key:
    """What the answers and scores of a benchmark depend on."""
    parameters = job.benchmark.parameters() | {"sample": job.sample, "max_new_tokens": job.max_new_tokens}
    versions = provenance(job.benchmark) | {name: version(name) for name in ("lm_eval", "torch", "transformers")}
    inputs = {"weights": weights, "data": digest_file(job.data), "template": template.digest}
    return Key("benchmark", job.benchmark.name, parameters, versions, inputs, {"threads": threads})


def run_benchmark(
    job: BenchmarkJob,
    key: Key,
    model: Callable[[], LanguageModel],
    template: PromptTemplate,
    store: Store,
) -> Artifact:
    """The items of a benchmark with their scores, from the store or by running lm-eval."""
    check_requirements(job.benchmark)

    def make(draft: Draft) -> None:
        job.benchmark.prepare(models_cache().parent)
        samples = _evaluate(job, model, template)
        table = pa.Table.from_pylist([_item(job.benchmark, sample) for sample in samples])
        pq.write_table(table, draft.directory / ITEMS)
        draft.record(rows=table.num_rows, published_rows=job.benchmark.size)

    return store.obtain(key, make)


def read_items(artifact: Artifact) -> pa.Table:
    """Columns item (a hash of the row), prompt, response, and one per metric."""
    return pq.read_table(artifact.file(ITEMS))


def _evaluate(job: BenchmarkJob, model: Callable[[], LanguageModel], template: PromptTemplate) -> list[dict[str, Any]]:
    import sys

    import lm_eval
    from lm_eval.tasks import TaskManager

    config = job.benchmark.task_config(job.data)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        (Path(folder) / "task.yaml").write_text(_yaml(config), encoding="utf-8")
        # Without lm-eval's own index: building it takes many seconds and nothing here needs it.
        manager = TaskManager(include_path=[folder], include_defaults=False)
        results = lm_eval.simple_evaluate(
            model=as_lm(model, template, job.max_new_tokens),
            tasks=[config["task"]],
            task_manager=manager,
            samples=_sampled(job, config["task"]),
            bootstrap_iters=0,
            log_samples=True,
        )
    samples: list[dict[str, Any]] = results["samples"][config["task"]]
    return sorted(samples, key=lambda sample: int(sample["doc_id"]))


def _sampled(job: BenchmarkJob, task: str) -> dict[str, list[int]] | None:
    if job.sample is None:
        return None
    rows = sum(1 for line in job.data.read_text(encoding="utf-8").splitlines() if line.strip())
    size = min(job.sample, rows)
    chosen = np.random.default_rng(SAMPLE_SEED).choice(rows, size=size, replace=False)
    return {task: sorted(int(i) for i in chosen)}


def _item(benchmark: Benchmark, sample: dict[str, Any]) -> dict[str, Any]:
    return {
        "item": sample["doc_hash"],
        "prompt": str(sample["arguments"]["gen_args_0"]["arg_0"])
        if isinstance(sample["arguments"], dict)
        else str(sample["arguments"][0][0]),
        "response": str(sample["filtered_resps"][0]),
        **benchmark.item_scores(sample),
    }


def _yaml(config: dict[str, Any]) -> str:
    lines = yaml.safe_dump(config, sort_keys=False)
    # A dumped '!function x' is quoted text; lm-eval reads it as a tag only without the quotes.
    return lines.replace("'!function ", "!function ").replace("process_results'\n", "process_results\n")
