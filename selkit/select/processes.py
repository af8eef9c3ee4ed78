"""Worker processes of this machine: made ready before torch loads, and gone when the command is."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from selkit.api import WorkFailed
from selkit.console import get_console
from selkit.models import default_threads
from selkit.select.shards import ShardDone, ShardTask, score_shard

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class LocalShards:
    """Runs shards in ``workers`` processes of this machine."""

    workers: int

    def run(self, tasks: Iterator[ShardTask]) -> Iterator[ShardDone]:
        """As :meth:`selkit.select.shards.Shards.run`.

        Raises:
            WorkFailed: A worker was killed; the shards that are finished stay.
        """
        context = multiprocessing.get_context("spawn")
        initial = (default_threads(), get_console().verbose, os.getpid())
        executor = ProcessPoolExecutor(self.workers, context, prepare_worker, initial)
        pending: set[Future[ShardDone]] = set()
        try:
            for task in tasks:
                pending.add(executor.submit(score_shard, task))
                if len(pending) > self.workers:  # one waits, so that no worker does
                    ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in ended)
            while pending:
                ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ended)
        except BrokenProcessPool as error:
            raise WorkFailed(
                "a scoring process was killed, perhaps for want of memory: run the same command again with fewer "
                "--workers, which goes on where this one stopped"
            ) from error
        except BaseException:
            for process in list((executor._processes or {}).values()):
                process.terminate()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def prepare_process(threads: int, verbose: int) -> None:
    """Limits the threads of this process, before torch loads, and its talk."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Workers side by side would write over each other's progress; the command itself counts what they finish.
    get_console().quiet = not verbose


def prepare_worker(threads: int, verbose: int, parent: int) -> None:
    """As :func:`prepare_process`; and ends this process when the command is gone."""
    prepare_process(threads, verbose)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    # A killed parent cannot tell its workers; a worker whose parent has changed would work on for nobody.
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
