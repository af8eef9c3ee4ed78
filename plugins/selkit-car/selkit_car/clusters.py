"""CaR's clusters: PCA that keeps 95% of the variance, then k-means (paper, section 2.4; both from scikit-learn)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clusters:
    """What clustering found.

    Args:
        labels: Cluster of each row, shape (rows,).
        count: Clusters that hold a row.
        components: Dimensions that were left after PCA; 0 where all rows are the same.
    """

    labels: NDArray[np.int64]
    count: int
    components: int


def default_clusters(rows: int) -> int:
    """The paper's number of clusters: the square root of half the rows, rounded down, and at least 1."""
    return max(1, math.isqrt(rows // 2))


def cluster(
    vectors: NDArray[np.floating], k: int, *, variance: float = 0.95, random_state: int = 42, n_init: int = 10
) -> Clusters:
    """Clusters of the rows of ``vectors``, shape (rows, width), finite.

    The same rows in the same order give the same labels, whatever the number of threads: the sums of k-means are added
    up in the order in which threads finish, so that it runs on one. Where fewer rows than ``k`` are distinct, there are
    as many clusters as distinct rows.

    Args:
        vectors: One row each.
        k: Clusters to make, at most the number of rows.
        variance: Share of the variance that PCA keeps, up to 1 (no PCA).
        random_state: Seed of both.
        n_init: Starts of k-means, of which the best counts. The authors' scikit-learn (0.24) had 10 as default.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    points = np.asarray(vectors, np.float64)
    distinct = len(np.unique(points, axis=0))
    if distinct == 1:
        return Clusters(np.zeros(len(points), np.int64), 1, 0)
    with threadpool_limits(limits=1):
        points = _reduced(points, variance, random_state)
        labels = KMeans(min(k, distinct), random_state=random_state, n_init=n_init).fit_predict(points)
    return Clusters(labels.astype(np.int64), len(np.unique(labels)), points.shape[1])


def _reduced(points: NDArray[np.float64], variance: float, random_state: int) -> NDArray[np.float64]:
    from sklearn.decomposition import PCA

    if variance == 1:
        return points
    # The solver of the authors' version; today's default would choose by shape.
    reduced: NDArray[np.float64] = PCA(variance, svd_solver="full", random_state=random_state).fit_transform(points)
    return reduced
