"""The data that components see: examples, pools, budgets and selections."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selkit.api.errors import BudgetError, DataError, UsageError

Turns: TypeAlias = Literal["last", "all"]

TURN_TYPE = pa.struct([("role", pa.string()), ("content", pa.string())])
"""Arrow type of one conversation turn."""

CORE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("instruction", pa.string()),
        ("input", pa.string()),
        ("response", pa.string()),
        ("history", pa.list_(TURN_TYPE)),
        ("source", pa.string()),
    ]
)
"""The columns that every pool has, in this order, before its own further columns."""

_FINGERPRINT_ROWS = 8192


class Turn(NamedTuple):
    """One turn of a conversation; ``role`` is 'system', 'user' or 'assistant'."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a pool.

    ``response`` is the last assistant turn; ``instruction`` (with the optional ``input``) is the user turn before it,
    and ``history`` holds what came earlier, oldest first (empty for single-turn data). ``extra`` holds the pool's
    further columns by name.
    """

    id: str
    instruction: str
    input: str = ""
    response: str = ""
    history: tuple[Turn, ...] = ()
    source: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The instruction, followed by the input on a line of its own where there is one."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that did not make it into the pool, and why. ``line`` counts from 1 in the file it came from."""

    id: str
    reason: str
    line: int | None = None


class Pool:
    """A source data set: an Arrow table (memory-mapped where it comes from disk) with one row per example.

    Args:
        table: Columns as in :data:`CORE_SCHEMA`, then the pool's own. Ids are unique.
        name: What people call the pool.
        fingerprint: Known digest of the rows; computed when first asked for otherwise.
        dropped: Rows that were left out when the pool was read; of very many the first.
        dropped_counts: How many were left out, by reason; counted from ``dropped`` where it is not given.
        turns: Which assistant turns training uses: the 'last' one, or 'all'.
    """

    def __init__(
        self,
        table: pa.Table,
        *,
        name: str = "pool",
        fingerprint: str | None = None,
        dropped: Sequence[Dropped] = (),
        dropped_counts: Mapping[str, int] | None = None,
        turns: Turns = "last",
    ) -> None:
        self.table = table
        self.name = name
        self.dropped = tuple(dropped)
        counts = Counter(row.reason for row in self.dropped) if dropped_counts is None else dropped_counts
        self.dropped_counts: Mapping[str, int] = dict(counts)
        self.turns: Turns = turns
        if fingerprint is not None:
            self.fingerprint = fingerprint

    @classmethod
    def from_examples(cls, examples: Iterable[Example], *, name: str = "pool", turns: Turns = "last") -> Pool:
        """A pool in memory; the further columns are the union of the examples' ``extra``."""
        rows = [_row_of(example) for example in examples]
        core = pa.Table.from_pylist([{k: row[k] for k in CORE_SCHEMA.names} for row in rows], schema=CORE_SCHEMA)
        names = list(dict.fromkeys(key for row in rows for key in row if key not in CORE_SCHEMA.names))
        for column in names:
            core = core.append_column(column, pa.array([row.get(column) for row in rows]))
        return cls(core, name=name, turns=turns)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Example]:
        for batch in self.table.to_batches(max_chunksize=_FINGERPRINT_ROWS):
            for row in batch.to_pylist():
                yield _example_of(row)

    def __repr__(self) -> str:
        return f"Pool({self.name!r}, {len(self)} rows)"

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.table.column_names)

    @cached_property
    def ids(self) -> list[str]:
        """The ids, in pool order."""
        ids: list[str] = self.table["id"].to_pylist()
        return ids

    @cached_property
    def sorted_ids(self) -> np.ndarray:
        """The ids in ascending order: what samplers draw from, so that a pool's row order changes nothing."""
        return np.sort(np.asarray(self.ids, dtype=object))

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits over all rows and columns; the order of the rows does not matter."""
        return _fingerprint(self.table)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column by name.

        Raises:
            UsageError: The pool has no such column.
        """
        if name not in self.table.column_names:
            raise UsageError(f"pool {self.name!r} has no column {name!r}; it has {', '.join(self.columns)}")
        return self.table[name]

    def take(self, ids: Sequence[str]) -> Pool:
        """The rows of these ids, in the order of ``ids``.

        Raises:
            DataError: An id is not in the pool.
        """
        # Only what is wanted is hashed and copied: a pool can be larger than memory.
        wanted = pa.array(ids, pa.string())
        found = self.table.filter(pc.is_in(self.table["id"], value_set=wanted))
        positions = pc.index_in(wanted, value_set=found["id"])
        if positions.null_count:
            missing = wanted.filter(pc.is_null(positions)).to_pylist()
            raise DataError(f"{len(missing)} ids are not in pool {self.name!r}, the first is {missing[0]!r}")
        return self._with(found.take(positions))

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of ``ids`` that no row of the pool has, in their order."""
        wanted = pa.array(list(ids), pa.string())
        there = self.table["id"].filter(pc.is_in(self.table["id"], value_set=wanted))
        absent: list[str] = wanted.filter(pc.invert(pc.is_in(wanted, value_set=there))).to_pylist()
        return absent

    def without(self, ids: Iterable[str]) -> Pool:
        """The rows whose id is not among ``ids``, in pool order."""
        leave = pa.array(list(ids), pa.string())
        return self._with(self.table.filter(pc.invert(pc.is_in(self.table["id"], value_set=leave))))

    def _with(self, table: pa.Table) -> Pool:
        return Pool(table, name=self.name, turns=self.turns)


def _row_of(example: Example) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(example, name) for name in CORE_SCHEMA.names if name != "history"}
    row["history"] = [turn._asdict() for turn in example.history]
    return row | dict(example.extra)


def _example_of(row: dict[str, Any]) -> Example:
    history = tuple(Turn(turn["role"], turn["content"]) for turn in row.pop("history") or ())
    core = {name: row.pop(name) for name in CORE_SCHEMA.names if name != "history"}
    return Example(**core, history=history, extra=row)


def _fingerprint(table: pa.Table) -> str:
    # The sum of the rows' digests does not depend on their order and needs no sorting of a table larger than memory.
    total = 0
    for batch in table.to_batches(max_chunksize=_FINGERPRINT_ROWS):
        for row in batch.to_pylist():
            text = json.dumps(row, sort_keys=True, ensure_ascii=False, default=str)
            total += int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return f"{total % 2**256:064x}"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many examples to choose: a number of rows, or a share of the rows of the pool.

    Exactly one of ``count`` and ``share`` is set. A share is rounded half up and is at least one row.
    """

    count: int | None = None
    share: Decimal | None = None

    @classmethod
    def parse(cls, value: int | str | Budget) -> Budget:
        """A budget from ``1000``, ``'1000'`` or ``'5%'``.

        Raises:
            UsageError: The value is neither a whole number of at least 0 nor a percentage in (0, 100].
        """
        if isinstance(value, Budget):
            return value
        text = str(value).strip().replace("_", "").replace(",", "")
        if not isinstance(value, bool) and re.fullmatch(r"\d+", text):
            return cls(count=int(text))
        if re.fullmatch(r"(\d+\.?\d*|\.\d+)%", text) and 0 < Decimal(text[:-1]) <= 100:
            return cls(share=Decimal(text[:-1]) / 100)
        raise UsageError(f"budget {value!r} is neither a number of rows such as 1000 nor a share such as 5%")

    def rows(self, size: int, pool: str = "the pool") -> int:
        """The number of rows this budget takes from a pool of ``size`` rows.

        Raises:
            BudgetError: More rows than the pool has.
        """
        if self.share is not None:
            return min(size, max(1, int((self.share * size).quantize(Decimal(1), ROUND_HALF_UP))))
        count = self.count or 0
        if count > size:
            raise BudgetError(f"a budget of {count} is more than the {size} rows of {pool}: ask for {size} or fewer")
        return count

    def __str__(self) -> str:
        return str(self.count) if self.share is None else f"{(self.share * 100).normalize():f}%"


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a selector chose.

    Args:
        ids: The chosen ids, best first where there is a ranking.
        scores: Score by id, where the selector has scores.
        notes: Facts for the manifest, by name (numbers, strings, lists of them).
        shortfall: Why there are fewer rows than the budget, where the method can end early.
    """

    ids: tuple[str, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    shortfall: str | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class RowScore:
    """What a scorer says of one row, where a bare float does not say enough.

    ``value`` is None for a row that has no score, with the ``reason``: it was left out by the method's own rule
    (``status='excluded'``), or scoring it went wrong (``'failed'``). A failure is never given a default value.
    ``details`` are further numbers kept beside the score, e.g. both losses of a ratio.
    """

    value: float | None
    status: Literal["ok", "excluded", "failed"] = "ok"
    reason: str = ""
    truncated: bool = False
    details: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def excluded(cls, reason: str, **details: float) -> RowScore:
        """A row that the method's own rule leaves out."""
        return cls(None, "excluded", reason, details=details)

    @classmethod
    def failed(cls, reason: str, **details: float) -> RowScore:
        """A row whose scoring went wrong."""
        return cls(None, "failed", reason, details=details)
