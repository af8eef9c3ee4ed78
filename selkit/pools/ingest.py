"""From chunks of rows to one Arrow file: fields read, unusable rows dropped, types settled, ids made unique.

Nothing but a chunk and the ids is held in memory. The rows are written twice: first as they come, in segments whose
columns have the types seen so far; then once more into one file, with the types that all of them have in common and
with the ids, which are only known when the last row has been read. A column without a common type is read again as
JSON text (from CSV: as it stands).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from selkit.api.data import CORE_SCHEMA, TURN_TYPE
from selkit.api.errors import DataError
from selkit.pools.chunks import Chunk
from selkit.pools.columns import Conflict, fit, to_json, unify
from selkit.pools.drops import DropLog, row_id, summary
from selkit.pools.fields import Fields, Unusable
from selkit.pools.formats import Format, detect_format
from selkit.pools.ids import duplicates, text_digest, unique_ids

POOL_FILE = "pool.arrow"
"""Name of the file with the rows."""

_CORE = [CORE_SCHEMA.field(name) for name in ("instruction", "input", "response", "history", "source")]
_HISTORY = pa.list_(TURN_TYPE)

OpenChunks = Callable[[DropLog], Iterator[Chunk]]


@dataclass(frozen=True)
class Import:
    """What to read and how.

    Args:
        label: What messages call the source, e.g. the file's path.
        open_chunks: Starts reading; may be called twice.
        source: What rows that do not say their source get.
        format: Name of the format, where it is not to be detected.
        columns: Column mapping, see :func:`selkit.pools.formats.detect_format`.
        usual: The mapping of a named pool, used where none is given and the file has those columns.
        skip_bad_lines: Whether lines that cannot be read are dropped.
    """

    label: str
    open_chunks: OpenChunks
    source: str
    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, str] = field(default_factory=dict)
    skip_bad_lines: bool = False


def import_rows(job: Import, directory: Path, scratch: Path) -> dict[str, Any]:
    """Reads everything into ``directory/pool.arrow`` and returns the facts about it.

    Args:
        job: What to read.
        directory: Folder for the finished file.
        scratch: Folder for what is needed meanwhile; emptied again.

    Returns:
        ``format``, ``rows``, ``duplicates`` (rows whose text another row has), ``dropped_counts`` by reason, and
        ``dropped``: the first of them as [id, reason, line].

    Raises:
        DataError: A bad line, an unknown format, no rows, or none that can be used.
    """
    as_text: frozenset[str] = frozenset()
    while True:
        with _Segments(job, scratch, as_text) as segments:
            segments.read()
            conflicts = segments.conflicts or segments.finish(directory / POOL_FILE)
            if not conflicts:
                return segments.facts()
        as_text |= conflicts


class _Segments:
    """One reading of a source: what was read so far, and the segment files it went to."""

    def __init__(self, job: Import, scratch: Path, as_text: frozenset[str]) -> None:
        self.job = job
        self.scratch = scratch
        self.as_text = as_text
        self.log = DropLog(job.label, skip_bad_lines=job.skip_bad_lines)
        self.conflicts: set[str] = set()
        self.format: Format | None = None
        self.kinds: dict[str, pa.DataType] = {}
        self.own: list[pa.Array] = []
        self.digests: list[pa.Array] = []
        self.files: list[Path] = []
        self.seen = 0
        self._schema: pa.Schema | None = None
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._stack = ExitStack()

    def __enter__(self) -> _Segments:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for path in self.files:
            path.unlink(missing_ok=True)

    def read(self) -> None:
        """Reads all chunks into segment files."""
        for chunk in self.job.open_chunks(self.log):
            if self.format is None:
                self.format = _format(chunk.names, self.job)
            self._add(chunk, self.format)
        self._stack.close()

    def _add(self, chunk: Chunk, form: Format) -> None:
        self.seen += len(chunk.lines)
        rows = chunk.rows(form.needs | {"source"})
        fields, kept = self._fields(chunk, form, rows)
        if not kept:
            return
        self.own.append(pa.array([form.row_id(rows[i]) for i in kept], pa.string()))
        self.digests.append(pa.array(list(map(text_digest, fields)), pa.string()))
        sources = [_source(rows[i], form, self.job.source) for i in kept]
        self._write(_core_arrays(fields, sources) | self._extras(chunk, form, kept))

    def _fields(self, chunk: Chunk, form: Format, rows: Any) -> tuple[list[Fields], list[int]]:
        fields, kept = [], []
        for i, row in enumerate(rows):
            try:
                fields.append(form.read(row))
                kept.append(i)
            except Unusable as reason:
                text = to_json({name: row.get(name) for name in sorted(form.needs)})
                self.log.drop(row_id(form.row_id(row), text), str(reason), chunk.lines[i])
        return fields, kept

    def _extras(self, chunk: Chunk, form: Format, kept: list[int]) -> dict[str, pa.Array]:
        arrays = {}
        names = chunk.names
        for name in names:
            if name in form.uses or name == "source":
                continue
            own_name = _free_name(name, names)
            try:
                array = chunk.column(name, kept, name in self.as_text)
                self.kinds[own_name] = unify(self.kinds.get(own_name, pa.null()), array.type)
                arrays[own_name] = fit(array, self.kinds[own_name])
            except Conflict:
                self.conflicts.add(name)
        return arrays

    def _write(self, arrays: dict[str, pa.Array]) -> None:
        batch = pa.RecordBatch.from_pydict(arrays)
        if self._writer is None or batch.schema != self._schema:
            self._stack.close()
            self._schema = batch.schema
            self.files.append(self.scratch / f"segment-{len(self.files)}.arrow")
            self._writer = self._stack.enter_context(_writer(self.files[-1], batch.schema))
        self._writer.write_batch(batch)

    def finish(self, path: Path) -> set[str]:
        """Writes the one file; returns the columns that turn out to have no type in common."""
        if not self.own:
            raise DataError(self._why_empty())
        # Each is held once: of ten million rows they take half a gigabyte.
        self.own, self.digests = [pa.concat_arrays(self.own)], [pa.concat_arrays(self.digests)]
        self.ids = unique_ids(self.own[0], self.digests[0])
        schema = pa.schema([CORE_SCHEMA.field("id"), *_CORE, *self.kinds.items()])
        row = 0
        with _writer(path, schema) as writer:
            for batch in _batches(self.files):
                columns, misfits = _fitted(batch, self.kinds)
                if misfits:
                    return misfits
                writer.write_batch(
                    pa.RecordBatch.from_arrays([self.ids.slice(row, len(batch)), *columns], schema=schema)
                )
                row += len(batch)
        return set()

    def _why_empty(self) -> str:
        if not self.seen and not self.log.counts:
            return f"{self.job.label} is empty: a pool needs at least one row"
        total = max(self.seen, self.log.counts.total())
        return f"none of the {total} rows of {self.job.label} can be used: {summary(self.log.counts, self.log.listed)}"

    def facts(self) -> dict[str, Any]:
        """What :func:`import_rows` returns."""
        (digests,) = self.digests
        return {
            "format": self.format.name if self.format else "",
            "rows": len(digests),
            "duplicates": duplicates(digests),
            "dropped_counts": dict(self.log.counts),
            "dropped": [[row.id, row.reason, row.line] for row in self.log.listed],
        }


def _format(names: Sequence[str], job: Import) -> Format:
    fits = all(column in names or column.split(".")[0] in names for column in job.usual.values())
    columns = job.columns or (job.usual if fits and job.format is None else {})
    return detect_format(names, job.label, job.format, columns)


def _core_arrays(fields: list[Fields], sources: list[str]) -> dict[str, pa.Array]:
    instruction, input_, response, history = zip(*fields, strict=True)
    turns = [[turn._asdict() for turn in turns] for turns in history] if any(history) else [[]] * len(fields)
    values = (instruction, input_, response, turns, sources)
    return {kind.name: pa.array(column, kind.type) for kind, column in zip(_CORE, values, strict=True)}


def _source(row: Mapping[str, Any], form: Format, default: str) -> str:
    said = None if "source" in form.uses else row.get("source")
    if said is None or said == "":
        return default
    return said if isinstance(said, str) else to_json(said)


def _free_name(name: str, names: Sequence[str]) -> str:
    """The name of a further column; one that a core column has taken is kept as ``original_NAME``."""
    if name not in CORE_SCHEMA.names:
        return name
    name = f"original_{name}"
    while name in names:
        name = f"original_{name}"
    return name


def _writer(path: Path, schema: pa.Schema) -> pa.ipc.RecordBatchFileWriter:
    return pa.ipc.new_file(str(path), schema)


def _batches(files: list[Path]) -> Iterator[pa.RecordBatch]:
    # Not memory-mapped: what was copied need not stay in memory.
    for path in files:
        with pa.OSFile(str(path)) as source:
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


def _fitted(batch: pa.RecordBatch, kinds: Mapping[str, pa.DataType]) -> tuple[list[pa.Array], set[str]]:
    columns = [batch.column(kind.name) for kind in _CORE]
    misfits = set()
    for name, kind in kinds.items():
        try:
            has = name in batch.schema.names
            columns.append(fit(batch.column(name), kind) if has else pa.nulls(len(batch), kind))
        except Conflict:
            misfits.add(name)
    return columns, misfits
