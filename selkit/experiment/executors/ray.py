"""Cells as tasks of a Ray cluster that is there already.

Ray queues the tasks, places them by the CPUs and GPUs they need, keeps workers for the next task, and does a task
again whose node died. What a cell leaves is in the store, on a file system that every node shares: a task that is done
again finds the finished stages there. A cell's own failure is a result and is never tried again by Ray.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import DataError, MissingExtra, SelkitError, UsageError, WorkFailed
from selkit.console import get_console
from selkit.experiment.cells.job import CellJob
from selkit.experiment.executors.base import CellOutcome, attempt
from selkit.experiment.executors.options import number, refuse_unknown
from selkit.experiment.spec.spec import Device, Spec
from selkit.models import kind_of
from selkit.select import scoring_in
from selkit.select.processes import prepare_process
from selkit.select.shards import ShardDone, ShardTask, score_shard
from selkit.store import Store

CONNECT_SECONDS = 3.0
"""How long an address may take to answer."""

PROBE_SECONDS = 180.0
"""How long a node may take to start a worker that says what it has; Ray gives workers what a busy machine has left."""

_PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed")


@dataclass(frozen=True)
class Needs:
    """What one task takes of a node; None where the spec (CPUs) or the cluster (GPUs) decides."""

    cpus: float | None = None
    gpus: float | None = None

    def settled(self, cpus: float, gpus: float) -> Needs:
        """With these in place of what is None."""
        return Needs(cpus if self.cpus is None else self.cpus, gpus if self.gpus is None else self.gpus)

    def fits(self, node: Mapping[str, float]) -> bool:
        """Whether a node with these resources has as much."""
        return node.get("CPU", 0) >= (self.cpus or 0) and node.get("GPU", 0) >= (self.gpus or 0)

    @property
    def text(self) -> str:
        """For messages: '4 CPUs and 1 GPU'."""
        return f"{self.cpus or 0:g} CPUs and {self.gpus or 0:g} GPUs"


@dataclass(frozen=True)
class RayOptions:
    """Options of the executor, ``-x KEY=VALUE``.

    Args:
        train: What training takes (``train.cpus``, ``train.gpus``); by default the threads and processes of the spec,
            and one GPU per process where the cluster has GPUs.
        answer: What answering test sets and benchmarks takes; by default the threads of the spec, and one GPU where
            the cluster has GPUs.
        score: What scoring a shard of a pool takes; by default one CPU. A scorer with a model needs ``score.gpus=1``,
            and SELKIT_DEVICE=cuda where this machine has no GPU, since scores are stored by the kind of device.
        retries: How often a cell or shard is done again whose node or worker died.
    """

    train: Needs = field(default_factory=Needs)
    answer: Needs = field(default_factory=Needs)
    score: Needs = field(default_factory=lambda: Needs(1, 0))
    retries: int = 3

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> RayOptions:
        """From a mapping of 'train.cpus', 'train.gpus', the same of 'answer' and 'score', and 'retries'.

        Raises:
            UsageError: An option is unknown or no number.
        """
        stages = [f"{stage}.{kind}" for stage in ("train", "answer", "score") for kind in ("cpus", "gpus")]
        refuse_unknown(options, [*stages, "retries"], "ray")
        given = {key: number(options, key, 0) for key in stages if key in options}
        train, answer = (Needs(given.get(f"{s}.cpus"), given.get(f"{s}.gpus")) for s in ("train", "answer"))
        score = Needs(given.get("score.cpus", 1), given.get("score.gpus", 0))
        return cls(train, answer, score, int(number(options, "retries", 3)))


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
            gpus = float(_may_use_gpus(spec) and any(node.get("GPU") for node in _nodes().values()))
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
            _remote(_cell, needs, self.options.retries) for needs in (self.options.train, self.options.answer)
        )
        how = _How.here()
        tasks = {self._submit(job, train, answer, how): job for job in jobs}
        # Waited for in Python and not in Ray, which a signal would leave with an error of its own.
        futures = {task.future(): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield _outcome(future, tasks[futures[future]].label)
        finally:
            _cancel([task for future, task in futures.items() if not future.done()])

    def _submit(self, job: CellJob, train: Any, answer: Any, how: _How) -> Any:
        train, answer = train.options(name=job.label), answer.options(name=job.label)
        if job.training is None:
            return answer.remote(job, how)
        if self.options.train == self.options.answer:
            return train.remote(job, how)
        trained = replace(job, prompts=(), benchmarks=(), keep=True)
        return answer.remote(job, how, train.remote(trained, how))


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
        shard, how = _remote(_shard, self.needs, self.retries), _How.here()
        room = sum(self._room(node) for node in _nodes().values()) + 2
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
            _cancel(list(pending.values()))

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


def _shard(task: ShardTask, how: _How) -> ShardDone:
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


def _remote(function: Any, needs: Needs, retries: int) -> Any:
    """A function as tasks of these needs, done again where a node or worker dies, never for an error of its own."""
    import ray

    # A process that has begun to use one GPU cannot change to another, and holds memory of it until it ends.
    once = {"max_calls": 1} if needs.gpus else {}
    return ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=retries, retry_exceptions=False, **once)(
        function
    )


def _cancel(tasks: Sequence[Any]) -> None:
    import ray

    for task in tasks:
        with suppress(Exception):  # the cluster may be gone
            ray.cancel(task, force=True)


@dataclass(frozen=True)
class _How:
    """What a task takes over from the command: how much is said, and selkit's own settings of the environment."""

    verbose: int
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> _How:
        known = {k: v for k, v in os.environ.items() if k.startswith("SELKIT_") or k == "HF_HUB_OFFLINE"}
        return cls(get_console().verbose, {k: v for k, v in known.items() if "KEY" not in k and "TOKEN" not in k})


def _cell(job: CellJob, how: _How, before: CellOutcome | None = None) -> CellOutcome:
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


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster; one that the process has already is used and left open.

    Raises:
        MissingExtra: ray is not installed.
        DataError: No cluster answers at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtra.of("the executor ray", "ray") from error
    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    try:
        with _own_signals():
            ray.init(address=address, logging_level="ERROR", log_to_driver=get_console().verbose > 0)
    except Exception as error:  # Ray says this with several classes
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        which = "no Ray cluster was found" if address == "auto" else f"the Ray cluster {address} cannot be reached"
        raise DataError(
            f"{which} ({said}): start one with `ray start`, or name its address with --ray-address"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps the handlers of signals over the block, where Ray sets its own, which end the command with another code."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        with suppress(ValueError):  # outside the main thread
            for number_, handler in before.items():
                signal.signal(number_, handler)

    try:
        yield
    except SystemExit as ended:
        restore()
        if ended.code == signal.SIGTERM:  # it arrived in the block, and Ray's handler made this of it
            signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        restore()


def _check_answers(address: str) -> None:
    """Refuses an address at which nobody listens; Ray itself would try for a minute and then end the process."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise DataError(
            f"the Ray cluster {address} cannot be reached ({error.strerror or error}): start it, or name another with "
            "--ray-address"
        ) from error


def check_cluster(needs: Sequence[Needs], store: Store) -> None:
    """Makes sure that some node can do every task, and that those which can have this selkit and this store.

    Raises:
        DataError: They have not; Ray would wait for ever for a node that is large enough.
    """
    nodes = _nodes()
    for need in needs:
        if not any(need.fits(node) for node in nodes.values()):
            largest = max(nodes.values(), key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={})
            have = Needs(largest.get("CPU", 0), largest.get("GPU", 0)).text
            raise DataError(
                f"no node of the Ray cluster has {need.text}, the largest has {have}: ask for less with "
                "-x train.cpus, train.gpus and the like, or add a node"
            )
    store.check_writable()
    probe = store.layout.temporary
    able = [name for name, node in nodes.items() if any(need.fits(node) for need in needs)]
    for name, found in _probed(able, probe).items():
        if (problem := misfit(found, installed(probe))) is not None:
            raise DataError(f"the node {name} of the Ray cluster {problem}")


def installed(folder: Path) -> dict[str, str | None]:
    """Versions of what cells depend on, and whether ``folder`` can be seen: of this process's machine."""
    found: dict[str, str | None] = {"selkit": __version__, "folder": "seen" if folder.is_dir() else None}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def misfit(there: Mapping[str, str | None], here: Mapping[str, str | None]) -> str | None:
    """Why results of a node would not be found again, as the end of a sentence; None where they would."""
    if there["folder"] is None:
        return "does not see the store: put it on a file system that all nodes share, and name it with --store"
    for package, known in here.items():
        if there[package] != known:
            return (
                f"has {package} {there[package] or 'not installed'}, and this machine {known or 'none'}: "
                "install the same versions everywhere, since results are stored by them"
            )
    return None


def _probed(nodes: Sequence[str], folder: Path) -> dict[str, dict[str, str | None]]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ids = {_name(node): node["NodeID"] for node in ray.nodes() if node["Alive"]}
    probe = ray.remote(num_cpus=0, max_retries=0)(installed)
    tasks = {
        name: probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(ids[name], soft=False)).remote(folder)
        for name in nodes
        if name in ids
    }
    found = {}
    for name, task in tasks.items():
        try:
            found[name] = task.future().result(PROBE_SECONDS)
        except Exception as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise DataError(
                f"the node {name} of the Ray cluster cannot run selkit ({said}): install it there"
            ) from error
    return found


def _nodes() -> dict[str, dict[str, float]]:
    """Resources of every node that is alive, by its name."""
    import ray

    found = {_name(node): dict(node["Resources"]) for node in ray.nodes() if node["Alive"]}
    if not found:
        raise SelkitError("the Ray cluster has no node that is alive: look at `ray status`")
    return found


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})"
