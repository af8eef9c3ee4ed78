"""Where cells are done: options of the executors, a worker that is killed, and signals to the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from patience import PATIENCE, until

from selkit.api import UsageError
from selkit.experiment import parse_spec, plan
from selkit.experiment.executors import (
    LocalExecutor,
    RayExecutor,
    RayOptions,
    SlurmExecutor,
    SlurmOptions,
    make_executor,
    parse_options,
)
from selkit.experiment.executors.local import default_workers, gpu_slots, visible_gpus
from selkit.experiment.executors.ray.cluster import connected, misfit
from selkit.experiment.executors.ray.options import Needs
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


def test_options_are_read_as_in_yaml() -> None:
    """Numbers are numbers, texts are texts, lists are lists."""
    given = ["partition=gpu", "time=90", "mem_gb=1.5", "exclusive=true", "setup=[module load cuda]", "comment=a=b"]
    assert parse_options(given) == {
        "partition": "gpu",
        "time": 90,
        "mem_gb": 1.5,
        "exclusive": True,
        "setup": ["module load cuda"],
        "comment": "a=b",
    }


@pytest.mark.parametrize(
    ("name", "given", "address", "said"),
    [
        ("local", ["partition=gpu"], None, "The executor local has no option 'partition'. It has none."),
        ("local", [], "auto", "--ray-address is an option of --executor ray: add that, or leave it out"),
        ("ray", ["train.gpu=1"], None, "The executor ray has no option 'train.gpu'. Did you mean 'train.gpus'?"),
        ("ray", ["train.gpus=-1"], None, "the executor's option 'train.gpus' is a number of at least 0, not -1"),
        ("slurm", ["cells_per_job=0"], None, "the executor's option 'cells_per_job' is a number of at least 1, not 0"),
        ("slurm", ["cluster=cloud"], None, "the executor's option 'cluster' is 'slurm' or 'local', not 'cloud'"),
        ("slurm", ["partition"], None, "'partition' is not of the form KEY=VALUE, e.g. -x partition=gpu"),
        ("slurm", ["qos=a", "qos=b"], None, "the executor's option 'qos' is given twice: keep one"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, name: Any, given: list[str], address: str | None, said: str) -> None:
    """In a sentence that says what there is."""
    with pytest.raises(UsageError) as refusal:
        make_executor(name, parse_options(given), resources=(1, 1), folder=tmp_path, ray_address=address)
    assert str(refusal.value) == said


def test_options_reach_their_executor(tmp_path: Path) -> None:
    """What is not given is left for the spec and the cluster to decide."""
    resources = (3, 2)
    assert make_executor("local", {}, resources=resources, folder=tmp_path) == LocalExecutor(3, 2)
    ray = make_executor("ray", {"train.gpus": 4, "retries": 1}, resources=resources, folder=tmp_path)
    assert ray == RayExecutor(RayOptions(Needs(None, 4), Needs(), retries=1), "auto")
    slurm = make_executor("slurm", {"partition": "gpu", "cells_per_job": 8}, resources=resources, folder=tmp_path)
    assert slurm == SlurmExecutor(SlurmOptions({"partition": "gpu"}, "slurm", 8, 3), tmp_path / "slurm")


def test_the_device_that_cells_compute_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It stands in the keys before any worker runs: declared by the spec, the options, or what is here."""
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    plain, gpu, cpu = (parse_spec({**SPEC, **more}) for more in ({}, {"device": "cuda"}, {"device": "cpu"}))
    assert LocalExecutor(1, 1).device(plain) == LocalExecutor(1, 1).device(cpu) == "cpu"
    with pytest.raises(UsageError, match="device: cuda asks for a GPU, and torch finds none here: leave it out"):
        LocalExecutor(1, 1).device(gpu)
    on_gpus = RayExecutor(RayOptions(Needs(1, 2), Needs(1, 1)))
    on_cpus = RayExecutor(RayOptions(Needs(1, 0), Needs(1, 0)))
    assert (on_gpus.device(plain), on_cpus.device(plain), on_gpus.device(gpu)) == ("cuda", "cpu", "cuda")
    with pytest.raises(UsageError, match="device: cpu is asked for, and the cells are given GPUs"):
        on_gpus.device(cpu)
    with pytest.raises(UsageError, match="training is given 2 GPUs and answering 0, and a cell has one kind"):
        RayExecutor(RayOptions(Needs(1, 2), Needs(1, 0))).device(plain)
    monkeypatch.setenv("SELKIT_DEVICE", "mps")
    with pytest.raises(UsageError, match="cells run on cpu or cuda, and SELKIT_DEVICE is 'mps'"):
        LocalExecutor(1, 1).device(plain)
    monkeypatch.setenv("SELKIT_DEVICE", "cuda:1")
    monkeypatch.setattr("selkit.experiment.executors.local.has_gpu", lambda: True)
    assert LocalExecutor(1, 1).device(plain) == LocalExecutor(1, 1).device(gpu) == "cuda"
    assert LocalExecutor(1, 1).device(cpu) == "cpu"


@pytest.mark.parametrize(
    ("options", "device"),
    [
        ({}, "cpu"),
        ({"partition": "long", "gpus_per_node": 0}, "cpu"),
        ({"gpus_per_node": 1}, "cuda"),
        ({"partition": "GPU-short"}, "cuda"),
        ({"additional_parameters": {"gres": "gpu:a100:1"}}, "cuda"),
    ],
)
def test_slurm_jobs_compute_on_gpus_where_they_ask_for_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any], device: str
) -> None:
    """The machine that submits may have none; the spec and the environment come first."""
    monkeypatch.delenv("SELKIT_DEVICE", raising=False)
    spec, executor = parse_spec(SPEC), SlurmExecutor(SlurmOptions.of(options), tmp_path)
    assert executor.device(spec) == device
    assert executor.device(spec.model_copy(update={"device": "cuda"})) == "cuda"
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    assert executor.device(spec) == "cpu"


def test_a_node_must_have_everything_a_task_needs() -> None:
    """Processors and GPUs on one node; what is not asked for counts as nothing."""
    assert Needs(4, 1).fits({"CPU": 4, "GPU": 2})
    assert not Needs(4, 1).fits({"CPU": 16})
    assert not Needs(4, 1).fits({"CPU": 2, "GPU": 8})
    assert Needs().fits({})
    assert Needs(gpus=2).settled(8, 1) == Needs(8, 2)


def test_a_node_with_other_versions_or_without_the_store_does_not_fit() -> None:
    """Its results would be stored under other keys, or nowhere that anybody sees."""
    here = {"selkit": "1.0", "torch": "2.13.0", "folder": "seen"}
    assert misfit(here, here) is None
    assert "has torch 2.12.0, and this machine 2.13.0" in str(misfit({**here, "torch": "2.12.0"}, here))
    assert "has torch not installed" in str(misfit({**here, "torch": None}, here))
    assert "does not see the store" in str(misfit({**here, "folder": None}, here))


def test_workers_share_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker a GPU, or a group of GPUs where several processes train a model; the processor alone has none."""
    monkeypatch.delenv("SELKIT_DEVICE", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3, GPU-5d")
    assert visible_gpus() == ["0", "3", "GPU-5d"]
    assert default_workers() == (3, 1)
    assert gpu_slots(["0", "3", "GPU-5d"], 3, 1) == ["0", "3", "GPU-5d"]
    assert gpu_slots(["0", "1", "2", "3"], 2, 2) == ["0,1", "2,3"]
    assert gpu_slots(["0", "1"], 3, 1) == ["0", "1", "0"]
    assert gpu_slots(["0"], 2, 2) == ["0", "0"]
    assert gpu_slots([], 2, 1) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    assert default_workers() == (os.cpu_count(), 1)


def test_a_signal_while_ray_connects_is_the_command_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray sets one that ends the process with code 15; the one before has its say all the same, and stays."""

    class Terminated(KeyboardInterrupt):
        """What the command's handler raises."""

    def handler(*signalled: Any) -> None:
        raise Terminated

    def init(**options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        os.kill(os.getpid(), signal.SIGTERM)

    stand_in = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(Terminated), connected("local"):
            pass
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def children(parent: int) -> list[int]:
    """The worker processes of a process: those that multiprocessing spawned to run something."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode()
            status = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(status[1]) == parent and "spawn_main" in words:
            found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_killed_worker_costs_no_cell(tmp_path: Path, capsys: Any) -> None:
    """Scenario 43: the others go on with fewer workers, and what it was doing is done again."""
    pytest.importorskip("trl")
    pytest.importorskip("sacrebleu")
    store = Store(tmp_path / "store")
    jobs = plan(parse_spec(SPEC), store).missing

    def kill() -> None:
        until(lambda: any(store.artifacts(stage="training")))
        os.kill(children(os.getpid())[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = list(LocalExecutor(2, 1).run(jobs))
    killer.join()
    assert sorted(outcome.label for outcome in outcomes) == sorted(job.label for job in jobs)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    assert "going on with 1 worker" in capsys.readouterr().err
    assert not plan(parse_spec(SPEC), store).missing


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_signals_end_the_command_and_lose_nothing(tmp_path: Path) -> None:
    """Scenario 7 for a run: 143 and 130, no worker lives on, and the same command does what is left and no more."""
    pytest.importorskip("trl")
    pytest.importorskip("sacrebleu")
    spec = SPEC | {"runs": {"random": 6, "oracle": 2}}
    (tmp_path / "spec.yaml").write_text(json.dumps(spec), encoding="utf-8")
    store = Store(tmp_path / "store")
    command = [sys.executable, "-m", "selkit", "run", "spec.yaml", "-q", "-o", "out", "--store", str(store.root)]
    finished: dict[str, Any] = {}

    def answered() -> int:
        return len(list(store.artifacts(stage="responses")))

    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        before = answered()
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        # One more than there was: a signal before Python has begun would end it as signals end every process.
        until(lambda: answered() > before or process.poll() is not None)  # noqa: B023
        assert process.poll() is None
        workers = children(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, said
        assert "the same command takes up what it finished" in said
        assert workers
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        kept = {a.digest: a.manifest["measured"] for a in store.artifacts() if a.manifest["stage"] != "weights"}
        assert {key: kept[key] for key in finished} == finished
        finished = kept
    assert subprocess.run(command, cwd=tmp_path, check=False, timeout=900).returncode == 0
    assert {key: artifact.manifest["measured"] for key in finished if (artifact := store.get(key))} == finished
