"""The pytest front-end: one test per check, skips with reasons, and no silent opt-out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from selkit.testing import SelectorConformance

HELPERS = Path(__file__).resolve().parents[1] / "helpers"


AUTHOR = """
import pytest
import faulty_judges, faulty_selectors
from selkit.testing import JudgeConformance, SelectorConformance, planted_pool

class TestClass(SelectorConformance):
    component = faulty_selectors.SoundSampler

class TestFunction(SelectorConformance):
    def component(self):
        return faulty_selectors.SoundSampler()

class TestFixture(SelectorConformance):
    @pytest.fixture
    def component(self, tmp_path):
        return faulty_selectors.SoundSampler()

class TestFaulty(SelectorConformance):
    component = faulty_selectors.OneShort()

class TestDeclared(SelectorConformance):
    component = faulty_selectors.OneShort()
    pool = staticmethod(lambda: planted_pool(rows=12, corrupted=0.0))
    xfails = {"exact_budget": "one row is kept back"}

class TestUnneeded(SelectorConformance):
    component = faulty_selectors.SoundSampler()
    xfails = {"exact_budget": "it was broken once"}

class TestPrompt(JudgeConformance):
    component = faulty_judges.SoundPrompt()
    completions = faulty_judges.COMPLETIONS

class Missing(faulty_selectors.SoundScorer):
    requires = ("no_such_package",)

class TestMissing(SelectorConformance):
    component = Missing()

class TestWanting(SelectorConformance):
    component = faulty_selectors.Wanting()
"""
"""The test file of an author."""

SELECTED = "exact_budget or one_score_per_row or parses_its_completions or ((TestMissing or TestWanting) and enough)"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What pytest says of each test of the author's file: 'OUTCOME - reason' by 'Class::test'."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "test_author.py").write_text(AUTHOR)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-o", f"pythonpath={HELPERS}"]
    environment = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(
        [*command, "-k", SELECTED, "."], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^(PASSED|FAILED|XFAIL) \S*?::(\S+)(.*)$", done.stdout, re.MULTILINE)
    skipped = re.findall(r"^SKIPPED \[(\d+)\] (.*)$", done.stdout, re.MULTILINE)
    return {test: outcome + reason for outcome, test, reason in found} | {"skipped": str(skipped)}


@pytest.mark.parametrize("author", ["TestClass", "TestFunction", "TestFixture"])
def test_each_check_is_a_test(author: str, outcomes: dict[str, str]) -> None:
    """A component class, a function and a fixture all do."""
    assert outcomes[f"{author}::test_exact_budget"] == "PASSED"


def test_skips_give_reasons(outcomes: dict[str, str]) -> None:
    """What does not apply is skipped, and pytest says why."""
    assert "it is not a scorer" in outcomes["skipped"]
    assert "it needs no_such_package, not installed here" in outcomes["skipped"]


def test_fault_fails_with_the_reason(outcomes: dict[str, str]) -> None:
    """The reason stands in pytest's summary."""
    assert outcomes["TestFaulty::test_exact_budget"].startswith("FAILED - AssertionError: it raised ContractViolation")
    assert "chose 9 rows where the budget is 10" in outcomes["TestFaulty::test_exact_budget"]


def test_declared_failure_is_expected(outcomes: dict[str, str]) -> None:
    """An opt-out shows the author's reason and what was found, here on the author's own pool of 12 rows."""
    declared = outcomes["TestDeclared::test_exact_budget"]
    assert declared.startswith("XFAIL - opted out: one row is kept back")
    assert "chose 3 rows where the budget is 4" in declared


def test_unneeded_opt_out_fails(outcomes: dict[str, str]) -> None:
    """An opt-out goes as soon as it is no longer needed."""
    assert "take it out of xfails" in outcomes["TestUnneeded::test_exact_budget"]


def test_completions_reach_the_checks(outcomes: dict[str, str]) -> None:
    """A judge's class gives its completions."""
    assert outcomes["TestPrompt::test_parses_its_completions"] == "PASSED"


def test_too_few_checks_fail(outcomes: dict[str, str]) -> None:
    """A declaration that switches most checks off does not leave a green battery."""
    assert outcomes["TestMissing::test_enough_checks_ran"].startswith("FAILED")
    assert "too few ran: at least 21 must" in outcomes["TestMissing::test_enough_checks_ran"]


def test_what_is_not_given_is_said_by_one_test(outcomes: dict[str, str]) -> None:
    """The checks that need a run are skipped with the sentence, and the count of checks fails with it."""
    assert "wanting needs a mood: give -p mood=calm; the checks take its parameters" in outcomes["skipped"]
    assert not any(
        test.startswith("TestWanting") and "FAILED" in said for test, said in outcomes.items() if "enough" not in test
    )
    assert outcomes["TestWanting::test_enough_checks_ran"].startswith("FAILED")


@pytest.mark.parametrize("removal", ["test_exact_budget = None", "def test_exact_budget(self): pass", "checks = ()"])
def test_checks_cannot_be_overridden(removal: str) -> None:
    """Deleting or replacing a check of the kit is refused when the class is made."""
    with pytest.raises(TypeError, match="xfails"):
        exec(f"class TestMine(SelectorConformance):\n    {removal}\n", {"SelectorConformance": SelectorConformance})


@pytest.mark.parametrize(
    ("xfails", "words"), [({"exact_bugdet": "x"}, "do not exist"), ({"exact_budget": ""}, "reason")]
)
def test_bad_opt_outs_are_refused(xfails: dict[str, str], words: str) -> None:
    """An opt-out that names no check, or gives no reason, is refused when the class is made."""
    with pytest.raises(TypeError, match=words):
        type("TestMine", (SelectorConformance,), {"xfails": xfails | {"light_import": "known"}})
