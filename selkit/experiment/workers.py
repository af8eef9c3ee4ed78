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

from selkit.api import SelkitError
from selkit.console import get_console
from selkit.experiment.cells import CellJob, run_cell

_WATCH_SECONDS = 1.0


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
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(threads, os.getpid(), get_console().verbose)
    )
    try:
        futures = {executor.submit(run_cell, job): job.label for job in jobs}
        for future in as_completed(futures):
            yield _outcome(future, futures[future])
    except BaseException:
        for process in list((executor._processes or {}).values()):
            process.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


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


def _start_worker(threads: int, parent: int, verbose: int) -> None:
    """Limits the threads of this process before torch loads, and ends it when the command is gone."""
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
