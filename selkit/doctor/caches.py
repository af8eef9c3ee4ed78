"""The caches beside the store: selkit's own, and those of the hub's libraries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from selkit.doctor.disk import GIB, free_bytes, refusal
from selkit.doctor.finding import Finding
from selkit.doctor.hub import offline_setting
from selkit.files import own_cache

LITTLE_ROOM = 5 * GIB
"""Bytes free below which there is a note: a model of a few billion parameters takes more."""


def cache_findings() -> Iterator[Finding]:
    """One line per cache: whether it can be written to, and how much room it has."""
    yield _cache("selkit's cache", own_cache(), "SELKIT_CACHE", needed=True)
    # Offline nothing is fetched, and a cluster's common cache may well be read-only.
    yield _cache("the hub's cache of models", model_cache(), "HF_HOME", needed=not offline_setting())
    yield _cache("the hub's cache of data sets", dataset_cache(), "HF_HOME", needed=not offline_setting())


def model_cache() -> Path:
    """Where huggingface_hub keeps models."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(named)).expanduser() if named else _hub_home() / "hub"


def dataset_cache() -> Path:
    """Where ``datasets`` keeps data sets."""
    named = os.environ.get("HF_DATASETS_CACHE")
    return Path(named).expanduser() if named else _hub_home() / "datasets"


def _hub_home() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{caches}/huggingface"
    return Path(os.path.expandvars(home)).expanduser()


def _cache(what: str, folder: Path, variable: str, *, needed: bool) -> Finding:
    if why := refusal(folder):
        if not needed:
            return Finding("caches", "ok", f"{what}, {folder}, can only be read, which is enough offline")
        return Finding(
            "caches", "failed", f"{what}, {folder}, cannot be used: {why}", f"set {variable} to another folder"
        )
    free = free_bytes(folder)
    if needed and free is not None and free < LITTLE_ROOM:
        text = f"{what}, {folder}, has {free / GIB:.1f} GiB free, little for models"
        return Finding("caches", "note", text, f"free some, or set {variable} to a folder on another disk")
    return Finding("caches", "ok", f"{what}, {folder}, can be written to")
