"""Cells as tasks of a Ray cluster that is there already.

Ray queues the tasks, places them by the CPUs and GPUs they need, keeps workers for the next task, and does a task
again whose node died. What a cell leaves is in the store, on a file system that every node shares: a task that is done
again finds the finished stages there. A cell's own failure is a result and is never tried again by Ray.
"""

from selkit.experiment.executors.ray.executor import RayExecutor
from selkit.experiment.executors.ray.options import RayOptions
from selkit.experiment.executors.ray.shards import ray_shards

__all__ = ["RayExecutor", "RayOptions", "ray_shards"]
