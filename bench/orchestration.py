"""Seconds of planning, of running a finished experiment again, and of what a cell costs beside its stages.

    python bench/orchestration.py [--cells 200]

Runs in a temporary folder with a store of its own: an experiment of small cells on one worker, twice. Checks first that
the second run stores nothing and writes the same report outside `measured`.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from selkit.experiment import parse_spec, run_experiment
from selkit.experiment.outlook.estimate import estimate
from selkit.experiment.outlook.survey import survey
from selkit.experiment.setup.experiment import prepare
from selkit.store import Store

SPEC: dict[str, Any] = {
    "name": "orchestration",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 300}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 1, "batch_size": 4},
    "selectors": ["random", "oracle", "longest", "strict-random"],
    "budgets": [20],
    "testsets": {"planted": {"prompts": 4, "max_new_tokens": 4}},
    "workers": 1,
    "threads": 1,
}


def spec_of(cells: int, budgets: int = 1) -> dict[str, Any]:
    """The spec with about that many cells: four arms with the same number of runs at each budget."""
    runs = max(3, cells // (4 * budgets))
    return {**SPEC, "budgets": [20 + 10 * n for n in range(budgets)], "runs": {"random": runs, "default": runs}}


def planning(store: Store) -> tuple[float, float, int]:
    """Wall and processor seconds of a plan of 1,000 cells with its estimate, nothing of it stored, and its cells."""
    started, busy = time.perf_counter(), time.process_time()
    found = survey(prepare(parse_spec(spec_of(1000, 5)), store))
    estimate(found)
    return time.perf_counter() - started, time.process_time() - busy, len(found.cells)


def stages_of(store: Store, since: set[str]) -> float:
    """Seconds that the results which are not in ``since`` took to make, by their own clocks."""
    return sum(
        float(one.manifest["measured"]["wall_seconds"]) for one in store.artifacts() if one.digest not in since
    ) + sum(row.quantity for row in store.ledger() if row.stage == "weights" and row.resource == "wall_seconds")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=200)
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planned, busy, number = planning(Store(folder / "planned"))
        print(f"plan of {number} cells: {planned:.2f} s, {busy:.2f} s of a processor", flush=True)
        spec, root = parse_spec(spec_of(cells)), folder / "store"
        started = time.perf_counter()
        first = run_experiment(spec, folder / "first", store=Store(root))
        took = time.perf_counter() - started
        made = {one.digest for one in Store(root).artifacts()}
        work = stages_of(Store(root), set())
        started = time.perf_counter()
        second = run_experiment(spec, folder / "second", store=Store(root))
        again = time.perf_counter() - started
        assert {one.digest for one in Store(root).artifacts()} == made
        assert {**first, "measured": None} == {**second, "measured": None}
    done = len(first["training"])
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(f"{done} cells: {took:.1f} s, of which {work:.1f} s by the stages' own clocks")
    print(f"beside the stages: {(took - work) / done:.2f} s a cell, with the start of the worker and its imports")
    print(f"the same again:    {again:.2f} s")


if __name__ == "__main__":
    main()
