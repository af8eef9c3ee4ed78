"""Runs cells in worker processes: each loads torch once, and a worker never outlives the command."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from typing import TypeAlias

from selkit.api import SelkitError
from selkit.console import get_console
from selkit.experiment.cells import CellJob, run_cell

_WATCH_SECONDS = 1.0
_SAY_SECONDS = 10.0

Stages: TypeAlias = "SimpleQueue[tuple[str, str]]"
"""What workers begin: the cell's label and the stage."""

_stages: Stages | None = None  # of a worker process


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """How a cell ended; ``error`` is the sentence of what went wrong, None where nothing did."""

    label: str
    error: str | None = None


def default_workers() -> tuple[int, int]:
    """Workers and threads of each: on a CPU one thread a cell, since small models gain little from more."""
    cores = os.cpu_count() or 1
    return max(1, cores), 1


def run_cells(jobs: Sequence[CellJob], workers: int, threads: int) -> Iterator[CellOutcome]:
    """Does the cells, ``workers`` at a time; yields each as it ends. A cell that fails stops no other.

    Raises:
        SelkitError: A worker was killed (memory?), so that the rest cannot go on.
    """
    context = multiprocessing.get_context("spawn")
    stages: Stages = context.SimpleQueue()
    initial = (threads, os.getpid(), get_console().verbose, stages)
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=initial)
    running = _Running(stages)
    running.start()
    try:
        futures = {executor.submit(_do, job): job.label for job in jobs}
        for future in as_completed(futures):
            yield _outcome(future, futures[future])
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


def _do(job: CellJob) -> str:
    return run_cell(job, begin=lambda stage: _stages.put((job.label, stage)) if _stages else None)


def _outcome(future: Future[str], label: str) -> CellOutcome:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise SelkitError(
            "a worker process was killed, perhaps for want of memory: run the same command again, with fewer workers"
        ) from error
    except Exception as error:  # a cell's failure is a result: reported with its reason, and the others go on
        return CellOutcome(label, f"{type(error).__name__}: {error}")
    return CellOutcome(label)


def _start_worker(threads: int, parent: int, verbose: int, stages: Stages) -> None:
    """Limits the threads of this process before torch loads, and ends it when the command is gone."""
    global _stages
    _stages = stages
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Cells side by side would write over each other's progress; the command itself counts finished cells.
    get_console().quiet = not verbose
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    # A killed parent cannot tell its workers; a worker whose parent has changed would train on for nobody.
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
