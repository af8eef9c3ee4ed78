"""What is to be known of the judging before its verdicts are believed: the judges' health and fitness, and what
missing verdicts could change in every arm. Computed for report.json."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selkit.experiment.judging.judging import Judged, Tried
from selkit.judge import (
    holds_verdict,
    judge_health,
    length_bias_of_scores,
    order_bias,
    outcome_counts,
    score_bounds,
)

MISSING = 0.02
"""Share of an arm's comparisons without a verdict above which its verdict says so (RELIABILITY 1.4)."""

UNEVEN = 0.01
"""So says it, too, where arm and control differ in that share by more than chance would in so many cases."""

JUDGE_MISSINGNESS = "judge_missingness"
JUDGE_UNFIT = "judge_unfit"
BROKEN_ANSWERS = "broken_answers"

EMPTY = 0.5
"""An arm of whose answers more than this share is empty has broken answers (scenario 45 of RELIABILITY 2.4) ..."""

SAME = 0.9
"""... and so has one that says the same to more than this share of the prompts."""

Row = dict[str, Any]


def judges_of(judgings: Iterable[Judged], tried: Sequence[Tried]) -> list[Row]:
    """Every judge on every test set: its outcomes and biases, and how it did on canaries where they were tried."""
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for judged in judgings:
        groups[judged.endpoint, judged.judge.name].append(judged)
    reports = {one.endpoint: one.report.to_dict() for one in tried}
    return [
        {"testset": endpoint, "judge": judge, **_health(group), "canaries": reports.get(endpoint)}
        for (endpoint, judge), group in groups.items()
    ]


def _health(group: Sequence[Judged]) -> Row:
    """The judge's health over all its passes, with what the lengths of the responses and their places do to it."""
    # An id is a prompt; the passes of one prompt in different cells are different comparisons.
    passes = [replace(p, id=f"{one.cell.label}/{one.opponent}/{p.id}") for one in group for p in one.passes]
    scored = ((c, scores.get(c.id)) for one in group for scores in [one.scores] for c in one.comparisons)
    bias, length = order_bias(passes), length_bias_of_scores(scored)
    return {
        **judge_health(passes),
        "length_bias": length.rate,
        "length_bias_n": length.n,
        "equal_length": length.equal,
        "equal_length_ties": length.equal_ties,
        "intervals": {
            "first_position_rate": bias.first_position_interval,
            "inconsistency": bias.inconsistency_interval,
            "length_bias": length.interval,
        },
    }


def missing_of(judgings: Iterable[Judged]) -> list[Row]:
    """How every arm's passes ended, all its runs pooled, and its win rate (percent) with the missing comparisons left
    out, all lost, and all won."""
    return [{**place, **_missing(group)} for place, group in by_arm(judgings)]


def by_arm(judgings: Iterable[Judged]) -> Iterator[tuple[Row, list[Judged]]]:
    """The judgings of every arm on a test set, all its runs together, with what names them."""
    groups: dict[tuple[Any, ...], list[Judged]] = defaultdict(list)
    for judged in judgings:
        groups[*judged.cell.setting, judged.cell.budget, judged.endpoint, judged.cell.arm].append(judged)
    for group in groups.values():
        place = group[0].cell.columns() | {"testset": group[0].endpoint}
        yield {name: place[name] for name in ("pool", "budget", "recipe", "model", "testset", "arm")}, group


def _missing(group: Sequence[Judged]) -> Row:
    scores = [score for judged in group for score in judged.scores.values()]
    known = [score for score in scores if score is not None]
    low, high = score_bounds(scores) or (None, None)
    responses = [comparison.first for judged in group for comparison in judged.comparisons]
    return {
        "comparisons": len(scores),
        "missing": len(scores) - len(known),
        "outcomes": outcome_counts(one for judged in group for one in judged.passes),
        "win_rate": 100 * sum(known) / len(known) if known else None,
        "lowest": None if low is None else 100 * low,
        "highest": None if high is None else 100 * high,
        "verdict_like": sum(map(holds_verdict, responses)) / len(responses) if responses else None,
        "empty": sum(not text.strip() for text in responses) / len(responses) if responses else None,
        "same": Counter(responses).most_common(1)[0][1] / len(responses) if responses else None,
    }


def flags_of(missing: Sequence[Row], judges: Sequence[Row], control: str) -> list[Row]:
    """The flags that verdicts get from the judging: the rows of ``missing`` with ``flags``, and with what the control's
    answers are like where the arm stands, ``control_empty`` and ``control_same``.

    judge_missingness: more than 2% of the comparisons of the arm or of its control have no verdict, or the two shares
    differ (Fisher's exact test over comparisons, p below 1%). judge_unfit: a canary fooled the judge.
    broken_answers: most answers of the arm or of its control are empty, or nearly all are the same.
    """
    controls = [row for row in missing if row["arm"] == control]
    unfit = {row["testset"] for row in judges if (row["canaries"] or {}).get("fit") is False}
    found: list[Row] = []
    for row in missing:
        beside = [other for other in controls if _beside(row, other)]
        flags = [JUDGE_MISSINGNESS] if _is_missing(row, beside) else []
        flags += [JUDGE_UNFIT] if row["testset"] in unfit else []
        flags += [BROKEN_ANSWERS] if any(map(broken, [row, *beside])) else []
        theirs = {f"control_{name}": _largest(beside, name) for name in ("empty", "same")}
        found.append({**row, **theirs, "flags": flags})
    return found


def broken(row: Mapping[str, Any]) -> bool:
    """Whether a row of ``missing`` tells of broken answers: most are empty, or nearly all the same."""
    return (row["empty"] or 0) > EMPTY or (row["same"] or 0) > SAME


def answer_shares(rows: Sequence[Mapping[str, Any]]) -> Row:
    """The largest shares of empty answers, and of answers that say the same, that stand behind a verdict.

    Args:
        rows: Its rows of :func:`flags_of`; none for a benchmark, where all shares are None.
    """
    return {
        f"{side}{name}_answers": _largest(rows, f"{side}{name}")
        for side in ("", "control_")
        for name in ("empty", "same")
    }


def _largest(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return max((row[name] for row in rows if row[name] is not None), default=None)


def unfit_claims(judges: Sequence[Row]) -> list[str]:
    """A sentence for every judge that a canary fooled."""
    return [
        f"Judge {row['judge']} is unfit on {row['testset']}: canaries won more than {found['limit']:.0%} of their "
        f"passes ({_named(found)}), so do not believe its verdicts; take another judge or prompt."
        for row in judges
        if (found := row["canaries"]) and found["fit"] is False
    ]


def _named(report: Mapping[str, Any]) -> str:
    fooled = [row for row in report["canaries"] if row["name"] in report["fooled_by"]]
    return ", ".join(f"{row['name']} {row['win_rate']:.0%}" for row in fooled)


def _beside(row: Row, control: Row) -> bool:
    """Whether a row of the control stands where an arm's does; an arm without a place stands beside all."""
    places = ("pool", "budget", "recipe", "model")
    return row["testset"] == control["testset"] and all(row[name] in (None, control[name]) for name in places)


def _is_missing(row: Row, controls: Sequence[Row]) -> bool:
    return any(_share(one) > MISSING for one in [row, *controls]) or any(_differ(row, one) for one in controls)


def _share(row: Row) -> float:
    return row["missing"] / row["comparisons"] if row["comparisons"] else 0.0


def _differ(row: Row, control: Row) -> bool:
    if not row["missing"] and not control["missing"]:
        return False
    from scipy.stats import fisher_exact

    table = [[one["missing"], one["comparisons"] - one["missing"]] for one in (row, control)]
    return bool(fisher_exact(table).pvalue < UNEVEN)
