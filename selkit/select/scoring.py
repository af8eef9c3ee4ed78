"""The scoring pass: run a scorer once per pool, keep what it said, and go on where a killed pass stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selkit.api import Context, Pool, Scorer, UsageError, WorkFailed
from selkit.select.rows import checked
from selkit.select.scores import Scores, table_of
from selkit.select.shards import ShardedPass, Shards, WholePool, rows_in_shards
from selkit.store import Artifact, Draft, JsonlWriter, Key, Store, read_jsonl

SCORES = "scores.parquet"
PARTIAL = "rows.jsonl"
CACHE = "cache"
BLOCK = 64
"""Rows that a scorer of like-sized batches (``by_length``) gets at once on a CPU, and scores again after a kill."""

GPU_BLOCK = 2048
"""The same on other devices."""

MAX_FAILED = 0.02
"""Largest share of rows whose scoring may fail before the pass stops, unless another is given."""

Keep = Callable[[Sequence[list[Any]]], None]
"""Takes rows as they are scored."""


def scoring_pass(
    scorer: Scorer,
    pool: Pool,
    key: Key,
    store: Store,
    context: Callable[[Path], Context],
    *,
    uses: Callable[[], Sequence[str]] = tuple,
    max_failed: float = MAX_FAILED,
    shards: Shards | None = None,
) -> tuple[Scores, Artifact]:
    """The scores of ``pool`` under ``key``: from the store, or by running the scorer.

    An interrupted pass goes on with the rows that have no score yet, if the scorer is ``independent``. One that
    stopped because too many rows failed tries those again.

    Args:
        scorer: The scorer.
        pool: The pool.
        key: What the scores depend on.
        store: Where they are kept.
        context: Makes the context for a folder that the scorer may write to; it survives interruptions of the pass.
        uses: Says, when the rows are scored, which stored results the pass used; recorded as the fact 'uses'.
        max_failed: Largest share of the rows that may fail.
        shards: What runs an ``independent`` scorer on shards of the pool, several at once; the scores are the same.

    Raises:
        ContractViolation: The scorer returned too few or too many scores, or something that is not a score.
        WorkFailed: Scoring failed for more than ``max_failed`` of the rows; the pass ends with the one too many.
    """

    def make(draft: Draft) -> None:
        ctx = context(draft.partial / CACHE)
        ctx.cache_dir.mkdir(exist_ok=True)
        if shards is None or not scorer.independent or not _in_shards(scorer, pool, draft, ctx, max_failed, shards):
            _score_all(scorer, pool, draft, ctx, max_failed)
        draft.record(**Scores(draft.directory / SCORES).counts())
        draft.record(uses=list(uses()))

    artifact = store.obtain(key, make)
    scores = Scores(artifact.file(SCORES))
    _Failures(scorer, len(pool), max_failed).add(scores.failed())
    return scores, artifact


def stored_scores(store: Store, digest: str | None) -> Path | None:
    """The file of a stored scoring pass by the digest of its key; None where there is none."""
    artifact = store.get(digest) if digest else None
    return artifact.file(SCORES) if artifact else None


def check_share(max_failed: float) -> None:
    """Raises UsageError unless ``max_failed`` is a share."""
    if not 0 <= max_failed <= 1:
        raise UsageError(f"max_failed is a share of the rows from 0 to 1, not {max_failed}")


@dataclass
class _Failures:
    """Counts the rows that failed, and ends the pass when they are too many."""

    scorer: Scorer
    rows: int
    most: float
    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, failed: Iterable[Mapping[str, Any]]) -> None:
        self.found += [(row["id"], row["reason"]) for row in failed]
        if len(self.found) > self.most * self.rows:
            row_id, reason = self.found[0]
            raise WorkFailed(
                f"{self.scorer.name} failed on {len(self.found)} of {self.rows} rows, more than {100 * self.most:g}% "
                f"(max_failed); the first is {row_id!r}: {reason}"
            )


def _in_shards(scorer: Scorer, pool: Pool, draft: Draft, ctx: Context, max_failed: float, shards: Shards) -> bool:
    """Scores the pool in shards; False where the scorer asks for something that only one process has."""
    failures = _Failures(scorer, len(pool), max_failed)
    block = _block(ctx) if scorer.by_length else None
    work = ShardedPass(scorer, _order(scorer, pool), draft.partial, ctx, shards, block, failures.add)
    try:
        work.take_over(_read_rows(draft.partial / PARTIAL, scorer))
        work.run(draft.directory / SCORES)
    except WholePool as reason:
        ctx.log(f"{scorer.name} is run in one process: {reason}")
        return False
    except WorkFailed:
        work.leave_for_another_try()
        raise
    return True


def _score_all(scorer: Scorer, pool: Pool, draft: Draft, ctx: Context, max_failed: float) -> None:
    partial = draft.partial / PARTIAL
    done = _read_rows(partial, scorer) | (rows_in_shards(draft.partial) if scorer.independent else {})
    if done:
        ctx.log(f"{scorer.name}: {len(done)} of {len(pool)} rows have a score already, {len(pool) - len(done)} to go")
    failures = _Failures(scorer, len(pool), max_failed)
    try:
        with JsonlWriter(partial) as writer:

            def keep(rows: Sequence[list[Any]]) -> None:
                writer.extend(rows)
                done.update({row[0]: row for row in rows})
                failures.add(_failed(rows))

            failures.add(_failed(done.values()))
            _score_left(scorer, pool, set(done), keep, ctx)
    except WorkFailed:
        _leave_for_another_try(partial, done.values())
        raise
    pq.write_table(table_of(list(done.values())), draft.directory / SCORES)


def _score_left(scorer: Scorer, pool: Pool, done: set[str], keep: Keep, ctx: Context) -> None:
    """Scores the rows that are not ``done``, and hands them to ``keep`` as they come.

    A model's rounding differs with a row's neighbours in a batch. Blocks of a scorer ``by_length`` lie where they would
    lie without an interruption, and an unfinished one is scored again as a whole, so that a resumed pass gives the
    same bytes.
    """
    if not (scorer.by_length and scorer.independent):
        for row in checked(scorer, _order(scorer, pool.without(done) if done else pool), ctx):
            keep([row])
        return
    ordered, size = _order(scorer, pool), _block(ctx)
    blocks = [_slice(ordered, start, size) for start in range(0, len(pool), size)]
    left = [block for block in blocks if not done.issuperset(block.ids)]

    def ids() -> Iterator[str]:
        for block in left:
            keep(list(checked(scorer, block, ctx)))
            yield from block.ids

    deque(ctx.track(ids(), total=sum(map(len, left)), description=scorer.name), maxlen=0)


def _block(ctx: Context) -> int:
    return BLOCK if ctx.device.startswith("cpu") else GPU_BLOCK


def _slice(pool: Pool, start: int, size: int) -> Pool:
    return Pool(pool.table.slice(start, size), name=pool.name, turns=pool.turns)


def _failed(rows: Iterable[list[Any]]) -> list[dict[str, Any]]:
    """Id and reason of the rows that failed."""
    return [{"id": row[0], "reason": row[3]} for row in rows if row[2] == "failed"]


def _leave_for_another_try(partial: Path, rows: Iterable[list[Any]]) -> None:
    """Leaves the rows that did not fail: what ended the pass may be mended, and then the others get a second try."""
    partial.unlink()
    with JsonlWriter(partial) as writer:
        writer.extend(row for row in rows if row[2] != "failed")


def _read_rows(path: Path, scorer: Scorer) -> dict[str, list[Any]]:
    """The rows that an interrupted pass has scored, by id."""
    if not scorer.independent:
        path.unlink(missing_ok=True)
    return {row[0]: row for row in read_jsonl(path)} if path.exists() else {}


def _order(scorer: Scorer, pool: Pool) -> Pool:
    """For scorers ``by_length`` the longest row first, and equal texts side by side, so that they share a batch."""
    if not scorer.by_length:
        return pool
    size = pc.add(pc.add(_length(pool, "instruction"), _length(pool, "input")), _length(pool, "response"))
    table = pool.table.append_column("_length", size)
    texts = [(name, "ascending") for name in ("response", "instruction", "input", "id")]
    order = pc.sort_indices(table, [("_length", "descending"), *texts])
    return pool.take(pool.table["id"].take(order).to_pylist())


def _length(pool: Pool, column: str) -> pa.ChunkedArray:
    return pc.utf8_length(pool.column(column))
