"""The health of the store: can results be written, is there room, are the stored ones whole, is work left over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from selkit.api.errors import DataError
from selkit.console import get_console
from selkit.doctor.disk import GIB, free_bytes, nearest, refusal
from selkit.doctor.finding import Finding
from selkit.files import tree_bytes
from selkit.store import Store
from selkit.store.lease import Lease, leases
from selkit.store.manifest import MANIFEST, Damaged, read_manifest

LITTLE_ROOM, NO_ROOM = 5 * GIB, GIB // 2
"""Bytes free on the disk below which there is a note, and below which the check fails."""


def store_findings(root: str | Path | None = None, *, deep: bool = False) -> Iterator[Finding]:
    """Looks, and moves or removes nothing but what ``deep`` finds damaged.

    Args:
        root: The store's folder; by default the one that every command uses.
        deep: Whether to read every stored file and compare it with its digest. What is damaged is named and put aside:
            where only bytes changed and no size, it would be taken for whole.
    """
    store = Store(root)
    yield _writable(store.root)
    if room := _room(store.root):
        yield room
    if store.root.is_dir():
        yield from _put_aside(store)
        yield from _compared(store) if deep else _results(store)
        yield from _left_over(store)


def _writable(root: Path) -> Finding:
    if why := refusal(root):
        text = f"{root} cannot be used: {why}"
        return Finding("store", "failed", text, "choose another folder with --store or SELKIT_STORE")
    return Finding("store", "ok", f"{root} can be written to" + ("" if nearest(root) == root else " (not made yet)"))


def _room(root: Path) -> Finding | None:
    free = free_bytes(root)
    if free is None:
        return None
    text = f"{free / GIB:.1f} GiB free on its disk"
    remedy = "free some, or put the store on another disk with SELKIT_STORE"
    if free < NO_ROOM:
        return Finding("store", "failed", text, remedy)
    return (
        Finding("store", "note", f"{text}, little for trained models", remedy)
        if free < LITTLE_ROOM
        else Finding("store", "ok", text)
    )


def _results(store: Store) -> Iterator[Finding]:
    """Finished results by the size of their files."""
    damaged, newer, whole = [], [], 0
    for digest in store.layout.digests():
        try:
            read_manifest(store.layout.object(digest))
            whole += 1
        except FileNotFoundError:
            continue  # removed meanwhile
        except Damaged as damage:
            damaged.append(f"{digest[:12]}: {damage}")
        except DataError:
            newer.append(digest)
    yield Finding("store", "ok", f"{_count(whole, 'result')} whole, by the size of their files")
    if damaged:
        yield Finding(
            "store",
            "failed",
            f"{_count(len(damaged), 'damaged result')}, the first {damaged[0]}",
            "run what needs them again: each is put aside and made anew; check the disk where this comes again",
        )
    yield from _unreadable(len(newer))


def _compared(store: Store) -> Iterator[Finding]:
    """Finished results by the bytes of their files; each that is damaged by its name."""
    whole, newer, damaged = 0, 0, 0
    for digest in get_console().track(list(store.layout.digests()), description="stored results"):
        folder = store.layout.object(digest)
        try:
            read_manifest(folder, deep=True)
            whole += 1
        except FileNotFoundError:
            continue  # removed meanwhile
        except DataError:
            newer += 1
        except Damaged as damage:
            damaged += 1
            text = f"the {_stage(folder)} {digest[:12]} is damaged: {damage}"
            store.get(digest, deep=True)
            yield Finding("store", "failed", text, _remedy(folder))
    yield Finding("store", "ok", f"{_count(whole, 'result')} whole, by the bytes of their files")
    yield from _unreadable(newer)


def _stage(folder: Path) -> str:
    """The kind of work of a damaged result, as far as its manifest still says it."""
    try:
        return str(json.loads((folder / MANIFEST).read_bytes())["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return "result"


def _remedy(folder: Path) -> str:
    if folder.exists():
        return f"it could not be put aside: make {folder.parent} writable and look again, else it is taken for whole"
    return "it was put aside: run what needs it again, which makes it anew; check the disk where this comes again"


def _unreadable(number: int) -> Iterator[Finding]:
    if number:
        text = f"{_count(number, 'result')} unreadable: written by a newer selkit, or their permissions forbid it"
        yield Finding("store", "failed", text, "pip install --upgrade selkit-eval, or take another store")


def _put_aside(store: Store) -> Iterator[Finding]:
    """Damaged results that commands have found."""
    aside = list(store.layout.corrupt.iterdir()) if store.layout.corrupt.is_dir() else []
    if aside:
        size = tree_bytes(store.layout.corrupt) / 2**20
        text = f"{_count(len(aside), 'damaged result')} put aside earlier ({size:.0f} MiB)"
        yield Finding("store", "note", text, f"look at {store.layout.corrupt}, then delete it")


def _left_over(store: Store) -> Iterator[Finding]:
    """Leases whose holder is gone, and work that was broken off."""
    held: list[Lease] = []
    stale: list[Lease] = []
    for lease in leases(store.layout.leases):
        (held if _is_held(lease) else stale).append(lease)
    if held:
        yield Finding(
            "store", "ok", f"{_count(len(held), 'result')} being made now, such as {held[0].label or held[0].digest}"
        )
    if stale:
        holder = stale[0].holder()
        yield Finding(
            "store",
            "note",
            f"{_count(len(stale), 'stale lease')}: the holder was killed, such as process {holder.get('pid')} on "
            f"{holder.get('host')}, which made {stale[0].label or stale[0].digest[:12]}",
            "they block nobody; run the same command again and it takes the work up",
        )
    partial = sum(1 for _ in store.layout.partials.iterdir()) if store.layout.partials.is_dir() else 0
    if partial > len(held):
        size = tree_bytes(store.layout.partials) / 2**20
        text = f"{_count(partial, 'piece')} of work broken off or under way ({size:.0f} MiB)"
        yield Finding("store", "note", text, "run the same commands again and they go on; selkit gc removes them")


def _is_held(lease: Lease) -> bool:
    """Whether a process of this machine holds it: the kernel frees the lock of one that has died."""
    from filelock import FileLock, Timeout

    if not lease.lock_path.exists():
        return False
    try:
        with FileLock(lease.lock_path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
