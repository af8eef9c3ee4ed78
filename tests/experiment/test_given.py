"""Arms that are given: a model that answers as it is, the untrained base model, stored outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selkit.api import DataError, UsageError
from selkit.experiment import parse_spec
from selkit.experiment.setup.grid import Cell, places

BASE = "tiny:words?hidden=16&layers=1"
SPEC: dict[str, Any] = {
    "name": "given",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 60}}],
    "model": BASE,
    "recipe": {"preset": "quickstart", "max_steps": 1, "batch_size": 4, "name": "one"},
    "selectors": ["random", "full", "base"],
    "budgets": [10, 20],
    "runs": {"random": 3, "default": 1},
    "testsets": {"planted": {"prompts": 4, "max_new_tokens": 4}},
    "workers": 2,
    "threads": 1,
}


def test_a_given_arm_is_judged_in_every_place() -> None:
    """The full pool beside every budget of its pool, a given model everywhere, a sized arm where it is."""
    anchors = [Cell(pool, budget, "anchor", 0, "r", "m") for pool in ("a", "b") for budget in ("10", "20")]
    assert places(Cell("", None, "base", 1, "", "m"), anchors) == [
        Cell(pool, budget, "base", 1, "r", "m") for pool in ("a", "b") for budget in ("10", "20")
    ]
    assert not [one for one in places(Cell("", None, "base", 1, "", "other"), anchors) if one.pool]
    assert [one.budget for one in places(Cell("a", None, "full", 1, "r", "m"), anchors)] == ["10", "20"]
    sized = Cell("a", "10", "x", 1, "r", "m")
    assert places(sized, anchors) == [sized]
    alone = Cell("a", None, "full", 1, "r", "m")
    assert places(alone, anchors[:1]) == [alone]


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"model": "tiny:words"}, "given by its model needs a name: add as"),
        ({"outputs": "x.jsonl", "model": "base", "as": "x"}, "one of name, model and outputs, and here are model and"),
        ({"as": "x"}, "one of name, model and outputs, and here are none"),
        ({"model": "base", "parameters": {"a": 1}}, "has no parameters"),
        ({"model": "base", "as": "random"}, "two arms are called 'random'"),
    ],
)
def test_bad_given_arms_are_refused(arm: dict[str, Any], message: str) -> None:
    """One sentence each."""
    with pytest.raises(UsageError, match=message):
        parse_spec({**SPEC, "selectors": ["random", arm]})


def stored(folder: Path, prompts: int) -> Path:
    """Outputs for the first prompts of the planted test set as the spec samples it."""
    from selkit.pools import load_testset

    found = load_testset("planted").sample(4, seed=0).prompts[:prompts]
    path = folder / "outputs.jsonl"
    lines = [{"id": one.id, "prompt": one.prompt.question, "response": one.reference} for one in found]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_outputs_that_lack_a_prompt_are_refused_by_name(tmp_path: Path) -> None:
    """Before anything runs."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    from selkit.experiment import plan
    from selkit.pools import load_testset
    from selkit.store import Store

    missing = load_testset("planted").sample(4, seed=0).prompts[3].id
    arm = {"outputs": str(stored(tmp_path, 3)), "as": "mine"}
    with pytest.raises(DataError, match=rf"of arm 'mine' has no response to 1 of 4 prompts .*\('{missing}'\)"):
        plan(parse_spec({**SPEC, "selectors": ["random", arm]}), Store(tmp_path / "store"))


def test_outputs_answer_no_benchmark() -> None:
    """The spec is refused as it stands."""
    arm = {"outputs": "x.jsonl", "as": "mine"}
    with pytest.raises(UsageError, match=r"'mine' is a file of outputs, which answer no benchmark \(ifeval\)"):
        parse_spec({**SPEC, "selectors": ["random", arm], "benchmarks": ["ifeval"]})


@pytest.mark.slow
def test_given_arms_get_verdicts_of_one_run(tmp_path: Path) -> None:
    """The base model answers once and is judged at both budgets, each time against that budget's anchor."""
    pytest.importorskip("torch")
    pytest.importorskip("sacrebleu")
    pytest.importorskip("statsmodels")
    from selkit.experiment import plan, run_experiment
    from selkit.store import Store

    store = Store(tmp_path / "store")
    spec = parse_spec({**SPEC, "selectors": [*SPEC["selectors"], {"outputs": stored(tmp_path, 4), "as": "mine"}]})
    document = run_experiment(spec, tmp_path / "out", store=store)
    rows = {(row["arm"], row["budget"]): row for row in document["verdicts"]}
    assert set(rows) == {(arm, budget) for arm in ("base", "full", "mine") for budget in ("10", "20")}
    assert all("few_runs" in row["flags"] and row["runs"] == 1 for row in rows.values())
    assert "One run only: full, base, mine" in " ".join(document["claims"])
    assert rows["mine", "10"]["arm_score"] > rows["base", "10"]["arm_score"]
    answered = [path.name for path in (tmp_path / "out/responses").iterdir()]
    assert [name for name in answered if name.startswith("base")] == ["base_planted.jsonl"]
    assert [row["arm"] for row in document["training"]].count("base") == 0
    assert not {row["arm"] for row in document["grid"].get("pooled", [])}
    assert not plan(spec, store).missing
