"""Checks of scorers alone: what they say of every row, and that a killed pass goes on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from selkit.api import BaseSelector, Context, Pool, RowScore, Scorer
from selkit.store import Store
from selkit.testing.checks_common import where_it_runs
from selkit.testing.pools import awkward_pool
from selkit.testing.results import Check, check, expect
from selkit.testing.scorers import Killed, killed_after
from selkit.testing.subjects import SelectorSubject, scored

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""How far two computations of one score may lie apart: the rounding of a model's batches is no difference."""


def scores_rows(subject: SelectorSubject) -> str:
    """For checks of scorers."""
    return where_it_runs(subject) or ("" if isinstance(subject.component, Scorer) else "it is not a scorer")


def scores_rows_alone(subject: SelectorSubject) -> str:
    """For checks of scorers whose scores depend on the row alone."""
    if reason := scores_rows(subject):
        return reason
    alone = getattr(subject.component, "independent", False)
    return "" if alone else "it declares independent = False: an interrupted pass starts again"


@check(scores_rows)
def one_score_per_row(subject: SelectorSubject) -> None:
    """A scorer gives one score per row, no more and no fewer."""
    for pool in (subject.pool, awkward_pool(subject.pool)):
        scores = subject.scores(pool=pool)
        expect(len(scores) == len(pool), f"{len(scores)} scores came back for {len(pool)} rows")


@check(scores_rows)
def missing_scores_are_reported(subject: SelectorSubject) -> None:
    """A row without a score has a status and a reason, or NaN, and no value in place of one."""
    for pool in (subject.pool, awkward_pool(subject.pool)):
        for row_id, score in zip(pool.ids, subject.scores(pool=pool), strict=False):
            expect(not (wrong := _guessed(score)), f"row {row_id!r}: {wrong}")


@check(scores_rows)
def tracks_progress(subject: SelectorSubject) -> None:
    """Scoring shows progress through ctx.track."""
    tracked = subject.directly(_count_tracked)
    expect(tracked > 0, "it shows no progress while it scores: iterate over ctx.track(pool)")


@check(scores_rows_alone)
def killed_pass_resumes(subject: SelectorSubject) -> None:
    """Scores of a pass that was killed half-way and taken up again are those of one that was not."""
    whole = dict(zip(subject.pool.ids, subject.scores(), strict=True))
    changed = [i for i, score in subject.directly(_second_half).items() if not same_score(score, whole[i])]
    expect(
        not changed,
        f"{len(changed)} rows have another score when the rows before them are missing, e.g. {changed[:1]}: "
        "declare independent = False",
    )
    changed = [i for i, score in _after_a_kill(subject).items() if not close(score, whole[i].value)]
    expect(
        not changed,
        f"{len(changed)} rows have another score after a kill, e.g. {changed[:1]}: ctx.cache_dir survives it, and what "
        "stands there half-written must not be trusted",
    )


SCORER_CHECKS: tuple[Check[Any], ...] = (
    one_score_per_row,
    missing_scores_are_reported,
    tracks_progress,
    killed_pass_resumes,
)
"""Checks that apply to scorers alone."""


def _second_half(component: BaseSelector, pool: Pool, ctx: Context) -> dict[str, RowScore]:
    """What a pass says that is taken up again half-way: the context is that of the whole pool, as the host's is."""
    later = pool.without(pool.ids[: len(pool) // 2])
    return dict(zip(later.ids, scored(component, later, ctx), strict=True))


def _after_a_kill(subject: SelectorSubject) -> dict[str, float]:
    """The scores that the host has after its pass was killed half-way and started again with the same store."""
    store, rows = Store(subject.new_folder()), len(subject.pool)
    scorer = subject.component
    assert isinstance(scorer, Scorer)
    try:
        with killed_after(scorer, rows // 2):
            subject.result(rows, store=store)
    except Killed:
        pass
    return dict(subject.result(rows, store=store).selection.scores)


def _count_tracked(component: BaseSelector, pool: Pool, ctx: Context) -> int:
    count = 0

    def track(items: Iterable[Any], *, total: int | None = None, description: str = "") -> Iterator[Any]:
        nonlocal count
        for item in items:
            count += 1
            yield item

    ctx.track = track  # type: ignore[method-assign]
    scored(component, pool, ctx)
    return count


def _guessed(score: RowScore) -> str:
    """Why a score is a guess in place of a missing one; empty where it is not."""
    if score.value is None:
        if score.status == "ok":
            return "no value, and the status is 'ok': use RowScore.excluded or RowScore.failed"
        return "" if score.reason.strip() else f"status {score.status!r} without a reason"
    if score.status != "ok":
        return f"status {score.status!r} with the value {score.value}: a row without a score has none"
    if math.isinf(score.value):
        return f"the score {score.value}: use RowScore.excluded or RowScore.failed for rows without a score"
    return ""


def same_score(one: RowScore, other: RowScore) -> bool:
    """Whether two scores of a row are the same but for rounding."""
    return one.status == other.status and close(one.value, other.value)


def close(one: float | None, other: float | None) -> bool:
    """Whether two numbers are the same but for rounding, or both are missing."""
    if one is None or other is None:
        return one is other
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
