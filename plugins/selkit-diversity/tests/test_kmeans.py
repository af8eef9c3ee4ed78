"""The component kmeans: equal draws from clusters, and the best of each cluster by another component's scores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from selkit_diversity.kmeans import KMeans, cluster

from selkit.api import DataError, Example, Pool, RowScore, Scorer, UsageError
from selkit.cli import cli
from selkit.plugins import build
from selkit.select import SelectionResult, select
from selkit.store import Store

pytest.importorskip("torch")


@pytest.fixture
def chosen(pool: Pool, tiny: str, tmp_path: Path) -> Callable[..., SelectionResult]:
    """Runs the component on the rows, in five clusters."""

    def run(budget: int = 10, seed: int = 0, rows: Pool = pool, **parameters: object) -> SelectionResult:
        selector = KMeans(**{"embedder": tiny, "clusters": 5, "n_init": 2, **parameters})  # type: ignore[arg-type]
        return select(rows, selector, budget, seed=seed, store=Store(tmp_path))

    return run


@pytest.fixture(scope="session")
def labels(by_hand: Callable[[str], np.ndarray], pool: Pool) -> dict[str, int]:
    """The cluster of each row under seed 7, from embeddings made one at a time."""
    found = cluster(by_hand("question").astype(np.float32), 5, seed=7, n_init=2)
    return dict(zip(sorted(pool.ids), found.tolist(), strict=True))


def test_clusters_are_far_apart() -> None:
    """Three heaps of points are three clusters, copies stay together, and the same seed says the same."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(20, 4)) + 50 * heap for heap in range(3)]).astype(np.float32)
    points[1] = points[0]
    found = cluster(points, 3, seed=1, n_init=3)
    assert [len(set(found[start : start + 20].tolist())) for start in (0, 20, 40)] == [1, 1, 1]
    assert len(set(found.tolist())) == 3
    assert found[0] == found[1]
    np.testing.assert_array_equal(found, cluster(points, 3, seed=1, n_init=3))


def test_each_cluster_gives_as_many(chosen: Callable[..., SelectionResult], labels: dict[str, int]) -> None:
    """Two rows of each of five clusters, and notes that say so; small clusters give what they have."""
    sizes = Counter(labels.values())
    assert max(sizes.values()) > 3
    result = chosen(10, cluster_seed=7)
    given = Counter(labels[row_id] for row_id in result.ids)
    equal = all(size >= 2 for size in sizes.values())
    assert all(given[number] >= min(2, size) for number, size in sizes.items())
    assert equal <= (set(given.values()) == {2})
    names = ("clusters", "smallest_cluster", "largest_cluster", "smallest_share", "largest_share")
    assert [result.facts[name] for name in names] == [
        5,
        min(sizes.values()),
        max(sizes.values()),
        min(given.values()),
        max(given.values()),
    ]


def test_the_draw_is_uniform_within_a_cluster(chosen: Callable[..., SelectionResult], labels: dict[str, int]) -> None:
    """Over 80 seeds each row of the largest cluster is the one drawn about equally often."""
    largest = Counter(labels.values()).most_common(1)[0][0]
    members = sorted(row_id for row_id, number in labels.items() if number == largest)
    drawn = Counter(
        row_id for seed in range(80) for row_id in chosen(5, seed=seed, cluster_seed=7).ids if row_id in members
    )
    assert sum(drawn.values()) == 80
    expected = 80 / len(members)
    assert sum((drawn[row_id] - expected) ** 2 / expected for row_id in members) < 3 * len(members)  # chi-squared


def test_seeds(chosen: Callable[..., SelectionResult]) -> None:
    """A run's seed makes its draw and, unless one is given, its clusters."""
    assert chosen(seed=3).ids == chosen(seed=3).ids
    assert len({chosen(seed=seed).ids for seed in range(4)}) == 4


def test_the_order_of_the_pool_changes_nothing(chosen: Callable[..., SelectionResult], pool: Pool) -> None:
    """Turned round it gives the same rows."""
    assert chosen(rows=pool.take(pool.ids[::-1])).ids == chosen().ids


@pytest.mark.parametrize("budget", [1, 4, 5, 7, 16, 31, 32])
def test_budgets_are_exact(chosen: Callable[..., SelectionResult], budget: int) -> None:
    """Below the number of clusters, no multiple of it, and all rows."""
    assert len(set(chosen(budget).ids)) == budget


def test_small_clusters_can_be_left_short(chosen: Callable[..., SelectionResult], labels: dict[str, int]) -> None:
    """With undersized=short a cluster gives its part at most, and the selection says why it is short."""
    sizes = Counter(labels.values())
    result = chosen(25, undersized="short", cluster_seed=7)
    assert len(result.ids) == sum(min(5, size) for size in sizes.values()) < 25
    assert "undersized=short" in str(result.selection.shortfall)
    assert result.facts["undersized_clusters"] == sum(size < 5 for size in sizes.values())


SPEC = """
name: kmeans
embedder: {tiny}
clusters: 5
n_init: 2
cluster_seed: 7
scorer: {{name: longest, unit: characters}}
"""


def test_the_best_of_each_cluster_by_a_scorer_named_in_yaml(
    pool: Pool, tiny: str, tmp_path: Path, labels: dict[str, int]
) -> None:
    """A built-in scorer fills the draw's place: the longest responses of each cluster, ties by id, scores kept."""
    document = yaml.safe_load(SPEC.format(tiny=json.dumps(tiny)))
    selector = build("selector", document.pop("name"), document)
    result = select(pool, selector, 10, store=Store(tmp_path))  # type: ignore[arg-type]
    lengths = {row.id: len(row.response) for row in pool}
    given = Counter(labels[row_id] for row_id in result.ids)
    for number, share in given.items():
        ranked = sorted((i for i in labels if labels[i] == number), key=lambda i: (-lengths[i], i))
        assert [row_id for row_id in result.ids if labels[row_id] == number] == ranked[:share]
    assert result.selection.scores == {row_id: lengths[row_id] for row_id in result.ids}
    assert len(list(Store(tmp_path).artifacts(stage="scores"))) == 1


def test_ifd_within_clusters_from_the_command_line(
    pool: Pool, tiny: str, tmp_path: Path, labels: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A scorer of another package, by -p alone; its unset model is the base model, and rows without score stay out."""
    pytest.importorskip("selkit_ifd")
    rows = [{"id": row.id, "instruction": row.question, "response": row.response} for row in pool]
    file = str(tmp_path / "rows.jsonl")
    Path(file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    ifd = {"pre_experience": "none", "bound": "none", "anchor": "bos"}
    options = ["clusters=5", "n_init=2", "cluster_seed=7", "scorer=ifd", *(f"scorer.{k}={v}" for k, v in ifd.items())]
    arguments = ["select", file, "--selector", "kmeans", "--model", tiny, "--budget", "10", "-o", "-"]
    arguments += [part for option in options for part in ("-p", option)] + ["--store", str(tmp_path / "store")]
    cli.main(arguments, standalone_mode=False)
    ids = capsys.readouterr().out.split()
    scored = select(file, build("selector", "ifd", {"model": tiny, **ifd}), 20, store=Store(tmp_path / "b"))  # type: ignore[arg-type]
    scores = scored.selection.scores
    assert len(ids) == 10
    for number in {labels[row_id] for row_id in ids}:
        ranked = sorted((i for i in labels if labels[i] == number and i in scores), key=lambda i: (-scores[i], i))
        mine = [row_id for row_id in ids if labels[row_id] == number]
        assert mine == ranked[: len(mine)]


@dataclass
class Sparse(Scorer):
    """Scores for a few rows, small ones best."""

    name = "sparse"
    higher_is_better = False

    def score(self, pool: Pool, ctx: object) -> list[RowScore]:
        """The number in the id, for ids below r09."""
        numbers = [int(row.id[1:]) for row in pool]
        return [RowScore(float(n)) if n < 9 else RowScore.excluded("not of interest") for n in numbers]


def test_rows_without_a_score_are_never_chosen(chosen: Callable[..., SelectionResult]) -> None:
    """Small scores come first where the scorer says so; too few scores are a shortfall with a reason."""
    assert set(chosen(9, scorer=Sparse()).ids) == {f"r{n:02}" for n in range(9)}
    assert "r00" in chosen(1, clusters=1, scorer=Sparse()).ids
    short = chosen(12, scorer=Sparse())
    assert len(short.ids) == 9
    assert short.selection.shortfall == "23 of 32 rows have no score under sparse"


def test_fewer_different_rows_than_clusters(tiny: str, tmp_path: Path) -> None:
    """Two different texts make two clusters, a note says so, and the budget is met."""
    rows = Pool.from_examples([Example(f"{n}", "One." if n < 6 else "Two.", response=str(n)) for n in range(9)])
    result = select(rows, KMeans(embedder=tiny, clusters=4, n_init=1), 4, store=Store(tmp_path))
    assert sum(int(row_id) < 6 for row_id in result.ids) == 2
    assert result.facts["clusters"] == 2
    assert result.facts["notes"] == ["kmeans: the embeddings form 2 clusters only; no 4 of them differ"]


def test_what_cannot_work_is_refused(chosen: Callable[..., SelectionResult], damaged: str, tmp_path: Path) -> None:
    """More clusters than rows, no cluster at all, a seed that numpy refuses, embeddings that are no numbers."""
    with pytest.raises(DataError, match=r"cannot make 33 clusters of the 32 rows of pool 'rows': ask for fewer"):
        chosen(clusters=33)
    with pytest.raises(UsageError, match="clusters of kmeans is a number from 1 on, not 0"):
        chosen(clusters=0)
    with pytest.raises(UsageError, match="cluster_seed of kmeans is a number from 0 to 4294967295, not -1"):
        chosen(cluster_seed=-1)
    with pytest.raises(DataError, match="embeddings that hold NaN or infinity"):
        chosen(embedder=damaged)
    assert list(Store(tmp_path).artifacts()) == []
