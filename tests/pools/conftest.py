"""Files to read pools from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

WriteLines = Callable[..., Path]


@pytest.fixture
def write_lines(tmp_path: Path) -> WriteLines:
    """Writes objects (or lines, as text or bytes) into a JSON Lines file and returns its path."""

    def write(rows: Iterable[Any], name: str = "pool.jsonl", end: str = "\n") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(_line(row) + end.encode() for row in rows))
        return path

    return write


def _line(row: Any) -> bytes:
    if isinstance(row, bytes):
        return row
    return (row if isinstance(row, str) else json.dumps(row)).encode()
