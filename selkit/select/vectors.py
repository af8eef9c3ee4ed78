"""Vectors on disk: a file that grows block by block and survives a kill, and the finished .npy file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from selkit.files import unwritable
from selkit.store import JsonlWriter, read_jsonl

RAW = "vectors.f32"
MARKS = "blocks.jsonl"

_CHUNK = 4096


class _Block(NamedTuple):
    """A finished block: its rows, their width, the positions of the truncated ones, and the tokens of all."""

    rows: int
    width: int
    truncated: list[int]
    tokens: int

    @property
    def size(self) -> int:
        """Bytes of its vectors."""
        return 4 * self.rows * self.width


class PartialVectors:
    """What is done of a computation of vectors: raw float32 in one file, and in another a line per finished block.

    A block's line is written when its vectors are on the disk; what a kill leaves behind the last line is dropped.

    Args:
        folder: Where the two files are, or will be.

    Raises:
        DataError: The files cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._raw = folder / RAW
        try:
            self._descriptor = os.open(self._raw, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise unwritable(error, self._raw) from error
        marks = folder / MARKS
        self._done = [_Block(*record) for record in read_jsonl(marks)] if marks.exists() else []
        if os.fstat(self._descriptor).st_size < self._bytes:  # somebody cut the file of the vectors
            self._done = []
            marks.unlink()
        os.ftruncate(self._descriptor, self._bytes)
        self._marks = JsonlWriter(marks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._marks.close()

    @property
    def rows(self) -> int:
        """Vectors of the finished blocks."""
        return sum(block.rows for block in self._done)

    @property
    def tokens(self) -> int:
        """Tokens of the finished blocks."""
        return sum(block.tokens for block in self._done)

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """Whether the text of each finished vector was truncated, shape (rows,)."""
        flags = np.zeros(self.rows, np.bool_)
        start = 0
        for block in self._done:
            flags[start + np.asarray(block.truncated, np.int64)] = True
            start += block.rows
        return flags

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The finished vectors, memory-mapped, shape (rows, width). There must be one."""
        return np.memmap(self._raw, np.float32, "r", shape=(self.rows, self._done[0].width))

    def append(self, vectors: NDArray[np.float32], truncated: Sequence[bool], tokens: int) -> None:
        """Adds a block, shape (rows, width). Raises DataError where it does not fit on the disk."""
        cut = [position for position, flag in enumerate(truncated) if flag]
        block = _Block(len(vectors), vectors.shape[1], cut, tokens)
        try:
            view = memoryview(vectors.astype(np.float32).tobytes())
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise unwritable(error, self._raw, block.size) from error
        self._marks.append(list(block))
        self._done.append(block)

    @property
    def _bytes(self) -> int:
        return sum(block.size for block in self._done)


def write_npy(path: Path, vectors: NDArray[np.float32], order: NDArray[np.int64]) -> None:
    """Writes ``vectors[order]`` as a .npy file, a few thousand rows in memory at a time."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(order), vectors.shape[1])}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), _CHUNK):
            file.write(np.ascontiguousarray(vectors[order[start : start + _CHUNK]], "<f4").tobytes())
