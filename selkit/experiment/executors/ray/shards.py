"""Shards of pools, scored as tasks of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selkit.api import SelkitError, WorkFailed
from selkit.experiment.executors.ray.cluster import check_cluster, connected, nodes
from selkit.experiment.executors.ray.options import Needs, RayOptions
from selkit.experiment.executors.ray.tasks import How, cancel, remote
from selkit.select import scoring_in
from selkit.select.processes import prepare_process
from selkit.select.shards import ShardDone, ShardTask, score_shard
from selkit.store import Store


@dataclass(frozen=True)
class RayShards:
    """Scores shards of pools as tasks of the cluster to which the process is connected."""

    needs: Needs
    retries: int = 3

    def run(self, tasks: Iterator[ShardTask]) -> Iterator[ShardDone]:
        """As :meth:`selkit.select.shards.Shards.run`: no more shards under way than the cluster has room for, and two.

        Raises:
            WorkFailed: Nodes or workers died more often than a shard is done again.
        """
        shard, how = remote(_shard, self.needs, self.retries), How.here()
        room = sum(self._room(node) for node in nodes().values()) + 2
        pending: dict[Future[ShardDone], Any] = {}
        try:
            for task in tasks:
                reference = shard.remote(task, how)
                pending[reference.future()] = reference
                if len(pending) >= room:
                    yield from _ended(pending)
            while pending:
                yield from _ended(pending)
        finally:
            cancel(list(pending.values()))

    def _room(self, node: Mapping[str, float]) -> int:
        kinds = (("CPU", self.needs.cpus), ("GPU", self.needs.gpus))
        return min((int(node.get(kind, 0) // need) for kind, need in kinds if need), default=1)


@contextmanager
def ray_shards(address: str, options: RayOptions, store: Store) -> Iterator[None]:
    """Within the block, selections run independent scorers in shards on a Ray cluster.

    Raises:
        MissingExtra: ray is not installed.
        DataError: The cluster cannot be reached, or no node can score.
    """
    with connected(address):
        check_cluster([options.score], store)
        with scoring_in(RayShards(options.score, options.retries)):
            yield


def _shard(task: ShardTask, how: How) -> ShardDone:
    """What a task does with a shard."""
    os.environ.update(how.environment)
    prepare_process(task.threads, how.verbose)
    return score_shard(task)


def _ended(pending: dict[Future[ShardDone], Any]) -> Iterator[ShardDone]:
    """What became of those that end next; they are taken out of ``pending``."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        del pending[future]
        yield _shard_done(future)


def _shard_done(future: Future[ShardDone]) -> ShardDone:
    try:
        return future.result()
    except Exception as error:  # deaths beyond the retries, want of memory, a plugin that a node lacks
        cause = getattr(error, "cause", None)
        if isinstance(cause, SelkitError):
            raise cause from None
        said = (str(error).strip().splitlines() or [""])[-1].strip()
        raise WorkFailed(
            f"a shard could not be scored ({type(error).__name__}: {said}): mend that, and run the same command again, "
            "which goes on where this one stopped"
        ) from error
