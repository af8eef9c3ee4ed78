"""Rating by a language model: the component ``alpagasus``."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selector that this package provides."""
    from selkit_alpagasus.scorer import Alpagasus

    return [Alpagasus]
