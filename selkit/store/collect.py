"""Removes from a store what nobody needs any more."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selkit.files import tree_bytes
from selkit.store.layout import Layout, is_digest
from selkit.store.lease import Lease, leases
from selkit.store.manifest import MANIFEST, Damaged, read_manifest


@dataclass(frozen=True)
class Collected:
    """What a clean-up removed, or would remove: digests of results, and bytes in all."""

    digests: tuple[str, ...]
    bytes: int


def collect(layout: Layout, keep: Iterable[str], *, unused_for: float = 3600.0, dry_run: bool = False) -> Collected:
    """Removes finished results, partial work and leftovers of killed processes that nobody needs.

    Kept are: ``keep``, with the partial work on it; what is being made; everything that one of these names as an
    input, and its inputs in turn; and what was made or used in the last ``unused_for`` seconds, since a run may be
    about to build on it.

    Args:
        layout: The store.
        keep: Digests of keys.
        unused_for: Seconds.
        dry_run: Only say what would go.

    Raises:
        DataError: A result that is needed was written by a newer selkit, so that its inputs are not known.
    """
    needed = _with_inputs(layout, [*keep, *_in_progress(layout)])
    digests, size = [], 0
    for digest in _candidates(layout):
        if digest not in needed and not _recent(layout, digest, unused_for):
            freed = _remove(layout, digest, dry_run)
            if freed is not None:
                digests.append(digest)
                size += freed
    return Collected(tuple(digests), size)


def _candidates(layout: Layout) -> list[str]:
    """Every digest that has a result, partial work or leftovers."""
    places = [*layout.partials.glob("*"), *layout.temporary.glob("*.*")]
    return sorted({*layout.digests(), *filter(is_digest, (path.name[:64] for path in places))})


def _in_progress(layout: Layout) -> list[str]:
    """Digests that some process works on now, with the inputs it needs for that."""
    found: list[str] = []
    for lease in leases(layout.leases):
        with lease.hold_if_free() as held:
            if not held:
                found += [lease.digest, *lease.inputs]
    return found


def _with_inputs(layout: Layout, roots: Iterable[str]) -> set[str]:
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        digest = waiting.pop()
        if digest not in needed and is_digest(digest):  # an input may also be named by something that is no key
            needed.add(digest)
            waiting += _inputs(layout, digest)
    return needed


def _inputs(layout: Layout, digest: str) -> list[str]:
    with suppress(FileNotFoundError, Damaged):
        return list(read_manifest(layout.object(digest))["inputs"].values())
    return []


def _recent(layout: Layout, digest: str, seconds: float) -> bool:
    places = [layout.object(digest) / MANIFEST, layout.partial(digest)]
    return any(_changed(place) > time.time() - seconds for place in places)


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return float("-inf")


def _remove(layout: Layout, digest: str, dry_run: bool) -> int | None:
    """Bytes freed, or None where somebody took the lease meanwhile."""
    folders = [layout.object(digest), layout.partial(digest)]
    folders += layout.temporary.glob(f"{digest}.*")
    with Lease(layout.leases, digest).hold_if_free() as held:
        if not held:
            return None
        size = sum(tree_bytes(folder) for folder in folders)
        if not dry_run:
            for folder in folders:
                layout.discard(folder)
        return size
