"""Data sets of the ``datasets`` library: folders written by ``save_to_disk``, and the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from selkit.api.errors import DataError, MissingExtra
from selkit.files import digest_file, digest_text, tree_files
from selkit.pools.chunks import ROWS, Chunk
from selkit.pools.files import arrow_chunks

PATIENCE = 10.0
"""Seconds that the hub has to answer whether it is there."""

SAVED = ("dataset_dict.json", "state.json")
"""Files that tell a folder written by ``save_to_disk``."""


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder was written by ``save_to_disk``."""
    return any((folder / name).is_file() for name in SAVED)


def folder_digest(folder: Path) -> str:
    """One digest over the names and bytes of all files of a folder."""
    files = ((path.relative_to(folder).as_posix(), digest_file(path)) for path in tree_files(folder))
    return digest_text("\n".join(f"{name} {digest}" for name, digest in files))


def open_folder(folder: Path, split: str | None) -> Any:
    """The data set that ``save_to_disk`` wrote.

    Raises:
        MissingExtra: ``datasets`` is not installed.
        DataError: The folder is damaged, or has several splits and none is named.
    """
    datasets = _datasets(f"reading {folder}", "")
    try:
        return _one_split(datasets.load_from_disk(str(folder)), split, str(folder))
    except DataError:
        raise
    except Exception as error:  # the library raises whatever its parts raise
        raise DataError(f"cannot read the data set in {folder} ({_said(error)}): write it again") from error


def open_hub(name: str, revision: str | None, split: str | None, config: str | None, pool: str, stand_in: str) -> Any:
    """A data set from the hub; where the hub cannot be reached, from the cache of an earlier download.

    Args:
        name: Its id.
        revision: Branch, tag or commit; None: main.
        split: Which split; None: the only one, or train.
        config: Which configuration, where it has several.
        pool: What messages call the pool.
        stand_in: How to do without the hub.

    Raises:
        MissingExtra: ``datasets`` is not installed.
        DataError: The data set cannot be had.
    """
    datasets = _datasets(f"pool {pool!r} is {name} on the Hugging Face hub, and fetching it", f"; or {stand_in}")
    away = "offline mode is on" if datasets.config.HF_HUB_OFFLINE else unreachable(name, revision)
    try:
        with _offline(datasets) if away else nullcontext():
            found = datasets.load_dataset(name, name=config, revision=revision)
    except Exception as error:  # connection, permission, and parsing errors come from several libraries
        raise DataError(
            f"pool {pool!r} is {name}@{revision or 'main'} on the Hugging Face hub and could not be fetched "
            f"({away or _said(error)}): check the name and the connection, or {stand_in}"
        ) from error
    return _one_split(found, split, name)


def unreachable(name: str, revision: str | None) -> str:
    """Why the hub cannot be reached, from one request; empty where it answers. Loading itself would try for long."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(name, revision=revision, timeout=PATIENCE)
    except (HfHubHTTPError, ValueError):
        return ""  # an answer, or no name for the hub, such as that of a folder: loading says it better
    except Exception as error:  # what the HTTP library of the installed version raises where nobody answers
        return f"the hub cannot be reached: {_said(error)}"
    return ""


@contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """The library looks into its cache alone, as where HF_HUB_OFFLINE was set when it was imported."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def dataset_chunks(dataset: Any) -> Iterator[Chunk]:
    """The rows of a data set, in its order."""

    def batches() -> Iterator[Any]:
        for table in dataset.with_format("arrow").iter(batch_size=ROWS):
            yield from table.combine_chunks().to_batches()

    return arrow_chunks(batches())


def cached_digest(dataset: Any) -> str:
    """One digest over the files in the library's cache that hold a data set."""
    return digest_text("\n".join(digest_file(entry["filename"]) for entry in dataset.cache_files))


def _datasets(what: str, otherwise: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra(f"{MissingExtra.of(what, 'train')}{otherwise}") from error
    return datasets


def _one_split(found: Any, split: str | None, label: str) -> Any:
    if not hasattr(found, "keys"):
        if split is not None:
            raise DataError(f"{label} has no splits, and split {split!r} was asked for: leave split out")
        return found
    names = list(found.keys())
    chosen = split or (names[0] if len(names) == 1 else "train")
    if chosen not in names:
        raise DataError(f"{label} has no split {chosen!r}: name one with split, it has {', '.join(names)}")
    return found[chosen]


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
