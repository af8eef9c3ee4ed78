"""Turns a draft into a finished result in one step that either happens or does not."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from selkit.api.errors import ContractViolation
from selkit.files import atomic_write_bytes, remove_tree, sync_file, sync_folder, tree_files
from selkit.store.artifact import Artifact, Draft
from selkit.store.layout import Layout
from selkit.store.manifest import MANIFEST, Damaged, build_manifest, file_entry, manifest_bytes, read_manifest
from selkit.store.measure import Meter

_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY})


def commit(draft: Draft, meter: Meter, layout: Layout) -> Artifact:
    """Makes the draft's folder the result of its key: files to disk, manifest last, then one renaming.

    Where the result is there already (another machine was faster), that one is kept and this one is dropped.

    Raises:
        ContractViolation: The folder holds a link, or a manifest.json that the store did not write.
        OSError: The disk refused; nothing can be seen of the result then.
    """
    files = [_entry(draft.directory, path) for path in tree_files(draft.directory)]
    measured = {**meter.measured(), "resumed": draft.resumed, "spent": draft.spent}
    manifest = build_manifest(draft.key, draft.facts, files, measured)
    for folder, _, _ in os.walk(draft.directory):
        sync_folder(Path(folder))
    atomic_write_bytes(draft.directory / MANIFEST, manifest_bytes(manifest))
    return _publish(draft.directory, manifest, layout)


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    if path.is_symlink() or not path.is_file():
        raise ContractViolation(f"{path} is no plain file, and a result is made of plain files: copy what it points to")
    if path == folder / MANIFEST:
        raise ContractViolation(f"{path} may only be written by the store: use another name")
    sync_file(path)
    return file_entry(folder, path)


def _publish(source: Path, manifest: dict[str, Any], layout: Layout) -> Artifact:
    target = layout.object(manifest["key"])
    target.parent.mkdir(parents=True, exist_ok=True)
    while not _renamed(source, target):
        try:
            first = Artifact(target, read_manifest(target))
        except (Damaged, FileNotFoundError):
            layout.quarantine(target)
        else:
            remove_tree(source)
            return first
    sync_folder(target.parent)
    return Artifact(target, manifest)


def _renamed(source: Path, target: Path) -> bool:
    """Whether ``source`` got the name ``target``, which nobody may have had."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True
