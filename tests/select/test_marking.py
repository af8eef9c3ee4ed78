"""Scores with the rows marked that a choice took."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from selkit.select import write_marked
from selkit.select.scores import SCHEMA, table_of


def test_every_choice_has_a_column(tmp_path: Path) -> None:
    """Across row groups; what was stored stays as it is, and a choice of nothing marks nothing."""
    rows = [[f"r{n}", None if n == 3 else n / 2, "ok", None, False, {"loss": float(n)}] for n in range(7)]
    stored = table_of(rows)
    pq.write_table(stored, tmp_path / "stored.parquet", row_group_size=3)
    choices = {"chosen at 2": ["r6", "r5"], "chosen at 3": ("r4", "r5", "r6"), "none": ()}
    write_marked(tmp_path / "stored.parquet", choices, tmp_path / "marked.parquet")
    marked = pq.read_table(tmp_path / "marked.parquet")
    assert marked.select(SCHEMA.names).equals(stored)
    assert [marked.schema.field(name).type for name in choices] == [pa.bool_()] * 3
    for name, ids in choices.items():
        assert [row["id"] for row in marked.to_pylist() if row[name]] == sorted(ids)
        assert marked[name].null_count == 0
