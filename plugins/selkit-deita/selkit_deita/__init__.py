"""DEITA: the components ``deita-complexity``, ``deita-quality`` and ``deita``."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selectors that this package provides."""
    from selkit_deita.scorers import DeitaComplexity, DeitaQuality
    from selkit_deita.selector import Deita

    return [DeitaComplexity, DeitaQuality, Deita]
