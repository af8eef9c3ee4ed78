"""Reading the files that hold pools: JSON Lines, JSON, CSV, Parquet. A file is read a chunk at a time."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from selkit.api.errors import DataError
from selkit.pools.chunks import ROWS, ArrowChunk, CellChunk, Chunk, DictChunk, in_chunks
from selkit.pools.drops import DropLog, row_id

ReadFile = Callable[[Path, DropLog], Iterator[Chunk]]

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\r\n]*")
_MAX_CELL = 2**31 - 1
NOT_JSON = "not valid JSON"
NOT_UTF8 = "not valid UTF-8"
NO_OBJECT = "not a JSON object"
CELLS = "not a row of the header's length"
SURROGATE = "holds half a character (a lone surrogate)"


def read_chunks(path: Path, log: DropLog) -> Iterator[Chunk]:
    """The rows of a file, by what its name ends in.

    Raises:
        DataError: There is no such file, its kind is unknown, or it is damaged; bad lines go to ``log``.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise DataError(f"cannot tell what kind of file {path} is: its name should end in {known}")
    try:
        yield from reader(path, log)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}: check the path") from None
    except OSError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror or error}): check the path and its permissions"
        ) from error


def iter_json_lines(path: Path, log: DropLog) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Line number, object and length in bytes of every line of a JSON Lines file that holds an object."""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1:
                raw = _without_bom(raw, path)
            row = _json_line(raw, number, log)
            if row is not None:
                yield number, row, len(raw)


def _read_json_lines(path: Path, log: DropLog) -> Iterator[Chunk]:
    return in_chunks(iter_json_lines(path, log), DictChunk)


def _without_bom(raw: bytes, path: Path) -> bytes:
    if raw.startswith(_WIDE_BOMS):
        raise DataError(f"{path} is in UTF-16, and selkit reads UTF-8: save it again as UTF-8")
    return raw.removeprefix(_BOM)


def _json_line(raw: bytes, number: int, log: DropLog) -> dict[str, Any] | None:
    try:
        text = raw.decode("utf-8")
        if not text or text.isspace():
            return None
        row = _decode(text)
    except UnicodeDecodeError as error:
        log.bad_line(number, NOT_UTF8, f"byte {error.start + 1} of the line", raw)
        return None
    except (ValueError, RecursionError) as error:
        log.bad_line(number, NOT_JSON, _json_reason(error), raw)
        return None
    return _checked_object(row, text, number, log)


def _checked_object(row: Any, text: str, number: int, log: DropLog) -> dict[str, Any] | None:
    if not isinstance(row, dict):
        log.bad_line(number, NO_OBJECT, f"it is {text.strip()[:40]!r}", text.encode())
        return None
    if _SURROGATE.search(text) and _has_lone_surrogate(row):
        log.drop(row_id(row.get("id"), text), SURROGATE, number)
        return None
    return row


def _has_lone_surrogate(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_decode = _decoder.decode


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]


def _read_json(path: Path, log: DropLog) -> Iterator[Chunk]:
    """A JSON list of objects; a file that is JSON Lines in truth is read as such."""
    with open(path, "rb") as file:
        start = _without_bom(file.read(4096), path).lstrip()
    if not start.startswith(b"{"):
        return in_chunks(_items(path, log), DictChunk)
    _refuse_single_object(path)
    return _read_json_lines(path, log)


def _refuse_single_object(path: Path) -> None:
    with open(path, "rb") as file:
        if next(filter(bytes.strip, file), b"").removeprefix(_BOM).strip() != b"{":
            return
    raise DataError(
        f"{path} is one JSON object, and a pool is a JSON list of objects or JSON Lines: save the list alone"
    )


def _items(path: Path, log: DropLog) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Each object of a JSON list with the line it begins on. The text is held whole, the objects are not."""
    text = _whole_text(path)
    place = _after_space(text, 0)
    if place == len(text):
        return
    if text[place] != "[":
        raise DataError(
            f"{path} is neither a JSON list of objects nor JSON Lines: it begins with {text[place : place + 20]!r}"
        )
    line, counted = 1, 0
    place, more = _next_item(text, place + 1, path, first=True)
    while more:
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, end = _decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise _damaged(path, text, place, error) from error
        row = _checked_object(value, text[place:end], line, log)
        if row is not None:
            yield line, row, end - place
        place, more = _next_item(text, end, path, first=False)


def _whole_text(path: Path) -> str:
    data = _without_bom(path.read_bytes(), path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}, is {NOT_UTF8}: save the file again as UTF-8") from error


def _next_item(text: str, place: int, path: Path, *, first: bool) -> tuple[int, bool]:
    """Where the next item of a JSON list begins, and whether there is one."""
    place = _after_space(text, place)
    if text.startswith("]", place):
        return place, _refuse_rest(text, place + 1, path)
    if first:
        return place, True
    if not text.startswith(",", place):
        raise _damaged(path, text, place, ValueError("a comma or the end of the list is missing"))
    return _after_space(text, place + 1), True


def _refuse_rest(text: str, place: int, path: Path) -> bool:
    if _after_space(text, place) != len(text):
        raise _damaged(path, text, place, ValueError("something follows the end of the list"))
    return False


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _damaged(path: Path, text: str, place: int, error: Exception) -> DataError:
    place = error.pos if isinstance(error, json.JSONDecodeError) else place
    line = text.count("\n", 0, place) + 1
    reason = error.msg if isinstance(error, json.JSONDecodeError) else _json_reason(error)
    return DataError(f"{path}, line {line}, is {NOT_JSON} ({reason}): the list cannot be read past it; mend the file")


def _read_csv(path: Path, log: DropLog) -> Iterator[Chunk]:
    return in_chunks(_csv_rows(path, log), CellChunk)


def _csv_rows(path: Path, log: DropLog) -> Iterator[tuple[int, dict[str, Any], int]]:
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with open(path, "rb") as file:
        reader = csv.reader(_text_lines(file, path), delimiter=delimiter, strict=True)
        header = _header(reader, path)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                log.bad_line(line, "not valid CSV", str(error), f"{path.name}:{line}".encode())
                continue
            if cells and _sound(cells, header, line, log):
                yield line, dict(zip(header, cells, strict=True)), sum(map(len, cells))


def _text_lines(file: Any, path: Path) -> Iterator[str]:
    # Bytes that are no UTF-8 become lone surrogates, so that the row they stand in can be named.
    for number, raw in enumerate(file):
        yield (raw if number else _without_bom(raw, path)).decode("utf-8", "surrogateescape")


def _header(reader: Any, path: Path) -> list[str]:
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        raise DataError(
            f"{path}, line 1, is not valid CSV ({error}): its first line should name the columns"
        ) from error
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(f"{path} has two columns called {twice[0]!r}: rename one of them")
    return header


def _sound(cells: list[str], header: list[str], line: int, log: DropLog) -> bool:
    raw = "\x1f".join(cells).encode("utf-8", "surrogateescape")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        log.bad_line(line, NOT_UTF8, "", raw)
        return False
    if len(cells) != len(header):
        log.bad_line(line, CELLS, f"{len(cells)} cells where the header has {len(header)}", raw)
        return False
    return True


def _read_parquet(path: Path, log: DropLog) -> Iterator[Chunk]:
    import pyarrow.parquet as pq

    if not path.exists():
        raise FileNotFoundError
    try:
        file = pq.ParquetFile(path)
        yield from arrow_chunks(file.iter_batches(batch_size=ROWS))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a sound Parquet file ({str(error).splitlines()[0]}): write it again") from error


def arrow_chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[Chunk]:
    """Arrow batches as chunks; rows are numbered from 1."""
    first = 1
    for batch in batches:
        yield ArrowChunk(range(first, first + len(batch)), batch)
        first += len(batch)


READERS: dict[str, ReadFile] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
"""How files are read, by what their name ends in."""
