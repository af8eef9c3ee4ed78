"""Scoring in shards: an independent scorer runs on parts of a pool, several at once, in whatever processes there are.

The parts are the same whoever runs them, and each leaves a file, so that a killed pass goes on with the parts that are
not there. A worker holds one part at a time; nothing holds a Python object per row of the pool.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selkit.api import Context, DataError, Pool, Scorer, SelkitError
from selkit.models import HostContext, default_threads
from selkit.select.rows import checked
from selkit.select.scores import rows_of, table_of, write_merged

FOLDER = "shards"
PARTS = 64
"""Shards that a pool is cut into, unless they would be larger than :data:`MOST_ROWS`."""

MOST_ROWS = 20_480
"""Rows of a shard at most: a pool of ten million has some 500."""

_UNIT = 64  # shards hold a multiple of so many rows


class WholePool(SelkitError):
    """A scorer asks for something that only a process with the whole pool has."""


@dataclass(frozen=True)
class ShardTask:
    """A part of a pool to be scored. Plain data, so that it can go to another process.

    Args:
        number: The shard's number.
        scorer: The scorer.
        rows: The rows, as an Arrow stream.
        name: The pool's name.
        turns: The pool's turns.
        block: Rows that the scorer gets at once; None for all.
        base_model: Reference of the base model, for the context.
        folder: Where the shard's scores and the scorer's own files go.
        threads: Threads of the processor.
    """

    number: int
    scorer: Scorer
    rows: bytes
    name: str
    turns: Any
    block: int | None
    base_model: str | None
    folder: Path
    threads: int


@dataclass(frozen=True)
class ShardDone:
    """What became of a shard: rows that failed (id and reason), what the scorer noted, and the device it used.

    ``wants`` says what the scorer asked for that there is only one process for; there are no scores then.
    """

    number: int
    failed: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    device: str = "cpu"
    wants: str | None = None


class Shards(Protocol):
    """Runs shards, several at once."""

    def run(self, tasks: Iterator[ShardTask]) -> Iterator[ShardDone]:
        """Runs :func:`score_shard` on each task, taken as there is room; yields what became of them as they end."""


_current: ContextVar[Shards | None] = ContextVar("shards", default=None)


@contextmanager
def scoring_in(shards: Shards | None) -> Iterator[None]:
    """Within the block, selections that are not told otherwise run independent scorers in these shards."""
    token = _current.set(shards)
    try:
        yield
    finally:
        _current.reset(token)


def current_shards() -> Shards | None:
    """The shards of the innermost :func:`scoring_in`; None outside of one."""
    return _current.get()


def score_shard(task: ShardTask) -> ShardDone:
    """Scores a part of a pool and writes its scores; what a worker does."""
    pool = Pool(pa.ipc.open_stream(task.rows).read_all(), name=task.name, turns=task.turns)
    cache = task.folder / f"cache-{task.number:06}"
    cache.mkdir(parents=True, exist_ok=True)
    ctx = _context(task, cache)
    try:
        size = task.block or len(pool)
        parts = (
            Pool(pool.table.slice(start, size), name=pool.name, turns=pool.turns) for start in range(0, len(pool), size)
        )
        rows = [row for part in parts for row in checked(task.scorer, part, ctx)]
    except WholePool as wants:
        return ShardDone(task.number, wants=str(wants))
    _write(rows, file_of(task.folder, task.number))
    failed = tuple({"id": row[0], "reason": row[3]} for row in rows if row[2] == "failed")
    return ShardDone(task.number, failed, tuple(ctx.notes), ctx.device.partition(":")[0])


def _context(task: ShardTask, cache: Path) -> HostContext:
    return HostContext(
        seed=0,
        cache_dir=cache,
        base_model=task.base_model,
        pool=_Absent(),  # type: ignore[arg-type]
        scores_service=_only_whole("scores of another component"),
        row_scores_service=_only_whole("scores of another component"),
        embeddings_service=_only_whole("stored embeddings"),
        selection_service=_only_whole("another selection"),
        selections_service=_only_whole("other selections"),
        train_service=_only_whole("a model trained on rows of the pool"),
        chat_service=_only_whole("a chat endpoint"),
    )


def _only_whole(what: str) -> Callable[..., Any]:
    def refuse(*given: Any, **named: Any) -> NoReturn:
        raise WholePool(f"it asks for {what}, which shards of a pool do not have")

    return refuse


class _Absent:
    """Stands for the whole pool, which a worker does not have."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _only_whole("the whole pool")()

    def __len__(self) -> int:
        return int(_only_whole("the whole pool")())

    def __iter__(self) -> Iterator[Any]:
        return iter(_only_whole("the whole pool")())


def file_of(folder: Path, number: int) -> Path:
    """The file of a shard's scores."""
    return folder / f"{number:06}.parquet"


def _write(rows: Sequence[Sequence[Any]], file: Path) -> None:
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(table_of(rows), temporary)
    os.replace(temporary, file)


def rows_in_shards(partial: Path) -> dict[str, list[Any]]:
    """The rows of finished shards by id, without those that failed: for a pass that goes on in one process."""
    files = sorted((partial / FOLDER).glob("*.parquet"))
    return {row[0]: row for file in files for row in rows_of(pq.read_table(file)) if row[2] != "failed"}


def shard_rows(rows: int, block: int | None) -> int:
    """Rows of a shard: whole blocks, and the same for the same pool, however many workers there are."""
    unit = block or _UNIT
    most = max(unit, MOST_ROWS // unit * unit)
    return min(most, -(-max(rows, 1) // (PARTS * unit)) * unit)


@dataclass
class ShardedPass:
    """A scoring pass in shards.

    Args:
        scorer: An independent scorer.
        pool: The pool; where there are blocks, in the order in which the scorer gets its rows.
        partial: Folder that survives interruptions.
        ctx: The context of the pass.
        shards: What runs the shards.
        block: Rows that the scorer gets at once; None for all rows of a shard.
        failed: Hears of the rows that failed, id and reason; may raise to end the pass.
    """

    scorer: Scorer
    pool: Pool
    partial: Path
    ctx: Context
    shards: Shards
    block: int | None
    failed: Callable[[Iterable[Mapping[str, Any]]], None]

    def __post_init__(self) -> None:
        self.folder = self.partial / FOLDER
        self.size = shard_rows(len(self.pool), self.block)
        self.numbers = range(-(-len(self.pool) // self.size))
        # By id where the order of rows is free: then the shards follow each other in the file of scores.
        self._order = None if self.block else _by_id(self.pool.table["id"])

    def take_over(self, done: Mapping[str, list[Any]]) -> None:
        """Makes files of the shards whose rows an interrupted pass in one process has scored."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in self.numbers if done else ():
            ids = self._rows(number)["id"].to_pylist()
            if all(row_id in done for row_id in ids) and not file_of(self.folder, number).exists():
                _write([done[row_id] for row_id in ids], file_of(self.folder, number))

    def run(self, target: Path) -> None:
        """Scores the shards that are not there yet, and merges all into ``target``.

        Raises:
            WholePool: The scorer asks for something that shards do not have.
            DataError: Workers compute on another kind of device than the scores are stored under.
        """
        _check_pickles(self.scorer)
        left = [number for number in self.numbers if not file_of(self.folder, number).exists()]
        there = [file_of(self.folder, number) for number in self.numbers if number not in set(left)]
        if there:
            self.ctx.log(f"{self.scorer.name}: {len(there)} of {len(self.numbers)} shards are scored already")
        for file in there:
            self.failed(_failed_in(file))
        results = self.shards.run(self._task(number) for number in left)
        about = f"{self.scorer.name}, shards of {self.size} rows"
        said: set[str] = set()
        for result in self.ctx.track(results, total=len(left), description=about):
            self._look_at(result, said)
        self._merge(target)

    def leave_for_another_try(self) -> None:
        """Removes the shards in which rows failed: what ended the pass may be mended."""
        for file in sorted(self.folder.glob("*.parquet")):
            if _failed_in(file):
                file.unlink()

    def _look_at(self, result: ShardDone, said: set[str]) -> None:
        if result.wants:
            raise WholePool(result.wants)
        own = self.ctx.device.partition(":")[0]
        if result.device != own and self.scorer.model_parameters():
            raise DataError(
                f"workers compute on {result.device} and this machine on {own}, under which the scores would be "
                f"stored: set SELKIT_DEVICE={result.device} here, or the same everywhere"
            )
        for note in result.notes:
            if note not in said:
                said.add(note)
                self.ctx.log(note)
        self.failed(result.failed)

    def _merge(self, target: Path) -> None:
        found = write_merged([file_of(self.folder, number) for number in self.numbers], target)
        if found != len(self.pool):
            raise SelkitError(
                f"the shards of {self.scorer.name} hold {found} different ids where the pool has {len(self.pool)}: "
                f"remove {self.folder} and run the same command again"
            )

    def _rows(self, number: int) -> pa.Table:
        start = number * self.size
        if self._order is None:
            return self.pool.table.slice(start, self.size)
        return self.pool.table.take(self._order.slice(start, self.size))

    def _task(self, number: int) -> ShardTask:
        rows, sink = self._rows(number), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        return ShardTask(
            number=number,
            scorer=self.scorer,
            rows=sink.getvalue().to_pybytes(),
            name=self.pool.name,
            turns=self.pool.turns,
            block=self.block,
            base_model=self.ctx.base_model,
            folder=self.folder,
            threads=default_threads(),
        )


def _by_id(ids: pa.ChunkedArray) -> pa.Array | None:
    """Positions of the rows by ascending id; None where they stand so already."""
    ends = [end for chunk in ids.chunks if len(chunk) for end in (chunk[0], chunk[-1])]
    pairs = ((chunk[1:], chunk[:-1]) for chunk in ids.chunks if len(chunk) > 1)
    texts = [end.as_py().encode() for end in ends]
    if texts == sorted(texts) and all(pc.all(pc.greater(later, earlier)).as_py() for later, earlier in pairs):
        return None
    return pc.sort_indices(ids)


def _check_pickles(scorer: Scorer) -> None:
    try:
        pickle.dumps(scorer)
    except Exception as error:  # whatever a component holds
        raise WholePool(f"it cannot go to another process ({error})") from error


def _failed_in(file: Path) -> list[dict[str, Any]]:
    table = pq.read_table(file, columns=["id", "reason", "status"])
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["status"], "failed")).select(["id", "reason"]).to_pylist()
    return rows
