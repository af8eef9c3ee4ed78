"""Where a training works and where its result goes: nothing is seen at the output until all of it is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import DataError
from selkit.files import atomic_write_text, remove_tree, unwritable
from selkit.train.report import REPORT

MARK = "complete.json"
"""Written last into a checkpoint: sizes of its files."""

_JOB = "job.json"
_HALVED = "halved.json"


@dataclass(frozen=True)
class Workplace:
    """The folder that a training works in, on the file system of its output.

    Args:
        folder: Survives a kill, so that the same training can go on; gone when the training is done.
        output: Where the trained model goes.
    """

    folder: Path
    output: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def result(self) -> Path:
        """Folder of the trained model until it is whole."""
        return self.folder / "model"

    def begin(self, job: Mapping[str, Any], *, resume: bool) -> Path | None:
        """Prepares the folder for ``job``; returns the newest whole checkpoint of the very same job, if there is one.

        What another job, or another try with other settings, left here is removed.
        """
        described = _described(job)
        path = self.folder / _JOB
        same = resume and path.is_file() and path.read_text("utf-8") == described
        if not same:
            self.clear()
        remove_tree(self.result)
        atomic_write_text(path, described)
        return newest_checkpoint(self.checkpoints)

    def halvings(self, job: Mapping[str, Any]) -> int:
        """How often the batch of ``job`` was halved by processes that ended over it."""
        with suppress(OSError, ValueError):
            found = json.loads((self.folder / _HALVED).read_text("utf-8"))
            return int(found["halvings"]) if found["job"] == _described(job) else 0
        return 0

    def remember_halvings(self, job: Mapping[str, Any], halvings: int) -> None:
        """Remembers that ``job`` needs its batch halved so often; ``forget_halvings`` ends that."""
        atomic_write_text(self.folder / _HALVED, json.dumps({"job": _described(job), "halvings": halvings}))

    def forget_halvings(self) -> None:
        """Removes what :meth:`remember_halvings` wrote."""
        (self.folder / _HALVED).unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes checkpoints and half-written results."""
        remove_tree(self.checkpoints)
        remove_tree(self.result)
        (self.folder / _JOB).unlink(missing_ok=True)

    def commit(self) -> None:
        """Puts the result in the output's place by renaming, and clears the folder."""
        old = self.folder / "replaced"
        remove_tree(old)
        try:
            if self.output.exists():
                os.rename(self.output, old)
            os.rename(self.result, self.output)
        except OSError as error:
            raise unwritable(error, self.output) from error
        remove_tree(old)
        self.forget_halvings()
        self.clear()


@contextmanager
def claimed(output: Path, partial: Path | None, *, force: bool) -> Iterator[Workplace]:
    """The place of one training, held against other processes.

    Args:
        output: Folder for the trained model; must not exist, unless empty or, with ``force``, trained by selkit.
        partial: Folder to work in, on the same file system; by default a hidden one beside the output.
        force: Whether an earlier trained model may be replaced.

    Raises:
        DataError: The output is taken, another process is training into it, or it cannot be written to.
    """
    from filelock import FileLock, Timeout

    check_output(output, force=force)
    folder = partial or output.parent / f".{output.name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"another process is training into {output}; wait for it, or choose another folder") from None
    except OSError as error:
        raise unwritable(error, output) from error
    try:
        yield Workplace(folder, output)
    finally:
        lock.release()
        if newest_checkpoint(folder / "checkpoints") is None and not (folder / _HALVED).exists():
            remove_tree(folder)


def check_output(output: Path, *, force: bool) -> None:
    """Refuses an output folder that holds something.

    Raises:
        DataError: It does, and ``force`` is not given or what it holds was not trained by selkit.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise DataError(f"{output} is a file; name a folder for the trained model")
    if not any(output.iterdir()):
        return
    if not force:
        raise DataError(f"{output} is not empty; choose another folder, or replace it with --force")
    if not (output / REPORT).is_file():
        raise DataError(f"{output} holds something that selkit did not train, so --force leaves it alone")


def _described(job: Mapping[str, Any]) -> str:
    return json.dumps(job, sort_keys=True, default=str)


def mark_checkpoint(folder: Path) -> None:
    """Marks a checkpoint as whole: the sizes of its files, written last."""
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    atomic_write_text(folder / MARK, json.dumps(sizes))


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the highest step that is whole, or None."""
    whole = [path for path in folder.glob("checkpoint-*") if _is_whole(path)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _is_whole(folder: Path) -> bool:
    with suppress(OSError, ValueError):
        sizes = json.loads((folder / MARK).read_text("utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    return False
