"""What every executor shares: the protocol, and how a cell ended."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from selkit.experiment.cells.failures import forget_failure, note_failure
from selkit.experiment.cells.job import CellJob
from selkit.experiment.cells.work import run_cell
from selkit.experiment.spec.spec import Device, Spec
from selkit.store import Store


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """How a cell ended; ``error`` is the sentence of what went wrong, None where nothing did."""

    label: str
    error: str | None = None


class Executor(Protocol):
    """Where cells are done. What they leave is in the store, so that losing an executor loses nothing finished."""

    def open(self, spec: Spec, store: Store) -> AbstractContextManager[None]:
        """Holds whatever the executor needs for the block.

        Raises:
            SelkitError: It cannot work: an extra is missing, the cluster cannot be reached, no machine has enough.
        """

    def device(self, spec: Spec) -> Device:
        """What cells will compute on, which stands in the keys of their results; asked for while it is open.

        Raises:
            UsageError: That is another one than the spec asks for, or none that trains.
        """

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Does the cells, several at a time; yields each as it ends. A cell that fails stops no other."""


def attempt(job: CellJob, begin: Callable[[str], None] = lambda stage: None) -> CellOutcome:
    """Does a cell in this process; its failure is a result with its reason."""
    stages: list[str] = []

    def begun(stage: str) -> None:
        stages.append(stage)
        begin(stage)

    try:
        run_cell(job, begun)
    except Exception as error:  # the others go on, and the same command tries this one again
        note_failure(job, stages[-1] if stages else "", error)
        return CellOutcome(job.label, f"{type(error).__name__}: {error}")
    forget_failure(job)
    return CellOutcome(job.label)
