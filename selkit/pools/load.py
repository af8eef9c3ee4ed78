"""From what was asked for to a pool."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from selkit.api.data import Dropped, Pool, Turns
from selkit.api.errors import DataError
from selkit.console import get_console
from selkit.files import digest_file, unwritable
from selkit.pools import hub
from selkit.pools.combine import capped, mix
from selkit.pools.drops import summary
from selkit.pools.files import read_chunks
from selkit.pools.ingest import POOL_FILE, Import, OpenChunks, import_rows
from selkit.pools.named import PLANTED, POOLS, how_to_stand_in, stand_in
from selkit.pools.planted import planted_pool
from selkit.pools.results import ResultStore
from selkit.pools.spec import PoolSpec, parse_source

SCHEMA = 1
"""Version of what an import writes and of the rules by which it reads; whoever changes either raises it."""

SELECTION_FILE = "selection.jsonl"
"""What a folder written by ``selkit select`` holds."""


def load_pool(
    source: str | Path | Mapping[str, Any] | Sequence[Any] | PoolSpec,
    *,
    store: ResultStore | None = None,
    turns: Turns = "last",
    skip_bad_lines: bool = False,
) -> Pool:
    """The pool that ``source`` asks for.

    Args:
        source: A file (.jsonl, .json, .csv, .tsv, .parquet); a folder written by ``datasets`` or by ``selkit select``;
            the name of a pool (see :data:`selkit.pools.POOLS`, or 'planted'); ``NAME=FILE`` where a file stands in for
            a named pool; ``hub:NAME[@REVISION]``; a mapping with the keys of :data:`selkit.pools.spec.KEYS`; a list of
            these, which is a mix; or what :func:`selkit.pools.parse_source` made of one.
        store: Where the imported rows are kept, so that the next time they are only mapped into memory; without one
            they live in a temporary folder as long as the pool does.
        turns: Which assistant turns training uses, 'last' or 'all', where ``source`` does not say.
        skip_bad_lines: Whether lines that cannot be read are dropped rather than refused, where it does not say.

    Returns:
        The rows that can be used; what was left out is in ``dropped`` and ``dropped_counts``.

    Raises:
        UsageError: ``source`` is not understood.
        DataError: Its data is missing, empty, malformed, or in no known format.
        MissingExtra: It needs the ``datasets`` library.
    """
    return _load(parse_source(source, turns=turns, skip_bad_lines=skip_bad_lines), store)


def _load(spec: PoolSpec, store: ResultStore | None) -> Pool:
    if spec.mix:
        parts = [_load(part, store) for part in spec.mix]
        pool = mix(parts, spec.name or "mix", keep_sources=[bool(part.mix) for part in spec.mix])
        pool.turns = spec.turns
    elif spec.name == PLANTED and spec.path is None and spec.hub is None:
        pool = planted_pool(**spec.planted)
        pool.turns = spec.turns
    else:
        pool = _imported(_place(spec), spec, store)
    for cap in spec.caps:
        pool = capped(pool, cap)
    return pool


@dataclass(frozen=True)
class _Place:
    """Where rows come from: ``open_chunks`` starts reading, ``digest`` changes when the rows can."""

    label: str
    name: str
    open_chunks: OpenChunks
    digest: Callable[[], str]
    split: str | None = None


def _place(spec: PoolSpec) -> _Place:
    if spec.path is not None:
        return _path_place(spec, spec.path, spec.name or spec.path.stem)
    if spec.hub is not None:
        name, _, revision = spec.hub.partition("@")
        return _hub_place(spec, name, revision or None, spec.name or name.rpartition("/")[2], "save it as a file")
    return _named_place(spec, spec.name or "")


def _named_place(spec: PoolSpec, name: str) -> _Place:
    if (file := stand_in(name)) is not None:
        return _path_place(spec, file, name)
    known = POOLS[name]
    if not known.pinned:
        get_console().note(f"pool {name!r} is {known.hub}@{known.revision}, no fixed commit: its rows can change")
    return _hub_place(spec, known.hub, known.revision, name, how_to_stand_in(name))


def _path_place(spec: PoolSpec, path: Path, name: str) -> _Place:
    if not path.exists():
        raise DataError(f"there is no file {path}: check the path")
    if (path / SELECTION_FILE).is_file():
        return _path_place(spec, path / SELECTION_FILE, name)
    if not path.is_dir():
        return _Place(str(path), name, lambda log: read_chunks(path, log), lambda: digest_file(path))
    if hub.is_saved_dataset(path):
        return _Place(
            label=str(path),
            name=name,
            open_chunks=lambda log: hub.dataset_chunks(hub.open_folder(path, spec.split)),
            digest=lambda: hub.folder_digest(path),
            split=spec.split,
        )
    raise DataError(
        f"the folder {path} holds no pool: name a file, or a folder written by datasets' save_to_disk or selkit select"
    )


def _hub_place(spec: PoolSpec, hub_id: str, revision: str | None, name: str, otherwise: str) -> _Place:
    split = spec.split or (POOLS[name].split if name in POOLS else None)
    dataset = hub.open_hub(hub_id, revision, split, spec.config, name, otherwise)
    label = f"{hub_id}@{revision or 'main'}"
    return _Place(label, name, lambda log: hub.dataset_chunks(dataset), lambda: hub.cached_digest(dataset), split)


def _imported(place: _Place, spec: PoolSpec, store: ResultStore | None) -> Pool:
    job = Import(
        label=place.label,
        open_chunks=place.open_chunks,
        source=place.name,
        format=spec.format,
        columns=spec.columns,
        usual=POOLS[place.name].columns if place.name in POOLS else {},
        skip_bad_lines=spec.skip_bad_lines,
    )
    pool = _stored(job, place, store) if store is not None else _temporary(job)
    pool.turns = spec.turns
    if pool.dropped_counts:
        left = sum(pool.dropped_counts.values())
        get_console().note(f"{place.label}: {left} rows left out: {summary(pool.dropped_counts, pool.dropped)}")
    return pool


def _stored(job: Import, place: _Place, store: ResultStore) -> Pool:
    def make(draft: Any) -> None:
        facts = import_rows(job, draft.directory, draft.partial)
        fingerprint = _opened(draft.directory, job.source, facts).fingerprint
        draft.record(**facts, fingerprint=fingerprint)

    parameters = _parameters(job, place)
    result = store.make_once("pool", make, parameters=parameters, inputs={"rows": _digest(place)}, schema=SCHEMA)
    return _opened(result.directory, job.source, result.facts)


def _parameters(job: Import, place: _Place) -> dict[str, Any]:
    return {
        "source": job.source,
        "format": job.format,
        "columns": dict(job.columns),
        "usual": dict(job.usual),
        "skip_bad_lines": job.skip_bad_lines,
        "split": place.split,
    }


def _digest(place: _Place) -> str:
    try:
        return place.digest()
    except FileNotFoundError:
        raise DataError(f"there is no file {place.label}: check the path") from None
    except OSError as error:
        raise DataError(f"cannot read {place.label} ({error.strerror or error}): check its permissions") from error


def _temporary(job: Import) -> Pool:
    folder = tempfile.TemporaryDirectory(prefix="selkit-pool-", ignore_cleanup_errors=True)
    directory = Path(folder.name)
    try:
        facts = import_rows(job, directory, directory)
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, OSError):
            raise unwritable(error, directory) from error
        raise
    pool = _opened(directory, job.source, facts)
    weakref.finalize(pool, folder.cleanup)
    return pool


def _opened(directory: Path, name: str, facts: Mapping[str, Any]) -> Pool:
    with pa.memory_map(str(directory / POOL_FILE)) as source:
        table = pa.ipc.open_file(source).read_all()
    return Pool(
        table,
        name=name,
        fingerprint=facts.get("fingerprint"),
        dropped=[Dropped(*row) for row in facts["dropped"]],
        dropped_counts=facts["dropped_counts"],
    )
