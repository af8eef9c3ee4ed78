"""Several processes that train one model: the same as one, halved together, resumed together, ended together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE, until
from processes import alive, children

from selkit.api import MissingExtra, Pool, UsageError, WorkFailed
from selkit.pools import write_jsonl
from selkit.train import Recipe, TrainReport, check_training, machine, train

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

Make = Callable[..., Recipe]
Digest = Callable[[Path], str]

CRAMPED = """
import os
if os.environ.get("RANK") == "1":
    import torch
    real = torch.nn.Embedding.forward
    def forward(self, tokens):
        if len(tokens) > ROWS:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return real(self, tokens)
    torch.nn.Embedding.forward = forward
"""
"""In every Python that starts: the embedding of process 1 takes no more than ROWS rows."""


def fit(model: str, pool: Pool, recipe: Recipe, output: Path, **options: Any) -> TrainReport:
    """Trains with one thread a process."""
    return train(model, pool, recipe, output, **{"seed": 3, "device": "cpu", "threads": 1} | options)


def losses(report: TrainReport) -> list[float]:
    """The loss of every step."""
    return [loss for _, loss in report.loss_curve]


def weights(folder: Path) -> dict[str, Any]:
    """The weights in a model folder, as any engine loads them."""
    from transformers import AutoModelForCausalLM

    return dict(AutoModelForCausalLM.from_pretrained(folder).state_dict())


@pytest.fixture
def cramped(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets process 1 run out of memory above so many rows."""

    def limit(rows: int) -> None:
        folder = tmp_path_factory.mktemp("site")
        (folder / "sitecustomize.py").write_text(CRAMPED.replace("ROWS", str(rows)))
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    return limit


@pytest.mark.slow
def test_two_processes_do_what_one_does(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> None:
    """Eleven rows in batches of four, so that the last of a pass is short: the same curve, the same whole weights."""
    small = recipe(epochs=2, micro_batch=1)
    pool = rows.take(rows.ids[:11])
    one = fit(model, pool, small, tmp_path / "one")
    two = fit(model, pool, small, tmp_path / "two", processes=2)
    assert (one.processes, one.accumulation, two.processes, two.accumulation) == (1, 4, 2, 2)
    assert (two.steps, two.epochs, two.deepspeed, two.threads) == (6, 2.0, None, 1)
    assert losses(two) == pytest.approx(losses(one), abs=1e-3)
    expected, found = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert expected.keys() == found.keys()
    assert all(torch.allclose(found[name], weight, atol=1e-3) for name, weight in expected.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.slow
def test_a_batch_too_large_for_one_process_is_halved_in_all(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, cramped: Callable[[int], None]
) -> None:
    """Process 1 runs out of memory: all start again with half of the rows at once, and the curve stays."""
    whole = fit(model, rows, recipe(), tmp_path / "whole")
    cramped(1)
    halved = fit(model, rows, recipe(), tmp_path / "halved", processes=2)
    assert (whole.halvings, halved.halvings) == (0, 1)
    assert (halved.micro_batch, halved.accumulation, halved.batch_size) == (1, 2, 4)
    assert losses(halved) == pytest.approx(losses(whole), abs=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halved", "whole"]


@pytest.mark.slow
def test_one_row_too_large_for_one_process_is_the_end(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, cramped: Callable[[int], None]
) -> None:
    """Scenario 41: halved down to one row, the failure is the sentence that one process gives, and nothing is left."""
    cramped(0)
    with pytest.raises(WorkFailed, match=r"one sequence of \d+ tokens does not fit into memory: lower max_length"):
        fit(model, rows, recipe(batch_size=2), tmp_path / "out", processes=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_divergence_in_several_processes_stops_at_its_step(
    model: str, rows: Pool, recipe: Make, tmp_path: Path
) -> None:
    """A loss that is no number ends all of them, with the sentence that one process gives."""
    with pytest.raises(WorkFailed, match=r"training diverged at step \d+ \(.* nan\): lower the learning rate"):
        fit(model, rows, recipe(learning_rate=1e30, max_steps=20), tmp_path / "out", processes=2)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def job(model: str, rows: Pool, recipe: Make, tmp_path: Path) -> list[str]:
    """Command of a training of 40 steps in two processes, with a checkpoint after every step."""
    folder = tmp_path / "job"
    folder.mkdir()
    write_jsonl(rows, folder / "rows.jsonl")
    options = {"seed": 3, "device": "cpu", "threads": 1, "checkpoint_seconds": 0, "processes": 2}
    job = {"model": model, "data": str(folder / "rows.jsonl"), "recipe": recipe(max_steps=40).as_dict()}
    (folder / "job.json").write_text(json.dumps(job | options | {"output": str(tmp_path / "out")}))
    return [sys.executable, "-m", "selkit.train.worker", str(folder / "job.json")]


def await_checkpoint(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    """Returns when the second checkpoint is whole."""
    marks = tmp_path / ".out.partial" / "checkpoints"
    until(lambda: len(list(marks.glob("*/complete.json"))) >= 2 or process.poll() is not None, pause=0.01)
    assert process.poll() is None


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_killed_processes_end_together_and_go_on_together(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, job: list[str], digest: Digest
) -> None:
    """Scenarios 4 and 5: kill -9 of the parent ends all; the same job goes on, to the same weights bit for bit."""
    process = subprocess.Popen(job, stderr=subprocess.PIPE)
    await_checkpoint(tmp_path, process)
    started = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(started) == 2
    until(lambda: not any(map(alive, started)))
    assert not (tmp_path / "out").exists()
    subprocess.run(job, check=True, stderr=subprocess.PIPE)
    fit(model, rows, recipe(max_steps=40), tmp_path / "whole", processes=2)
    assert (TrainReport.read(tmp_path / "out").resumed_from or 0) > 0
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_one_process_killed_ends_the_others_with_a_sentence(tmp_path: Path, job: list[str]) -> None:
    """kill -9 of one of them, as a system short of memory does: exit code 1, and the last line says which."""
    process = subprocess.Popen(job, stderr=subprocess.PIPE, text=True)
    await_checkpoint(tmp_path, process)
    started = children(process.pid)
    os.kill(started[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "process 1 of the training ended (it was killed, perhaps for want of memory)" in errors.splitlines()[-1]
    assert not alive(started[0])


@pytest.mark.slow
def test_a_launcher_that_is_there_already_is_used(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest
) -> None:
    """torchrun over `selkit train`: one result on stdout, and the weights of the processes that selkit starts."""
    small = recipe(max_steps=2)
    fit(model, rows, small, tmp_path / "own", processes=2)
    write_jsonl(rows, tmp_path / "rows.jsonl")
    same = ("learning_rate", "batch_size", "max_steps", "max_length", "scheduler", "warmup")
    changes = [f"--set={key}={getattr(small, key)}" for key in same]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    command = ["selkit", "train", model, "-d", str(tmp_path / "rows.jsonl"), "-r", "quickstart", "--seed", "3", "-q"]
    changes += ["--device", "cpu", "--threads", "1"]
    ran = subprocess.run(
        [*torchrun, *command, *changes, "-o", str(tmp_path / "out")], check=True, capture_output=True, text=True
    )
    assert ran.stdout == f"{tmp_path / 'out'}\n"
    assert TrainReport.read(tmp_path / "out").processes == 2
    assert digest(tmp_path / "out") == digest(tmp_path / "own")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"deepspeed": "zero2"}, "Did you mean 'zero-2'"),
        ({"processes": 0}, "0 processes cannot train"),
        ({"processes": 3}, "4 cannot be shared evenly by 3"),
    ],
)
def test_what_cannot_be_spread_is_refused(
    model: str, rows: Pool, recipe: Make, options: dict[str, Any], said: str
) -> None:
    """One sentence, before anything starts."""
    with pytest.raises(UsageError, match=said):
        check_training(model, rows, recipe(), device="cpu", **options)


def test_another_number_than_the_launcher_started_is_refused(
    model: str, rows: Pool, recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under torchrun its number holds; asking for the same or for none is fine."""
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    check_training(model, rows, recipe(), device="cpu", processes=2)
    check_training(model, rows, recipe(), device="cpu")
    with pytest.raises(UsageError, match="a launcher started 2 processes and 4 were asked for"):
        check_training(model, rows, recipe(), device="cpu", processes=4)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One GPU a process."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert machine.check_machine(2, None, "cuda") == 2
    with pytest.raises(UsageError, match="3 processes were asked for, and torch finds 2 GPUs"):
        machine.check_machine(3, None, "cuda")


def test_deepspeed_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the error says how to install it."""
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"selkit-eval\[deepspeed\]"):
        machine.check_machine(2, "zero-2", "cpu")
