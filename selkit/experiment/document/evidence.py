"""What is to be known of the judging before its verdicts are believed: the judges' health and fitness, and what
missing verdicts could change in every arm. Computed for report.json."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from selkit.api import Judgement
from selkit.experiment.judging.judging import Judged, Tried
from selkit.judge import holds_verdict, judge_health, outcome_counts, score_bounds

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
    groups: dict[tuple[str, str], list[Judgement]] = defaultdict(list)
    for judged in judgings:
        # An id is a prompt; the passes of one prompt in different cells are different comparisons.
        own = (replace(one, id=f"{judged.cell.label}/{judged.opponent}/{one.id}") for one in judged.passes)
        groups[judged.endpoint, judged.judge.name] += own
    reports = {one.endpoint: one.report.to_dict() for one in tried}
    return [
        {"testset": endpoint, "judge": judge, **judge_health(passes), "canaries": reports.get(endpoint)}
        for (endpoint, judge), passes in groups.items()
    ]


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
    """The flags that verdicts get from the judging: rows of ``missing`` with ``flags``, where there are any.

    judge_missingness: more than 2% of the comparisons of the arm or of its control have no verdict, or the two shares
    differ (Fisher's exact test over comparisons, p below 1%). judge_unfit: a canary fooled the judge.
    broken_answers: most of the arm's answers are empty, or nearly all are the same.
    """
    controls = {_place(row): row for row in missing if row["arm"] == control}
    unfit = {row["testset"] for row in judges if (row["canaries"] or {}).get("fit") is False}
    found: list[Row] = []
    for row in missing:
        flags = [JUDGE_MISSINGNESS] if _is_missing(row, controls.get(_place(row))) else []
        flags += [JUDGE_UNFIT] if row["testset"] in unfit else []
        flags += [BROKEN_ANSWERS] if (row["empty"] or 0) > EMPTY or (row["same"] or 0) > SAME else []
        found.append({**row, "flags": flags})
    return [row for row in found if row["flags"]]


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


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("pool", "budget", "recipe", "model", "testset"))


def _is_missing(row: Row, control: Row | None) -> bool:
    if _share(row) > MISSING or (control is not None and _share(control) > MISSING):
        return True
    return control is not None and _differ(row, control)


def _share(row: Row) -> float:
    return row["missing"] / row["comparisons"] if row["comparisons"] else 0.0


def _differ(row: Row, control: Row) -> bool:
    if not row["missing"] and not control["missing"]:
        return False
    from scipy.stats import fisher_exact

    table = [[one["missing"], one["comparisons"] - one["missing"]] for one in (row, control)]
    return bool(fisher_exact(table).pvalue < UNEVEN)
