"""A package whose hook is sound and whose selectors are not."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """One that breaks a dozen promises, and one that breaks those of scorers."""
    from selkit_violates.sampler import Violates
    from selkit_violates.scorer import ViolatesScores

    return [Violates, ViolatesScores]
