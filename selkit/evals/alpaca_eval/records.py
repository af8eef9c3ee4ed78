"""The rows of AlpacaEval's files: a JSON list or JSON Lines, compressed or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from selkit.api.errors import DataError
from selkit.files import atomic_write_bytes

_GZIP = b"\x1f\x8b"


def read_records(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Every object of a file with the number of its row (JSON list) or line (JSON Lines).

    NaN is read as it stands: pandas and Python write it so.

    Raises:
        DataError: The file is missing, empty, damaged, or holds something else than objects.
    """
    text = _text(path)
    rows = _list(path, text) if text.lstrip().startswith("[") else _lines(path, text)
    if not rows:
        raise DataError(f"{path} is empty: it should hold a JSON list of objects, or JSON Lines")
    for number, row in rows:
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {number}, is not a JSON object: {str(row)[:40]!r}")
    return rows


def write_records(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes a JSON list as AlpacaEval does; NaN becomes null. Raises DataError where it cannot be written."""
    atomic_write_bytes(path, json.dumps([_finite(row) for row in rows], indent=2).encode())


def shown(items: Iterable[str], most: int = 3) -> str:
    """The first few of several things, for a sentence."""
    listed = list(items)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"there is no file {path}: check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not valid UTF-8 (byte {error.start + 1}): save it again as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}): check the path and the file") from error


def _list(path: Path, text: str) -> list[tuple[int, Any]]:
    try:
        return list(enumerate(json.loads(text), 1))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}): mend the file") from error


def _lines(path: Path, text: str) -> list[tuple[int, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}, is not valid JSON ({error}): mend the line") from error
    return rows
