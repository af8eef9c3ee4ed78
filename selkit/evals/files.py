"""The files of an evaluation: selkit's results, lm-eval's form of them, and the items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selkit.api import DataError
from selkit.evals.evaluation import Evaluation, Plan
from selkit.store import atomic_write_text


def write_evaluation(
    document: Mapping[str, Any],
    plan: Plan,
    evaluation: Evaluation,
    folder: Path,
    others: Mapping[str, pa.Table] | None = None,
) -> None:
    """Writes results.json, lm_eval_results.json and items/BENCHMARK.parquet to a folder.

    Args:
        document: What results.json holds.
        plan: The benchmarks.
        evaluation: Their items.
        folder: Where to.
        others: Items of what is no benchmark, by name.

    Raises:
        DataError: The folder cannot be written.
    """
    try:
        (folder / "items").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}): choose another folder with -o") from error
    for label, items in {**evaluation.items, **(others or {})}.items():
        pq.write_table(items, folder / "items" / f"{label}.parquet")
    _write(folder / "lm_eval_results.json", lm_eval_results(plan, evaluation))
    _write(folder / "results.json", document)


def lm_eval_results(plan: Plan, evaluation: Evaluation) -> dict[str, Any]:
    """The means and errors under lm-eval's keys (``METRIC,FILTER`` and ``METRIC_stderr,FILTER``)."""
    results: dict[str, dict[str, Any]] = {}
    for label, metrics in evaluation.metrics.items():
        results[label] = {"alias": label}
        for name, metric in metrics.items():
            bare, _, chosen = name.partition(",")
            results[label][f"{bare},{chosen or 'none'}"] = metric.value
            results[label][f"{bare}_stderr,{chosen or 'none'}"] = metric.as_dict()["se"]
    samples = {
        label: {"original": job.benchmark.size, "effective": evaluation.items[label].num_rows}
        for label, job in plan.jobs.items()
    }
    return {"results": results, "n-samples": samples, "model_name": evaluation.subject.name}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    atomic_write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
