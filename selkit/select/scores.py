"""The stored scores of a pool, read from their file as far as they are asked for: a pool may be of ten million rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from selkit.api import RowScore
from selkit.select.ranking import best, ties_through

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

ROW_GROUP = 2**20
"""Rows that are written, and read, at once."""

_BATCH = 8192


@dataclass(frozen=True)
class Scores:
    """The stored scores of one pool.

    Args:
        file: Parquet with the columns of :data:`SCHEMA`, one row per row of the pool, by ascending id.
    """

    file: Path

    @cached_property
    def scored(self) -> pa.Table:
        """Id and score of the rows that have one."""
        table = self._read("id", "score")
        return table.filter(pc.is_valid(table["score"]))

    def as_dict(self) -> dict[str, float]:
        """Score by id, without the rows that have none."""
        return dict(zip(self.scored["id"].to_pylist(), self.scored["score"].to_pylist(), strict=True))

    def rows(self) -> Iterator[tuple[str, RowScore]]:
        """Every row's id with all that the scorer said of it, by ascending id."""
        for batch in pq.ParquetFile(self.file).iter_batches(_BATCH):
            for row in batch.to_pylist():
                details = dict(row["details"])
                yield row["id"], RowScore(row["score"], row["status"], row["reason"], row["truncated"], details)

    def best(
        self, k: int, *, higher_is_better: bool = True, tie_seed: int | None = None
    ) -> tuple[list[str], NDArray[np.float64], int]:
        """Ids and scores of the best ``k`` rows, best first, and how many rows share the score of the cut.

        As :func:`selkit.select.rank` would order them, but only the scores, and the ids of the chosen rows, come into
        memory.
        """
        column = self._read("score")["score"].to_numpy()
        places = np.flatnonzero(~np.isnan(column))
        chosen = best(column[places], k, higher_is_better=higher_is_better, tie_seed=tie_seed)
        ties = ties_through(column[places], chosen)
        return self._ids(places[chosen]), column[places[chosen]], ties

    def counts(self) -> dict[str, Any]:
        """What became of the rows: scored, excluded and failed by reason, truncated."""
        table = self._read("score", "status", "reason", "truncated")
        without = table.filter(pc.is_null(table["score"]))
        pairs = zip(without["status"].to_pylist(), without["reason"].to_pylist(), strict=True)
        reasons: dict[str, Counter[str]] = {"excluded": Counter(), "failed": Counter()}
        for status, reason in pairs:
            reasons[status][reason] += 1
        return {
            "scored": table.num_rows - without.num_rows,
            "excluded": dict(reasons["excluded"]),
            "failed": dict(reasons["failed"]),
            "truncated": pc.sum(table["truncated"]).as_py() or 0,
        }

    def failed(self) -> list[dict[str, Any]]:
        """Id and reason of the rows whose scoring failed."""
        rows: list[dict[str, Any]] = pq.read_table(
            self.file, columns=["id", "reason"], filters=[("status", "=", "failed")]
        ).to_pylist()
        return rows

    def _read(self, *columns: str) -> pa.Table:
        return pq.read_table(self.file, columns=list(columns), read_dictionary=["status", "reason"])

    def _ids(self, places: NDArray[np.int64]) -> list[str]:
        """Ids of the rows at these places, in their order; a row group at a time."""
        order = np.argsort(places, kind="stable")
        found, file, start, read = [], pq.ParquetFile(self.file), 0, 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            upto = read + int(np.searchsorted(places[order[read:]], end))
            if upto > read:
                ids = file.read_row_group(group, columns=["id"])["id"]
                found += ids.take(pa.array(places[order[read:upto]] - start)).to_pylist()
            start, read = end, upto
        ids_in_order = [""] * len(found)
        for position, row_id in zip(order.tolist(), found, strict=True):
            ids_in_order[position] = row_id
        return ids_in_order


def table_of(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Rows of id, score, status, reason, truncated and details as a table, by ascending id."""
    columns = list(zip(*sorted(rows, key=lambda row: row[0]), strict=True)) or [()] * len(SCHEMA)
    details = [list(entry.items()) for entry in columns[-1]]
    arrays = [pa.array(column, kind) for column, kind in zip([*columns[:-1], details], SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def rows_of(table: pa.Table) -> Iterator[list[Any]]:
    """The rows of such a table, as :func:`table_of` takes them."""
    for row in table.to_pylist():
        yield [*(row[name] for name in SCHEMA.names[:-1]), dict(row["details"])]


def write_merged(files: Sequence[Path], target: Path) -> int:
    """Writes the rows of files that are each by ascending id into one; returns how many ids there are.

    Where each file ends before the next begins, no more than a row group is in memory; else the columns as Arrow has
    them, some 40 bytes a row.
    """
    last, different = None, 0
    with pq.ParquetWriter(target, SCHEMA) as writer:
        for part in _in_row_groups(_by_id(files)):
            ids = part["id"].combine_chunks()
            different += int(pc.sum(pc.not_equal(ids[1:], ids[:-1])).as_py() or 0) + (ids[0].as_py() != last)
            last = ids[-1].as_py()
            writer.write_table(part, row_group_size=ROW_GROUP)
    return different


def _by_id(files: Sequence[Path]) -> Iterator[pa.Table]:
    ends = []
    for file in files:
        ids = pq.read_table(file, columns=["id"])["id"]
        ends += [ids[0].as_py().encode(), ids[-1].as_py().encode()] if len(ids) else []
    if ends == sorted(ends):
        yield from (pq.read_table(file, schema=SCHEMA) for file in files)
        return
    table = pa.concat_tables(pq.read_table(file, schema=SCHEMA) for file in files)
    order = pc.sort_indices(table, [("id", "ascending")])
    for start in range(0, len(order), ROW_GROUP):
        yield table.take(order.slice(start, ROW_GROUP))


def _in_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of a row group each, the last one shorter."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(map(len, held)) >= ROW_GROUP:
            whole = pa.concat_tables(held)
            yield whole.slice(0, ROW_GROUP)
            held = [whole.slice(ROW_GROUP)]
    rest = pa.concat_tables(held)
    if len(rest):
        yield rest
