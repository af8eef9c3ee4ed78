"""The rules of the verdict: declared before the run, kept, checked, and what becomes of them in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from selkit.api import UsageError
from selkit.experiment import parse_spec, plan
from selkit.experiment.outlook.survey import survey
from selkit.experiment.setup.experiment import prepare
from selkit.experiment.setup.rules import changed_claims, declare, rules_of, shared_weights
from selkit.store import Store

SPEC: dict[str, Any] = {
    "name": "rules",
    "pools": [{"name": "planted", "source": {"name": "planted", "rows": 120}}],
    "model": "tiny:words?hidden=32&layers=1",
    "recipe": {"preset": "quickstart", "max_steps": 4, "batch_size": 8},
    "selectors": ["random", "oracle"],
    "budgets": [20],
    "testsets": {"planted": {"prompts": 12, "max_new_tokens": 6}},
}


def spec_of(**changes: Any) -> Any:
    """The spec with changes."""
    return parse_spec({**SPEC, **changes})


@pytest.fixture
def questions(tmp_path: Path) -> str:
    """A second test set."""
    path = tmp_path / "own.jsonl"
    rows = [{"id": str(k), "instruction": f"Say {k}.", "reference": str(k)} for k in range(5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_first_declaration_stands(tmp_path: Path) -> None:
    """The rules of the first run are stored with their digest; later ones are held against them, and said."""
    store = Store(tmp_path / "store")
    first = declare(plan(spec_of(margins={"planted": 3}), store).experiment, store)
    assert (first["margins"], first["alpha"], first["control"]) == ({"planted": 3}, 0.05, "random")
    assert first["changed"] == []
    manifest = store.get(first["key"]).manifest
    assert manifest["facts"]["digest"] == first["digest"]
    assert [entry["name"] for entry in manifest["files"]] == ["rules.json"]
    again = declare(plan(spec_of(margins={"planted": 3}, note="x", runs={"random": 9}), store).experiment, store)
    assert again == first
    other = declare(plan(spec_of(margins={"planted": 8}, alpha=0.1), store).experiment, store)
    assert (other["key"], other["digest"], other["changed"]) == (first["key"], first["digest"], ["alpha", "margins"])
    assert "(alpha, margins)" in changed_claims(other)[0]
    assert changed_claims(first) == []


def test_another_design_declares_anew(tmp_path: Path) -> None:
    """Other budgets are another experiment."""
    store = Store(tmp_path / "store")
    keys = {declare(plan(spec_of(budgets=[size]), store).experiment, store)["key"] for size in (20, 30)}
    assert len(keys) == 2


def test_rules_that_name_nothing(tmp_path: Path) -> None:
    """A margin or a weight for something that nobody is scored on is refused before any cell, in selkit plan too."""
    store = Store(tmp_path / "store")
    for changes, match in (
        ({"margins": {"plantd": 3}}, r"margins: nothing is scored on 'plantd': there is planted.*Did you mean"),
        ({"margins": {"composite": 3}}, "margins: nothing is scored on 'composite'"),
        ({"weights": {"composite": 3}}, "weights: nothing is scored on 'composite'"),
    ):
        with pytest.raises(UsageError, match=match):
            plan(spec_of(**changes), store)
        with pytest.raises(UsageError, match=match):
            survey(prepare(spec_of(**changes), store))
    for changes, match in (({"margins": {"planted": 0}}, "margins.planted"), ({"weights": {"planted": -1}}, "weights")):
        with pytest.raises(UsageError, match=match):
            spec_of(**changes)


def test_the_recipe_that_does_best_on_the_test(tmp_path: Path) -> None:
    """It is no recipe."""
    with pytest.raises(UsageError, match="finds differences where there are none"):
        spec_of(recipe="best_on_test")


def test_the_composite(tmp_path: Path, questions: str) -> None:
    """Two test sets count alike or by their weights; one alone makes no composite, nor do two judges of one."""
    store = Store(tmp_path / "store")
    two = {"planted": {"prompts": 12}, questions: {}}

    def weights(**changes: Any) -> Any:
        return rules_of(plan(spec_of(**changes), store).experiment).weights

    assert weights() is None
    assert weights(testsets=two) == {"planted": 1, "own": 1}
    assert weights(testsets=two, weights={"own": 3, "planted": 1}) == {"own": 3, "planted": 1}
    judges = ["reference", {"name": "reference", "as": "lax", "margin": 5}]
    assert weights(testsets={"planted": {"prompts": 12, "judges": judges}}) is None
    declared = declare(plan(spec_of(testsets=two, margins={"composite": 2}), store).experiment, store)
    assert declared["margins"] == {"composite": 2, "planted": 2.5, "own": 2.5}


def test_members_of_a_group_share_its_weight() -> None:
    """Six tasks of one leaderboard do not outvote a test set."""
    names = ["coachlm", "ifeval", "openllm/arc", "openllm/gsm8k", "openllm/mmlu", "openllm/winogrande"]
    assert shared_weights(names) == {"coachlm": 1, "ifeval": 1} | dict.fromkeys(names[2:], 0.25)
