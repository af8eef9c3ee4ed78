"""Cells as tasks of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from selkit.api import UsageError
from selkit.experiment.cells.job import CellJob
from selkit.experiment.executors.base import CellOutcome, attempt
from selkit.experiment.executors.ray.cluster import check_cluster, connected, nodes
from selkit.experiment.executors.ray.options import RayOptions
from selkit.experiment.executors.ray.shards import RayShards
from selkit.experiment.executors.ray.tasks import How, cancel, remote
from selkit.experiment.spec.spec import Device, Spec
from selkit.models import kind_of
from selkit.select import scoring_in
from selkit.select.processes import prepare_process
from selkit.store import Store


@dataclass
class RayExecutor:
    """Runs cells on an existing Ray cluster.

    Args:
        options: Resources and retries.
        address: As ``ray.init`` takes it: HOST:PORT, 'auto' for the cluster of this machine, or 'local' for a new one.
    """

    options: RayOptions
    address: str = "auto"

    @contextmanager
    def open(self, spec: Spec, store: Store) -> Iterator[None]:
        """Connects, and checks that nodes have what the cells need, this selkit, and the store.

        Raises:
            MissingExtra: ray is not installed.
            DataError: The cluster cannot be reached, or no node can do the cells.
        """
        with connected(self.address):
            threads = spec.threads or 1
            gpus = float(_may_use_gpus(spec) and any(node.get("GPU") for node in nodes().values()))
            train = self.options.train.settled(threads * spec.processes, gpus * spec.processes)
            self.options = replace(self.options, train=train, answer=self.options.answer.settled(threads, gpus))
            check_cluster([train, self.options.answer, self.options.score], store)
            with scoring_in(RayShards(self.options.score, self.options.retries)):
                yield

    def device(self, spec: Spec) -> Device:
        """A GPU where cells are given GPUs, by the options or because the cluster has some.

        Raises:
            UsageError: Training is given GPUs and answering none, or the other way round; or the spec asks for another
                device.
        """
        train, answer = (needs.gpus or 0 for needs in (self.options.train, self.options.answer))
        if bool(train) != bool(answer):
            raise UsageError(
                f"training is given {train:g} GPUs and answering {answer:g}, and a cell has one kind of device: "
                "give GPUs to both or to none with -x train.gpus and answer.gpus"
            )
        found: Device = "cuda" if train else "cpu"
        if spec.device not in (None, found):
            raise UsageError(
                f"device: {spec.device} is asked for, and the cells are given {'GPUs' if train else 'no GPU'}: leave "
                "device out, or change -x train.gpus and answer.gpus"
            )
        return found

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Does the cells as tasks: one each, or two where training takes other resources than answering."""

        train, answer = (
            remote(_cell, needs, self.options.retries) for needs in (self.options.train, self.options.answer)
        )
        how = How.here()
        tasks = {self._submit(job, train, answer, how): job for job in jobs}
        # Waited for in Python and not in Ray, which a signal would leave with an error of its own.
        futures = {task.future(): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield _outcome(future, tasks[futures[future]].label)
        finally:
            cancel([task for future, task in futures.items() if not future.done()])

    def _submit(self, job: CellJob, train: Any, answer: Any, how: How) -> Any:
        train, answer = train.options(name=job.label), answer.options(name=job.label)
        if job.training is None:
            return answer.remote(job, how)
        if self.options.train == self.options.answer:
            return train.remote(job, how)
        trained = replace(job, prompts=(), benchmarks=(), keep=True)
        return answer.remote(job, how, train.remote(trained, how))


def _cell(job: CellJob, how: How, before: CellOutcome | None = None) -> CellOutcome:
    """What a task does. ``before`` is the outcome of the task that this one waits for."""
    if before is not None and before.error is not None:
        return before
    os.environ.update(how.environment)
    prepare_process(job.threads, how.verbose)
    return attempt(job)


def _outcome(future: Future[CellOutcome], label: str) -> CellOutcome:
    try:
        return future.result()
    except Exception as error:  # node and worker deaths beyond the retries, want of memory: Ray has a class for each
        return CellOutcome(label, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _may_use_gpus(spec: Spec) -> bool:
    """Whether neither the spec nor $SELKIT_DEVICE, which tasks take over, keeps cells on CPUs."""
    return (spec.device or kind_of(os.environ.get("SELKIT_DEVICE", "cuda"))) == "cuda"
