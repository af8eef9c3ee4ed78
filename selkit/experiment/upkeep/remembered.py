"""The runs of a store: each is remembered when it starts, so that a clean-up knows what is still needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from selkit.api import DataError, SelkitError
from selkit.experiment.cells.job import CellJob, record_key
from selkit.experiment.outlook.survey import survey
from selkit.experiment.selection.charged import used_by
from selkit.experiment.setup.experiment import prepare
from selkit.experiment.setup.grid import Cell
from selkit.experiment.spec.loading import parse_spec
from selkit.experiment.spec.spec import Spec
from selkit.store import Store, atomic_write_text, digest_text

RUNS = "runs"
KEPT = ("all", "adapters")
"""What a spec says under ``keep`` where weights are to stay."""

_REPORT = Path("report") / "report.json"


@dataclass(frozen=True)
class RememberedRun:
    """A run of an experiment: where its report goes, and its spec.

    Args:
        name: The experiment.
        folder: The run's folder.
        spec: Its spec as plain data.
        started: When it was last started, in seconds since 1970.
        used: Digests of what it used, once it has ended.
    """

    name: str
    folder: str
    spec: dict[str, Any]
    started: float
    used: list[str] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        """Whether the folder still holds a report."""
        return (Path(self.folder) / _REPORT).is_file()


def remember(store: Store, folder: Path, spec: Spec, used: Iterable[str] = ()) -> None:
    """Notes in the store that a run begins, or at its end what it used.

    Where the store cannot be written to, nothing can be cleaned up either.
    """
    place = _folder(folder)
    run = RememberedRun(spec.name, place, spec.model_dump(mode="json", by_alias=True), time.time(), sorted(used))
    path = store.root / RUNS / f"{digest_text(place)}.json"
    with suppress(OSError, DataError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(asdict(run), indent=1))


def remembered(store: Store) -> list[RememberedRun]:
    """The runs of a store, in the order in which they were last started.

    Raises:
        DataError: A note of a run is damaged.
    """
    runs = []
    for path in (store.root / RUNS).glob("*.json"):
        try:
            runs.append(RememberedRun(**json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{path} does not say what its run needs ({type(error).__name__}): remove it to forget that run"
            ) from error
    return sorted(runs, key=lambda run: (run.started, run.folder))


def kept_for_others(store: Store, folder: Path, jobs: Mapping[Cell, CellJob]) -> dict[Cell, CellJob]:
    """The jobs of the run in a folder; those whose weights a finished run elsewhere was told to keep do so, too.

    Raises:
        DataError: A note of a run is damaged.
    """
    others = [run for run in remembered(store) if run.folder != _folder(folder)]
    kept = {how: {key for run in others if run.spec.get("keep") == how for key in run.used} for how in KEPT}

    def is_kept(job: CellJob) -> bool:
        if job.training is None:
            return False
        record = record_key(job, job.training).digest
        return record in kept["all"] or (job.training.recipe.lora is not None and record in kept["adapters"])

    return {cell: replace(job, keep=job.keep or is_kept(job)) for cell, job in jobs.items()}


def spec_of(folder: Path, store: Store) -> dict[str, Any]:
    """The spec of the run in a folder, from its report, else from the note that the store took when it began.

    The note also says which device its cells computed on, which may be another machine's.

    Raises:
        DataError: There is neither.
    """
    place = _folder(folder)
    noted = next((run.spec for run in remembered(store) if run.folder == place), None)
    try:
        spec: dict[str, Any] = json.loads((folder / _REPORT).read_text("utf-8"))["spec"]
        return spec | ({"device": noted["device"]} if noted and noted.get("device") else {})
    except (OSError, ValueError, KeyError, TypeError):
        if noted is not None:
            return noted
    raise DataError(f"{folder} is the folder of no run of the store {store.root}: name its spec, or another --store")


def keys_of_run(folder: Path, store: Store) -> set[str]:
    """Digests that a finished run rests on, from its report.

    Raises:
        DataError: There is no report, or it is damaged.
    """
    try:
        document = json.loads((folder / _REPORT).read_text("utf-8"))
        keys = {str(key) for key in document["keys"]} | {str(row["key"]) for row in document["selections"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no report that says what it needs: name a run's folder, or a spec") from error
    noted = {key for run in remembered(store) if run.folder == _folder(folder) for key in run.used}
    return keys | noted | set(used_by(store, keys))


def keys_of_spec(spec: Spec, store: Store) -> set[str]:
    """Digests of every stage of an experiment, and of what those that are stored rest on; computes nothing."""
    own = Store(store.root)  # one that has used nothing yet: reading the pools will tell which results they are
    found = survey(prepare(spec, own))
    keys = own.used | {one for stage in found.stages.values() for one in (stage.id, stage.detail.get("weights")) if one}
    return keys | set(used_by(store, keys))


def keys_needed(store: Store, runs: Iterable[RememberedRun]) -> set[str]:
    """Digests that runs need: those of their reports, and the stages of those that failed or did not end.

    Raises:
        DataError: What a run needs cannot be known.
    """
    needed: set[str] = set()
    for run in runs:
        needed |= set(run.used)
        if run.is_there:
            needed |= keys_of_run(Path(run.folder), store)
        try:
            needed |= keys_of_spec(parse_spec(run.spec), store)
        except SelkitError as error:
            if not run.used:
                raise DataError(
                    f"what the run {run.folder} needs cannot be known ({error}): mend that, or name the runs to keep"
                ) from error
    return needed


def _folder(folder: Path) -> str:
    return str(folder.expanduser().absolute())
