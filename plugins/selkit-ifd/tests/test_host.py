"""Both stages through the commands: in one selection, in an experiment, and killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selkit.experiment import parse_spec, plan
from selkit.store import Store

pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = pytest.mark.slow

TINY = "tiny:words?hidden=32&layers=1"
SETTINGS = {
    "bound": "none",
    "template": "plain",
    "clusters": 4,
    "per_cluster": 3,
    "recipe": {"preset": "quickstart", "max_steps": 6, "batch_size": 4},
}


def command(out: str) -> list[str]:
    """`selkit select` with both stages."""
    flat = {name: value for name, value in SETTINGS.items() if name != "recipe"}
    recipe = {f"recipe.{name}": value for name, value in SETTINGS["recipe"].items()}  # type: ignore[attr-defined]
    parameters = [part for name, value in {**flat, **recipe}.items() for part in ("-p", f"{name}={value}")]
    selector = ["-s", "ifd", "--model", TINY, "-b", "20", "-q", "-o", out, *parameters]
    return [sys.executable, "-m", "selkit", "select", "planted", *selector]


def run(folder: Path, store: str, out: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, with a store below ``folder``."""
    environment = os.environ | {"SELKIT_STORE": str(folder / store), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(out), cwd=folder, env=environment)


def test_killed_anywhere_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """kill -9 while prompts are read, the model trains or rows are scored; the same command goes on."""
    for seconds in (5, 8, 11, 14):
        process = run(tmp_path, "killed", "killed-out")
        time.sleep(seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    assert run(tmp_path, "killed", "killed-out").wait(timeout=300) == 0
    assert run(tmp_path, "calm", "calm-out").wait(timeout=300) == 0
    chosen, calm = ((tmp_path / name / "selection.jsonl").read_bytes() for name in ("killed-out", "calm-out"))
    assert chosen == calm
    assert len(list(Store(tmp_path / "killed").artifacts(stage="weights"))) == 1
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("killed-out", "calm-out")]
    assert manifests[0]["stored"] == manifests[1]["stored"]


def test_an_experiment_trains_once_for_all_its_cells(tmp_path: Path) -> None:
    """Two variants, two budgets, two runs: one pre-experienced model; planned again, nothing is made."""
    selector = {"name": "ifd", "parameters": {**SETTINGS, "ratio": ["loss", "perplexity"]}}
    spec = parse_spec(
        {
            "name": "both",
            "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
            "model": TINY,
            "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 8},
            "selectors": ["random", selector],
            "budgets": [5, 10],
            "runs": {"random": 3, "default": 2},
            "testsets": {"planted": {"prompts": 4, "max_new_tokens": 4}},
        }
    )
    store = Store(tmp_path)
    planned = plan(spec, store)
    assert len([cell for cell in planned.chosen if cell.arm.startswith("ifd-")]) == 8
    [weights] = store.artifacts(stage="weights")
    made = {artifact.digest for artifact in store.artifacts()}
    assert plan(spec, store).chosen == planned.chosen
    assert {artifact.digest for artifact in store.artifacts()} == made
    charged = [artifact for artifact in store.artifacts(stage="selection") if artifact.manifest["component"] == "ifd"]
    assert charged
    assert all(weights.digest in artifact.facts["scores"] for artifact in charged)
