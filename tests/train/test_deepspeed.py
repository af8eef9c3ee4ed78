"""DeepSpeed's presets on two CPU processes: the curve of one process, whole weights, seeds, adapters, a kill."""

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
from patience import until
from processes import alive, children

from selkit.api import Pool
from selkit.pools import write_jsonl
from selkit.train import DEEPSPEED, Recipe, TrainReport, train

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("deepspeed")

pytestmark = pytest.mark.slow  # each training loads DeepSpeed in two processes

Make = Callable[..., Recipe]
Digest = Callable[[Path], str]


def fit(model: str, pool: Pool, recipe: Recipe, output: Path, **options: Any) -> TrainReport:
    """Trains with one thread a process."""
    return train(model, pool, recipe, output, **{"seed": 3, "device": "cpu", "threads": 1} | options)


def spread(preset: str) -> dict[str, Any]:
    """Two processes with this preset."""
    return {"processes": 2, "deepspeed": preset}


def losses(report: TrainReport) -> list[float]:
    """The loss of every step."""
    return [loss for _, loss in report.loss_curve]


def weights(folder: Path) -> dict[str, Any]:
    """The weights in a model folder, as any engine loads them."""
    from transformers import AutoModelForCausalLM

    return dict(AutoModelForCausalLM.from_pretrained(folder).state_dict())


def assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same weights up to rounding."""
    assert expected.keys() == found.keys()
    assert all(torch.allclose(found[name], weight, atol=1e-3) for name, weight in expected.items())


@pytest.mark.parametrize("preset", DEEPSPEED)
def test_every_preset_does_what_one_process_does(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, preset: str
) -> None:
    """Eleven rows in batches of four, a clipped gradient: the same curve to 1e-3, and the same whole weights."""
    small = recipe(epochs=2, micro_batch=1, max_grad_norm=0.5)
    pool = rows.take(rows.ids[:11])
    one = fit(model, pool, small, tmp_path / "one")
    two = fit(model, pool, small, tmp_path / "two", **spread(preset))
    assert (two.processes, two.deepspeed, two.steps, two.accumulation) == (2, preset, 6, 2)
    assert losses(two) == pytest.approx(losses(one), abs=1e-3)
    assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    assert "deepspeed" in two.versions


def test_the_seed_matters(model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest) -> None:
    """The same seed gives the same bytes, another one another curve."""
    reports = [
        fit(model, rows, recipe(), tmp_path / name, seed=seed, **spread("zero-2"))
        for name, seed in (("one", 5), ("again", 5), ("other", 6))
    ]
    assert losses(reports[0]) == losses(reports[1])
    assert digest(tmp_path / "one") == digest(tmp_path / "again")
    assert max(abs(a - b) for a, b in zip(losses(reports[0]), losses(reports[2]), strict=True)) > 1e-2


@pytest.mark.parametrize("preset", ["zero-2", "zero-3"])
def test_adapters_are_saved_and_merged_whole(model: str, rows: Pool, recipe: Make, tmp_path: Path, preset: str) -> None:
    """Adapters trained over two processes, with activations computed twice, merge as those of one process do."""
    from safetensors.torch import load_file

    lora = recipe(lora={"r": 2}, gradient_checkpointing=True)
    one = fit(model, rows, lora, tmp_path / "one")
    two = fit(model, rows, lora, tmp_path / "two", **spread(preset))
    assert losses(two) == pytest.approx(losses(one), abs=1e-3)
    assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"))
    adapters = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("two", "one")]
    assert_close(*adapters)


@pytest.mark.parametrize("preset", ["zero-2", "zero-3"])
def test_a_killed_training_goes_on_to_the_same_weights(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Digest, preset: str
) -> None:
    """Scenario 4: kill -9 of all processes half-way, then the same job: bit for bit the weights of a training never
    killed."""
    small = recipe(max_steps=8)
    write_jsonl(rows, tmp_path / "rows.jsonl")
    job = {"model": model, "data": str(tmp_path / "rows.jsonl"), "recipe": small.as_dict(), "seed": 3, "device": "cpu"}
    job |= {"threads": 1, "checkpoint_seconds": 0, "output": str(tmp_path / "out"), **spread(preset)}
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "selkit.train.worker", str(tmp_path / "job.json")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    marks = tmp_path / ".out.partial" / "checkpoints"
    until(lambda: len(list(marks.glob("*/complete.json"))) >= 2 or process.poll() is not None, pause=0.01)
    assert process.poll() is None
    started = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not any(map(alive, started)))  # they end by themselves, and let go of the folder
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    fit(model, rows, small, tmp_path / "whole", **spread(preset))
    assert (TrainReport.read(tmp_path / "out").resumed_from or 0) > 0
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")
