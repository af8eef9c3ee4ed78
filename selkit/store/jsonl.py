"""Files of one JSON record a line, appended to as work goes on and read back after a kill.

A record counts from the moment its line ends. What a kill or a full disk leaves of an unfinished last line is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selkit.api.errors import DataError
from selkit.console import get_console
from selkit.files import unwritable

_BLOCK = 65536


class JsonlWriter:
    """Appends records to a file; each is with the operating system, hence safe from a kill, when the call returns.

    Opening drops an unfinished last line. One writer at a time per file. NaN and infinities are written as Python
    spells them, so that scores come back as they were.

    Args:
        path: The file; made, with its folder, where it does not exist.

    Raises:
        DataError: The file cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._size = finished_bytes(self._descriptor)
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            raise unwritable(error, self.path) from error

    def append(self, record: Any) -> None:
        """Writes one record. Raises DataError where it does not fit, and then leaves nothing of it."""
        self.extend((record,))

    def extend(self, records: Iterable[Any]) -> None:
        """Writes several records with one call to the system; a kill can keep the first few of them."""
        data = b"".join(_line(record) for record in records)
        try:
            _write_all(self._descriptor, data)
        except BaseException as error:
            os.ftruncate(self._descriptor, self._size)  # a torn line in the middle would spoil the file
            if isinstance(error, OSError):
                raise unwritable(error, self.path, len(data)) from error
            raise
        self._size += len(data)

    def sync(self) -> None:
        """Waits until the records are on the disk, hence safe from a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Syncs and closes; may be called twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def append_jsonl(path: str | Path) -> JsonlWriter:
    """A writer that appends records to ``path``; use it in a ``with`` block."""
    return JsonlWriter(path)


def read_jsonl(path: str | Path) -> list[Any]:
    """The records of a file written by :class:`JsonlWriter`; an unfinished last line is dropped with a note.

    Raises:
        DataError: There is no such file, or a finished line is not JSON (its number is named).
    """
    return list(iter_jsonl(path))


def iter_jsonl(path: str | Path) -> Iterator[Any]:
    """As :func:`read_jsonl`, one record at a time, for files that do not fit into memory."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    get_console().note(f"{path}: line {number} is unfinished and was dropped; the work was interrupted")
                    return
                yield _record(line, path, number)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check the path") from error


def finished_bytes(descriptor: int) -> int:
    """Size of an open file up to the end of its last finished line."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _line(record: Any) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # lone surrogates have no UTF-8, but they have a JSON escape
        return json.dumps(record).encode() + b"\n"


def _record(line: bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{path}, line {number}, is not valid JSON ({error}): the file is damaged; remove it and run again"
        ) from error


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
