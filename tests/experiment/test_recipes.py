"""Recipes in experiments: what a training that goes wrong does to its cell."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from selkit.api import Example, Pool, WorkFailed
from selkit.experiment.cells.job import CellJob, TrainingJob, cell_keys
from selkit.experiment.cells.work import run_cell
from selkit.pools import write_jsonl
from selkit.store import Store
from selkit.train import load_recipe


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_cell_with_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the failed cell names the step, nothing of the cell is stored, and it can be tried again."""
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path / "models"))
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    rows = Pool.from_examples(Example(f"r{n:02}", f"Add {n} and one.", response=f"three {n}") for n in range(12))
    write_jsonl(rows, tmp_path / "rows.jsonl")
    recipe = load_recipe({"preset": "quickstart", "max_steps": 4, "batch_size": 4, "learning_rate": 1e30})
    training = TrainingJob(tmp_path / "rows.jsonl", rows.fingerprint, "last", recipe)
    job = CellJob("a cell", "tiny:words?hidden=32&layers=1", training, "plain", 5, (), (), tmp_path / "store", 1)
    for _ in range(2):
        with pytest.raises(WorkFailed, match=r"^training diverged at step \d \(.*\): lower the learning rate"):
            run_cell(job)
        store = Store(job.store)
        assert [key for key in cell_keys(job) if store.find(key) is not None] == []
