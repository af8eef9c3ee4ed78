"""Where cells are done: in processes of this machine, on a Ray cluster, or as Slurm jobs.

ray and submitit are imported when their executor opens, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from selkit.api import UsageError
from selkit.experiment.executors.base import CellOutcome, Executor
from selkit.experiment.executors.local import LocalExecutor, default_workers
from selkit.experiment.executors.options import parse_options, refuse_unknown
from selkit.experiment.executors.ray import RayExecutor, RayOptions
from selkit.experiment.executors.slurm import SlurmExecutor, SlurmOptions

ExecutorName: TypeAlias = Literal["local", "ray", "slurm"]
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)

__all__ = [
    "EXECUTORS",
    "CellOutcome",
    "Executor",
    "ExecutorName",
    "LocalExecutor",
    "RayExecutor",
    "RayOptions",
    "SlurmExecutor",
    "SlurmOptions",
    "default_workers",
    "make_executor",
    "parse_options",
]


def make_executor(
    name: ExecutorName,
    options: Mapping[str, Any],
    *,
    resources: tuple[int, int],
    folder: Path,
    ray_address: str | None = None,
) -> Executor:
    """The executor of this name.

    Args:
        name: Which one.
        options: Its own options, see :class:`RayOptions` and :class:`SlurmOptions`; the local executor has none.
        resources: Workers, and threads of each, for the local executor.
        folder: Where the executor may leave logs; for Slurm a folder that every node sees.
        ray_address: The Ray cluster, as ``ray.init`` takes it; by default the one that runs on this machine.

    Raises:
        UsageError: An option is unknown, has a wrong value, or belongs to another executor.
    """
    if ray_address is not None and name != "ray":
        raise UsageError("--ray-address is an option of --executor ray: add that, or leave it out")
    if name == "ray":
        return RayExecutor(RayOptions.of(options), ray_address or "auto")
    if name == "slurm":
        return SlurmExecutor(SlurmOptions.of(options), folder / "slurm")
    refuse_unknown(options, (), "local")
    return LocalExecutor(*resources)
