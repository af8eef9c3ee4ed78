"""The manifest of a finished result: writing it last, and telling from it whether the result is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from selkit.api.errors import DataError, SelkitError
from selkit.files import digest_file, digest_text
from selkit.store.keys import Key, canonical_json

SCHEMA_VERSION = 1
"""Version of the manifest's own layout; raised when an older selkit could misread it."""

MANIFEST = "manifest.json"


class Damaged(Exception):
    """A stored result is not what its manifest says; the text says how."""


def build_manifest(
    key: Key, facts: Mapping[str, Any], files: list[dict[str, Any]], measured: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest of a result.

    Args:
        key: What the result depends on.
        facts: What its maker recorded; depends on nothing but the key.
        files: Name, size and sha256 of every file.
        measured: All that depends on clock and machine.
    """
    head = {"schema_version": SCHEMA_VERSION, "key": key.digest, **key.as_dict(), "facts": facts, "files": files}
    manifest = {**head, "measured": dict(measured)}
    manifest["measured"]["manifest_sha256"] = checksum(manifest)
    return manifest


def checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a manifest without its own checksum.

    The checksum covers what was measured, hence differs from run to run and is itself among the measured.
    """
    measured = {name: part for name, part in manifest["measured"].items() if name != "manifest_sha256"}
    return digest_text(canonical_json({**manifest, "measured": measured}))


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as it stands on disk."""
    try:
        return json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # lone surrogates have no UTF-8, but they have a JSON escape
        return json.dumps(manifest, indent=1).encode() + b"\n"


def file_entry(folder: Path, path: Path) -> dict[str, Any]:
    """The manifest's entry for one file below ``folder``."""
    return {
        "name": path.relative_to(folder).as_posix(),
        "size": path.stat().st_size,
        "sha256": digest_file(path),
    }


def read_manifest(folder: Path, *, deep: bool = False) -> dict[str, Any]:
    """The manifest of the result in ``folder``, checked against the files.

    Args:
        folder: The result's folder, named by the digest of its key.
        deep: Also compare the bytes of every file with their digest, not just their size.

    Raises:
        FileNotFoundError: There is no such folder.
        Damaged: The manifest or a file is missing, cut off or changed.
        DataError: A newer selkit wrote it, or it cannot be read.
    """
    _check_there(folder)
    manifest = _parsed(folder / MANIFEST)
    if manifest.get("key") != folder.name:
        raise Damaged(f"{MANIFEST} belongs to the key {manifest.get('key')}")
    if not _unchanged(manifest):
        raise Damaged(f"{MANIFEST} was changed")
    for entry in manifest["files"]:
        if not _inside(entry["name"]):  # a store that somebody else wrote must not lead out of itself
            raise Damaged(f"{entry['name']!r} names no file of the result")
        _check_file(folder / entry["name"], entry, deep)
    return manifest


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name


def _check_there(folder: Path) -> None:
    try:
        folder.stat()
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(folder)) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"cannot read {folder} ({error.strerror}): check the disk and its permissions") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
        version = manifest["schema_version"]
    except FileNotFoundError:
        raise Damaged(f"{MANIFEST} is missing") from None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check the disk and its permissions") from error
    except (ValueError, TypeError, KeyError):
        raise Damaged(f"{MANIFEST} is not valid") from None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DataError(
            f"{path} was written by a newer selkit (layout {version}, this one knows {SCHEMA_VERSION}): "
            "upgrade selkit-eval, or use another store"
        )
    return dict(manifest)


def _unchanged(manifest: Mapping[str, Any]) -> bool:
    try:
        return bool(manifest["measured"]["manifest_sha256"] == checksum(manifest))
    except (KeyError, TypeError, AttributeError, SelkitError):
        return False


def _check_file(path: Path, entry: Mapping[str, Any], deep: bool) -> None:
    try:
        size = path.stat().st_size
        if size != entry["size"]:
            raise Damaged(f"{entry['name']} has {size} bytes instead of {entry['size']}")
        if deep and digest_file(path) != entry["sha256"]:
            raise Damaged(f"{entry['name']} was changed")
    except FileNotFoundError:
        raise Damaged(f"{entry['name']} is missing") from None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check the disk and its permissions") from error
