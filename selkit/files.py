"""Files on disk: atomic writes, digests, sizes, and what to say when the disk refuses."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from selkit.api.errors import DataError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers that mean: no more bytes go there (disk full, quota used up, file size limit)."""


_digests: dict[tuple[str, int, int, int, int], str] = {}


def digest_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits; reads it in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_unchanged(path: str | Path) -> str:
    """As :func:`digest_file`, computed once per process as long as the file seems the same.

    Copying tools set the time of the last change back; the time at which the system noted that (ctime) nobody can set,
    so that a file of the same size and time with other bytes is seen.
    """
    real = os.path.realpath(path)
    stat = os.stat(real)
    key = (real, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if key not in _digests:
        _digests[key] = digest_file(real)
    return _digests[key]


def digest_text(text: str) -> str:
    """SHA-256 of a text in UTF-8, 64 hex digits; lone surrogates count as their three bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def cache_folder() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, or what the operating system uses for it."""
    if configured := os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA"):
        return Path(configured)
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def own_cache() -> Path:
    """Where selkit keeps what it downloads or builds: $SELKIT_CACHE, or a folder in the user's cache."""
    configured = os.environ.get("SELKIT_CACHE")
    return Path(configured) if configured else cache_folder() / "selkit"


@contextmanager
def atomic_open(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write bytes to, which takes the place of ``path`` when the block ends well, and vanishes otherwise.

    Readers see the old file or the whole new one, never a part, also after a power cut. The mode of an existing file
    is kept and a link is followed. What is no plain file (a device, a pipe) is written to as it is.

    Raises:
        DataError: The place cannot be written to, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    special = target.exists() and not target.is_file()
    temporary = target if special else target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    file = _opened(temporary, "wb" if special else "xb", target)
    try:
        with _explained(target):
            with file:
                yield file
                if not special:
                    _keep_mode(file, target)
                    flush_to_disk(file)
            if not special:
                os.replace(temporary, target)
                sync_folder(target.parent)
    finally:
        if not special:
            temporary.unlink(missing_ok=True)


def _opened(path: Path, mode: str, target: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, open(path, mode))
    except OSError as error:
        raise unwritable(error, target) from error


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Says that ``target`` could not be written where the disk is full; other errors may be about other files."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise full_disk(target, 0, error) from error
        raise


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Puts ``data`` into ``path`` so that nobody ever sees a part of it. Raises DataError as :func:`atomic_open`."""
    with atomic_open(path) as file:
        file.write(data)


def atomic_write_text(path: str | Path, data: str) -> None:
    """Puts ``data`` into ``path`` in UTF-8 so that nobody ever sees a part of it. Raises DataError if it cannot."""
    atomic_write_bytes(path, data.encode("utf-8"))


def _keep_mode(file: BinaryIO, target: Path) -> None:
    with suppress(FileNotFoundError):
        os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)


def flush_to_disk(file: BinaryIO) -> None:
    """Waits until what was written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Waits until a closed file is on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Waits until a folder's list of names is on the disk, where the system can do that."""
    with suppress(OSError):  # some file systems refuse to sync folders, and then their own order of writes has to do
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def tree_files(folder: Path) -> list[Path]:
    """Every file and every link below a folder, sorted by name; empty where there is no folder."""
    found = (Path(where) / name for where, folders, names in os.walk(folder) for name in (*folders, *names))
    return sorted(path for path in found if path.is_symlink() or not path.is_dir())


def tree_bytes(folder: Path) -> int:
    """Sum of the sizes of every file below a folder; what vanishes meanwhile does not count."""
    total = 0
    for path in tree_files(folder):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def remove_tree(folder: Path) -> None:
    """Removes a folder and all below it, as far as it can; nothing happens where there is none."""
    shutil.rmtree(folder, ignore_errors=True)


def is_full(error: BaseException | None) -> bool:
    """Whether an exception, or one that led to it, says that no more bytes go onto the disk."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if (isinstance(error, OSError) and error.errno in FULL) or os.strerror(errno.ENOSPC) in str(error):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def free_bytes(path: Path) -> int:
    """Bytes that can still be written below ``path``, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def unwritable(error: OSError, path: Path, needed: int = 0) -> DataError:
    """The sentence for a write that the system refused.

    Args:
        error: What the system said.
        path: The file or folder that was written to.
        needed: Bytes that were to be written, where known.
    """
    if is_full(error):
        return full_disk(path, needed, error)
    reason = error.strerror or str(error)
    return DataError(f"cannot write {path} ({reason}): choose another place, or make this one writable")


def full_disk(path: Path, needed: int, error: BaseException) -> DataError:
    """The sentence for a disk that took no more bytes; ``needed`` counts those that had to go there."""
    number = error.errno if isinstance(error, OSError) else errno.ENOSPC
    reason = (os.strerror(number) if number else str(error)).lower()
    want = f"more than {readable_bytes(needed)} needed, " if needed else ""
    return DataError(
        f"no room to write {path} ({reason}; {want}{readable_bytes(free_bytes(path))} free): "
        "free some space or choose another disk, then run the same command again to go on where it stopped"
    )


def readable_bytes(count: float) -> str:
    """A number of bytes for people, e.g. '1.5 MB' (powers of 1000)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
