"""Every check of the conformance kit catches what it is there for, and sound components pass all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import faulty_benchmarks as benchmarks
import faulty_judges as judges
import faulty_selectors as selectors
import pytest

from selkit.api import Component, DataError, UsageError
from selkit.plugins import build, manager
from selkit.testing import BENCHMARK_CHECKS, JUDGE_CHECKS, SELECTOR_CHECKS, Check, check_component
from selkit.testing.guards import ProcessState
from selkit.testing.run import make_subject
from selkit.testing.trial import refusal

SELECTOR_FAULTS: dict[str, list[tuple[Callable[[], Component], str]]] = {
    "declares_itself": [(selectors.FromTheFuture, "needs version 99")],
    "documents_its_parameters": [(selectors.Undocumented, "secret")],
    "light_import": [],
    "found_by_name": [],
    "parameters_round_trip": [(selectors.Doubling, '"ratio": 4.0')],
    "exact_budget": [(selectors.OneShort, "chose 9 rows where the budget is 10"), (selectors.Exiting, "SystemExit")],
    "ids_unique_and_from_pool": [
        (selectors.WithReplacement, "more than once"),
        (selectors.Stranger, "not in the pool"),
    ],
    "same_seed_same_choice": [(selectors.Unseeded, "same seed chose differently")],
    "seed_as_declared": [
        (selectors.NotSeeded, "declare seeded = False"),
        (selectors.SecretlySeeded, "depends on the seed"),
    ],
    "pool_order_irrelevant": [(selectors.FirstRows, "other rows"), (selectors.OrderScorer, "another score")],
    "budget_zero": [(selectors.NeverNothing, "asked for 0 rows it chose 1")],
    "budget_one": [(selectors.InPairs, "chose 0 rows where the budget is 1")],
    "budget_all": [(selectors.HalfAtMost, "chose 15 rows where the budget is 30")],
    "budget_too_large": [(selectors.AsManyAsThereAre, "asked for 31 of 30 rows it chose 30")],
    "awkward_rows": [(selectors.Weighting, "ZeroDivisionError"), (selectors.Dividing, "ZeroDivisionError")],
    "one_score_per_row": [(selectors.Skipping, "14 scores came back for 16 rows")],
    "missing_scores_are_reported": [
        (selectors.Guessing, "the score -inf"),
        (selectors.FailingWithValue, "with the value 0.0"),
        (selectors.NoReason, "without a reason"),
    ],
    "tracks_progress": [(selectors.Untracked, "shows no progress")],
    "killed_pass_resumes": [
        (selectors.RunningMean, "declare independent = False"),
        (selectors.TrustingItsCache, "have another score after a kill"),
    ],
    "leaves_pool_alone": [(selectors.Sorting, "the pool's list of ids")],
    "cost_is_recorded": [(selectors.Bypassing, "'longest' itself, at no recorded cost")],
    "leaves_process_alone": [
        (selectors.GlobalSeed, "the global state of numpy.random"),
        (selectors.GlobalShuffle, "the module random"),
        (selectors.SetsEnvironment, "FAULTY_SELECTOR"),
        (selectors.ChangesFolder, "the working directory"),
    ],
    "writes_only_to_its_folder": [(selectors.Littering, "stray.txt")],
    "works_offline": [(selectors.Phoning, "the network is cut")],
    "silent_on_stdout": [(selectors.Printing, "working"), (selectors.PrintingPastPython, "working")],
}
"""Check -> components that break what it checks, each with words of the reason. An empty list: a test of its own."""

JUDGE_FAULTS: dict[str, list[tuple[Callable[[], Component], str]]] = {
    "declares_itself": [(judges.FutureJudge, "needs version 99")],
    "documents_its_parameters": [(judges.UndocumentedJudge, "secret")],
    "light_import": [],
    "found_by_name": [],
    "parameters_round_trip": [(judges.DoublingJudge, '"margin": 4.0')],
    "one_judgement_each": [(judges.Backwards, "in turn")],
    "verdicts_in_range": [
        (judges.CarriedAway, "100.0 is not in [0, 1]"),
        (judges.OutOfRange, "100.0 is not in [0, 1]"),
    ],
    "failures_have_reasons": [(judges.Sulking, "without a reason"), (judges.Defaulting, "timeout with 0.5")],
    "judges_something": [(judges.Silent, "I would rather not")],
    "awkward_responses": [(judges.SkipsBlank, "not every awkward"), (judges.Fragile, "IndexError")],
    "batch_size_irrelevant": [(judges.Relative, "depend on what else is asked")],
    "swapping_mirrors": [
        (judges.LongestFirst, "with the responses swapped"),
        (judges.LikesFirst, "with the responses swapped"),
    ],
    "equal_responses_tie": [(judges.LikesEqual, "between equal responses is 1.0")],
    "runs_under_the_host": [(judges.ForgetsOrder, "in its turn")],
    "prompt_holds_everything": [
        (judges.Cutting, "not in the prompt verbatim"),
        (judges.Stripping, "not in the prompt verbatim"),
    ],
    "parses_its_completions": [(judges.SwappedLabels, "stands for 1.0 and was read as 0.0")],
    "garbage_stays_unparsed": [(judges.SilenceIsATie, "was read as 0.5"), (judges.TieByDefault, "was read as 0.5")],
    "injections_change_nothing": [(judges.ReadsResponses, "a fake verdict in a response")],
    "chat_failures_are_kept": [(judges.BlameTheModel, "refusal of the endpoint became malformed")],
    "usage_is_recorded": [(judges.Spendthrift, "{} were recorded")],
    "exports_into_its_folder": [(judges.SendsNothing, "is empty")],
    "leaves_process_alone": [(judges.SeedingJudge, "the global state of numpy.random")],
    "writes_only_to_its_folder": [(judges.LitteringJudge, "stray.txt")],
    "works_offline": [(judges.PhoningJudge, "the network is cut")],
    "silent_on_stdout": [(judges.PrintingJudge, "working\\nworking")],
}

BENCHMARK_FAULTS: dict[str, list[tuple[Callable[[], Component], str]]] = {
    "declares_itself": [(benchmarks.FutureBenchmark, "needs version 99")],
    "documents_its_parameters": [(benchmarks.UndocumentedBenchmark, "secret")],
    "light_import": [],
    "found_by_name": [],
    "parameters_round_trip": [(benchmarks.DoublingBenchmark, '"ratio": 4.0')],
    "group_is_sound": [
        (benchmarks.Twins, "two members have the label sums"),
        (benchmarks.Empty, "members() returns none"),
        (benchmarks.Mixed, "it pools items scored by acc, exact"),
    ],
    "names_its_metrics": [
        (benchmarks.Undirected, "whether high is good: exact"),
        (benchmarks.NoPrimary, "the primary metric 'f1'"),
        (benchmarks.Undecided, "of which neither end is good"),
    ],
    "names_its_data": [
        (benchmarks.Columnless, "declares no column"),
        (benchmarks.Climbing, "outside the folder of data: ../rows.jsonl"),
        (benchmarks.Sizeless, "the size 0"),
    ],
    "task_is_sound": [
        (benchmarks.Counted, "two calls give two configurations"),
        (benchmarks.Lost, "there is no function faulty_benchmarks.scored"),
    ],
    "loads_local_rows": [
        (benchmarks.Mute, "check_row returned None"),
        (benchmarks.OtherColumns, "there is no column 'prompt'"),
        (benchmarks.Picky, "row 6 is refused: the sum is above 10"),
    ],
    "declared_size": [(benchmarks.TooSmall, "declares 5 rows and there are 6")],
    "one_item_per_row": [
        (benchmarks.Dropping, "6 rows became 5 items"),
        (benchmarks.SameIds, "6 different rows have 1 different ids"),
    ],
    "scores_in_range": [
        (benchmarks.Enthusiastic, "exact of an item is 2.0, not in [0, 1]"),
        (benchmarks.Percent, "exact of an item is 100.0, not in [0, 1]"),
    ],
    "awkward_answers": [(benchmarks.Splitting, "IndexError")],
    "deterministic": [
        (benchmarks.Growing, "scored otherwise the second time"),
        (benchmarks.Guessing, "scored otherwise the second time"),
    ],
    "right_answers_win": [
        (benchmarks.UpsideDown, "declares errors as high is good, and it is 0 for right answers and 1 for wrong ones"),
        (benchmarks.Blind, "exact is 0.5 for right answers and 0.5 for wrong ones"),
    ],
    "remarks_are_sentences": [(benchmarks.OneRemark, "remarks of means of 0 are 'low'")],
    "adds_up": [(benchmarks.Numbered, "ArrowTypeError")],
    "leaves_process_alone": [(benchmarks.SettingBenchmark, "FAULTY_BENCHMARK")],
    "writes_only_to_its_folder": [(benchmarks.LitteringBenchmark, "stray.txt")],
    "works_offline": [(benchmarks.PhoningBenchmark, "the network is cut")],
    "silent_on_stdout": [(benchmarks.PrintingBenchmark, "working")],
}


NEVER_ALONE = {
    "exact_budget": "the host refuses such a choice, so that every check which chooses fails with it",
    "ids_unique_and_from_pool": "the host refuses such a choice, so that every check which chooses fails with it",
    "same_seed_same_choice": "a draw from elsewhere differs between any two draws, also of the pool in another order",
    "one_judgement_each": "answers out of turn are what the host refuses too",
    "runs_under_the_host": "what the host refuses is an answer out of turn",
    "parses_its_completions": "a verdict that is read wrongly is read so beside fake ones too",
}
"""Checks whose fault other checks cannot but see, each with the reason."""


def _cases(checks: tuple[Check, ...], faults: dict[str, list[tuple[Callable[[], Component], str]]]) -> list:
    by_name = {check.name: check for check in checks}
    return [
        pytest.param(by_name[name], faulty, words, id=f"{name}-{faulty.__name__}")
        for name, cases in faults.items()
        for faulty, words in cases
    ]


@pytest.mark.parametrize(
    ("checks", "faults"),
    [(SELECTOR_CHECKS, SELECTOR_FAULTS), (JUDGE_CHECKS, JUDGE_FAULTS), (BENCHMARK_CHECKS, BENCHMARK_FAULTS)],
    ids=["selector", "judge", "benchmark"],
)
def test_every_check_has_a_fault_that_it_catches(checks: tuple[Check, ...], faults: dict) -> None:
    """The tables above name every check, and every check says what it is about."""
    assert [check.name for check in checks] == list(faults)
    assert all(check.about for check in checks)
    own_tests = {"light_import", "found_by_name"}
    assert {name for name, cases in faults.items() if not cases} == own_tests
    assert set(NEVER_ALONE) <= {*SELECTOR_FAULTS, *JUDGE_FAULTS, *BENCHMARK_FAULTS}


def _alone() -> list:
    """The first fault of every check that has one of its own here, with all checks of its kind."""
    bench = {"data": benchmarks.DATA, "right": benchmarks.right}
    kinds = (
        (SELECTOR_CHECKS, SELECTOR_FAULTS, {}),
        (JUDGE_CHECKS, JUDGE_FAULTS, {"completions": judges.COMPLETIONS}),
        (BENCHMARK_CHECKS, BENCHMARK_FAULTS, bench),
    )
    return [
        pytest.param(name, cases[0][0], checks, sample, id=f"{name}-{cases[0][0].__name__}")
        for checks, faults, sample in kinds
        for name, cases in faults.items()
        if cases and name not in NEVER_ALONE
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "faulty", "checks", "sample"), _alone())
def test_a_fault_turns_its_own_check_red_and_no_other(
    name: str,
    faulty: Callable[[], Component],
    checks: tuple[Check, ...],
    sample: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No check stands in for another: each sees what it is there for, and sees nothing else in it."""
    if checks is BENCHMARK_CHECKS:
        pytest.importorskip("lm_eval")
    for littering in (selectors.Littering, judges.LitteringJudge, benchmarks.LitteringBenchmark):
        monkeypatch.setattr(littering, "place", tmp_path, raising=False)
    subject = make_subject(faulty(), tmp_path / "run", **sample)
    elsewhere = {"light_import"}  # a process of its own each time, and no business of these classes
    results = [check(subject) for check in checks if check.name not in elsewhere]
    assert [result.name for result in results if result.status == "failed"] == [name]


@pytest.mark.parametrize(("check", "faulty", "words"), _cases(SELECTOR_CHECKS, SELECTOR_FAULTS))
def test_selector_check_catches_its_fault(
    check: Check, faulty: Callable[[], Component], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 48: a selector that breaks the rule fails the check with a reason that names the fault."""
    monkeypatch.setattr(selectors.Littering, "place", tmp_path, raising=False)
    result = check(make_subject(faulty(), tmp_path / "run"))
    assert result.status == "failed", result
    assert words in result.reason


@pytest.mark.parametrize(("check", "faulty", "words"), _cases(JUDGE_CHECKS, JUDGE_FAULTS))
def test_judge_check_catches_its_fault(
    check: Check, faulty: Callable[[], Component], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that breaks the rule fails the check with a reason that names the fault."""
    monkeypatch.setattr(judges.LitteringJudge, "place", tmp_path, raising=False)
    result = check(make_subject(faulty(), tmp_path / "run", completions=judges.COMPLETIONS))
    assert result.status == "failed", result
    assert words in result.reason


@pytest.mark.parametrize(
    "sound", [selectors.SoundScorer, selectors.SoundSampler, selectors.SoundSelector, selectors.Asking]
)
def test_sound_selectors_pass(sound: Callable[[], Component]) -> None:
    """Nothing fails, enough checks run, and only what does not apply is skipped."""
    report = check_component(sound())
    assert report.ok, str(report)
    expected = {"found_by_name"} if sound is selectors.SoundScorer else {"found_by_name", *_OF_SCORERS}
    assert {result.name for result in report.of_status("skipped")} == expected


_OF_SCORERS = {"one_score_per_row", "missing_scores_are_reported", "tracks_progress", "killed_pass_resumes"}


@pytest.mark.parametrize(("check", "faulty", "words"), _cases(BENCHMARK_CHECKS, BENCHMARK_FAULTS))
def test_benchmark_check_catches_its_fault(
    check: Check, faulty: Callable[[], Component], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A benchmark that breaks the rule fails the check with a reason that names the fault."""
    pytest.importorskip("lm_eval")
    monkeypatch.setattr(benchmarks.LitteringBenchmark, "place", tmp_path, raising=False)
    sample = {"data": benchmarks.DATA, "right": benchmarks.right}
    result = check(make_subject(faulty(), tmp_path / "run", **sample))
    assert result.status == "failed", result
    assert words in result.reason


@pytest.mark.parametrize("sound", [benchmarks.Sums, benchmarks.Choices, benchmarks.Both])
def test_sound_benchmarks_pass(sound: Callable[[], Component]) -> None:
    """Nothing fails, and only what does not apply is skipped."""
    pytest.importorskip("lm_eval")
    report = check_component(sound(), data=benchmarks.DATA, right=benchmarks.right)
    assert report.ok, str(report)
    expected = {"found_by_name"} if sound is benchmarks.Both else {"found_by_name", "group_is_sound"}
    assert {result.name for result in report.of_status("skipped")} == expected


def test_benchmark_on_the_whole_data_must_have_as_many_rows_as_declared() -> None:
    """A sample may be smaller; the published rows may not."""
    pytest.importorskip("lm_eval")
    sample = {"data": {"sums/rows.jsonl": benchmarks.ROWS[:4]}, "right": benchmarks.right}
    assert check_component(benchmarks.Sums(), **sample).ok
    (failed,) = check_component(benchmarks.Sums(), **sample, whole=True).of_status("failed")
    assert (failed.name, failed.reason) == ("declared_size", "sums declares 6 rows and there are 4")


def test_benchmark_without_rows_fails_and_says_which_file_would_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched in its place."""
    pytest.importorskip("lm_eval")
    monkeypatch.delenv("SELKIT_SHARED_DATA", raising=False)
    report = check_component(benchmarks.Sums(), data=tmp_path)
    reasons = {result.name: result.reason for result in report.of_status("skipped")}
    assert not report.ok
    assert isinstance(report.refusal, DataError)
    assert "put them into a file sums/rows.jsonl" in str(report.refusal)
    assert reasons["loads_local_rows"] == str(report.refusal)
    assert str(report.refusal).endswith("the checks take its rows as data (--data DIR)")


@pytest.mark.parametrize("sound", [judges.SoundRule, judges.SoundPrompt, judges.SoundRoundTrip])
def test_sound_judges_pass(sound: Callable[[], Component]) -> None:
    """Nothing fails and enough checks run."""
    report = check_component(sound(), completions=judges.COMPLETIONS)
    assert report.ok, str(report)
    assert report.ran >= 17


@pytest.mark.parametrize("faulty", [selectors.Unseeded, selectors.Littering, judges.OutOfRange])
def test_fault_makes_the_whole_report_fail(
    faulty: Callable[[], Component], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failed check is enough, and the summary counts it."""
    monkeypatch.setattr(selectors.Littering, "place", tmp_path, raising=False)
    report = check_component(faulty())
    assert not report.ok
    assert report.to_dict()["failed"] == len(report.of_status("failed")) >= 1
    assert f"{len(report.of_status('failed'))} failed" in report.summary()


@pytest.mark.parametrize("line", ["import vllm", "from vllm import nothing_heavy", "print('hello')"])
def test_light_import_catches_heavy_and_talkative_modules(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that imports a heavy package (here one of that name) or prints is caught; its class need not run."""
    (tmp_path / "vllm.py").write_text("nothing_heavy = 1\n")
    (tmp_path / "imported_plugin.py").write_text(f"{line}\nfrom faulty_selectors import SoundScorer as Base\n{_CLASS}")
    monkeypatch.syspath_prepend(tmp_path)
    import imported_plugin

    check = next(check for check in SELECTOR_CHECKS if check.name == "light_import")
    result = check(make_subject(imported_plugin.Mine(), tmp_path / "run"))
    for name in ("imported_plugin", "vllm"):
        sys.modules.pop(name, None)
    assert result.status == "failed"
    assert ("vllm" if "vllm" in line else "hello") in result.reason


_CLASS = "class Mine(Base):\n    name = 'mine'\n"


def test_found_by_name_catches_another_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's hook offers another class under the component's name."""
    (tmp_path / "shadow.py").write_text(
        "from dataclasses import dataclass\nfrom selkit.api import Sampler, hookimpl\n"
        + "".join(
            f"@dataclass\nclass {name}(Sampler):\n    name = 'shadow'\n    def sample(self, pool, k, ctx): ...\n"
            for name in ("Offered", "Mine")
        )
        + "@hookimpl\ndef selkit_selectors():\n    return [Offered]\n"
    )
    metadata = tmp_path / "shadow-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shadow\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[selkit]\nshadow = shadow\n")
    monkeypatch.syspath_prepend(tmp_path)
    manager.cache_clear()
    import shadow

    check = next(check for check in SELECTOR_CHECKS if check.name == "found_by_name")
    try:
        results = {cls: check(make_subject(cls(), tmp_path / "run")) for cls in (shadow.Offered, shadow.Mine)}
    finally:
        manager.cache_clear()
        del sys.modules["shadow"]
    assert results[shadow.Offered].status == "passed"
    assert results[shadow.Mine].status == "failed"
    assert "leads to shadow.Offered" in results[shadow.Mine].reason


@pytest.mark.parametrize("faulty", [selectors.SetsEnvironment, selectors.ChangesFolder, selectors.GlobalSeed])
def test_a_check_undoes_what_the_component_changed(faulty: Callable[[], Component], tmp_path: Path) -> None:
    """Environment, working directory and random states are as before, so that no check spoils the next one."""
    before = ProcessState.now()
    check = next(check for check in SELECTOR_CHECKS if check.name == "exact_budget")
    assert check(make_subject(faulty(), tmp_path)).status == "passed"
    assert before.changes(ProcessState.now()) == []


def test_too_few_checks_do_not_pass() -> None:
    """A judge that cannot run here has nothing that failed, and its report is not fine."""
    judge = build("judge", "reference")
    type(judge).requires, kept = ("no_such_package",), type(judge).requires
    try:
        report = check_component(judge)
    finally:
        type(judge).requires = kept
    assert not report.of_status("failed")
    assert not report.ok
    assert "too few ran" in report.summary()


def test_what_is_not_given_is_said_once() -> None:
    """Checks that need a run are skipped with the one sentence, the others run, and the report folds and fails."""
    report = check_component(selectors.Wanting())
    assert isinstance(report.refusal, UsageError)
    told = "wanting needs a mood: give -p mood=calm; the checks take its parameters (-p KEY=VALUE) and a pool"
    assert str(report.refusal) == f"{told} (--pool FILE)"
    assert (report.ok, report.of_status("failed")) == (False, ())
    assert report.ran == len(report.of_status("passed")) < report.minimum
    assert str(report).count("needs a mood") == 1


@pytest.mark.parametrize("faulty", [selectors.Exiting, selectors.Dividing, selectors.OneShort])
def test_a_broken_component_is_checked_all_the_same(faulty: Callable[[], Component], tmp_path: Path) -> None:
    """What raises, exits or breaks its contract is for the checks to report; one that has all it needs runs."""
    assert refusal(make_subject(faulty(), tmp_path)) is None
    assert refusal(make_subject(selectors.Wanting(mood="calm"), tmp_path / "calm")) is None


def test_opt_outs() -> None:
    """An opt-out with a reason turns a failure into a skip; one that is not needed fails; a bad one is refused."""
    reason = {"seed_as_declared": "known, to be mended"}
    report = check_component(selectors.NotSeeded(), xfails=reason)
    assert report.ok, str(report)
    assert any("known, to be mended" in result.reason for result in report.of_status("skipped"))
    failed = check_component(selectors.SoundSampler(), xfails=reason).of_status("failed")
    assert [result.name for result in failed] == ["seed_as_declared"]
    with pytest.raises(UsageError, match="do not exist: no_such_check"):
        check_component(selectors.SoundSampler(), xfails={"no_such_check": "because"})
    with pytest.raises(UsageError, match="gives no reason for exact_budget"):
        check_component(selectors.SoundSampler(), xfails={"exact_budget": " "})


def test_prompt_judge_brings_its_own_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a judge declares as examples stands in for completions, and a wrong example fails."""
    monkeypatch.setattr(judges.SoundPrompt, "examples", judges.COMPLETIONS)
    assert check_component(judges.SoundPrompt()).ok
    monkeypatch.setattr(judges.SoundPrompt, "examples", judges.COMPLETIONS | {"Verdict: 2": 1.0})
    failed = check_component(judges.SoundPrompt()).of_status("failed")
    assert "parses_its_completions" in {result.name for result in failed}


def test_prompt_judge_without_completions_fails() -> None:
    """An author who gives no completions is told so; the checks that need them do not pass in silence."""
    failed = check_component(judges.SoundPrompt()).of_status("failed")
    assert {"parses_its_completions", "injections_change_nothing"} <= {result.name for result in failed}
    assert any("give completions" in result.reason for result in failed)


def test_a_failure_without_words_says_where_it_came_from() -> None:
    """An exception without a text, such as a component's bare assert raises, is told by its line."""

    def keeps_quiet(subject: list[int]) -> None:
        raise LookupError

    result = Check(keeps_quiet, lambda _: "")([])
    assert result.reason.startswith("it raised LookupError in line ")
    assert result.reason.endswith("of test_checks.py: raise LookupError")
