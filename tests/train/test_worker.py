"""One training in its own process: the job file, the exit code, the last line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import until
from processes import alive

from selkit.api import Pool
from selkit.console import get_console
from selkit.pools import write_jsonl
from selkit.train import Recipe, TrainReport, worker


@pytest.fixture
def job(tmp_path: Path, rows: Pool) -> dict[str, Any]:
    """A job without a model."""
    write_jsonl(rows, tmp_path / "rows.jsonl")
    recipe = {"learning_rate": 1e-2, "batch_size": 4, "max_steps": 2, "max_length": 64, "template": "plain"}
    return {"data": str(tmp_path / "rows.jsonl"), "recipe": recipe, "output": str(tmp_path / "out"), "model": "nowhere"}


def run(tmp_path: Path, job: Any) -> int:
    """Runs the job in this process."""
    (tmp_path / "job.json").write_text(job if isinstance(job, str) else json.dumps(job))
    return worker.main([str(tmp_path / "job.json")])


def test_a_job_trains(tmp_path: Path, job: dict[str, Any], model: str) -> None:
    """The arguments arrive: seed, threads and turns stand in the report."""
    options = {"model": model, "seed": 9, "threads": 1, "turns": "all", "device": "cpu", "partial": str(tmp_path / "w")}
    assert run(tmp_path, job | options) == 0
    report = TrainReport.read(tmp_path / "out")
    assert (report.seeds, report.threads, report.turns, report.steps) == ({"training": 9}, 1, "all", 2)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"data": "none.jsonl"}, 4, "none.jsonl"),
        ({"recipe": "lmia"}, 2, "Did you mean 'lima'"),
        ({"sed": 1}, 2, "unknown key 'sed'"),
        ({"model": "tiny:lama"}, 2, "tiny:lama"),
        ("{", 2, "is not JSON"),
        ("[]", 2, "is not a JSON object"),
        ("{}", 2, "lacks model and lacks data"),
    ],
)
def test_a_refused_job_ends_with_its_code_and_one_line(
    tmp_path: Path, job: dict[str, Any], capsys: pytest.CaptureFixture[str], change: Any, code: int, said: str
) -> None:
    """The error's own exit code, and its sentence as the last line of stderr; nothing on stdout."""
    pytest.importorskip("trl")
    assert run(tmp_path, change if isinstance(change, str) else job | change) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.splitlines()[-1]


def test_a_job_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file and a missing argument."""
    assert worker.main([str(tmp_path / "none.json")]) == 4
    assert "cannot read the job" in capsys.readouterr().err
    assert worker.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_plain_progress_lines_where_stderr_is_no_terminal(
    tmp_path: Path,
    job: dict[str, Any],
    model: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A log gets a line now and then that names the recipe and counts the steps."""
    monkeypatch.setattr("selkit.console._FIRST_LINE_SECONDS", 0.0)
    get_console().quiet = False
    recipe = job["recipe"] | {"name": "small", "max_steps": 20}
    assert run(tmp_path, job | {"model": model, "recipe": recipe, "device": "cpu"}) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training under small: ")]
    assert lines[-1].startswith("training under small: 20 done in")
    assert any("of 20 (" in line and "a second" in line for line in lines)


def test_an_orphan_ends(tmp_path: Path) -> None:
    """Scenario 5: a worker whose parent was killed does not train on for nobody."""
    child = (
        "from selkit.train.worker import follow_parent; import os, time; "
        "follow_parent(); print(os.getpid(), flush=True); time.sleep(600)"
    )
    parent = f"import subprocess, sys, os; subprocess.Popen([sys.executable, '-c', {child!r}]).wait(); os._exit(0)"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    orphan = int(process.stdout.readline())
    process.kill()
    process.wait()
    until(lambda: not alive(orphan), seconds=120)


def test_a_recipe_travels_as_json(
    tmp_path: Path, job: dict[str, Any], model: str, recipe: Callable[..., Recipe]
) -> None:
    """What as_dict gives goes through the job file unchanged."""
    small = recipe(max_steps=1, lora={"r": 2})
    assert run(tmp_path, job | {"model": model, "recipe": small.as_dict(), "device": "cpu"}) == 0
    assert TrainReport.read(tmp_path / "out").recipe == small.as_dict()
