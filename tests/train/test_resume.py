"""A killed training goes on, and ends in the weights of one that was never killed."""

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

from selkit.api import Pool
from selkit.train import Recipe, TrainReport, train

pytest.importorskip("torch")
pytest.importorskip("trl")

Make = Callable[..., Recipe]
STEPS = 8


class _Stop(BaseException):
    """Stands in for a kill inside this process."""


def fit(model: str, pool: Pool, recipe: Recipe, output: Path, **options: Any) -> TrainReport:
    """Trains with a checkpoint after every step."""
    return train(model, pool, recipe, output, seed=3, device="cpu", threads=1, checkpoint_seconds=0, **options)


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops the training at the end of this step, before its checkpoint."""
    from selkit.train.watch import Watch

    real = Watch.on_step_end

    def stopping(self: Watch, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == step:
            raise _Stop
        real(self, args, state, control, **kwargs)

    monkeypatch.setattr(Watch, "on_step_end", stopping)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"lora": {"r": 2, "dropout": 0.5}, "neftune_alpha": 5.0, "micro_batch": 2},
    ],
)
def test_resumed_weights_are_those_of_an_uninterrupted_run(
    model: str,
    rows: Pool,
    recipe: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    digest: Callable[[Path], str],
    changes: dict[str, Any],
) -> None:
    """Scenario 4: stopped in the second pass over the data, with everything drawn at random: the same bytes and the
    same curve."""
    small = recipe(max_steps=STEPS, **changes)
    whole = fit(model, rows, small, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        with pytest.raises(_Stop):
            fit(model, rows, small, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    resumed = fit(model, rows, small, tmp_path / "out")
    assert (whole.resumed_from, resumed.resumed_from) == (None, 4)
    assert resumed.loss_curve == whole.loss_curve
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")
    same = [json.loads(report.to_json()) for report in (whole, resumed)]
    assert same[0].pop("measured") != same[1].pop("measured")
    assert same[0] == same[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_another_seed_does_not_take_the_checkpoint(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint belongs to its own training alone; and resuming can be turned off."""
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(_Stop):
            fit(model, rows, recipe(), tmp_path / "out")
    changed = fit(model, rows, recipe(learning_rate=1e-3), tmp_path / "out")
    assert changed.resumed_from is None


def test_without_resume_no_checkpoint_is_written(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody will read is not written."""
    stop_at(3, monkeypatch)
    with pytest.raises(_Stop):
        fit(model, rows, recipe(), tmp_path / "out", resume=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_worker_killed_half_way_goes_on(
    model: str, rows: Pool, recipe: Make, tmp_path: Path, digest: Callable[[Path], str]
) -> None:
    """Scenario 4: kill -9 on the real process after its first checkpoint; the same job again ends in the same
    weights."""
    from selkit.pools import write_jsonl

    small = recipe(max_steps=60)
    fit(model, rows, small, tmp_path / "whole")
    write_jsonl(rows, tmp_path / "rows.jsonl")
    job = {
        "model": model,
        "data": str(tmp_path / "rows.jsonl"),
        "recipe": small.as_dict(),
        "output": str(tmp_path / "out"),
        "seed": 3,
        "device": "cpu",
        "threads": 1,
        "checkpoint_seconds": 0,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "selkit.train.worker", str(tmp_path / "job.json")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    marks = tmp_path / ".out.partial" / "checkpoints"
    until(lambda: list(marks.glob("*/complete.json")) or process.poll() is not None, pause=0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    assert (TrainReport.read(tmp_path / "out").resumed_from or 0) > 0
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")
