"""A package whose hook is sound and whose selector is not."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selector that breaks a dozen promises."""
    from selkit_violates.sampler import Violates

    return [Violates]
