"""Scores from the losses of a language model: the components ``ifd``, ``superfiltering`` and ``perplexity``."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selectors that this package provides."""
    from selkit_ifd.perplexity import Perplexity
    from selkit_ifd.scorer import Ifd
    from selkit_ifd.superfiltering import Superfiltering

    return [Ifd, Superfiltering, Perplexity]
