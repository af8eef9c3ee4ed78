"""Where everything lies below the root of a store."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selkit.api.errors import SelkitError
from selkit.files import remove_tree
from selkit.store.manifest import MANIFEST

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Layout:
    """Paths of a store. Those of results are made of digests alone, so none can lead out of the store."""

    root: Path

    @property
    def objects(self) -> Path:
        """Finished results, by the first two digits of their digest."""
        return self.root / "objects"

    @property
    def temporary(self) -> Path:
        """Work in progress."""
        return self.root / "tmp"

    @property
    def leases(self) -> Path:
        """Who makes what."""
        return self.root / "leases"

    @property
    def corrupt(self) -> Path:
        """Damaged results."""
        return self.root / "corrupt"

    @property
    def partials(self) -> Path:
        """Work that can be resumed."""
        return self.root / "partial"

    def object(self, digest: str) -> Path:
        """Folder of a finished result. Raises SelkitError where ``digest`` is not one."""
        return self.objects / _checked(digest)[:2] / digest

    def partial(self, digest: str) -> Path:
        """Folder of a key's resumable work. Raises SelkitError where ``digest`` is not one."""
        return self.partials / _checked(digest)

    def digests(self) -> Iterator[str]:
        """Digests of all finished results, in order."""
        for prefix in _names(self.objects):
            for name in _names(self.objects / prefix):
                if is_digest(name) and name.startswith(prefix):
                    yield name

    def traces(self, digest: str) -> list[Path]:
        """Every folder of a key that is there: its result, its resumable work, and work in progress."""
        fixed = [folder for folder in (self.object(digest), self.partial(digest)) if folder.exists()]
        return [*fixed, *self.temporary.glob(f"{digest}.*")]

    def touch(self, digest: str) -> None:
        """Notes on the manifest's time of change that the result was used now."""
        with suppress(OSError):  # a store that cannot be written to is not cleaned up either
            os.utime(self.object(digest) / MANIFEST)

    def clear_temporary(self, digest: str) -> None:
        """Removes work in progress on ``digest``; only who holds the lease may ask for it."""
        for folder in self.temporary.glob(f"{_checked(digest)}.*"):
            remove_tree(folder)

    def quarantine(self, folder: Path) -> Path:
        """Moves a damaged result to :attr:`corrupt`, under a name of its own, and returns the new place.

        Where the store cannot be written to, it stays where it is.
        """
        place = self.corrupt / f"{folder.name}.{secrets.token_hex(4)}"
        try:
            self.corrupt.mkdir(parents=True, exist_ok=True)
            folder.rename(place)
        except OSError:
            return folder
        return place

    def discard(self, folder: Path) -> None:
        """Removes a folder, which vanishes for all readers at once."""
        if not folder.exists():
            return
        grave = folder
        if folder.parent != self.temporary:  # nobody reads what is there
            self.temporary.mkdir(parents=True, exist_ok=True)
            grave = self.temporary / f"{folder.name}.{secrets.token_hex(4)}"
            folder.rename(grave)
        remove_tree(grave)


def is_digest(text: str) -> bool:
    """Whether ``text`` can be the digest of a key."""
    return bool(_DIGEST.fullmatch(text))


def _names(folder: Path) -> list[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(os.listdir(folder))
    return []


def _checked(digest: str) -> str:
    if not is_digest(digest):
        raise SelkitError(f"{digest!r} is not the digest of a key (64 hex digits)")
    return digest
