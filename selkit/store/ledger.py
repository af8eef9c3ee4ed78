"""What stages cost: rows of an append-only file, and sums over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selkit.store.jsonl import JsonlWriter, iter_jsonl
from selkit.store.lease import Lease

WALL = "wall_seconds"
"""What every result has a row of, once it is entered."""


@dataclass(frozen=True)
class LedgerRow:
    """What making one result took of one resource.

    Args:
        stage: The stage that spent it.
        key: Digest of the key that it was spent on.
        resource: 'wall_seconds', 'cpu_seconds', 'gpu_seconds', 'peak_memory_bytes', 'input_tokens', 'dollars', ...
        quantity: How much, in the unit that the resource's name says.
        source: Who says so: 'measured', an endpoint's usage, a price list, ...
    """

    stage: str
    key: str
    resource: str
    quantity: float
    source: str

    def as_dict(self) -> dict[str, Any]:
        """The row as it stands in the file."""
        return asdict(self)


def totals(rows: Iterable[LedgerRow]) -> dict[str, float]:
    """Sum of each resource over ``rows``, by its name in order; of a resource named peak_... the largest."""
    sums: dict[str, float] = {}
    for row in rows:
        before = sums.get(row.resource, 0.0)
        sums[row.resource] = max(before, row.quantity) if row.resource.startswith("peak_") else before + row.quantity
    return dict(sorted(sums.items()))


def rows_of(manifest: Mapping[str, Any]) -> list[LedgerRow]:
    """The ledger rows of a finished result: its own measurements, then what its maker said was spent."""
    stage, key, measured = manifest["stage"], manifest["key"], manifest["measured"]
    names = (WALL, "cpu_seconds", "gpu_seconds", "peak_memory_bytes", "peak_gpu_memory_bytes")
    rows = [LedgerRow(stage, key, name, measured[name], "measured") for name in names if name in measured]
    return rows + [LedgerRow(stage, key, **spent) for spent in measured["spent"]]


def append_rows(root: Path, rows: Iterable[LedgerRow]) -> None:
    """Adds rows to the ledger of the store at ``root``, one process at a time."""
    with Lease(root / "leases", "ledger", "the ledger").hold(), JsonlWriter(root / "ledger.jsonl") as writer:
        writer.extend(row.as_dict() for row in rows)


def read_rows(root: Path) -> list[LedgerRow]:
    """Every row in the ledger of the store at ``root``; none where nothing was made yet."""
    path = root / "ledger.jsonl"
    return [LedgerRow(**record) for record in iter_jsonl(path)] if path.exists() else []
