"""The files of an evaluation: selkit's results, lm-eval's form of them, and the items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selkit.api import Benchmark, DataError
from selkit.evals.evaluation import Evaluation, Plan
from selkit.evals.groups import members, walk
from selkit.evals.summary import Metric
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
    """The evaluation in the form of lm-eval's results file, which lm-eval's own tables read.

    Means and errors stand under its keys (``METRIC,FILTER`` and ``METRIC_stderr,FILTER``, "N/A" where there is no
    error), those of groups also under ``groups``. Versions and shots are those that the tasks' configurations name.
    """
    results = {label: _by_lm_eval(label, metrics) for label, metrics in evaluation.metrics.items()}
    every = [one for whole in plan.benchmarks for one in walk(whole)]
    configs = {one.label: one.task_config() for one in every if isinstance(one, Benchmark)}
    said = {label: config.get("metadata", {}).get("version") for label, config in configs.items()}
    shots = {label: config.get("num_fewshot") for label, config in configs.items()}
    return {
        "results": results,
        "groups": {one.label: results[one.label] for one in every if one.label not in configs},
        "group_subtasks": {
            one.label: [] if one.label in configs else [member.label for member in members(one)] for one in every
        },
        "versions": {label: one for label, one in said.items() if one is not None},
        "n-shot": {label: shot for label, shot in shots.items() if shot is not None},
        "higher_is_better": {
            one.label: {metric.partition(",")[0]: good for metric, good in one.metrics.items()}
            for one in every
            if isinstance(one, Benchmark)
        },
        "n-samples": {
            label: {"original": job.benchmark.size, "effective": evaluation.items[label].num_rows}
            for label, job in plan.jobs.items()
        },
        "model_name": evaluation.subject.name,
        "lm_eval_version": _lm_eval_version(),
    }


def _lm_eval_version() -> str | None:
    try:
        return version("lm_eval")
    except PackageNotFoundError:  # test sets alone do without it
        return None


def _by_lm_eval(label: str, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    row: dict[str, Any] = {"alias": label}
    for name, metric in metrics.items():
        bare, _, chosen = name.partition(",")
        error = metric.as_dict()["se"]
        row[f"{bare},{chosen or 'none'}"] = metric.value
        row[f"{bare}_stderr,{chosen or 'none'}"] = "N/A" if error is None else error
    return row


def _write(path: Path, content: Mapping[str, Any]) -> None:
    atomic_write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
