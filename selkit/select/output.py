"""The folder that a selection is written to: selection.jsonl, the scores with a column that marks
the chosen rows, then manifest.json as the mark that it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selkit.api import DataError
from selkit.pools import write_jsonl, write_llama_factory
from selkit.select.marking import MARKED, write_marked
from selkit.select.result import SelectionResult
from selkit.store import atomic_write_text, digest_file, read_jsonl

SELECTION = "selection.jsonl"
MANIFEST = "manifest.json"
SCHEMA_VERSION = 1


def prepare_output(directory: Path, *, force: bool = False) -> None:
    """Makes the folder, before any work is done for it.

    Raises:
        DataError: The folder cannot be written, or holds something that is not a selection.
    """
    new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".selkit-probe"
        probe.touch()
        probe.unlink()
        if new:  # it is made again when there is something to put into it
            directory.rmdir()
            return
    except OSError as error:
        raise DataError(f"{directory} cannot be written ({error.strerror}): choose another folder with -o") from error
    foreign = [path.name for path in directory.iterdir() if path.name not in _OURS]
    if foreign and not force:
        raise DataError(f"{directory} holds other files ({foreign[0]}): choose another folder, or add --force")


def check_same(directory: Path, key_digest: str, *, force: bool = False) -> None:
    """Refuses to overwrite another selection; the same one is simply written again.

    Raises:
        DataError: The folder holds a selection made in another way.
    """
    manifest = read_manifest(directory)
    if manifest is not None and manifest.get("key") != key_digest and not force:
        raise DataError(
            f"{directory} holds another selection ({manifest.get('component')}, budget {manifest.get('budget')}): "
            "choose another folder, or add --force to replace it"
        )


def write_selection(
    result: SelectionResult,
    directory: Path,
    *,
    measured: Mapping[str, Any],
    llama_factory: bool = False,
    scores: Path | None = None,
) -> Path:
    """Writes ``result`` to ``directory``; returns the manifest's path.

    Args:
        result: The selection.
        directory: The folder.
        measured: What depends on clock and machine.
        llama_factory: Whether to write the files that LLaMA-Factory reads, too.
        scores: The stored scores that it was cut from; written beside it with a column ``chosen``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)
    (directory / MARKED).unlink(missing_ok=True)
    write_jsonl(result.rows, directory / SELECTION, scores=result.selection.scores)
    if scores is not None:
        write_marked(scores, {"chosen": result.ids}, directory / MARKED)
    if llama_factory:
        write_llama_factory(result.rows, directory, result.pool.name)
    files = [
        {"name": path.name, "size": path.stat().st_size, "sha256": digest_file(path)}
        for path in sorted(directory.iterdir())
        if path.name in _OURS and path.name != MANIFEST
    ]
    text = json.dumps(manifest_of(result) | {"files": files, "measured": dict(measured)}, indent=2, ensure_ascii=False)
    atomic_write_text(directory / MANIFEST, text + "\n")
    return directory / MANIFEST


def manifest_of(result: SelectionResult) -> dict[str, Any]:
    """What is needed to make the selection again, without what depends on clock or machine."""
    key = result.key
    return {
        "schema_version": SCHEMA_VERSION,
        "stage": key.stage,
        "key": key.digest,
        "component": key.component,
        "parameters": key.parameters,
        "versions": key.versions,
        "inputs": key.inputs,
        "pool": {
            "name": result.pool.name,
            "rows": len(result.pool),
            "fingerprint": result.pool.fingerprint,
            "turns": result.pool.turns,
        },
        "budget": None if result.budget is None else str(result.budget),
        "seed": result.seed,
        "facts": dict(result.facts),
        "stored": list(result.spent),
    }


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a selection folder; None where there is none."""
    path = directory / MANIFEST
    if not path.is_file():
        return None
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def read_selection(directory: Path) -> list[str]:
    """The ids of a selection folder, in their order.

    Raises:
        DataError: There is no finished selection.
    """
    if read_manifest(directory) is None:
        raise DataError(f"{directory} holds no finished selection: make one with `selkit select ... -o {directory}`")
    return [str(row["id"]) for row in read_jsonl(directory / SELECTION)]


_OURS = frozenset({SELECTION, MANIFEST, MARKED, "dataset_info.json", "llama_factory.json"})
