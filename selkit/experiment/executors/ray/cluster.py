"""The connection to a Ray cluster that is there already, and whether its nodes can do the work."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import DataError, MissingExtra, SelkitError
from selkit.console import get_console
from selkit.experiment.executors.ray.options import Needs
from selkit.store import Store

CONNECT_SECONDS = 3.0
"""How long an address may take to answer."""

PROBE_SECONDS = 180.0
"""How long a node may take to start a worker that says what it has; Ray gives workers what a busy machine has left."""

_PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed")


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
    alive = nodes()
    for need in needs:
        if not any(need.fits(node) for node in alive.values()):
            largest = max(alive.values(), key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={})
            have = Needs(largest.get("CPU", 0), largest.get("GPU", 0)).text
            raise DataError(
                f"no node of the Ray cluster has {need.text}, the largest has {have}: ask for less with "
                "-x train.cpus, train.gpus and the like, or add a node"
            )
    store.check_writable()
    probe = store.layout.temporary
    able = [name for name, node in alive.items() if any(need.fits(node) for need in needs)]
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


def _probed(names: Sequence[str], folder: Path) -> dict[str, dict[str, str | None]]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ids = {_name(node): node["NodeID"] for node in ray.nodes() if node["Alive"]}
    probe = ray.remote(num_cpus=0, max_retries=0)(installed)
    tasks = {
        name: probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(ids[name], soft=False)).remote(folder)
        for name in names
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


def nodes() -> dict[str, dict[str, float]]:
    """Resources of every node that is alive, by its name."""
    import ray

    found = {_name(node): dict(node["Resources"]) for node in ray.nodes() if node["Alive"]}
    if not found:
        raise SelkitError("the Ray cluster has no node that is alive: look at `ray status`")
    return found


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})"
