"""Cells as jobs of Slurm, through submitit: one array for the cells that are missing.

A job that Slurm preempts, or whose time is up, is told so by a signal (SIGUSR2) shortly before; submitit then queues
it again, and it takes up what the store and the training's last checkpoint hold. submitit also runs jobs as plain
processes of this machine (``-x cluster=local``), to try things out.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selkit.api import DataError, MissingExtra, UsageError
from selkit.console import get_console
from selkit.experiment.cells.job import CellJob
from selkit.experiment.cells.work import is_done
from selkit.experiment.executors.base import CellOutcome, attempt
from selkit.experiment.executors.options import number
from selkit.experiment.spec.spec import Device, Spec
from selkit.models import device_here
from selkit.select.processes import prepare_process
from selkit.store import Store

POLL_SECONDS = 1.0
MINUTES = 240
"""Time limit of a job where none is given; submitit's own would be five minutes."""

_TALK = ("name", "job_name", "comment", "setup")
"""Parameters that ask for nothing, whatever they name."""

_OWN = ("cluster", "cells_per_job", "max_num_timeout")


@dataclass(frozen=True)
class SlurmOptions:
    """Options of the executor, ``-x KEY=VALUE``.

    Args:
        parameters: What submitit passes to Slurm: ``partition``, ``time`` or ``timeout_min`` (minutes, 240),
            ``array_parallelism`` (jobs at once, 256), ``cpus_per_task`` (the spec's threads and processes),
            ``gpus_per_node``, ``mem_gb``, ``account``, ``qos``, ``constraint``, ``setup``, ``signal_delay_s`` ...
        cluster: 'slurm', or 'local' for processes of this machine.
        cells_per_job: Cells that one job does, one after the other; more where cells take less than a few minutes.
        max_num_timeout: How often a job whose time is up is queued again.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    cluster: Literal["slurm", "local"] = "slurm"
    cells_per_job: int = 1
    max_num_timeout: int = 3

    @property
    def wants_gpus(self) -> bool:
        """Whether the parameters ask for GPUs, by their number or by the name of a partition or resource."""
        return any(
            value not in (0, "0") if "gpu" in key else "gpu" in str(value).lower()
            for key, value in self.parameters.items()
            if key not in _TALK
        )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> SlurmOptions:
        """From a mapping of own options and submitit's parameters, which submitit checks when the executor opens.

        Raises:
            UsageError: One of the own options has a wrong value.
        """
        cluster = options.get("cluster", "slurm")
        if cluster not in ("slurm", "local"):
            raise UsageError(f"the executor's option 'cluster' is 'slurm' or 'local', not {cluster!r}")
        return cls(
            {key: value for key, value in options.items() if key not in _OWN},
            cluster,
            int(number(options, "cells_per_job", 1, 1)),
            int(number(options, "max_num_timeout", 3)),
        )


@dataclass(frozen=True)
class CellsTask:
    """What a job does: cells one after the other. Plain data, so that it can be queued again as it is.

    Args:
        jobs: The cells.
        verbose: How much the job's log says.
    """

    jobs: tuple[CellJob, ...]
    verbose: int

    def __call__(self) -> list[CellOutcome]:
        """Does the cells; finds what an earlier attempt finished in the store."""
        prepare_process(self.jobs[0].threads, self.verbose)
        return [attempt(job) for job in self.jobs]

    def checkpoint(self) -> Any:
        """The same work again: called by submitit when the job is preempted or its time is up."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass
class SlurmExecutor:
    """Runs cells as an array of Slurm jobs.

    Args:
        options: What the jobs ask for.
        folder: Where submitit keeps the jobs and their logs; every node must see it.
    """

    options: SlurmOptions
    folder: Path
    _submitit: Any = None

    @contextmanager
    def open(self, spec: Spec, store: Store) -> Iterator[None]:
        """Makes sure that there is Slurm, and that it is asked for what it knows.

        Raises:
            MissingExtra: submitit is not installed.
            DataError: This is no machine of a Slurm cluster, or the folder cannot be written.
            UsageError: submitit has no such parameter, or it has another type.
        """
        try:
            import submitit
        except ImportError as error:
            raise MissingExtra.of("the executor slurm", "slurm") from error
        store.check_writable()
        try:
            self._submitit = submitit.AutoExecutor(
                self.folder, cluster=self.options.cluster, slurm_max_num_timeout=self.options.max_num_timeout
            )
        except RuntimeError as error:
            raise DataError(
                "there is no Slurm here (no command srun): run selkit on a machine from which jobs are submitted, or "
                "try it with -x cluster=local"
            ) from error
        except OSError as error:
            raise DataError(f"{self.folder} cannot be written ({error.strerror}): choose another with -o") from error
        self._update((spec.threads or 1) * spec.processes)
        yield

    def _update(self, cpus: int) -> None:
        from submitit import AutoExecutor

        shared = AutoExecutor._typed_parameters()
        given = {key if key in shared else f"slurm_{key}": value for key, value in self.options.parameters.items()}
        usual = {"name": "selkit", "timeout_min": MINUTES, "cpus_per_task": cpus}
        # A job that Slurm itself throws out without a word goes back to the queue, too.
        more = {"slurm_additional_parameters": {"requeue": True}} if self.options.cluster == "slurm" else {}
        try:
            self._submitit.update_parameters(**{**usual, **more, **given})
        except (NameError, ValueError, AssertionError, TypeError) as error:  # submitit's words for a wrong option
            said = " ".join(str(error).split())[:1000]
            raise UsageError(f"submitit does not take these options of the executor slurm: {said}") from error

    def device(self, spec: Spec) -> Device:
        """The spec's or $SELKIT_DEVICE's; else a GPU where the options ask for one, since this machine may have none.

        Jobs that are processes of this machine have what it has.
        """
        if self.options.cluster == "local" or spec.device or "SELKIT_DEVICE" in os.environ:
            return spec.device or ("cuda" if device_here() == "cuda" else "cpu")
        if self.options.wants_gpus:
            return "cuda"
        get_console().note("no GPU is asked for, so that cells compute on CPUs: -x gpus_per_node=1 asks for one a job")
        return "cpu"

    def run(self, jobs: Sequence[CellJob]) -> Generator[CellOutcome, None, None]:
        """Submits the cells as one array and yields each as its job ends. An interruption cancels the jobs."""
        from submitit.helpers import as_completed

        size, verbose = self.options.cells_per_job, get_console().verbose
        tasks = [CellsTask(tuple(jobs[i : i + size]), verbose) for i in range(0, len(jobs), size)]
        submitted = self._submit(tasks)
        ended = set()
        try:
            for job in as_completed(list(submitted), poll_frequency=POLL_SECONDS):
                ended.add(job)
                yield from _outcomes(job, submitted[job])
        finally:
            for job in submitted.keys() - ended:
                with suppress(Exception):  # it may have ended this moment
                    job.cancel(check=False)

    def _submit(self, tasks: Sequence[CellsTask]) -> dict[Any, CellsTask]:
        try:
            with self._submitit.batch():
                submitted = [self._submitit.submit(task) for task in tasks]
        except Exception as error:  # sbatch's own refusals, as submitit passes them on
            said = " ".join(str(error).split())[-300:]
            raise DataError(f"Slurm did not take the jobs ({said}): nothing was run; mend the options") from error
        get_console().note(f"{len(tasks)} jobs are submitted; their logs are in {self.folder}")
        return dict(zip(submitted, tasks, strict=True))


def _outcomes(job: Any, task: CellsTask) -> list[CellOutcome]:
    """How the cells of a job ended; of one that died, what it finished before is in the store."""
    try:
        outcomes: list[CellOutcome] = job.result()
    except Exception as error:  # submitit has several for a job that was killed, timed out too often or cannot start
        store = Store(task.jobs[0].store)
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = f"job {job.job_id} ended without a result ({type(error).__name__}: {lines[0] if lines else ''}): "
        why = f"{said}its log is {job.paths.stderr}"
        return [CellOutcome(one.label, None if is_done(one, store) else why) for one in task.jobs]
    return outcomes
