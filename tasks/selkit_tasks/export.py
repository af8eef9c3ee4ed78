"""The tasks and groups as files of lm-eval, for those who run lm-eval themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, task_yaml

_PREFIX = "selkit_"


def export(directory: Path, data: Path | None = None) -> list[str]:
    """Writes one YAML file per task and group; returns their names.

    Args:
        directory: Folder to write to.
        data: Folder of local rows, as for ``selkit eval --data``; without it lm-eval asks the hub, where its own
            definition names a data set.

    Raises:
        MissingExtra: lm-eval is not installed.
    """
    from selkit_tasks import selkit_benchmarks

    directory.mkdir(parents=True, exist_ok=True)
    found: dict[str, BaseBenchmark] = {}
    for component in selkit_benchmarks():
        for one in _all(component()):
            found.setdefault(_name(one), one)
    for name, one in found.items():
        config = _task(one, data) if isinstance(one, Benchmark) else _group(one)
        (directory / f"{name}.yaml").write_text(task_yaml(config), encoding="utf-8")
    return list(found)


def _all(benchmark: BaseBenchmark) -> list[BaseBenchmark]:
    if not isinstance(benchmark, BenchmarkGroup):
        return [benchmark]
    return [benchmark, *(one for member in benchmark.members() for one in _all(member))]


def _name(benchmark: BaseBenchmark) -> str:
    return _PREFIX + benchmark.label.replace("-", "_")


def _task(benchmark: Benchmark, data: Path | None) -> dict[str, Any]:
    config = {**benchmark.task_config(), "task": _name(benchmark)}
    if data is None:
        return config
    files = {split: str((data / path).resolve()) for split, path in benchmark.splits.items()}
    loader = {"custom_dataset": "!function selkit.evals.data.load_splits", "dataset_kwargs": {"splits": files}}
    return config | loader


def _group(group: BaseBenchmark) -> dict[str, Any]:
    assert isinstance(group, BenchmarkGroup)
    tasks = [_name(member) for member in group.members()]
    metrics = sorted({leaf.primary for leaf in _all(group) if isinstance(leaf, Benchmark)})
    config: dict[str, Any] = {"group": _name(group), "task": tasks}
    if len(metrics) == 1:  # lm-eval has no mean over different metrics
        by_size = group.average == "items"
        config["aggregate_metric_list"] = [{"metric": metrics[0], "weight_by_size": by_size}]
    return config
