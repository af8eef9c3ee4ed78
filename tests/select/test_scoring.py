"""The scoring pass: failures, a second try, equal rows side by side, and what a resumed pass reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from toys import ByGrade, make_pool

from selkit.api import Context, Example, Pool, RowScore, Scorer, UsageError, WorkFailed
from selkit.console import Console
from selkit.select import select
from selkit.select.scoring import BLOCK
from selkit.store import Store


@dataclass
class Flaky(Scorer):
    """Fails on every ``every``-th row it is asked for as long as ``broken`` says so; keeps what it was asked."""

    name = "flaky"
    every: int = 10
    asked: list[str] = field(default_factory=list, compare=False)
    broken: list[bool] = field(default_factory=lambda: [True], compare=False)

    def parameters(self) -> dict[str, object]:
        """What the test looks at is no parameter."""
        return {"every": self.every}

    def score(self, pool: Pool, ctx: Context) -> Iterable[float | RowScore]:
        """One score or failure a row."""
        for example in pool:
            self.asked.append(example.id)
            failed = self.broken[0] and len(self.asked) % self.every == 0
            yield RowScore.failed("the wire was cut") if failed else float(len(self.asked))


@dataclass
class Blocked(Flaky):
    """The same, with rows handed over by length."""

    name = "blocked"
    by_length = True


def test_the_pass_stops_with_the_row_that_is_too_many(store: Store) -> None:
    """At 2% of a hundred rows the third failure ends it; the rows behind it are never asked for."""
    flaky = Flaky()
    with pytest.raises(WorkFailed, match=r"failed on 3 of 100 rows, more than 2% \(max_failed\).*the wire was cut"):
        select(make_pool(100), flaky, 5, store=store)
    assert len(flaky.asked) == 30


@pytest.mark.parametrize("kind", [Flaky, Blocked])
def test_after_such_a_stop_only_what_failed_is_tried_again(store: Store, kind: type[Flaky]) -> None:
    """Rows that had a score keep it; once the cause is mended the pass ends well."""
    pool, flaky = make_pool(3 * BLOCK), kind()
    with pytest.raises(WorkFailed):
        select(pool, flaky, 5, store=store)
    before = len(flaky.asked)
    flaky.broken[0] = False
    result = select(pool, flaky, 5, store=store)
    assert result.facts["failed"] == {}
    assert result.facts["scored"] == len(pool)
    again = set(flaky.asked[:before]) & set(flaky.asked[before:])
    assert len(again) == (4 if kind is Flaky else BLOCK)  # 2% of 192 rows are 3; a block is scored as a whole


def test_the_largest_share_of_failures_is_a_setting(store: Store) -> None:
    """More can be allowed, the failed rows are null with their reason; what was stored so is refused to the strict."""
    pool = make_pool(100)
    result = select(pool, Flaky(), 5, store=store, max_failed=0.1)
    assert result.facts["failed"] == {"the wire was cut": 10}
    assert len(result.ids) == 5
    with pytest.raises(WorkFailed, match="failed on 10 of 100 rows, more than 5%"):
        select(pool, Flaky(), 5, store=store, max_failed=0.05)
    with pytest.raises(WorkFailed, match="failed on 1 of 100 rows, more than 0%"):
        select(pool, ByGrade(bad=("r001",)), 5, store=store, max_failed=0)
    with pytest.raises(UsageError, match="from 0 to 1, not 2"):
        select(pool, Flaky(), 5, store=store, max_failed=2)


def test_equal_rows_are_handed_over_side_by_side(store: Store) -> None:
    """Longest first; of equal length the same texts next to each other, by id, so that a model sees them at once."""
    texts = ["xyz", "abc", "xyz", "longer", "abc", "xyz"]
    pool = Pool.from_examples([Example(f"r{n}", "Say it.", response=text) for n, text in enumerate(texts)])
    blocked = Blocked(every=1000)
    select(pool, blocked, 1, store=store)
    assert blocked.asked == ["r3", "r1", "r4", "r0", "r2", "r5"]


def test_a_resumed_pass_shows_the_progress_of_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting what was there before would promise an end that is far too near."""
    pool, blocked = make_pool(3 * BLOCK), Blocked(every=2 * BLOCK + 1)
    score = Flaky.score

    def cut(self: Flaky, rows: Pool, ctx: Context) -> Iterable[float | RowScore]:
        if len(self.asked) == 2 * BLOCK:
            raise KeyboardInterrupt
        return score(self, rows, ctx)

    monkeypatch.setattr(Flaky, "score", cut)
    with pytest.raises(KeyboardInterrupt):
        select(pool, blocked, 1, store=Store(tmp_path))
    monkeypatch.setattr(Flaky, "score", score)
    shown = []
    monkeypatch.setattr(
        Console, "track", lambda self, items, total=None, description="": shown.append((description, total)) or items
    )
    select(pool, Blocked(every=2 * BLOCK + 1), 1, store=Store(tmp_path))
    assert shown == [("blocked", BLOCK)]
