"""Cells in worker processes of this machine: each loads torch once, and a worker never outlives the command."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import TypeAlias, get_args

from selkit.api import UsageError
from selkit.console import get_console
from selkit.experiment.cells.job import CellJob
from selkit.experiment.executors.base import CellOutcome, attempt
from selkit.experiment.spec.spec import Device, Spec
from selkit.models import device_here, has_gpu
from selkit.select.processes import prepare_worker
from selkit.store import Store

_SAY_SECONDS = 10.0

Stages: TypeAlias = "SimpleQueue[tuple[str, str]]"
"""What workers begin: the cell's label and the stage."""

_stages: Stages | None = None  # of a worker process


def default_workers() -> tuple[int, int]:
    """Workers and threads of each: one a GPU, else one a core; one thread, since small models gain little from more."""
    return len(visible_gpus()) or os.cpu_count() or 1, 1


def visible_gpus() -> list[str]:
    """The GPUs of this machine that selkit may use, as CUDA_VISIBLE_DEVICES names them; torch is not asked."""
    if os.environ.get("SELKIT_DEVICE", "cuda").startswith("cpu"):
        return []
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    files = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia*"))
    return sorted((number for number in files if number.isdigit()), key=int)


def gpu_slots(gpus: Sequence[str], workers: int, processes: int) -> list[str]:
    """The GPUs of each worker: as many as processes train a model, others than the next worker's if they last."""
    if not gpus:
        return []
    starts = (worker * processes for worker in range(workers))
    return [",".join(dict.fromkeys(gpus[(start + n) % len(gpus)] for n in range(processes))) for start in starts]


@dataclass(frozen=True)
class LocalExecutor:
    """Runs cells on this machine, ``workers`` at a time, each on ``threads`` threads of the processor."""

    workers: int
    threads: int

    def open(self, spec: Spec, store: Store) -> AbstractContextManager[None]:
        """Needs nothing: workers start with the first cell."""
        return nullcontext()

    def device(self, spec: Spec) -> Device:
        """The spec's, else a GPU where there is one.

        Raises:
            UsageError: A GPU is asked for and there is none, or $SELKIT_DEVICE names what no cell runs on.
        """
        wanted = spec.device or device_here()
        if wanted == "cuda" and not has_gpu():
            source = "device: cuda" if spec.device else "SELKIT_DEVICE=cuda"
            raise UsageError(f"{source} asks for a GPU, and torch finds none here: leave it out")
        if wanted not in get_args(Device):
            raise UsageError(f"cells run on cpu or cuda, and SELKIT_DEVICE is {wanted!r}: set it to one of these")
        return "cuda" if wanted == "cuda" else "cpu"

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Does the cells; where a worker is killed, goes on with half of the workers.

        A cell whose worker is killed while no other runs has failed: it is what takes the memory.
        """
        left = {job.label: job for job in jobs}
        workers = min(self.workers, len(left))
        while left:
            try:
                for outcome in _run(list(left.values()), workers, self.threads):
                    del left[outcome.label]
                    yield outcome
            except BrokenProcessPool:
                if workers == 1:
                    killed = left.pop(next(iter(left)))
                    yield CellOutcome(killed.label, "its worker process was killed, perhaps for want of memory")
                else:
                    workers //= 2
                    get_console().note(
                        "a worker process was killed, perhaps for want of memory: "
                        f"going on with {workers} {'worker' if workers == 1 else 'workers'}"
                    )


def _run(jobs: Sequence[CellJob], workers: int, threads: int) -> Iterator[CellOutcome]:
    context = multiprocessing.get_context("spawn")
    stages: Stages = context.SimpleQueue()
    slots: SimpleQueue[str] = context.SimpleQueue()
    processes = max(job.training.processes if job.training else 1 for job in jobs)
    for slot in gpu_slots(visible_gpus(), workers, processes):
        slots.put(slot)
    initial = (threads, os.getpid(), get_console().verbose, stages, slots)
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=initial)
    running = _Running(stages)
    running.start()
    broken: BrokenProcessPool | None = None
    try:
        for future in as_completed([executor.submit(_do, job) for job in jobs]):
            try:
                yield future.result()
            except BrokenProcessPool as error:  # what ended before that may come after it
                broken = error
        if broken:
            raise broken
    except BaseException:
        for process in list((executor._processes or {}).values()):
            process.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        running.ended.set()
        running.join(timeout=1.0)


class _Running(threading.Thread):
    """Says now and then which stages are under way, so that cells of many minutes are not silent."""

    def __init__(self, stages: Stages) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self._stages = stages
        self._said = time.monotonic()

    def run(self) -> None:
        """Reads what the workers begin until the cells have ended."""
        while not self.ended.wait(0.5):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        while not self._stages.empty():
            # A killed worker can leave half a message, on which this waits for ever: nobody waits long for this thread.
            message = self._stages.get()
            if time.monotonic() - self._said >= _SAY_SECONDS:
                self._said = time.monotonic()
                get_console().note(": ".join(message))


def _do(job: CellJob) -> CellOutcome:
    return attempt(job, begin=lambda stage: _stages.put((job.label, stage)) if _stages else None)


def _start_worker(threads: int, parent: int, verbose: int, stages: Stages, slots: SimpleQueue[str]) -> None:
    """Makes this process ready, with GPUs of its own, and ends it when the command is gone."""
    global _stages
    _stages = stages
    if not slots.empty():
        os.environ["CUDA_VISIBLE_DEVICES"] = slots.get()
    prepare_worker(threads, verbose, parent)
