"""An executor for tests of what comes of an experiment and not of where it is done: torch loads once."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from selkit.experiment.cells.job import CellJob
from selkit.experiment.executors import CellOutcome, LocalExecutor
from selkit.experiment.executors.base import attempt


@dataclass(frozen=True)
class Inline(LocalExecutor):
    """Does cells one after the other in this process."""

    workers: int = 1
    threads: int = 1

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Every cell in turn."""
        for job in jobs:
            yield attempt(job)
