"""The hooks that a plugin may implement.

A hook returns classes and computes nothing: it is called whenever somebody lists what is installed. All hooks are
optional; a package that implements none is listed as failed. Hooks grow by arguments, and an implementation that takes
fewer keeps working. A hook or an argument that is going is marked with a :class:`selkit.api.deprecation.Going`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

from selkit.api import BaseBenchmark, BaseSelector, PairwiseJudge

PROJECT = "selkit"
"""Name of the pluggy project and of the entry-point group."""

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {}
"""What the host hands to each hook, by the argument's name; an implementation gets the ones that it names."""

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def selkit_selectors() -> Iterable[type[BaseSelector]]:  # type: ignore[empty-body]
    """The selector classes of this package: dataclasses that derive from Scorer, Sampler or Selector.

    Example::

        @hookimpl
        def selkit_selectors():
            from selkit_overlap.scorer import Overlap

            return [Overlap]
    """


@hookspec
def selkit_judges() -> Iterable[type[PairwiseJudge]]:  # type: ignore[empty-body]
    """The judge classes of this package: dataclasses that derive from PairwiseJudge, PromptJudge or RoundTripJudge."""


@hookspec
def selkit_benchmarks() -> Iterable[type[BaseBenchmark]]:  # type: ignore[empty-body]
    """The benchmark classes of this package: dataclasses that derive from Benchmark or BenchmarkGroup."""
