"""A whole experiment on the planted pool with a very small model: reuse, kills, weights, and the same report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from inline import Inline
from patience import until

from selkit.api import SelkitError, UsageError
from selkit.experiment import parse_spec, plan, run_experiment
from selkit.experiment.judging.judging import opponents_of
from selkit.experiment.setup.grid import Cell
from selkit.pools import planted_pool
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


def command(folder: Path, spec: dict[str, Any], out: str) -> list[str]:
    """`selkit run` of the spec in ``folder``."""
    (folder / "spec.yaml").write_text(json.dumps(spec), encoding="utf-8")
    return [sys.executable, "-m", "selkit", "run", "spec.yaml", "-q", "-o", out, "--store", str(folder / "store")]


def report(folder: Path) -> dict[str, Any]:
    """report.json without what depends on clock and machine."""
    document: dict[str, Any] = json.loads((folder / "report/report.json").read_text("utf-8"))
    return {**document, "measured": None}


@pytest.mark.slow
def test_kill_nine_then_the_same_command_gives_the_same_report(tmp_path: Path) -> None:
    """Killed while cells train and while they answer: no stage runs twice, and the report is that of a calm run."""
    spec = {**SPEC, "selectors": ["random", "oracle"], "runs": {"random": 2, "oracle": 1}}
    store = Store(tmp_path / "store")
    before: dict[str, Any] = {}
    for stage, count in (("training", 1), ("responses", 2)):
        with subprocess.Popen(command(tmp_path, spec, "killed"), cwd=tmp_path) as process:
            until(lambda: len(list(store.artifacts(stage=stage))) >= count or process.poll() is not None)  # noqa: B023
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        before |= made(store)
    assert subprocess.run(command(tmp_path, spec, "killed"), cwd=tmp_path, check=False, timeout=900).returncode == 0
    assert {key: made(store)[key] for key in before} == before
    run_experiment(parse_spec(spec), tmp_path / "calm", store=Store(tmp_path / "other"), executor=Inline())
    assert report(tmp_path / "killed") == report(tmp_path / "calm")
    killed, undisturbed = (pq.read_table(tmp_path / name / "scores.parquet") for name in ("killed", "calm"))
    assert killed.equals(undisturbed)


def made(store: Store) -> dict[str, Any]:
    """When each finished result was made, without weights, which go."""
    kept = (artifact for artifact in store.artifacts() if artifact.manifest["stage"] != "weights")
    return {artifact.digest: artifact.manifest["measured"] for artifact in kept}


@pytest.mark.slow
def test_a_finished_experiment_is_read_and_not_run(tmp_path: Path) -> None:
    """Everything is in the store, weights have gone, and a second call makes nothing."""
    store = Store(tmp_path / "store")
    spec = parse_spec(SPEC)
    first = run_experiment(spec, tmp_path / "out", store=store, executor=Inline())
    assert not list(store.artifacts(stage="weights"))
    before = {artifact.digest: artifact.manifest["measured"]["started"] for artifact in store.artifacts()}
    planned = plan(spec, store)
    assert not planned.missing
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
    planned = plan(
        parse_spec({**SPEC, "selectors": ["random", longest, avoiding], "runs": {}}), Store(tmp_path / "store")
    )
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


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        (1, "random has 1 run; under 3 its own variation is not known, so every verdict is UNDERPOWERED. For 1 other"),
        (4, "random has 4 runs, and 5 are advised for 1 other arm: every verdict rests on them"),
        (5, ""),
    ],
)
def test_few_runs_of_random_are_among_what_cannot_be_claimed(tmp_path: Path, runs: int, says: str) -> None:
    """Under three nothing is claimed, under the advised number only larger differences are found."""
    spec = parse_spec({**SPEC, "selectors": ["random", "longest"], "runs": {"random": runs, "default": 3}})
    notes = [one for one in plan(spec, Store(tmp_path / "store")).experiment.notes if one.startswith("random has")]
    assert len(notes) == bool(says)
    assert says in " ".join(notes)


def with_long_rows(path: Path) -> Path:
    """The planted pool with 20 rows that no sequence has room for, whose responses are the longest."""
    rows = [{"instruction": row.instruction, "input": row.input, "output": row.response} for row in planted_pool(120)]
    long = [{"instruction": "copy " * 300, "output": f"word {number} " * 40} for number in range(20)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows + long), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_failed_cell_leaves_the_others_standing(tmp_path: Path) -> None:
    """Scenario 44: exit 1; the report names the cell and why, its arm is INCOMPLETE, and the other arm has its
    verdict."""
    spec = {
        **SPEC,
        "pools": [{"name": "pool", "source": str(with_long_rows(tmp_path / "pool.jsonl"))}],
        "selectors": ["random", {"name": "longest", "parameters": {"unit": "words"}}, "shortest"],
        "runs": {"random": 3, "default": 1},
        "recipe": {"preset": "quickstart", "max_steps": 2, "batch_size": 8},
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "selkit", "run", "spec.yaml", "-q", "-o", "out"],
        cwd=tmp_path,
        env=os.environ | {"SELKIT_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    document = report(tmp_path / "out")
    assert [failure["cell"] for failure in document["failures"]] == ["pool/20/longest/1"]
    assert "nothing to train on" in document["failures"][0]["error"]
    words = {row["arm"]: row["verdict"] for row in document["verdicts"]}
    assert words["longest"] == "INCOMPLETE"
    assert words["shortest"] not in ("INCOMPLETE", "UNDERPOWERED")
    assert "pool/20/longest/1" in (tmp_path / "out/report/report.md").read_text("utf-8")


@pytest.mark.slow
def test_a_model_as_anchor_and_direct_judging(tmp_path: Path) -> None:
    """The untrained model answers once and is the anchor of every run; direct judging is shown and has no verdict."""
    testset = {"prompts": 12, "max_new_tokens": 6, "anchor": SPEC["model"], "direct": "pooled"}
    spec = {**SPEC, "selectors": ["random", "oracle"], "testsets": {"planted": testset}}
    store = Store(tmp_path / "store")
    planned = plan(parse_spec(spec), store)
    assert planned.missing[0].label == f"anchor {SPEC['model']}"
    document = run_experiment(parse_spec(spec), tmp_path / "out", store=store, executor=Inline())
    assert not plan(parse_spec(spec), store).missing
    assert {row["arm"] for row in document["win_rates"]} == {"random", "oracle"}
    assert [row["arm"] for row in document["direct"]] == ["oracle"]
    # Two oracle runs against three of random, 12 prompts each; a verdict only against the anchor.
    passes = [path.name for path in (tmp_path / "out/passes").iterdir() if "run-" in path.name]
    assert len(passes) == 2 * 3
    assert {row["benchmark"] for row in document["verdicts"]} == {"planted"}
    assert "Directly against random" in (tmp_path / "out/report/report.md").read_text("utf-8")


@pytest.mark.parametrize(("direct", "opponents"), [("paired", {"run 1"}), ("sampled", {"a run per prompt"})])
def test_direct_opponents(direct: str, opponents: set[str]) -> None:
    """'paired' takes the control's run of the same number; 'sampled' a run per prompt, the same every time."""
    cell = Cell("pool", "20", "oracle", 1)
    runs = {run: {str(prompt): f"{run}-{prompt}" for prompt in range(40)} for run in (1, 2, 3)}
    found = dict(opponents_of(direct, cell, runs))
    assert found.keys() == opponents
    (responses,) = found.values()
    assert {text.split("-")[1] for text in responses.values()} == set(runs[1])
    assert len({text.split("-")[0] for text in responses.values()}) == (1 if direct == "paired" else 3)
    assert dict(opponents_of(direct, cell, runs)) == found
    assert not dict(opponents_of("paired", Cell("pool", "20", "oracle", 4), runs))


@pytest.mark.parametrize(
    ("anchor", "message"),
    [
        ("no/such/anchor", "neither 'random', 'reference', a file of responses nor a model"),
        ("short.jsonl", "no response"),
    ],
)
def test_a_bad_anchor_is_refused_before_any_model_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anchor: str, message: str
) -> None:
    """One sentence for a name that is nothing, and for a file that lacks prompts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.jsonl").write_text('{"id": "other", "response": "yes"}\n', encoding="utf-8")
    spec = {**SPEC, "testsets": {"planted": {"prompts": 12, "anchor": anchor}}}
    with pytest.raises(SelkitError, match=message):
        plan(parse_spec(spec), Store(tmp_path / "store"))


@pytest.mark.slow
def test_long_cells_are_not_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The stages that workers begin are told on stderr, and stdout stays empty."""
    monkeypatch.setattr("selkit.experiment.executors.local._SAY_SECONDS", 0.0)
    spec = parse_spec({**SPEC, "selectors": ["random"], "runs": {"random": 1}})
    run_experiment(spec, tmp_path / "out", store=Store(tmp_path / "store"))
    told = capsys.readouterr()
    assert "planted/20/random/1: answering planted" in told.err
    assert not told.out
