"""kill -9 at random moments of a small experiment, each followed by the same run: the same report, nothing twice.

    python bench/kill.py [--kills 30] [--seed 0]

The experiment (planted pool, a very small model, five trainings, stages of a fraction of a second) is run once in
peace. Then, for every kill, it is run in a new store, killed at a random moment of that time, and run again to its end.
Checked each time: report.json is byte for byte that of the run in peace outside `measured`, as are report.md before its
section of measurements and scores.parquet; no stage that was finished at the kill has run again; nothing half-made is
left. Libraries are loaded once: every run is a fork of this process, so that the kills fall into the
experiment and not into imports, and cells run in that process, so that a kill takes them with it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selkit.experiment import parse_spec, run_experiment
from selkit.experiment.cells.job import CellJob
from selkit.experiment.executors import CellOutcome, LocalExecutor
from selkit.experiment.executors.base import attempt
from selkit.store import Store

SPEC: Mapping[str, Any] = {
    "name": "killed",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
    "model": "tiny:words?hidden=16&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 8},
    "selectors": ["random", "oracle", "strict-random"],
    "budgets": [10],
    "runs": {"random": 2, "default": 1},
    "testsets": {"planted": {"prompts": 6, "max_new_tokens": 4}},
    "threads": 1,
}


class Inline(LocalExecutor):
    """Does cells one after the other in this process."""

    def __init__(self) -> None:
        super().__init__(workers=1, threads=1)

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Every cell in turn."""
        for job in jobs:
            yield attempt(job)


def begin(folder: Path) -> int:
    """Starts the experiment in a process of its own, with store and report below ``folder``; returns its id."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        with open(folder / "log", "a") as log:
            os.dup2(log.fileno(), 2)
            os.dup2(log.fileno(), 1)
        _run(folder)
        code = 0
    finally:
        os._exit(code)


def _run(folder: Path) -> None:
    run_experiment(parse_spec(SPEC), folder / "out", store=Store(folder / "store"), executor=Inline())


def finish(pid: int, folder: Path) -> None:
    """Waits for a run. Raises SystemExit where it failed."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise SystemExit(f"a run ended with {code}:\n{(folder / 'log').read_text()}")


def report_of(folder: Path) -> dict[str, bytes]:
    """What must be the same: report.json and report.md without what was measured, and the score table."""
    document = json.loads((folder / "out/report/report.json").read_text("utf-8")) | {"measured": None}
    markdown = (folder / "out/report/report.md").read_text("utf-8").partition("\n## Measured")[0]
    scores = (folder / "out/scores.parquet").read_bytes()
    return {"report.json": json.dumps(document).encode(), "report.md": markdown.encode(), "scores": scores}


def finished(store: Store) -> dict[str, Any]:
    """When every finished result but weights, which go after use, was made."""
    return {one.digest: one.manifest["measured"] for one in store.artifacts() if one.manifest["stage"] != "weights"}


def check(folder: Path, before: Mapping[str, Any], calm: Mapping[str, bytes]) -> None:
    """Asserts all that must hold after a killed run was finished."""
    store = Store(folder / "store")
    assert report_of(folder) == calm, f"another report in {folder}"
    after = finished(store)
    assert {digest: after.get(digest) for digest in before} == before, "a finished stage ran again"
    rows = Counter(row.key for row in store.ledger() if row.resource == "wall_seconds")
    assert max(rows.values()) == 1, "the ledger has a stage twice"
    assert store.verify() == [], "a damaged result"
    assert not list(store.artifacts(stage="weights")), "weights stayed"
    left = [path for name in ("tmp", "partial", "corrupt") for path in (store.root / name).glob("*")]
    assert not left, f"left behind: {left}"


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # a fork takes no threads along
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        _run(Path(place) / "first")  # loads whatever is imported on the way
        gc.freeze()  # a training collects garbage, which takes longer than these stages over all that is loaded
        calm = Path(place) / "calm"
        calm.mkdir()
        started = time.monotonic()
        finish(begin(calm), calm)
        seconds = time.monotonic() - started
        wanted, stages = report_of(calm), len(finished(Store(calm / "store")))
        found = Counter(
            _killed(Path(place) / f"{kill}", rng.uniform(0, seconds), wanted) for kill in range(given.kills)
        )
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{given.kills} kills within {seconds:.1f} s of {stages} stages: every time the same report, nothing twice")
    print(f"stages finished at the kills: {dict(sorted(found.items()))}; at most {memory:.2f} GB")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")


def _killed(folder: Path, seconds: float, wanted: Mapping[str, bytes]) -> int:
    """One kill and the run after it; returns how many stages were finished at the kill."""
    folder.mkdir()
    pid = begin(folder)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    before = finished(Store(folder / "store"))
    finish(begin(folder), folder)
    check(folder, before, wanted)
    return len(before)


if __name__ == "__main__":
    main()
