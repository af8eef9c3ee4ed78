"""Cells on a Ray cluster of two nodes (on this machine): the same report, and a node that dies costs only its cells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("trl")
pytest.importorskip("sacrebleu")

import sharded
from patience import PATIENCE, settled, until
from toys import make_pool

from selkit.api import DataError
from selkit.experiment import parse_spec, plan, run_experiment
from selkit.experiment.executors import LocalExecutor, RayExecutor, RayOptions
from selkit.experiment.executors.ray import ray_shards
from selkit.experiment.executors.ray.options import Needs
from selkit.select import Scores, select
from selkit.store import Store

pytestmark = pytest.mark.slow

SPEC = {
    "name": "tiny",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 4, "batch_size": 8},
    "selectors": ["random", "oracle"],
    "budgets": [20],
    "runs": {"random": 2, "oracle": 1},
    "testsets": {"planted": {"prompts": 6, "max_new_tokens": 4}},
    "workers": 2,
    "threads": 1,
}


# Workers get their share of a machine that is busy with other tests: Ray would let everything else go first. And a node
# that is gone is seen so within five seconds, not fifteen; one that is only slow still has its time.
CLUSTER = {"worker_niceness": 0, "health_check_period_ms": 1000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors; workers find the scorers of the tests."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(sharded.__file__).parent), prepend=os.pathsep)
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": CLUSTER}
        started = Cluster(initialize_head=True, head_node_args=head)
        yield started
        started.shutdown()


@pytest.fixture
def nodes(cluster: Any) -> list[Any]:
    """Two nodes of one processor each; where a test has killed one, there is another for the next."""
    while len(cluster.worker_nodes) < 2:
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes(timeout=PATIENCE)  # and until nobody counts on those that are gone
    return list(cluster.worker_nodes)


@pytest.fixture
def node_with_gpus(cluster: Any) -> Iterator[Callable[[], None]]:
    """Adds a node that says that it has two GPUs; it goes with the test."""
    added: list[Any] = []
    yield lambda: added.append(cluster.add_node(num_cpus=1, num_gpus=2))
    for node in added:
        cluster.remove_node(node)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of the same experiment on this machine, without what is measured."""
    folder = tmp_path_factory.mktemp("local")
    store, executor = Store(folder / "store"), LocalExecutor(1, 1)
    return {**run_experiment(parse_spec(SPEC), folder / "out", store=store, executor=executor), "measured": None}


def started(store: Store) -> dict[str, Any]:
    """What was measured when each finished result was made: another time it would be another second and memory."""
    kept = (artifact for artifact in store.artifacts() if artifact.manifest["stage"] != "weights")
    return {artifact.digest: artifact.manifest["measured"] for artifact in kept}


def test_two_nodes_give_the_report_of_one_machine(
    tmp_path: Path, cluster: Any, nodes: list[Any], local: dict[str, Any]
) -> None:
    """Training and answering as tasks of their own resources; the same command again does nothing."""
    spec, store = parse_spec(SPEC), Store(tmp_path / "store")
    executor = RayExecutor(RayOptions.of({"answer.cpus": 0.9}), cluster.address)
    assert {**run_experiment(spec, tmp_path / "out", store=store, executor=executor), "measured": None} == local
    assert not list(store.artifacts(stage="weights"))
    before = started(store)
    again = RayExecutor(RayOptions(), cluster.address)
    assert {**run_experiment(spec, tmp_path / "out", store=store, executor=again), "measured": None} == local
    assert started(store) == before


def test_a_node_that_dies_costs_only_its_running_cells(
    tmp_path: Path, cluster: Any, nodes: list[Any], local: dict[str, Any]
) -> None:
    """Scenario 54: what was finished when it died is not done again, its running cell is done elsewhere."""
    spec, store = parse_spec(SPEC), Store(tmp_path / "store")
    finished: dict[str, Any] = {}

    def kill() -> None:
        until(lambda: any(store.artifacts(stage="responses")))
        finished.update(started(store))
        cluster.remove_node(nodes[0], allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    document = run_experiment(spec, tmp_path / "out", store=store, executor=RayExecutor(RayOptions(), cluster.address))
    killer.join()
    assert {**document, "measured": None} == local
    after = started(store)
    assert finished
    # The results of a cell that was on its way when it died may be there twice in time, never those that were finished.
    assert {key: after[key] for key in finished} == finished
    assert not plan(spec, store).missing


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_the_command_with_its_own_code(
    tmp_path: Path, cluster: Any, nodes: list[Any], number: int, code: int
) -> None:
    """Scenario 7 on a cluster: Ray has handlers of its own; what was finished stays, the cluster leaves the rest."""
    spec = {**SPEC, "runs": {"random": 9, "oracle": 1}}
    (tmp_path / "spec.yaml").write_text(json.dumps(spec), encoding="utf-8")
    store = Store(tmp_path / "store")
    where = ["--executor", "ray", "--ray-address", cluster.address, "--store", str(store.root)]
    command = [sys.executable, "-m", "selkit", "run", "spec.yaml", "-q", "-o", "out", *where]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: any(store.artifacts(stage="training")) or process.poll() is not None)
            assert process.poll() is None, process.communicate()[1]
            process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == code, said
    assert "the same command takes up what it finished" in said
    assert settled(lambda: started(store))
    assert plan(parse_spec(spec), store).missing


def test_shards_of_a_pool_are_scored_on_the_cluster(
    tmp_path: Path, cluster: Any, nodes: list[Any], node_with_gpus: Callable[[], None]
) -> None:
    """The scores of one process, by workers that are kept; a task on a GPU gets one, and a process of its own."""
    pool = make_pool(300)
    expected = select(pool, sharded.Telling(), 40, store=Store(tmp_path / "one"))
    found = {}
    for name, options in (("cpu", {}), ("gpu", {"score.gpus": 1})):
        store = Store(tmp_path / name)
        if options:
            node_with_gpus()
        with ray_shards(cluster.address, RayOptions.of(options), store):
            assert select(pool, sharded.Telling(), 40, store=store).ids == expected.ids
        (artifact,) = store.artifacts(stage="scores")
        found[name] = [row.details for _, row in Scores(artifact.file("scores.parquet")).rows()]
    assert len({told["process"] for told in found["cpu"]}) <= 2
    assert len({told["process"] for told in found["gpu"]}) == -(-300 // 64)
    assert {told["gpu"] for told in found["gpu"]} <= {0.0, 1.0}


def test_what_no_node_has_is_refused_at_once(tmp_path: Path, cluster: Any, nodes: list[Any]) -> None:
    """Ray would wait for such a node for ever."""
    executor = RayExecutor(RayOptions(train=Needs(gpus=3)), cluster.address)
    begun = time.monotonic()
    with pytest.raises(DataError, match="no node of the Ray cluster has 1 CPUs and 3 GPUs"):
        run_experiment(parse_spec(SPEC), tmp_path / "out", store=Store(tmp_path / "store"), executor=executor)
    assert time.monotonic() - begun < 30


def test_a_cluster_that_is_not_there_is_said_within_seconds(tmp_path: Path) -> None:
    """Scenario 56: in one sentence; Ray itself would try for a minute and then end the process."""
    executor = RayExecutor(RayOptions(), "127.0.0.1:9")
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"127.0.0.1:9 cannot be reached .*: start it, or name another"):
        run_experiment(parse_spec(SPEC), tmp_path / "out", store=Store(tmp_path / "store"), executor=executor)
    assert time.monotonic() - begun < 30
