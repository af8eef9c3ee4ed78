"""Clustering and Ranking: the components ``iqs`` and ``car``; ``python -m selkit_car train`` trains a scorer."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selectors that this package provides."""
    from selkit_car.car import Car
    from selkit_car.iqs import Iqs

    return [Iqs, Car]
