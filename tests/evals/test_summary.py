"""Means and standard errors of benchmarks and groups, against plain formulas and libraries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_benchmark import Likelihoods, Riddles

from selkit.api import BenchmarkGroup, BenchmarkItem
from selkit.evals.harness import item_table
from selkit.evals.summary import mean_with_error, primary_of, summaries

stats = pytest.importorskip("scipy.stats")


def table(benchmark: Any, scores: list[float], weights: list[float] | None = None, clusters: Any = None) -> pa.Table:
    """Items with these scores on the benchmark's only metric."""
    rows = [
        BenchmarkItem(
            f"{benchmark.label}-{i}",
            "",
            "",
            {benchmark.primary: score},
            {} if weights is None else {benchmark.primary: weights[i]},
            None if clusters is None else clusters[i],
        )
        for i, score in enumerate(scores)
    ]
    return item_table(benchmark, rows)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_without_weights_it_is_the_standard_error_of_the_mean(scores: list[float]) -> None:
    """scipy's sem, for any scores."""
    metric = mean_with_error(np.array(scores))
    assert metric.value == pytest.approx(np.mean(scores))
    assert metric.se == pytest.approx(stats.sem(scores), abs=1e-12)
    assert metric.n == len(scores)


def test_doubled_items_in_one_cluster_say_no_more_than_one() -> None:
    """Every item twice under one cluster: the same mean, and the error of the single items."""
    scores = np.random.default_rng(1).random(40)
    single = mean_with_error(scores)
    doubled = mean_with_error(np.repeat(scores, 2), clusters=np.repeat(np.arange(40), 2).tolist())
    assert doubled.value == pytest.approx(single.value)
    assert doubled.se == pytest.approx(single.se)


def test_a_weighted_mean_covers_its_truth() -> None:
    """Share of instructions followed, of one to three a prompt: the interval holds the truth in 95% of 2,000 draws."""
    rng = np.random.default_rng(2)
    held = []
    for _ in range(2000):
        weights = rng.integers(1, 4, 300).astype(float)
        scores = rng.binomial(weights.astype(int), np.clip(rng.normal(0.6, 0.2, 300), 0, 1)) / weights
        metric = mean_with_error(scores, weights)
        held.append(abs(metric.value - 0.5992) < 1.96 * metric.se)
    assert 0.93 < np.mean(held) < 0.97


def test_one_item_has_no_error() -> None:
    """NaN, and null in JSON; never 0."""
    metric = mean_with_error(np.array([0.5]))
    assert math.isnan(metric.se)
    assert metric.as_dict() == {"value": 0.5, "se": None, "n": 1}


@dataclass
class Pooled(BenchmarkGroup):
    """A mean over items."""

    name = "pooled"

    def members(self) -> list[Any]:
        """One benchmark, under two labels."""
        return [Riddles(), Second()]


@dataclass
class Second(Riddles):
    """The same under another name."""

    name = "second"


@dataclass
class Mixed(BenchmarkGroup):
    """A mean over members with different metrics, one of them a group."""

    name = "mixed"
    average = "members"

    def members(self) -> list[Any]:
        """A group and a benchmark."""
        return [Pooled(), Likelihoods()]


def test_groups_average_as_they_say() -> None:
    """Over items: the pooled mean. Over members: each alike, with independent errors. All stand beside each other."""
    rng = np.random.default_rng(3)
    a, b, c = rng.random(10).tolist(), rng.random(30).tolist(), rng.random(20).tolist()
    items = {"riddles": table(Riddles(), a), "second": table(Second(), b), "likelihoods": table(Likelihoods(), c)}
    found = summaries(Mixed(), items)
    assert list(found) == ["mixed", "pooled", "riddles", "second", "likelihoods"]
    assert found["pooled"]["exact"].value == pytest.approx(np.mean(a + b))
    assert found["pooled"]["exact"].se == pytest.approx(stats.sem(a + b))
    assert primary_of(Mixed()) == "average"
    average = found["mixed"]["average"]
    assert average.value == pytest.approx((np.mean(a + b) + np.mean(c)) / 2)
    assert average.se == pytest.approx(math.hypot(stats.sem(a + b), stats.sem(c)) / 2)
    assert average.n == 60
