"""The scoring pass: run a scorer once per pool, keep what it said, and go on where a killed pass stopped."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from selkit.api import Context, ContractViolation, Pool, RowScore, Scorer, UsageError, WorkFailed
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

_BATCH = 8192

Keep = Callable[[Sequence[list[Any]]], None]
"""Takes rows as they are scored."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("score", pa.float64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("truncated", pa.bool_()),
        ("details", pa.map_(pa.string(), pa.float64())),
    ]
)


@dataclass(frozen=True)
class Scores:
    """The stored scores of one pool: a table as in :data:`SCHEMA`, one row per row of the pool."""

    table: pa.Table

    @cached_property
    def scored(self) -> pa.Table:
        """The rows that have a score."""
        return self.table.filter(pc.is_valid(self.table["score"]))

    def as_dict(self) -> dict[str, float]:
        """Score by id, without the rows that have none."""
        return dict(zip(self.scored["id"].to_pylist(), self.scored["score"].to_pylist(), strict=True))

    def rows(self) -> Iterator[tuple[str, RowScore]]:
        """Every row's id with all that the scorer said of it, by ascending id."""
        for batch in self.table.to_batches(max_chunksize=_BATCH):
            for row in batch.to_pylist():
                details = dict(row["details"])
                yield row["id"], RowScore(row["score"], row["status"], row["reason"], row["truncated"], details)

    def arrays(self) -> tuple[pa.Array, NDArray[np.float64]]:
        """Ids and scores of the rows that have one."""
        return self.scored["id"].combine_chunks(), self.scored["score"].to_numpy()

    def counts(self) -> dict[str, Any]:
        """What became of the rows: scored, excluded and failed by reason, truncated."""
        without = self.table.filter(pc.is_null(self.table["score"]))
        pairs = zip(without["status"].to_pylist(), without["reason"].to_pylist(), strict=True)
        reasons: dict[str, Counter[str]] = {"excluded": Counter(), "failed": Counter()}
        for status, reason in pairs:
            reasons[status][reason] += 1
        return {
            "scored": self.scored.num_rows,
            "excluded": dict(reasons["excluded"]),
            "failed": dict(reasons["failed"]),
            "truncated": pc.sum(self.table["truncated"]).as_py() or 0,
        }


def scoring_pass(
    scorer: Scorer,
    pool: Pool,
    key: Key,
    store: Store,
    context: Callable[[Path], Context],
    *,
    uses: Callable[[], Sequence[str]] = tuple,
    max_failed: float = MAX_FAILED,
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

    Raises:
        ContractViolation: The scorer returned too few or too many scores, or something that is not a score.
        WorkFailed: Scoring failed for more than ``max_failed`` of the rows; the pass ends with the one too many.
    """

    def make(draft: Draft) -> None:
        _score_all(scorer, pool, draft, context(draft.partial / CACHE), max_failed)
        draft.record(uses=list(uses()))

    artifact = store.obtain(key, make)
    table = pq.read_table(artifact.file(SCORES))
    _Failures(scorer, len(pool), max_failed).add(table.filter(pc.equal(table["status"], "failed")).to_pylist())
    return Scores(table), artifact


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


def _score_all(scorer: Scorer, pool: Pool, draft: Draft, ctx: Context, max_failed: float) -> None:
    partial = draft.partial / PARTIAL
    ctx.cache_dir.mkdir(exist_ok=True)
    done = _read_partial(partial, scorer)
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
    table = _table(done)
    pq.write_table(table, draft.directory / SCORES)
    draft.record(**Scores(table).counts())


def _score_left(scorer: Scorer, pool: Pool, done: set[str], keep: Keep, ctx: Context) -> None:
    """Scores the rows that are not ``done``, and hands them to ``keep`` as they come.

    A model's rounding differs with a row's neighbours in a batch. Blocks of a scorer ``by_length`` lie where they would
    lie without an interruption, and an unfinished one is scored again as a whole, so that a resumed pass gives the
    same bytes.
    """
    if not (scorer.by_length and scorer.independent):
        for row in _checked(scorer, _order(scorer, pool.without(done) if done else pool), ctx):
            keep([row])
        return
    ordered, size = _order(scorer, pool), BLOCK if ctx.device.startswith("cpu") else GPU_BLOCK
    blocks = [_slice(ordered, start, size) for start in range(0, len(pool), size)]
    left = [block for block in blocks if not done.issuperset(block.ids)]

    def ids() -> Iterator[str]:
        for block in left:
            keep(list(_checked(scorer, block, ctx)))
            yield from block.ids

    deque(ctx.track(ids(), total=sum(map(len, left)), description=scorer.name), maxlen=0)


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


def _read_partial(path: Path, scorer: Scorer) -> dict[str, list[Any]]:
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


def _checked(scorer: Scorer, pool: Pool, ctx: Context) -> Iterator[list[Any]]:
    scores: Iterable[float | RowScore] = iter(scorer.score(pool, ctx)) if len(pool) else iter(())
    for row_id in pool.ids:
        score = next(scores, None)  # type: ignore[call-overload]
        if score is None:
            raise ContractViolation(f"{scorer.name} returned fewer scores than the {len(pool)} rows it was given")
        yield _row(scorer, row_id, score)
    if next(scores, None) is not None:  # type: ignore[call-overload]
        raise ContractViolation(f"{scorer.name} returned more scores than the {len(pool)} rows it was given")


def _row(scorer: Scorer, row_id: str, score: float | RowScore) -> list[Any]:
    if not isinstance(score, RowScore):
        try:
            score = RowScore(float(score))
        except (TypeError, ValueError) as error:
            raise ContractViolation(f"{scorer.name} returned {score!r} for row {row_id!r}: not a number") from error
    # A row that failed or is left out has no score, whatever number came with it.
    value = score.value if score.status == "ok" else None
    if value is not None and np.isnan(value):
        return [row_id, None, "failed", score.reason or "the scorer returned NaN", score.truncated, dict(score.details)]
    status = "failed" if value is None and score.status == "ok" else score.status
    reason = score.reason or ("the scorer gave no reason" if value is None else "")
    return [row_id, value, status, reason, score.truncated, dict(score.details)]


def _table(rows: dict[str, list[Any]]) -> pa.Table:
    columns = list(zip(*(rows[row_id] for row_id in sorted(rows)), strict=True)) or [()] * len(SCHEMA)
    details = [list(entry.items()) for entry in columns[-1]]
    arrays = [pa.array(column, kind) for column, kind in zip([*columns[:-1], details], SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
