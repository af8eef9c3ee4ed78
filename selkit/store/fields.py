"""What each field of a manifest means, in words; docs/reference/formats.md is written from it.

The tests hold these names against the manifests that the store writes.
"""

from __future__ import annotations

FIELDS = {
    "schema_version": "Version of this layout.",
    "stage": "The kind of work: `selection`, `scores`, `pool`, ...",
    "stage_schema": "Version of what that work writes; raised when its files change, so that old ones are made again.",
    "key": "SHA-256 over all that the result depends on, 64 hex digits.",
    "component": "The selector, judge or benchmark that does the work; empty where none does.",
    "parameters": "Its parameters, defaults included.",
    "versions": "The package it comes from, the package's version, and a digest of the component's source.",
    "inputs": "Digests of what went in: the pool, models, files, other selections. Never a path.",
    "conditions": "What else changes the result: seed, CPU threads, precision.",
    "facts": "What became of the work, which follows from the key alone; of a selection, see below.",
    "files": "Name, size in bytes and SHA-256 of every file.",
    "measured": "All that depends on clock or machine, see below.",
}
"""The manifest of a result in the store."""

MEASURED = {
    "started": "When it began, UTC.",
    "wall_seconds": "What it took, without the nested results, which answer for themselves.",
    "cpu_seconds": "Processor seconds of the process and of the children it waited for.",
    "peak_memory_bytes": "The most memory that the process, or its largest child, ever held until the end.",
    "peak_memory_before_bytes": "The same at the start, so that one sees whether this work raised it.",
    "machine": "System, processor, cores and memory; no name that tells whose it is.",
    "python": "Version of Python.",
    "selkit": "Version of selkit.",
    "resumed": "Whether it took up work that had been broken off.",
    "spent": "What it spent beside time, as calls of endpoints do: tokens, dollars.",
    "manifest_sha256": "SHA-256 over the rest of the manifest: one that was changed is not believed.",
}
"""What stands under ``measured`` in every manifest of the store."""

MEASURED_ON_GPU = {
    "gpus": "Names of the GPUs that the process used.",
    "gpu_seconds": "Wall seconds for which it held them, times their number.",
    "peak_gpu_memory_bytes": "The most memory that it held on them.",
}
"""What stands there too where GPUs were used."""
