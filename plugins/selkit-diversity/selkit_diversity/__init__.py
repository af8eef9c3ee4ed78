"""Diverse rows by their embeddings: the components ``kmeans``, ``k-center`` and ``facility-location``."""

from __future__ import annotations

from selkit.api import BaseSelector, hookimpl


@hookimpl
def selkit_selectors() -> list[type[BaseSelector]]:
    """The selectors that this package provides."""
    from selkit_diversity.facility_location import FacilityLocation
    from selkit_diversity.k_center import KCenter
    from selkit_diversity.kmeans import KMeans

    return [KMeans, KCenter, FacilityLocation]
