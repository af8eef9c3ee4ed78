"""Groups that are too large to be run in the kit's two dozen ways: what a group itself can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from selkit_tasks.leaderboard import Mmlu, MmluByQuestion, OpenLLM, OpenLLMChasingRandom, ShenAverage2
from selkit_tasks.reasoning import Bbh

from selkit.api import BenchmarkGroup
from selkit.testing import BENCHMARK_CHECKS
from selkit.testing.run import make_subject

pytest.importorskip("lm_eval")

SUBJECTS = "57 subjects that differ by the name of a file: TestMmlu tries one"
NOT_TRIED = {
    Bbh: "27 tasks that differ by the name of a file: TestBbh tries one",
    Mmlu: SUBJECTS,
    MmluByQuestion: SUBJECTS,
    OpenLLM: "mmlu, and five benchmarks that are tried by themselves",
    OpenLLMChasingRandom: "mmlu, and five benchmarks that are tried by themselves",
    ShenAverage2: "mmlu and bbh, and five benchmarks that are tried by themselves",
}
"""Groups that the kit does not run, each with the reason."""

OF_GROUPS = {
    "declares_itself",
    "documents_its_parameters",
    "found_by_name",
    "parameters_round_trip",
    "group_is_sound",
    "names_its_metrics",
    "task_is_sound",
}
"""The checks that run no member; the modules are those of benchmarks that are tried."""


@pytest.mark.parametrize("group", NOT_TRIED, ids=lambda group: group.name)
def test_the_group_itself_keeps_its_promises(group: type[BenchmarkGroup], tmp_path: Path) -> None:
    """Its members have labels, metrics and tasks that are sound, all of them."""
    subject = make_subject(group(), tmp_path)
    results = [check(subject) for check in BENCHMARK_CHECKS if check.name in OF_GROUPS]
    assert {result.name for result in results} == OF_GROUPS
    assert [str(result) for result in results if result.status != "passed"] == []
