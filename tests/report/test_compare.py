"""Two experiments side by side: where they agree, how far apart they are, and what differs in their specs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from report_world import document

from selkit.api import DataError, UsageError
from selkit.cli.report import command
from selkit.report import compare, comparison_markdown, comparison_table


def small() -> dict[str, Any]:
    """A document of two pools and one budget."""
    made = document(arms=("random", "oracle"), budgets=("500",), recipes=("lora-16",))
    made["rules"] |= {"alpha": 0.05, "weights": {}}
    return made


def changed(**verdict: Any) -> dict[str, Any]:
    """The same with another first verdict."""
    made = copy.deepcopy(small())
    made["verdicts"][0] |= verdict
    return made


def test_a_run_agrees_with_itself() -> None:
    """Every verdict is the same, every difference 0, no setting differs."""
    compared = compare(small(), small())
    assert compared["counts"]["same"] == len(compared["verdicts"]) == 4
    assert {row["difference"] for row in compared["verdicts"]} == {0.0}
    assert compared["spec"] == []


@pytest.mark.parametrize(
    ("verdict", "agreement"),
    [
        ({"verdict": "INCONCLUSIVE", "effect": 1.0, "ci_low": -1.0, "ci_high": 3.0}, "differ"),
        ({"verdict": "WORSE", "effect": -3.0, "ci_low": -4.0, "ci_high": -2.0}, "opposite"),
        ({"pool": "elsewhere"}, "first alone"),
    ],
)
def test_disagreement_has_a_name(verdict: dict[str, Any], agreement: str) -> None:
    """Another word, intervals on opposite sides of 0, or no such verdict."""
    first = changed(verdict="BEATS", effect=3.0, ci_low=2.0, ci_high=4.0)
    compared = compare(first, changed(**verdict))
    assert compared["verdicts"][0]["agreement"] == agreement
    if "effect" in verdict:
        assert compared["verdicts"][0]["difference"] == verdict["effect"] - 3.0
    else:
        assert compared["verdicts"][0]["difference"] is None
        assert compared["verdicts"][-1]["agreement"] == "second alone"


def test_one_recipe_needs_no_name() -> None:
    """Two experiments that each have one recipe are compared though it is another one, and the spec says so."""
    first, second = small(), small()
    for row in second["verdicts"]:
        row["recipe"] = "full-ft"
    second["recipes"] = [{"name": "full-ft", "learning_rate": 0.002}]
    compared = compare(first, second)
    assert compared["counts"]["same"] == 4
    assert {row["setting"] for row in compared["spec"]} == {
        "recipes.lora-16.name",
        "recipes.lora-16.learning_rate",
        "recipes.full-ft.name",
        "recipes.full-ft.learning_rate",
    }


def test_settings_that_differ_are_named_by_their_place() -> None:
    """Parameters of arms by the arm's name, margins by theirs; what only one has is said to be missing."""
    first, second = small(), small()
    first["spec"]["selectors"] = [{"name": "longest", "as": "long", "parameters": {"unit": "words"}}]
    second["spec"]["selectors"] = [{"name": "longest", "as": "long", "parameters": {"unit": "tokens"}}]
    second["spec"]["alpha"] = 0.1
    second["rules"]["margins"] = {}
    found = {row["setting"]: (row["first"], row["second"]) for row in compare(first, second)["spec"]}
    assert found == {
        "selectors[long].parameters.unit": ("words", "tokens"),
        "alpha": (0.05, 0.1),
        "rules.margins.coachlm": (2.5, "(not there)"),
    }


def test_the_table_and_the_text_show_both_sides() -> None:
    """Names of the experiments as headings, 'first' and 'second' where they are the same."""
    first = small() | {"name": "one"}
    columns, rows = comparison_table(compare(first, small() | {"name": "two"}))
    assert columns[4:] == ["one", "effect of one", "two", "effect of two", "difference", "agreement"]
    assert all(len(row) == len(columns) for row in rows)
    assert "first" in comparison_table(compare(first, first))[0]
    text = comparison_markdown(compare(first, changed(pool="elsewhere")))
    assert "3 same, 1 first alone, 1 second alone" in text
    assert "It has no interval" in text


def test_the_command_prints_a_table_and_writes_files(tmp_path: Path) -> None:
    """Two folders, a table on stdout, comparison.md and comparison.json with -o; one folder is refused."""
    for name in ("a", "b"):
        (tmp_path / name / "report").mkdir(parents=True)
        text = json.dumps(small() | {"name": name})
        (tmp_path / name / "report/report.json").write_text(text, encoding="utf-8")
    runs = [str(tmp_path / name) for name in ("a", "b")]
    done = CliRunner().invoke(command, ["--compare", *runs, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "agreement" in done.stdout
    written = json.loads((tmp_path / "out/comparison.json").read_text("utf-8"))
    assert json.loads(CliRunner().invoke(command, ["--compare", *runs, "--json"]).stdout) == written
    assert (tmp_path / "out/comparison.md").read_text("utf-8").startswith("# a (selkit 0.0) and b")
    refused = CliRunner().invoke(command, ["--compare", runs[0]])
    assert isinstance(refused.exception, UsageError)
    (tmp_path / "file").write_text("", encoding="utf-8")
    for arguments in (["--compare", *runs], runs[:1]):
        stopped = CliRunner().invoke(command, [*arguments, "-o", str(tmp_path / "file" / "out")])
        assert isinstance(stopped.exception, DataError)
