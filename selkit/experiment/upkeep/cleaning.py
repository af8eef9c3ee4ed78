"""Cleaning up a store: what runs need stays, the rest goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selkit.api import UsageError
from selkit.experiment.spec.loading import load_spec
from selkit.experiment.upkeep.remembered import RememberedRun, keys_needed, keys_of_run, keys_of_spec, remembered
from selkit.files import tree_bytes
from selkit.store import Store


@dataclass(frozen=True)
class Cleaned:
    """What a clean-up removed, or would remove.

    Args:
        digests: Digests of results and of unfinished work.
        bytes: Bytes in all.
        by_stage: Number of results and their bytes by stage; 'unfinished' is work that was never finished.
        kept_for: Runs and specs for which something was kept.
        missing: Folders of remembered runs that are gone.
    """

    digests: tuple[str, ...]
    bytes: int
    by_stage: dict[str, tuple[int, int]]
    kept_for: tuple[str, ...]
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def clean(
    store: Store,
    needed: Sequence[Path] = (),
    *,
    forget_missing: bool = False,
    unused_for: float = 3600.0,
    dry_run: bool = False,
) -> Cleaned:
    """Removes from a store what no run needs; never what is being made, or what that is made from.

    Args:
        store: The store.
        needed: Folders of runs, or spec files: what these need stays. By default every run that the store remembers.
        forget_missing: Whether runs whose folder is gone need nothing.
        unused_for: What was made or used in so many seconds stays, too.
        dry_run: Only say what would go.

    Raises:
        DataError: What a run needs cannot be known, or the store cannot be read.
        UsageError: ``needed`` names neither a run nor a spec.
    """
    known = remembered(store)
    missing = [run for run in known if not run.is_there and not Path(run.folder).is_dir()]
    wanted = [run for run in known if not (forget_missing and run in missing)]
    keep = _named(store, needed) if needed else keys_needed(store, wanted)
    # first only told, so that the stages and sizes of what goes are known
    going = store.gc(keep, unused_for=unused_for, dry_run=True)
    by_stage = _by_stage(store, going.digests)
    done = going if dry_run else store.gc(keep, unused_for=unused_for)
    kept_for = tuple(map(str, needed)) if needed else tuple(_label(run) for run in wanted)
    return Cleaned(done.digests, done.bytes, by_stage, kept_for, tuple(run.folder for run in missing))


def _label(run: RememberedRun) -> str:
    return f"{run.name} in {run.folder}"


def _named(store: Store, needed: Sequence[Path]) -> set[str]:
    keys: set[str] = set()
    for place in needed:
        if place.is_dir():
            keys |= keys_of_run(place, store)
        elif place.is_file():
            keys |= keys_of_spec(load_spec(place), store)
        else:
            raise UsageError(f"{place} is neither the folder of a run nor a spec: name one that is there")
    return keys


def _by_stage(store: Store, digests: Sequence[str]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for digest in digests:
        artifact = store.get(digest)
        stage = artifact.key.stage if artifact else "unfinished"
        number, size = found.get(stage, (0, 0))
        found[stage] = number + 1, size + tree_bytes(store.layout.object(digest))
    return dict(sorted(found.items()))
