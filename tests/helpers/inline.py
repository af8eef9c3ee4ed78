"""An executor for tests of what comes of an experiment and not of where it is done: torch loads once."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from selkit.experiment.cells.job import CellJob
from selkit.experiment.executors import CellOutcome, LocalExecutor
from selkit.experiment.executors.base import attempt


class Inline(LocalExecutor):
    """Does cells one after the other in this process."""

    def __init__(self) -> None:
        super().__init__(workers=1, threads=1)

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Every cell in turn."""
        for job in jobs:
            yield attempt(job)
