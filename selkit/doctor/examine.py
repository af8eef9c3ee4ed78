"""All examinations, in the order in which one would set a machine up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from selkit.doctor.caches import cache_findings
from selkit.doctor.data import data_findings
from selkit.doctor.devices import device_findings
from selkit.doctor.finding import Finding
from selkit.doctor.hub import hub_finding
from selkit.doctor.packages import package_findings
from selkit.doctor.places import place_findings
from selkit.doctor.plugins import plugin_findings
from selkit.doctor.store import store_findings


def examine(store: str | Path | None = None, *, deep: bool = False) -> Iterator[Finding]:
    """Everything that is found, as it is found; changes nothing but that ``deep`` puts damaged results aside.

    Args:
        store: Folder of stored results; by default the one that every command uses.
        deep: Whether to read every stored result.
    """
    yield from package_findings()
    yield from device_findings()
    yield from place_findings()
    yield from data_findings()
    yield hub_finding()
    yield from cache_findings()
    yield from plugin_findings()
    yield from store_findings(store, deep=deep)
