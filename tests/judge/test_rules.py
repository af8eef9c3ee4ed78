"""Rules and rates: the papers' tables in full, brute force, and what missing verdicts could change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import Comparison, Judgement, Outcome, PairScores, UsageError
from selkit.judge import (
    Rates,
    Rule,
    Verdict,
    judge_health,
    length_bias,
    length_bias_of_scores,
    order_bias,
    verdict,
    verdicts,
)
from selkit.judge.intervals import bootstrap_ratio, wilson
from selkit.judge.rules import RULES

WORDS = {"w": 1.0, "t": 0.5, "l": 0.0, "?": None}
"""What a pass says of the comparison's first response."""

SHORT = {Verdict.WIN: "w", Verdict.TIE: "t", Verdict.LOSE: "l", Verdict.UNPARSED: "?"}


def a_pass(word: str, order: str = "first", name: str = "c", scores: tuple[float, float] | None = None) -> Judgement:
    """A pass in which the comparison's first response wins, ties, loses, or nothing is said; scores as shown."""
    value = WORDS[word]
    if value is None:
        return Judgement(name, order, Outcome.MALFORMED, None, reason="no")
    shown = value if order == "first" else 1 - value
    return Judgement(name, order, Outcome.OK, shown, scores=None if scores is None else PairScores(*scores))


def both(words: str, name: str = "c") -> list[Judgement]:
    """Both passes of a comparison."""
    return [a_pass(words[0], "first", name), a_pass(words[1], "second", name)]


TABLE = {
    # passes: CaR 3.3, 'Rethinking' 3, sum of preferences, first pass alone
    "ww": "wwww",
    "wt": "wtww",
    "tw": "wtwt",
    "wl": "tttw",
    "lw": "tttl",
    "tt": "tttt",
    "tl": "ltlt",
    "lt": "ltll",
    "ll": "llll",
    "w?": "???w",
    "?w": "????",
    "??": "????",
    "t?": "???t",
}


@pytest.mark.parametrize("words", TABLE)
def test_every_pair_of_passes_under_every_rule(words: str) -> None:
    """As the papers have it; the order in which the passes are stored does not matter."""
    expected = dict(zip(RULES, TABLE[words], strict=True))
    assert {rule: SHORT[verdict(both(words), rule)] for rule in RULES} == expected
    assert {rule: SHORT[verdict(both(words)[::-1], rule)] for rule in RULES} == expected


@given(st.tuples(*[st.sampled_from("wtl?")] * 2).map("".join), st.sampled_from(RULES))
def test_swapping_the_responses_mirrors_the_verdict(words: str, rule: Rule) -> None:
    """No rule has a favourite."""
    mirror = str.maketrans("wl", "lw")
    passes, swapped = both(words), both(words.translate(mirror))
    assert SHORT[verdict(swapped, rule)] == SHORT[verdict(passes, rule)].translate(mirror)


score = st.integers(0, 100).map(lambda tenths: tenths / 10)


@given(score, score, score, score)
def test_score_sum_compares_the_sums(one: float, other: float, again: float, other_again: float) -> None:
    """Against whole numbers: the sum of the first response's two scores and that of the second's."""
    first = Judgement.of(Comparison("c", "p", "x", "y"), PairScores(one, other))
    second = Judgement.of(Comparison("c", "p", "x", "y").swapped(), PairScores(other_again, again))
    lead = round(10 * one) + round(10 * again) - round(10 * other) - round(10 * other_again)
    expected = Verdict.WIN if lead > 0 else Verdict.LOSE if lead < 0 else Verdict.TIE
    assert verdict([first, second], "score-sum") == expected


def test_score_sum_can_part_from_net() -> None:
    """A clear win and a narrow loss are a tie under net, and a win by the sum; half points cancel exactly."""
    clear = [a_pass("w", scores=(9, 5)), a_pass("l", "second", scores=(7, 6.5))]
    assert [verdict(clear, rule) for rule in ("net", "score-sum")] == [Verdict.TIE, Verdict.WIN]
    even = [a_pass("w", scores=(8.3, 8.1)), a_pass("l", "second", scores=(7.3, 7.1))]
    assert verdict(even, "score-sum") == Verdict.TIE


def test_preferences_are_summed_where_there_are_no_scores() -> None:
    """A judge that says how sure it is: 0.9 for, and 0.4 for, is a win by the sum."""
    passes = [Judgement("c", "first", Outcome.OK, 0.9), Judgement("c", "second", Outcome.OK, 0.6)]
    assert [verdict(passes, rule) for rule in RULES] == [Verdict.TIE, Verdict.TIE, Verdict.WIN, Verdict.WIN]


@pytest.mark.parametrize("order", ["first", "second"])
def test_one_order_is_enough_for_single_alone(order: str) -> None:
    """The pass that there is, turned to be for the first response; other rules say what they need."""
    assert verdict([a_pass("w", order)], "single") == Verdict.WIN
    for rule in RULES[:3]:
        with pytest.raises(UsageError, match="needs both orders of a comparison, and 'c'"):
            verdict([a_pass("w", order)], rule)


PASSES = [
    one for i, words in enumerate(["ww", "wt", "wl", "tt", "ll", "w?", "ww", "lw"]) for one in both(words, f"c{i}")
]


def test_rates_by_hand() -> None:
    """Eight comparisons: under net 3 wins, 3 ties, 1 loss, 1 unparsed; rates count over the seven with a verdict."""
    by_id = verdicts(PASSES, "net")
    assert "".join(SHORT[one] for one in by_id.values()) == "wwttl?wt"
    rates = Rates.of(by_id.values())
    assert (rates.n, rates.win, rates.tie, rates.lose, rates.unparsed) == (8, 3, 3, 1, 1)
    assert rates.ws == pytest.approx(1 + 2 / 7)
    assert rates.wr == pytest.approx(3 / 7)
    assert rates.qs == pytest.approx(6 / 7)
    assert rates.bounds() == {"ws": (1 + 1 / 8, 1 + 3 / 8), "wr": (3 / 8, 4 / 8), "qs": (6 / 8, 7 / 8)}


def test_nothing_judged_has_no_rate() -> None:
    """Neither a zero nor an error; the bounds say that everything is possible."""
    rates = Rates.of([Verdict.UNPARSED] * 3)
    assert (rates.ws, rates.wr, rates.qs) == (None, None, None)
    assert rates.intervals() == {"ws": None, "wr": None, "qs": None}
    assert rates.bounds() == {"ws": (0.0, 2.0), "wr": (0.0, 1.0), "qs": (0.0, 1.0)}
    assert Rates.of([]).bounds() == {"ws": None, "wr": None, "qs": None}


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=6))
def test_bounds_hold_whatever_the_missing_verdicts_are(found: list[Verdict]) -> None:
    """Brute force over every way to fill them in; the bounds are reached."""
    missing = [i for i, one in enumerate(found) if one == Verdict.UNPARSED]
    filled: list[Rates] = []
    for ways in product([Verdict.WIN, Verdict.TIE, Verdict.LOSE], repeat=len(missing)):
        settled = [dict(zip(missing, ways, strict=True)).get(i, one) for i, one in enumerate(found)]
        filled.append(Rates.of(settled))
    bounds = Rates.of(found).bounds()
    for name in ("ws", "wr"):
        values = [getattr(rates, name) for rates in filled]
        assert bounds[name] == (pytest.approx(min(values)), pytest.approx(max(values)))
    values = [rates.qs for rates in filled]
    assert bounds["qs"] == (pytest.approx(min(values)), pytest.approx(max(values)))


def test_order_bias_by_hand() -> None:
    """Passes with a winner: 12, of which the first-shown won 7; of seven comparisons with both verdicts 3 changed."""
    decided = [one.preference for one in PASSES if one.preference not in (None, 0.5)]
    assert (len(decided), sum(p == 1.0 for p in decided)) == (12, 7)
    bias = order_bias(PASSES)
    assert bias.first_position_rate == pytest.approx(7 / 12)
    assert bias.inconsistency == pytest.approx(3 / 7)
    assert bias.inconsistency_interval == wilson(3, 7)


def test_a_judge_that_always_takes_the_first() -> None:
    """Its rate is 1 and every verdict changes; under net nothing but ties is left."""
    passes = [one for i in range(9) for one in both("wl", f"c{i}")]
    bias = order_bias(passes)
    assert (bias.first_position_rate, bias.inconsistency) == (1.0, 1.0)
    assert set(verdicts(passes, "net").values()) == {Verdict.TIE}


def test_failures_stand_beside_the_rates() -> None:
    """Counts by outcome; what was refused, and all that has no verdict."""
    refused = [
        Judgement("r", order, outcome, None, reason="no")
        for order, outcome in (("first", Outcome.REFUSAL), ("second", Outcome.CONTENT_FILTER))
    ]
    health = judge_health([*PASSES, *refused])
    assert health["outcomes"] == {"content_filter": 1, "malformed": 1, "ok": 15, "refusal": 1}
    assert health["refusal_rate"] == pytest.approx(2 / 18)
    assert health["unparsed_rate"] == pytest.approx(3 / 18)
    assert judge_health([])["unparsed_rate"] is None


def pairs(lengths: Sequence[tuple[int, int]]) -> list[Comparison]:
    """Comparisons of responses of these lengths."""
    return [Comparison(f"c{i}", "p", "x" * one, "y" * other) for i, (one, other) in enumerate(lengths)]


def test_length_bias_by_hand() -> None:
    """Ties, unparsed ones and equal lengths do not count: of four that do, the longer won three."""
    lengths = [(9, 1), (1, 9), (9, 1), (5, 5), (9, 1), (9, 1), (1, 9)]
    said = dict(zip([f"c{i}" for i in range(7)], map({v: k for k, v in SHORT.items()}.get, "wlwwt?w"), strict=True))
    found = length_bias(pairs(lengths), said)  # type: ignore[arg-type]
    assert (found.rate, found.n, found.interval) == (0.75, 4, wilson(3, 4))


def test_length_bias_of_several_runs_by_hand() -> None:
    """Three runs on two prompts: ties and missing scores do not count, equal lengths are counted apart."""
    sizes = [(9, 1), (1, 9), (9, 1), (5, 5), (5, 5), (2, 1)]
    scores = [1.0, 1.0, 0.75, 0.5, 0.0, None]
    runs = [Comparison(f"p{n % 2}", "?", "x" * a, "y" * b) for n, (a, b) in enumerate(sizes)]
    found = length_bias_of_scores(zip(runs, scores, strict=True))
    assert (found.rate, found.n, found.equal, found.equal_ties) == (2 / 3, 3, 2, 1)
    assert found.interval == bootstrap_ratio(np.array([2.0, 0.0]), np.array([2.0, 1.0]))


@pytest.mark.parametrize("wins", [True, False])
def test_length_bias_that_is_total_keeps_an_interval_over_prompts(wins: bool) -> None:
    """Where the longer response won always or never; a hundred runs of ten prompts are ten prompts."""
    runs = [Comparison(f"p{n % 10}", "?", "xx", "y") for n in range(1000)]
    found = length_bias_of_scores((one, float(wins)) for one in runs)
    assert (found.rate, found.n, found.interval) == (float(wins), 1000, wilson(10 * wins, 10))
    assert length_bias_of_scores([]).interval is None


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (1, 20), (10, 20), (20, 20), (667, 999)])
def test_wilson_is_that_of_statsmodels(hits: int, n: int) -> None:
    """At the ends too, where a bootstrap would be too sure."""
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    assert wilson(hits, n) == pytest.approx(proportion.proportion_confint(hits, n, method="wilson"))
    assert wilson(0, 0) is None


def test_bootstrap_is_that_of_drawn_groups() -> None:
    """Against drawing groups one by one: the same interval to the accuracy of resampling."""
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 3, 200).astype(float)
    hits = rng.binomial(counts.astype(int), 0.3).astype(float)
    draws = rng.integers(0, 200, (4000, 200))
    expected = np.quantile(hits[draws].sum(1) / counts[draws].sum(1), [0.025, 0.975])
    assert bootstrap_ratio(hits, counts) == pytest.approx(expected, abs=0.01)
    assert bootstrap_ratio(hits, counts) == bootstrap_ratio(hits[::-1], counts[::-1])
    assert bootstrap_ratio(np.zeros(0), np.zeros(0)) is None
