"""What a cell costs beside its stages: on a Ray cluster, and in a worker process of this machine.

    python bench/ray_overhead.py [--cells 12]

Does the same small cells on a Ray cluster with one node of one processor and with the local executor's one worker, each
into a store of its own; asserts that both leave the same answers; and prints the seconds per cell that are not in a
stage (training, answering). The start of the one worker is among them, spread over the cells.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from selkit.experiment import parse_spec, plan
from selkit.experiment.cells.job import CellJob, cell_keys
from selkit.experiment.cells.work import RESPONSES
from selkit.experiment.executors import Executor, LocalExecutor, RayExecutor, RayOptions
from selkit.store import Store


def spec_of(cells: int) -> dict[str, object]:
    """An experiment of so many small cells: an anchor, and runs of random."""
    return {
        "name": "small",
        "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
        "model": "tiny:words?hidden=32&layers=1",
        "recipe": {"preset": "quickstart", "max_steps": 4, "batch_size": 8},
        "selectors": ["random"],
        "budgets": [20],
        "runs": {"random": cells - 1},
        "testsets": {"planted": {"prompts": 12, "max_new_tokens": 6}},
        "threads": 1,
    }


def measure(executor: Executor, cells: int, folder: Path) -> tuple[float, float, dict[str, bytes]]:
    """Seconds until the executor is open, seconds per cell beside its stages, and every cell's answers."""
    spec, store = parse_spec(spec_of(cells)), Store(folder)
    asked = time.perf_counter()
    with executor.open(spec, store):
        opened = time.perf_counter() - asked
        jobs = plan(spec, store).missing
        before, started = _stage_seconds(store), time.perf_counter()
        outcomes = list(executor.run(jobs))
        seconds = time.perf_counter() - started - (_stage_seconds(store) - before)
    assert not [outcome for outcome in outcomes if outcome.error], outcomes
    return opened, seconds / cells, {job.label: _answers(job, store) for job in jobs}


def _stage_seconds(store: Store) -> float:
    return sum(row.quantity for row in store.ledger() if row.resource == "wall_seconds")


def _answers(job: CellJob, store: Store) -> bytes:
    found = [store.find(key) for key in cell_keys(job) if key.stage == "responses"]
    return b"".join(artifact.file(RESPONSES).read_bytes() for artifact in found if artifact)


def main() -> None:
    """Measures both executors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=12)
    cells = parser.parse_args().cells
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, executor in (("ray", RayExecutor(RayOptions(), cluster.address)), ("local", LocalExecutor(1, 1))):
            found[kind] = measure(executor, cells, Path(name) / kind)
    cluster.shutdown()
    assert found["ray"][2] == found["local"][2]
    assert all(found["ray"][2].values())
    load = os.getloadavg()[0]
    print(f"{cells} cells, {os.cpu_count()} cores at load {load:.1f}, {platform.machine()}")
    for kind, (opened, each, _) in found.items():
        print(f"{kind:<6} {each:5.2f} s a cell beside its stages, its worker's start included; {opened:4.1f} s to open")


if __name__ == "__main__":
    main()
