"""The content-addressed store: finished results by key, each made once.

Layout below the root::

    objects/ab/DIGEST/   a finished result; manifest.json is written last, and the folder gets its name by renaming
    partial/DIGEST/      work that can be resumed
    tmp/DIGEST.xxxx/     work in progress, of no use to anybody else
    leases/              who makes what
    ledger.jsonl         what it took
    corrupt/             damaged results, for inspection
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selkit.api.errors import DataError, SelkitError
from selkit.console import get_console
from selkit.files import cache_folder, digest_text, full_disk, is_full, remove_tree, tree_bytes
from selkit.store.artifact import Artifact, Draft
from selkit.store.collect import Collected, collect
from selkit.store.commit import commit
from selkit.store.keys import Key
from selkit.store.layout import Layout
from selkit.store.lease import Lease, needed_by_others
from selkit.store.ledger import WALL, LedgerRow, append_rows, read_rows
from selkit.store.manifest import Damaged, read_manifest
from selkit.store.measure import Meter, someone_elses


class Store:
    """A folder of finished results. Several processes may use one at once; it can be read where it cannot be written.

    Args:
        root: The folder; by default $SELKIT_STORE, else 'selkit' in the user's cache folder. Made when first written.

    Attributes:
        used: Digests of the results that were obtained through this object: what a run rests on.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        chosen = root or os.environ.get("SELKIT_STORE") or cache_folder() / "selkit"
        self.root = Path(chosen).expanduser().absolute()
        self.layout = Layout(self.root)
        self.used: set[str] = set()

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def find(self, key: Key, *, deep: bool = False) -> Artifact | None:
        """The finished result of ``key``, or None. A damaged one is put aside with a note and counts as none.

        Args:
            key: What the result depends on.
            deep: Also compare the bytes of its files with their digests, not just their sizes.

        Raises:
            DataError: A newer selkit wrote it, or it cannot be read.
        """
        return self.get(key.digest, deep=deep)

    def get(self, digest: str, *, deep: bool = False) -> Artifact | None:
        """As :meth:`find`, by the digest of the key: for the inputs that a manifest names."""
        folder = self.layout.object(digest)
        try:
            return Artifact(folder, read_manifest(folder, deep=deep))
        except FileNotFoundError:
            return None
        except Damaged:
            return self._put_aside(digest, deep)

    def obtain(self, key: Key, make: Callable[[Draft], None]) -> Artifact:
        """The result of ``key``: found, or made now by ``make``, which may obtain other keys meanwhile.

        Where another process makes it, waits for that and shares the result. An exception of ``make`` leaves nothing
        but its partial work.

        Args:
            key: What the result depends on.
            make: Writes the files into the draft's ``directory`` and records facts and costs.

        Raises:
            DataError: The store cannot be written to, or the disk is full.
            SelkitError: ``make`` needs the result of ``key`` itself.
        """
        with someone_elses():
            artifact = self._existing(key) or self._obtain(key, make)
        self.used.add(artifact.digest)
        return artifact

    def make_once(self, stage: str, make: Callable[[Draft], None], **parts: Any) -> Artifact:
        """As :meth:`obtain`, for packages that stand beside this one and do not import its :class:`Key`.

        Args:
            stage: The key's stage.
            make: As there.
            parts: The key's other fields, by name.
        """
        return self.obtain(Key(stage, **parts), make)

    def discard(self, key: Key) -> bool:
        """Removes the finished result and the partial work of ``key``, with what killed processes left of it; whether
        there was any. Waits for its lease, and leaves it alone where somebody else's work names it as an input."""
        if not self.layout.traces(key.digest):
            return False
        with self._lease(key.digest, key.label).hold():
            if needed_by_others(self.layout.leases, key.digest):
                return False
            there = self.layout.traces(key.digest)
            for folder in there:
                self.layout.discard(folder)
            return bool(there)

    @contextmanager
    def using(self, key: Key, user: str, label: str = "") -> Iterator[None]:
        """Within the block nobody else removes the result of ``key``, whether it is there already or made within.

        Args:
            key: What is needed.
            user: What stands for the work that needs it; the same work is done once at a time, and waited for.
            label: What people call that work.

        Raises:
            DataError: The store cannot be written to.
        """
        with self._lease(digest_text(f"user\0{user}"), label, [key.digest]).hold():
            # Who is just removing it did not see this user: what it removes is gone before the block looks for it.
            with self._lease(key.digest, key.label).hold():
                pass
            yield

    def check_writable(self) -> None:
        """Makes sure before any work starts that results can be stored. Raises DataError where they cannot."""
        try:
            self.layout.temporary.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.layout.temporary) as probe:
                probe.write(b"selkit")
        except OSError as error:
            if is_full(error):
                raise full_disk(self.root, 0, error) from error
            raise DataError(
                f"the store {self.root} cannot be written to ({error.strerror}): "
                "choose another folder with --store or SELKIT_STORE, or make this one writable"
            ) from error

    def artifacts(self, *, stage: str | None = None) -> Iterator[Artifact]:
        """Every finished result, or those of one stage, in the order of their digests."""
        for digest in self.layout.digests():
            artifact = self.get(digest)
            if artifact and stage in (None, artifact.manifest["stage"]):
                yield artifact

    def verify(self, *, deep: bool = True) -> list[str]:
        """Checks every finished result and puts the damaged ones aside; returns their digests."""
        return [digest for digest in self.layout.digests() if not self.get(digest, deep=deep)]

    def ledger(self, keys: Iterable[Key | str] | None = None) -> list[LedgerRow]:
        """What was spent, by stage and key: on everything ever made here, or on the results of ``keys``."""
        wanted = None if keys is None else {key.digest if isinstance(key, Key) else key for key in keys}
        rows = [row for row in self._ledger_rows() if wanted is None or row.key in wanted]
        # a kill between the renaming and the entry in the ledger leaves the rows in the manifest alone; calls of
        # endpoints are entered apart, and do not show that the result itself is
        listed = {row.key for row in rows if row.resource == WALL}
        for digest in self.layout.digests() if wanted is None else sorted(wanted):
            if digest not in listed and (artifact := self.get(digest)):
                rows += artifact.ledger
        return rows

    def size(self) -> int:
        """Bytes that the store takes on disk."""
        return tree_bytes(self.root)

    def gc(self, keep: set[str], *, unused_for: float = 3600.0, dry_run: bool = False) -> Collected:
        """Removes every result that nobody needs; see :func:`selkit.store.collect.collect`."""
        return collect(self.layout, keep, unused_for=unused_for, dry_run=dry_run)

    def _existing(self, key: Key) -> Artifact | None:
        artifact = self.find(key)
        if artifact:
            self.layout.touch(artifact.digest)
            self._tidy(artifact.digest)
        return artifact

    def _tidy(self, digest: str) -> None:
        """Removes the partial work that a kill right after the renaming leaves beside a finished result."""
        partial = self.layout.partial(digest)
        if partial.exists():
            with self._lease(digest).hold_if_free() as held:
                if held and self.layout.object(digest).exists():
                    remove_tree(partial)

    def _obtain(self, key: Key, make: Callable[[Draft], None]) -> Artifact:
        self.check_writable()
        with self._lease(key.digest, key.label, key.inputs.values()).hold():
            return self._existing(key) or self._make(key, make)

    def _make(self, key: Key, make: Callable[[Draft], None]) -> Artifact:
        self.layout.clear_temporary(key.digest)
        directory = self.layout.temporary / f"{key.digest}.{secrets.token_hex(4)}"
        draft = Draft(key, directory, self.layout.partial(key.digest))
        with self._whole_or_nothing(directory):
            directory.mkdir(parents=True)
            with Meter() as meter:
                make(draft)
            artifact = commit(draft, meter, self.layout)
        with suppress(DataError):  # the result is there, and its manifest holds the same rows
            append_rows(self.root, artifact.ledger)
        remove_tree(draft.partial_directory)
        return artifact

    @contextmanager
    def _whole_or_nothing(self, directory: Path) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            written = tree_bytes(directory)
            remove_tree(directory)
            if isinstance(error, Exception) and not isinstance(error, SelkitError) and is_full(error):
                raise full_disk(self.root, written, error) from error
            raise

    def _put_aside(self, digest: str, deep: bool) -> Artifact | None:
        with self._lease(digest).hold_if_free() as held:
            # where another process holds the lease, it is about to find the damage itself
            return self._recheck(digest, deep) if held else None

    def _recheck(self, digest: str, deep: bool) -> Artifact | None:
        folder = self.layout.object(digest)
        try:
            return Artifact(folder, read_manifest(folder, deep=deep))
        except FileNotFoundError:
            return None
        except Damaged as damage:
            place = self.layout.quarantine(folder)
            get_console().note(f"the stored result {digest[:12]} is damaged ({damage}); it was moved to {place}")
            return None

    def _ledger_rows(self) -> list[LedgerRow]:
        try:
            return read_rows(self.root)
        except DataError as error:
            place = self.layout.quarantine(self.root / "ledger.jsonl")
            get_console().note(f"{error}; it was moved to {place}, and costs are read from the results instead")
            return []

    def _lease(self, digest: str, label: str = "", inputs: Iterable[str] = ()) -> Lease:
        return Lease(self.layout.leases, digest, label, tuple(inputs))
