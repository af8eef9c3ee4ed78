"""PCA and k-means: the paper's numbers, the same answer every time, and rows that do not differ."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from selkit_car.clusters import cluster, default_clusters


def blobs(rows: int = 60, centres: int = 4, width: int = 8) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points around a few centres that lie far apart, and which centre each belongs to."""
    rng = np.random.default_rng(0)
    truth = np.arange(rows) % centres
    return rng.normal(size=(centres, width))[truth] * 10 + rng.normal(size=(rows, width)) * 0.1, truth


def grouping(labels: NDArray[np.int64]) -> set[frozenset[int]]:
    """The clusters as sets of rows, whatever their numbers."""
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


@given(st.integers(1, 10**7))
def test_the_number_of_clusters_is_the_root_of_half_the_rows(rows: int) -> None:
    """Rounded down, and at least one."""
    assert default_clusters(rows) == max(1, int(math.sqrt(rows / 2)))


def test_alpaca_has_161_clusters() -> None:
    """The paper's own count."""
    assert default_clusters(52_002) == 161


def test_clear_clusters_are_found() -> None:
    """Those that were made, under their own numbers."""
    points, truth = blobs()
    found = cluster(points, 4)
    assert grouping(found.labels) == grouping(truth)
    assert found.count == 4


@pytest.mark.parametrize("variance", [0.5, 0.8, 0.95, 0.999])
def test_pca_keeps_as_few_components_as_reach_the_share(variance: float) -> None:
    """Counted from the singular values of the centred points."""
    points = np.random.default_rng(1).normal(size=(80, 12)) * np.arange(1, 13)
    squares = np.linalg.svd(points - points.mean(0), compute_uv=False) ** 2
    wanted = next(m for m in range(1, 13) if squares[:m].sum() / squares.sum() > variance)
    assert cluster(points, 3, variance=variance).components == wanted
    assert cluster(points, 3, variance=1.0).components == 12


def test_the_plain_call_of_the_authors_gives_the_same_labels() -> None:
    """Their four lines with n_init as it was in their version of scikit-learn."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    points = np.random.default_rng(2).normal(size=(200, 24))
    reduced = PCA(n_components=0.95, random_state=42).fit_transform(points)
    wanted = KMeans(n_clusters=10, random_state=42, n_init=10).fit_predict(reduced)
    assert grouping(cluster(points, 10).labels) == grouping(wanted)


def test_starts_and_seed_matter_and_repeat() -> None:
    """Ten starts are not one; the same settings give the same labels, bit by bit."""
    points = np.random.default_rng(3).normal(size=(300, 16))
    first = cluster(points, 12)
    assert np.array_equal(first.labels, cluster(points, 12).labels)
    assert not np.array_equal(first.labels, cluster(points, 12, n_init=1).labels)
    assert not np.array_equal(first.labels, cluster(points, 12, random_state=0).labels)


def test_threads_change_nothing() -> None:
    """A process with four threads gives the labels of this one."""
    code = (
        "import numpy as np; from selkit_car.clusters import cluster; "
        "print(cluster(np.random.default_rng(4).normal(size=(1500, 16)), 20).labels.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "4"},
    )
    here = cluster(np.random.default_rng(4).normal(size=(1500, 16)), 20).labels.tolist()
    assert done.stdout.strip() == str(here)


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_fewer_distinct_rows_than_clusters(distinct: int) -> None:
    """Equal rows are in one cluster, nothing is warned of, and the count says how many clusters there are."""
    points = np.eye(5)[np.arange(20) % distinct]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cluster(points, 6)
    assert found.count == len(set(found.labels.tolist())) == distinct
    assert grouping(found.labels) == grouping(np.arange(20) % distinct)


def test_one_row() -> None:
    """Is one cluster."""
    assert cluster(np.ones((1, 3)), 1).labels.tolist() == [0]
