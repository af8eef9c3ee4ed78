"""Cells as jobs of submitit, with its executor for one machine: the same report, a job that dies, a preempted one.

Jobs are processes here; Slurm itself would run the same pickled callable and send the same signal.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from patience import until

pytest.importorskip("submitit")
pytest.importorskip("trl")
pytest.importorskip("sacrebleu")

from selkit.api import DataError, UsageError
from selkit.experiment import parse_spec, plan, run_experiment
from selkit.experiment.executors import SlurmExecutor, SlurmOptions
from selkit.store import Store

SPEC: dict[str, Any] = {
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
LOCAL = {"cluster": "local", "cells_per_job": 2}


def executor(folder: Path, **options: Any) -> SlurmExecutor:
    """The executor with jobs of two cells each, as processes of this machine."""
    return SlurmExecutor(SlurmOptions.of(LOCAL | options), folder / "slurm")


def processes(folder: Path) -> list[int]:
    """The processes that run the jobs below ``folder``, without those that watch over them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "submitit.core._submit" in words and str(folder / "slurm") in words:
            found.append(int(entry.name))
    return sorted(found)


def when_half_done(store: Store, folder: Path, number: int) -> tuple[threading.Thread, dict[str, Any]]:
    """Sends a signal to the first job as soon as one cell is finished and another one trains; and what was finished."""
    finished: dict[str, Any] = {}

    def send() -> None:
        until(lambda: any(store.artifacts(stage="responses")))
        finished.update(measured(store))
        os.kill(processes(folder)[0], number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread, finished


def measured(store: Store) -> dict[str, Any]:
    """What was measured when each finished result was made: another time it would be another second and memory."""
    kept = (artifact for artifact in store.artifacts() if artifact.manifest["stage"] != "weights")
    return {artifact.digest: artifact.manifest["measured"] for artifact in kept}


@pytest.mark.slow
def test_a_preempted_job_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Scenarios 9 and 58: SIGUSR2 puts the job back into the queue; its finished cells stay, the report is a calm
    run's."""
    spec, store = parse_spec(SPEC), Store(tmp_path / "store")
    thread, finished = when_half_done(store, tmp_path, signal.SIGUSR2)
    document = run_experiment(spec, tmp_path / "out", store=store, executor=executor(tmp_path))
    thread.join()
    assert finished
    assert {key: measured(store)[key] for key in finished} == finished
    assert not document["failures"]
    logs = [path.read_text("utf-8") for path in (tmp_path / "slurm").rglob("*_log.*")]
    assert sum("Requeued job" in log for log in logs) == 1
    calm = run_experiment(spec, tmp_path / "calm", store=Store(tmp_path / "other"))
    assert {**document, "measured": None} == {**calm, "measured": None}


@pytest.mark.slow
def test_a_job_that_dies_is_reported_and_done_by_the_same_command(tmp_path: Path) -> None:
    """Scenario 54: its unfinished cells have failed with the place of the log; what it finished counts; the others
    stand."""
    spec, store = parse_spec(SPEC), Store(tmp_path / "store")
    thread, finished = when_half_done(store, tmp_path, signal.SIGKILL)
    document = run_experiment(spec, tmp_path / "out", store=store, executor=executor(tmp_path))
    thread.join()
    assert 1 <= len(document["failures"]) <= 2
    assert "ended without a result" in document["failures"][0]["error"]
    assert Path(document["failures"][0]["error"].rpartition("its log is ")[2]).is_file()
    assert {failure["cell"] for failure in document["failures"]} == {job.label for job in plan(spec, store).missing}
    again = run_experiment(spec, tmp_path / "out", store=store, executor=executor(tmp_path))
    assert not again["failures"]
    assert {key: measured(store)[key] for key in finished} == finished


def test_a_machine_without_slurm_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is selected, with a way to try."""
    monkeypatch.setenv("PATH", str(tmp_path))
    spec, store = parse_spec(SPEC), Store(tmp_path / "store")
    with (
        pytest.raises(DataError, match=r"there is no Slurm here .*-x cluster=local"),
        executor_open(tmp_path, spec, store),
    ):
        pass


def executor_open(folder: Path, spec: Any, store: Store) -> Any:
    """The executor for Slurm itself, opened."""
    return SlurmExecutor(SlurmOptions.of({"partition": "gpu"}), folder / "slurm").open(spec, store)


def test_an_option_that_submitit_does_not_know_is_refused(tmp_path: Path) -> None:
    """With the ones that it knows; and a wrong type."""
    spec, store = parse_spec(SPEC), Store(tmp_path / "store")
    with (
        pytest.raises(UsageError, match=r"slurm_partiton.*partition"),
        executor(tmp_path, partiton="gpu").open(spec, store),
    ):
        pass
    with pytest.raises(UsageError, match="timeout_min"), executor(tmp_path, timeout_min="long").open(spec, store):
        pass
    with executor(tmp_path, partition="gpu", array_parallelism=4).open(spec, store):
        pass
