"""Where an experiment stands: which cells are done, under way, failed or to do, and how long the rest may take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from selkit.experiment.cells.failures import failure_of
from selkit.experiment.cells.work import MODEL
from selkit.experiment.setup.stages import Stage, Survey
from selkit.store import Store
from selkit.store.lease import leases

State = Literal["done", "running", "failed", "to judge", "to do"]
STATES: tuple[State, ...] = get_args(State)

RUN = "run"
"""What leases of whole runs are called, before the name of the experiment."""

WINDOW = 3600.0
"""Seconds over which the rate is taken."""


@dataclass(frozen=True)
class Holder:
    """Who works on a stage."""

    stage: str
    pid: int
    host: str
    seconds: float


@dataclass(frozen=True)
class CellStatus:
    """Where one cell stands.

    Args:
        cell: Its label.
        state: The word for it; 'to judge' where its answers are there and judges have yet to read them.
        stages_stored: How many of its stages are stored.
        stages: How many it has.
        running: Who works on it.
        error: Why it failed when it was last tried.
        log: File with the traceback of that.
        weights: Folder of its trained model, where that is kept.
    """

    cell: str
    state: State
    stages_stored: int
    stages: int
    running: tuple[Holder, ...] = ()
    error: str = ""
    log: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Status:
    """Where an experiment stands.

    Args:
        cells: Its cells.
        per_hour: Cells trained an hour, of late.
        seconds_left: What the rest takes at that rate; None where nothing was done of late.
        runs: Who runs the experiment now.
        stages: How many stages are stored, and how many there are.
    """

    cells: tuple[CellStatus, ...]
    per_hour: float
    seconds_left: float | None
    runs: tuple[Holder, ...] = ()
    stages: tuple[int, int] = (0, 0)

    @property
    def counts(self) -> dict[str, int]:
        """Cells by state."""
        found = Counter(cell.state for cell in self.cells)
        return {state: found[state] for state in STATES}

    def to_dict(self) -> dict[str, Any]:
        """The status as JSON."""
        return {
            "counts": self.counts,
            "per_hour": self.per_hour,
            "seconds_left": self.seconds_left,
            "stages": {"stored": self.stages[0], "all": self.stages[1]},
            "runs": [asdict(run) for run in self.runs],
            "cells": [asdict(cell) for cell in self.cells],
        }


def status_of(found: Survey, now: float | None = None) -> Status:
    """Where the experiment stands now.

    Args:
        found: Its stages.
        now: Seconds since 1970, by default those of the clock.
    """
    now = time.time() if now is None else now
    held = dict(_held(found.experiment.store, now))
    cells = tuple(_cell(found, label, ids, held) for label, ids in found.cells.items())
    rate = _per_second(found.stages.values(), now)
    left = sum(cell.state not in ("done", "to judge") for cell in cells)
    runs = tuple(one for one in held.values() if one.stage == f"{RUN} {found.experiment.spec.name}")
    stages = sum(stage.stored for stage in found.stages.values()), len(found.stages)
    return Status(cells, 3600 * rate, left / rate if rate else None, runs, stages)


def _cell(found: Survey, label: str, ids: Iterable[str], held: Mapping[str, Holder]) -> CellStatus:
    stages = [found.stages[one] for one in ids]
    stored = sum(stage.stored for stage in stages)
    if stored == len(stages):
        return CellStatus(label, "done", stored, stored, weights=_kept(found, label))
    running = tuple(held[one] for stage in stages if not stage.stored for one in _digests(stage) if one in held)
    if running:
        return CellStatus(label, "running", stored, len(stages), running)
    if {stage.kind for stage in stages if not stage.stored} == {"judging"}:
        return CellStatus(label, "to judge", stored, len(stages))
    failure = failure_of(found.jobs[label]) if label in found.jobs else None
    if failure:
        return CellStatus(label, "failed", stored, len(stages), (), failure.error, failure.log)
    return CellStatus(label, "to do", stored, len(stages))


def _kept(found: Survey, label: str) -> str:
    job = found.jobs.get(label)
    artifact = found.experiment.store.find(job.weights) if job and job.weights else None
    return str(artifact.directory / MODEL) if artifact else ""


def _digests(stage: Stage) -> tuple[str, ...]:
    """The key of a stage, and before its record that of the weights."""
    return (stage.id, stage.detail["weights"]) if stage.kind == "training" else (stage.id,)


def _held(store: Store, now: float) -> Iterator[tuple[str, Holder]]:
    """Who holds which lease. A lease whose holder was killed is nobody's."""
    for lease in leases(store.layout.leases):
        holder = lease.holder()
        with lease.hold_if_free() as free:
            if not free and holder:
                seconds = now - float(holder.get("started", now))
                yield lease.digest, Holder(lease.label, int(holder.get("pid", 0)), str(holder.get("host", "")), seconds)


def _per_second(stages: Iterable[Stage], now: float) -> float:
    """Trainings that ended in the last hour, over the time since the first of them began."""
    spans = []
    for stage in stages:
        if stage.kind == "training" and stage.artifact:
            # the weights go, and the record is made right after them: it says how long the training took
            measured = stage.artifact.manifest["measured"]
            ended = _seconds(measured["started"]) + float(measured["wall_seconds"])
            took = sum(row.quantity for row in stage.artifact.ledger if row.resource == "training.seconds")
            if now - ended <= WINDOW:
                spans.append((ended - took, ended))
    if not spans:
        return 0.0
    return len(spans) / max(now - min(start for start, _ in spans), 1.0)


def _seconds(stamp: str) -> float:
    import calendar

    return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")))
