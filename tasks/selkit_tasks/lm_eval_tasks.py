"""lm-eval's own task definitions, found by path, so that its index of fourteen thousand tasks is never built."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from selkit.api import MissingExtra


def definition(*parts: str) -> str:
    """Path of one of lm-eval's task files, for ``include:``; found without importing lm-eval.

    Raises:
        MissingExtra: lm-eval is not installed.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra.of("running benchmarks", "eval")
    return str(Path(spec.submodule_search_locations[0], "tasks", *parts))
