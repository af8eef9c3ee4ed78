"""Reading people's files of JSON: recorded logs, labels, verdicts, responses. Every complaint names the line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selkit.api import DataError

_GZIP = b"\x1f\x8b"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each object of a file with the number of its line: JSON Lines or one JSON list, in UTF-8, also gzipped.

    A byte order mark, blank lines and a last line without a line break are fine. In a list the number is that of the
    object.

    Raises:
        DataError: The file is missing or unreadable, or a line of it is no JSON object in UTF-8.
    """
    data = _whole(path)
    if data.lstrip()[:1] == b"[":
        yield from enumerate((_object(row, path, number) for number, row in enumerate(_list(data, path), 1)), 1)
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield number, _object(_loaded(line, path, number), path, number)


def text_of(row: Mapping[str, Any], key: str, path: Path, number: int) -> str:
    """The text under a key; a number is its digits.

    Raises:
        DataError: The key is missing or empty, or holds something else.
    """
    value = row.get(key)
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value):
        return str(value)
    what = "is missing" if value is None or value == "" else f"holds {value!r:.40}"
    raise DataError(f"{path}, line {number}: the key {key!r} {what}: every line needs one")


def _whole(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"there is no file {path}: check the path")
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(_GZIP) else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}): get it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): check its permissions") from error
    if data.startswith(_WIDE_BOMS):
        raise DataError(f"{path} is in UTF-16, and selkit reads UTF-8: save it again as UTF-8")
    return data.removeprefix(b"\xef\xbb\xbf")


def _list(data: bytes, path: Path) -> list[Any]:
    try:
        rows: list[Any] = json.loads(data)
        return rows
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"{path}, line {line}, is not valid JSON ({_reason(error)}): mend the file") from error


def _loaded(line: bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {number}, is not valid UTF-8: save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}, is not valid JSON ({_reason(error)}): mend the line") from error


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error).split(":")[0]


def _object(row: Any, path: Path, number: int) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}, is {row!r:.40} and not a JSON object: mend the line")
    return row
