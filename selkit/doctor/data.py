"""The data that experiments name: which pools and test sets are here, and which have to be fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from selkit.doctor.caches import dataset_cache
from selkit.doctor.finding import Finding
from selkit.doctor.hub import offline_setting
from selkit.pools.named import FOLDER_VARIABLE, POOLS, stand_in
from selkit.pools.testsets import SHARED_VARIABLE, SIZES, is_here
from selkit.store import package_version


def data_findings() -> Iterator[Finding]:
    """One line on named pools and one on published test sets; one more where a folder of them serves nothing."""
    local = [name for name in POOLS if stand_in(name)]
    fetched = [name for name in POOLS if name not in local and _is_fetched(POOLS[name].hub)]
    yield _pools(local, fetched)
    if os.environ.get(FOLDER_VARIABLE) and not local:
        yield Finding(
            "data",
            "note",
            f"no file in {FOLDER_VARIABLE} bears the name of a pool",
            f"name the files as the pools, such as {next(iter(POOLS))}.jsonl",
        )
    yield _testsets([name for name in SIZES if is_here(name)])
    yield from _shared(os.environ.get(SHARED_VARIABLE, ""))


def _pools(local: list[str], fetched: list[str]) -> Finding:
    absent = len(POOLS) - len(local) - len(fetched)
    places = ((local, f"in {FOLDER_VARIABLE}"), (fetched, "in the hub's cache"))
    here = "; ".join(f"{', '.join(names)} {place}" for names, place in places if names)
    text = f"named pools here: {here or 'none'}"
    copied = f"copy them into the folder that {FOLDER_VARIABLE} names"
    if not absent:
        return Finding("data", "ok", text)
    if setting := offline_setting():
        remedy = f"run selkit eval prefetch EXPERIMENT where there is a network, or {copied}"
        return Finding("data", "note", f"{text}; {absent} others cannot be fetched ({setting})", remedy)
    if package_version("datasets") is None:
        remedy = f"pip install 'selkit-eval[train]', or {copied}"
        return Finding("data", "note", f"{text}; datasets, which fetches {absent} others, is not installed", remedy)
    return Finding("data", "ok", f"{text}; {absent} others are fetched from the hub when they are asked for")


def _is_fetched(name: str) -> bool:
    """Whether ``datasets`` has built a data set of the hub here: it then serves offline, too."""
    wanted = _plain(name.replace("/", "___"))
    try:
        found = [entry for entry in dataset_cache().iterdir() if _plain(entry.name) == wanted]
        return any(next(entry.glob("*/*/*"), None) for entry in found)
    except OSError:  # no such folder, or one that may not be read
        return False


def _plain(name: str) -> str:
    """A name as the library's own spelling of it leaves it comparable: HC3 lies there as hc3, WizardLM as wizard_lm."""
    return name.lower().replace("_", "")


def _testsets(here: list[str]) -> Finding:
    if len(here) == len(SIZES):
        return Finding("data", "ok", f"all {len(SIZES)} published test sets are here")
    absent = [name for name in SIZES if name not in here]
    text = f"published test sets here: {', '.join(here) or 'none'}; not here: {', '.join(absent)}"
    remedy = (
        "put NAME.jsonl into a folder that SELKIT_TESTSETS names; selkit eval prefetch alpaca-eval fetches that one"
    )
    return Finding("data", "note", text, remedy)


def _shared(folder: str) -> Iterator[Finding]:
    """What the folder of shared data serves; a wrong one shows by serving nothing."""
    root = Path(folder)
    if not folder or not root.is_dir():
        return
    counts = {part: len(list((root / part).rglob("*.jsonl"))) for part in ("testsets", "benchmarks")}
    if any(counts.values()):
        text = (
            f"{SHARED_VARIABLE} serves files of test sets: {counts['testsets']}, of benchmarks: {counts['benchmarks']}"
        )
        yield Finding("data", "ok", text)
    else:
        text = f"{SHARED_VARIABLE} serves nothing: {root} has no JSON Lines file in testsets/ or benchmarks/"
        yield Finding("data", "note", text, "name the folder that holds these two, or unset it")
