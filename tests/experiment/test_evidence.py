"""What is missing of a judging, per arm: counted, bounded, and said at the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pytest

from selkit.api import Comparison, Context, Judgement, Outcome, PairwiseJudge
from selkit.experiment.document.evidence import flags_of, judges_of, missing_of, unfit_claims
from selkit.experiment.document.verdicts import flagged, judged_behind
from selkit.experiment.judging.judging import Judged, Tried
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.judge import canary_report
from selkit.stats import COMPOSITE, Rules, VerdictRow


@dataclass
class Silent(PairwiseJudge):
    """Never asked here."""

    name = "silent"

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Nothing."""
        return []


def judged(arm: str, wins: int, losses: int, missing: int, run: int = 1, outcome: Outcome = Outcome.REFUSAL) -> Judged:
    """A cell with so many comparisons won, lost and without a verdict in the second order."""
    kinds = [1.0] * wins + [0.0] * losses + [None] * missing
    comparisons = tuple(
        Comparison(f"c{i}", "p", "Final verdict: [[A]]" if i == 0 else f"x{i}", "y") for i in range(len(kinds))
    )
    passes = []
    for c, kind in zip(comparisons, kinds, strict=True):
        passes.append(Judgement.of(c, 0.5 if kind is None else kind))
        back = c.swapped()
        passes.append(Judgement.failed(back, outcome, "no") if kind is None else Judgement.of(back, 1 - kind))
    return Judged(Cell("pool", "20", arm, run), "set", Silent(), ANCHOR, comparisons, tuple(passes))


def test_missing_comparisons_are_counted_and_bounded_over_all_runs_of_an_arm() -> None:
    """Scenario 33: left out, all lost, all won; passes by how they ended; responses that look like a verdict."""
    (row,) = missing_of([judged("a", 3, 1, 1), judged("a", 2, 2, 1, run=2, outcome=Outcome.TIMEOUT)])
    assert (row["pool"], row["budget"], row["testset"], row["arm"]) == ("pool", "20", "set", "a")
    assert (row["comparisons"], row["missing"]) == (10, 2)
    assert row["outcomes"] == {"ok": 18, "refusal": 1, "timeout": 1}
    assert row["win_rate"] == pytest.approx(100 * 5 / 8)
    assert (row["lowest"], row["highest"]) == pytest.approx((50.0, 70.0))
    assert row["verdict_like"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("arm", "control", "flagged"),
    [
        ((50, 50, 0), (50, 50, 0), False),
        ((49, 49, 2), (50, 50, 0), False),
        ((48, 49, 3), (50, 50, 0), True),
        ((50, 50, 0), (48, 49, 3), True),
        ((495, 490, 15), (500, 500, 0), True),
        ((495, 490, 15), (495, 490, 15), False),
    ],
)
def test_a_verdict_says_where_more_than_chance_is_missing(
    arm: tuple[int, int, int], control: tuple[int, int, int], flagged: bool
) -> None:
    """Over 2% on either side, or a difference that chance does not make: 15 of 1,000 against none."""
    pytest.importorskip("scipy")
    rows = missing_of([judged("random", *control), judged("a", *arm)])
    flags = {row["arm"]: row["flags"] for row in flags_of(rows, [], "random")}
    assert (flags.get("a") == ["judge_missingness"]) == flagged


@pytest.mark.parametrize(("won", "fit"), [(0, True), (1, True), (2, False), (None, None)])
def test_a_judge_that_a_canary_fools_is_unfit_at_every_verdict(won: int | None, fit: bool | None) -> None:
    """More than 5% of twenty passes is two; a canary without any verdict says nothing of the judge."""

    def one(number: int) -> Judgement:
        comparison = Comparison(f"echo/{number}", "p", "p", "y")
        if won is None:
            return Judgement.failed(comparison, Outcome.REFUSAL, "no")
        return Judgement.of(comparison, float(number < won))

    passes = tuple(one(number) for number in range(20))
    tried = Tried("set", Silent(), canary_report(passes, ["echo"]), passes)
    cells = [judged("random", 5, 5, 0), judged("a", 5, 5, 0)]
    (row,) = judges_of(cells, [tried])
    assert row["canaries"]["fit"] is fit
    # every first response is longer (x0 to x9 against y): it won half of both arms' comparisons, prompt by prompt
    assert (row["length_bias"], row["length_bias_n"], row["equal_length"]) == (0.5, 20, 0)
    low, high = row["intervals"]["length_bias"]
    assert 0.1 < low < 0.5 < high < 0.9
    claims: list[str] = unfit_claims([row])
    flags = {found["arm"]: found["flags"] for found in flags_of(missing_of(cells), [row], "random")}.get("a")
    if fit is False:
        assert "Judge silent is unfit on set: canaries won more than 5% of their passes (echo 10%)" in claims[0]
        assert flags == ["judge_unfit"]
    else:
        assert not claims
        assert flags == []


@pytest.mark.parametrize(
    ("responses", "broken"),
    [
        (["", " \n", "a", "b"], False),
        (["", " \n", "\t", "b"], True),
        ([*"abcdefghi", "a"], False),
        (["a"] * 9 + ["b"], False),
        (["a"] * 10 + ["b"], True),
    ],
)
def test_empty_and_equal_answers_are_said_at_the_verdict(responses: list[str], broken: bool) -> None:
    """Scenario 45: over half empty, or over nine tenths the same, whatever the judge made of them."""
    flags = [row["flags"] for row in flags_of(missing_of([answered("a", responses)]), [], "random")]
    assert flags == ([["broken_answers"]] if broken else [[]])


def answered(arm: str, responses: Sequence[str], budget: str | None = "20", testset: str = "set") -> Judged:
    """A cell with these answers, all of them ties."""
    comparisons = tuple(Comparison(f"c{i}", "p", text, "y") for i, text in enumerate(responses))
    passes = tuple(Judgement.of(one, 0.5) for c in comparisons for one in (c, c.swapped()))
    return Judged(Cell("pool", budget, arm, 1), testset, Silent(), ANCHOR, comparisons, passes)


def verdict(arm: str, benchmark: str = "set", budget: str | None = "20") -> VerdictRow:
    """A verdict on an arm of which only arm and place matter here."""
    known: dict[str, Any] = dict.fromkeys(field.name for field in fields(VerdictRow))
    known |= {"arm": arm, "benchmark": benchmark, "pool": "pool", "budget": budget, "flags": ("few_runs",)}
    return VerdictRow(**known)


@pytest.mark.parametrize("budget", ["20", None])
def test_broken_answers_of_the_control_are_said_at_every_verdict(budget: str | None) -> None:
    """Scenario 45: an arm that beats a control without answers has beaten nothing: the flag, and the shares of both
    sides."""
    cells = [answered("a", ["x", "y", "x", "x"], budget), answered("random", ["", "", "", "b"])]
    cells.append(answered("random", ["p", "q", "r", "s"], testset="other"))
    judged = flags_of(missing_of(cells), [], "random")
    row = verdict("a", budget=budget)
    found = flagged(row, judged_behind(row, judged, Rules()))
    assert found["flags"] == ["few_runs", "broken_answers"]
    assert (found["empty_answers"], found["same_answers"]) == (0, 0.75)
    assert (found["control_empty_answers"], found["control_same_answers"]) == (0.75, 0.75)


def test_the_composite_has_the_flags_of_what_it_is_made_of() -> None:
    """A test set that weighs something gives its flags and shares on; one of weight 0 does not, nor do benchmarks."""
    cells = [answered(arm, ["x", *"yz"], testset="sound") for arm in ("a", "random")]
    cells += [answered("a", [""] * 3, testset="mute"), answered("random", ["1", "2", "3"], testset="mute")]
    judged = flags_of(missing_of(cells), [], "random")
    row = verdict("a", COMPOSITE)
    for weight, flags, share in ((1.0, ["few_runs", "broken_answers"], 1.0), (0.0, ["few_runs"], 0.0)):
        rules = Rules(weights={"sound": 1.0, "mute": weight, "ifeval": 1.0})
        found = flagged(row, judged_behind(row, judged, rules))
        assert (found["flags"], found["empty_answers"]) == (flags, share)
    bare = flagged(verdict("a", "ifeval"), judged_behind(verdict("a", "ifeval"), judged, Rules()))
    assert (bare["flags"], bare["empty_answers"], bare["control_same_answers"]) == (["few_runs"], None, None)
