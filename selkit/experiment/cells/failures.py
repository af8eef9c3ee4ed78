"""Failed cells: the reason and the whole traceback of each, kept in the store until the cell succeeds."""

from __future__ import annotations

import json
import platform
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from selkit.api import DataError
from selkit.experiment.cells.job import CellJob, cell_keys
from selkit.store import Store, atomic_write_text, digest_text, redact_text

FOLDER = "failed"


@dataclass(frozen=True)
class Failure:
    """How a cell failed.

    Args:
        cell: Its label.
        stage: What it was at.
        error: The reason, in a sentence.
        log: File with the traceback.
        host: Where it was.
        time: When, in seconds since 1970.
    """

    cell: str
    stage: str
    error: str
    log: str
    host: str
    time: float


def note_failure(job: CellJob, stage: str, error: BaseException) -> None:
    """Keeps why a cell failed. Says nothing where the store cannot be written to: the failure itself is told."""
    place = _place(job)
    log = redact_text("".join(traceback.format_exception(error)))
    reason = redact_text(f"{type(error).__name__}: {error}")
    found = Failure(job.label, stage, reason, str(place.with_suffix(".log")), platform.node(), time.time())
    with suppress(OSError, DataError):
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(place.with_suffix(".log"), f"{job.label}, {stage or 'before its first stage'}\n\n{log}")
        atomic_write_text(place.with_suffix(".json"), json.dumps(asdict(found), indent=1))


def forget_failure(job: CellJob) -> None:
    """Removes what was kept of an earlier failure, since the cell is done now."""
    with suppress(OSError):
        for ending in (".json", ".log"):
            _place(job).with_suffix(ending).unlink(missing_ok=True)


def failure_of(job: CellJob) -> Failure | None:
    """How the cell failed when it was last tried; None where it did not."""
    with suppress(OSError, ValueError, TypeError):
        return Failure(**json.loads(_place(job).with_suffix(".json").read_text("utf-8")))
    return None


def _place(job: CellJob) -> Path:
    """Named by a digest of all that the cell leaves behind: a changed recipe is another cell under the same label."""
    digest = digest_text("\n".join(key.digest for key in cell_keys(job)))
    return Store(job.store).root / FOLDER / digest
