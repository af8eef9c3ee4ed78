"""The stored scores of a pool, with the rows marked that a choice took."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selkit.files import atomic_open

MARKED = "scores.parquet"


def write_marked(scores: Path, chosen: Mapping[str, Collection[str]], target: Path) -> None:
    """Writes scores with one more column for each choice, which says whether it took the row; a row group at a time.

    Args:
        scores: The file of a scoring pass, with a column ``id``.
        chosen: Ids by the name of the column.
        target: The file to write.

    Raises:
        DataError: It cannot be written.
    """
    source = pq.ParquetFile(scores)
    marks = {name: pa.array(sorted(ids), pa.string()) for name, ids in chosen.items()}
    schema = source.schema_arrow
    for name in marks:
        schema = schema.append(pa.field(name, pa.bool_()))
    with atomic_open(target) as file, pq.ParquetWriter(file, schema) as writer:
        for number in range(source.num_row_groups):
            table = source.read_row_group(number)
            for name, ids in marks.items():
                table = table.append_column(name, pc.is_in(table["id"], value_set=ids))
            writer.write_table(table.cast(schema))
