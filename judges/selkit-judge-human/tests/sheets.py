"""What annotators and their spreadsheet programs do to a sheet, for the tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """The rows of a sheet as the annotator sees them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[Row], *, delimiter: str = ",", encoding: str = "utf-8", newline: str = "\n") -> None:
    """Saves rows as a spreadsheet program would."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, rows[0], delimiter=delimiter, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(buffer.getvalue().encode(encoding))


def fill(path: Path, label: Callable[[Row], str], **how: str) -> list[Row]:
    """Fills in a sheet and saves it; returns its rows."""
    rows = read(path)
    for row in rows:
        row["better"] = label(row)
    write(path, rows, **how)
    return rows
