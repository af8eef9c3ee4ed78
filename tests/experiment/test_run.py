"""A whole experiment on the planted pool with a very small model: reuse, kills, weights, and the same report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from selkit.api import SelkitError, UsageError
from selkit.experiment import parse_spec, plan, run_experiment
from selkit.store import Store

SPEC = {
    "name": "tiny",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 4, "batch_size": 8},
    "selectors": ["random", "oracle", "strict-random", "full"],
    "budgets": [20],
    "runs": {"random": 3, "oracle": 2, "default": 1},
    "testsets": {"planted": {"prompts": 12, "max_new_tokens": 6}},
    "workers": 2,
    "threads": 1,
}


def command(folder: Path, out: str) -> list[str]:
    """`selkit run` of the spec in ``folder``."""
    (folder / "spec.yaml").write_text(json.dumps(SPEC), encoding="utf-8")
    return [sys.executable, "-m", "selkit", "run", "spec.yaml", "-q", "-o", out]


def report(folder: Path) -> dict[str, Any]:
    """report.json without what depends on clock and machine."""
    document: dict[str, Any] = json.loads((folder / "report/report.json").read_text("utf-8"))
    return {**document, "measured": None}


@pytest.mark.slow
def test_kill_nine_then_the_same_command_gives_the_same_report(tmp_path: Path) -> None:
    """Killed three times at different moments: no finished cell runs again, and the report is that of a calm run."""
    environment = os.environ | {"SELKIT_STORE": str(tmp_path / "store")}
    for seconds in (4, 9, 14):
        process = subprocess.Popen(command(tmp_path, "killed"), cwd=tmp_path, env=environment)
        time.sleep(seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command(tmp_path, "killed"), cwd=tmp_path, env=environment, check=False, timeout=300)
    assert done.returncode == 0
    calm = os.environ | {"SELKIT_STORE": str(tmp_path / "other")}
    assert subprocess.run(command(tmp_path, "calm"), cwd=tmp_path, env=calm, check=False, timeout=300).returncode == 0
    assert report(tmp_path / "killed") == report(tmp_path / "calm")
    killed, undisturbed = (pq.read_table(tmp_path / name / "scores.parquet") for name in ("killed", "calm"))
    assert killed.equals(undisturbed)


@pytest.mark.slow
def test_a_finished_experiment_is_read_and_not_run(tmp_path: Path) -> None:
    """Everything is in the store, weights have gone, and a second call makes nothing."""
    store = Store(tmp_path / "store")
    spec = parse_spec(SPEC)
    first = run_experiment(spec, tmp_path / "out", store=store)
    assert not list(store.artifacts(stage="weights"))
    before = {artifact.digest: artifact.manifest["measured"]["started"] for artifact in store.artifacts()}
    planned = plan(spec, store)
    assert planned.done == frozenset(planned.jobs)
    second = run_experiment(spec, tmp_path / "again", store=store)
    after = {artifact.digest: artifact.manifest["measured"]["started"] for artifact in store.artifacts()}
    assert before == after
    assert {**first, "measured": None} == {**second, "measured": None}
    table = pq.read_table(tmp_path / "out/scores.parquet")
    assert set(table["arm"].to_pylist()) == {"random", "oracle", "strict-random", "full"}
    assert table.num_rows == 12 * (3 + 2 + 1 + 1)
    assert {row["arm"] for row in first["verdicts"]} == {"oracle", "strict-random", "full"}
    assert first["measured"]["totals"]["tokens.trained"] > 0
    assert first["judges"][0]["inconsistency"] == 0.0
    assert (tmp_path / "out/report/report.md").read_text("utf-8").startswith("# tiny")


def test_dry_run_makes_the_selections_and_nothing_else(tmp_path: Path) -> None:
    """Every cell is listed as to do; strict-random shares no row with the oracle."""
    planned = plan(parse_spec(SPEC), Store(tmp_path / "store"))
    assert len(planned.jobs) == 1 + 3 + 2 + 1 + 1
    assert not planned.done
    ids = {cell.arm: set(choice.ids) for cell, choice in planned.chosen.items()}
    assert not ids["strict-random"] & ids["oracle"]
    assert len(ids["full"]) == 120


def test_a_list_of_values_makes_one_arm_a_value(tmp_path: Path) -> None:
    """Every combination of the listed values, named after them; a parameter that takes a list keeps it."""
    longest = {"name": "longest", "parameters": {"unit": ["words", "characters"]}}
    avoiding = {"name": "random-low-overlap", "parameters": {"max_overlap": [0.9, 1], "against": ["longest-words"]}}
    planned = plan(parse_spec({**SPEC, "selectors": ["random", longest, avoiding]}), Store(tmp_path / "store"))
    names = ["random", "longest-words", "longest-characters", "random-low-overlap-0.9", "random-low-overlap-1"]
    assert [arm.name for arm in planned.experiment.arms] == names
    assert planned.experiment.arms[2].selector.parameters()["unit"] == "characters"
    assert planned.experiment.arms[3].selector.parameters()["against"] == ["longest-words"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selectors": [{"name": "longest", "parameters": {"unit": "miles"}}]}, "unit"),
        ({"budgets": [121]}, "more than the 120 rows"),
        ({"model": "nowhere/model"}, "nowhere/model"),
        ({"recipe": "unheard-of"}, "unheard-of"),
        ({"recipe": {"preset": "quickstart", "template": "chat"}}, "chat template"),
        ({"testsets": {"no-such-set": {}}}, "no-such-set"),
        ({"benchmarks": ["no-such-benchmark"]}, "no-such-benchmark"),
    ],
)
def test_bad_specs_are_refused_before_any_model_loads(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """One sentence, from the check and not from a stage."""
    with pytest.raises(SelkitError, match=message):
        plan(parse_spec({**SPEC, **changes}), Store(tmp_path / "store"))


def test_the_reference_judge_wants_references(tmp_path: Path) -> None:
    """A test set without them is refused with the judge's name."""
    path = tmp_path / "bare.jsonl"
    path.write_text('{"id": "a", "instruction": "Say hello."}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="'reference' needs references"):
        plan(parse_spec({**SPEC, "testsets": {str(path): {}}}), Store(tmp_path / "store"))


def test_without_random_the_report_says_what_it_cannot_claim(tmp_path: Path) -> None:
    """The experiment may run; the note is there before it does."""
    planned = plan(parse_spec({**SPEC, "selectors": ["oracle"]}), Store(tmp_path / "store"))
    assert "nothing can be said on whether a selector beats random choice" in " ".join(planned.experiment.notes)
