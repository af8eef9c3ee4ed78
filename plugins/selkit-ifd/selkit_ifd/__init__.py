"""Instruction-following difficulty: the component ``ifd``."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selector that this package provides."""
    from selkit_ifd.scorer import Ifd

    return [Ifd]
