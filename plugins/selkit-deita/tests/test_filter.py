"""The filter against the rule, written out row by row in float64."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from selkit_deita import filter as module
from selkit_deita.filter import repr_filter


def by_the_rule(
    vectors: NDArray[np.float32], order: Sequence[int], rows: int, threshold: float
) -> tuple[list[int], int]:
    """Kept rows and the number of rows looked at: one row, one kept row, one similarity at a time."""
    kept: list[int] = []
    looked = 0
    for row in order:
        if len(kept) == rows:
            break
        looked += 1
        x = vectors[row].astype(np.float64)
        similar = []
        for other in kept:
            y = vectors[other].astype(np.float64)
            similar.append(min(1.0, (x @ y) / np.sqrt((x @ x) * (y @ y))))
        if max(similar, default=-1.0) <= threshold:
            kept.append(row)
    return kept, looked


@st.composite
def _cases(draw: st.DrawFn) -> tuple[NDArray[np.float32], list[int], int, float]:
    """Few distinct directions, so that many rows are alike, some of them copies of different lengths."""
    count, width = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    whole = st.integers(-3, 3)
    rows = draw(st.lists(st.lists(whole, min_size=width, max_size=width).filter(any), min_size=count, max_size=count))
    lengths = draw(st.lists(st.sampled_from([0.25, 1.0, 3.0]), min_size=count, max_size=count))
    vectors = np.array(rows, np.float32) * np.array(lengths, np.float32)[:, None]
    order = draw(st.permutations(range(count)))[: draw(st.integers(0, count))]
    return vectors, list(order), draw(st.integers(0, count + 2)), draw(st.sampled_from([0.1, 0.5, 0.6, 0.8, 0.9, 1.0]))


@settings(deadline=None, max_examples=150)
@given(_cases(), st.sampled_from([1, 2, 3, 7, 512]), st.sampled_from([1, 2, 5, 4096]))
def test_it_keeps_what_the_rule_keeps(
    case: tuple[NDArray[np.float32], list[int], int, float], block: int, chunk: int
) -> None:
    """The same rows in the same order, and as many looked at, however the work is cut into blocks."""
    vectors, order, rows, threshold = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        patch.setattr(module, "CHUNK", chunk)
        found = repr_filter(vectors, np.array(order, np.int64), rows, threshold)
    assert (found.kept.tolist(), found.examined) == by_the_rule(vectors, order, rows, threshold)
    assert found.dropped == found.examined - len(found.kept)
    assert found.threshold == threshold


def test_a_similarity_at_the_threshold_is_kept() -> None:
    """(1, 0) and (3, 4) have a similarity of 3/5, which in float32 is more than 0.6."""
    vectors = np.array([[1, 0], [3, 4]], np.float32)
    assert float(np.float32(3) / np.float32(5)) > 0.6
    assert repr_filter(vectors, np.arange(2), 2, 0.6).kept.tolist() == [0, 1]
    assert repr_filter(vectors, np.arange(2), 2, 0.5999999).kept.tolist() == [0]


def test_rounding_decides_nothing() -> None:
    """Pairs within a few float32 steps of the threshold fall as in float64; in float32 some would fall otherwise."""
    draw = np.random.default_rng(0)
    width, threshold, decisions, plain = 1024, 0.9, [], []
    for _ in range(300):
        x, z = draw.standard_normal((2, width))
        x /= np.linalg.norm(x)
        z -= (z @ x) * x
        z /= np.linalg.norm(z)
        cosine = threshold + draw.uniform(-4e-8, 4e-8)
        pair = np.array([x, cosine * x + np.sqrt(1 - cosine**2) * z], np.float32)
        kept = repr_filter(pair, np.arange(2), 2, threshold).kept.tolist()
        assert kept == by_the_rule(pair, range(2), 2, threshold)[0]
        units = pair / np.linalg.norm(pair, axis=1, keepdims=True)
        decisions.append(len(kept) == 2)
        plain.append(not units[0] @ units[1] > threshold)
    assert 30 < sum(decisions) < 270
    assert decisions != plain


def test_copies_are_dropped_and_at_one_nothing_is() -> None:
    """A row and a longer copy of it are the same direction."""
    vectors = np.random.default_rng(1).standard_normal((40, 300)).astype(np.float32)
    twice = np.concatenate([vectors, 7 * vectors])
    assert repr_filter(twice, np.arange(80), 80, 0.9).kept.tolist() == list(range(40))
    assert repr_filter(twice, np.arange(80), 80, 1.0).kept.tolist() == list(range(80))


def test_it_ends_when_enough_is_kept() -> None:
    """Rows behind the last one that was needed are not looked at; in the middle of a block neither."""
    vectors = np.eye(40, dtype=np.float32)
    found = repr_filter(vectors, np.arange(40), 7, 0.9)
    assert (found.examined, found.dropped, found.kept.tolist()) == (7, 0, list(range(7)))


def test_clusters_of_real_size() -> None:
    """Rows in clusters, more than one block of them: the rows that the rule keeps."""
    draw = np.random.default_rng(2)
    centres = draw.standard_normal((200, 64)).astype(np.float32)
    vectors = centres[draw.integers(0, 200, 700)] + 0.32 * draw.standard_normal((700, 64)).astype(np.float32)
    order = draw.permutation(700)
    kept, looked = by_the_rule(vectors, order.tolist(), 700, 0.9)
    found = repr_filter(vectors, order, 700, 0.9)
    assert 250 < len(kept) < 650
    assert (found.kept.tolist(), found.examined) == (kept, looked)


def test_memory_is_that_of_the_kept_rows_and_some_blocks(tmp_path: Path) -> None:
    """40,000 memory-mapped rows of 64 numbers in 500 directions, and as many asked for: less than they take."""
    rows = 40_000
    vectors = np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (rows, 64))
    centres = np.random.default_rng(3).standard_normal((500, 64)).astype(np.float32)
    vectors[:] = centres[np.arange(rows) % 500]
    tracemalloc.start()
    found = repr_filter(vectors, np.arange(rows), rows, 0.9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found.kept), found.examined) == (500, rows)
    assert peak < 8e6
