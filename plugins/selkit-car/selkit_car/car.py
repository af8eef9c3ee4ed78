"""The selector of 'Clustering and Ranking' (Ge et al., EMNLP 2024): the best rows, and the best of every cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from selkit.api import Budget, Context, Pool, Scorer, Selection, Selector, UsageError
from selkit_car.choice import Choice, choose
from selkit_car.citations import CAR
from selkit_car.clusters import Clusters, cluster, default_clusters
from selkit_car.texts import Template, whole


@dataclass
class Car(Selector):
    """Clustering and Ranking: the top of a ranking, and from every cluster of similar rows its best ones.

    The defaults are those of the paper and its code: texts embedded by a sentence encoder, PCA that keeps 95% of the
    variance, k-means with the square root of half the rows as the number of clusters, the best row of each. The budget
    is exact: the ranking fills what the clusters leave. The choice does not depend on the run's seed.

    Args:
        scorer: The component that ranks; the paper's is 'iqs'.
        embedder: The sentence encoder (or language model) that embeds the rows for clustering.
        n1: Rows to take by rank alone, as the paper's 1000; by default as many as the budget leaves.
        n2: Rows to take from each cluster.
        clusters: Number of clusters; by default the square root of half the rows, rounded down.
        variance: Share of the variance that PCA keeps; 1 leaves PCA out.
        normalize: Whether embeddings are scaled to length 1, as all-MiniLM-L6-v2 does itself.
        template: The text that is embedded: 'always-input' names the input also where it is empty (the authors' code),
            'omit-empty-input' does not.
        n_init: Starts of k-means; the best one counts.
        random_state: Seed of PCA and k-means.
    """

    name: ClassVar[str] = "car"
    citation: ClassVar[str] = CAR
    seeded: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("sklearn", "torch", "transformers")
    extra: ClassVar[str] = "selkit-car[train]"
    models: ClassVar[tuple[str, ...]] = ("embedder",)

    scorer: Scorer
    embedder: str = "hub:sentence-transformers/all-MiniLM-L6-v2"
    n1: int | None = None
    n2: int = 1
    clusters: int | None = None
    variance: float = 0.95
    normalize: bool = True
    template: Template = "always-input"
    n_init: int = 10
    random_state: int = 42

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses numbers that make no sense, and more clusters than rows. Raises UsageError."""
        bounds = {"n1": 0, "n2": 1, "clusters": 1, "n_init": 1, "random_state": 0}
        for name, least in bounds.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} of car is a whole number from {least} on, not {value}")
        if not 0 < self.variance <= 1:
            raise UsageError(f"variance of car is a share above 0 and up to 1, not {self.variance:g}")
        if self.clusters is not None and self.clusters > len(pool):
            raise UsageError(
                f"clusters of car is {self.clusters}, more than the {len(pool)} rows of pool {pool.name!r}: ask for "
                "fewer, or leave it out"
            )

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """Exactly the budget, best first; fewer where rows have no score, or where n1 and n2 do not reach it."""
        rows = budget.rows(len(pool), f"pool {pool.name!r}")
        if self.n1 is not None and self.n1 > rows:
            raise UsageError(f"n1 of car is {self.n1}, more than the budget of {rows}: lower it, or leave it out")
        scores = ctx.scores(self.scorer) if rows else {}
        if not scores:
            reason = f"none of {len(pool)} rows has a score under {self.scorer.name}" if rows else None
            return Selection((), shortfall=reason)
        ids = self._ranked(scores)
        found = self._clustered(pool, sorted(ids), ctx)
        label = dict(zip(sorted(ids), found.labels.tolist(), strict=True))
        choice = choose([label[i] for i in ids], min(rows, len(ids)), n1=self._n1(len(ids)), n2=self.n2)
        chosen = tuple(ids[rank] for rank in choice.ranks)
        return Selection(
            chosen, {i: scores[i] for i in chosen}, self._notes(choice, found), self._shortfall(choice, rows, pool, ids)
        )

    def _ranked(self, scores: dict[str, float]) -> list[str]:
        """The ids, best first; equal scores by id."""
        sign = -1 if self.scorer.higher_is_better else 1
        return sorted(scores, key=lambda row_id: (sign * scores[row_id], row_id))

    def _clustered(self, pool: Pool, ids: list[str], ctx: Context) -> Clusters:
        """Clusters of the rows of ``ids``, which ascend, so that the order of the pool changes nothing."""
        texts = {row.id: whole(row, self.template) for row in pool}
        embeddings = ctx.embeddings(texts, self.embedder)
        position = {row_id: place for place, row_id in enumerate(embeddings.ids)}
        vectors = np.asarray(embeddings.vectors[[position[row_id] for row_id in ids]], np.float64)
        k = min(self.clusters or default_clusters(len(ids)), len(ids))
        found = cluster(
            _unit(vectors) if self.normalize else vectors,
            k,
            variance=self.variance,
            random_state=self.random_state,
            n_init=self.n_init,
        )
        if found.count < (self.clusters or k):
            ctx.log(f"car: {found.count} clusters instead of {self.clusters or k}, since no more rows differ")
        return found

    def _n1(self, scored: int) -> int | None:
        return None if self.n1 is None else min(self.n1, scored)

    def _notes(self, choice: Choice, found: Clusters) -> dict[str, Any]:
        """What the manifest and the report say of the choice."""
        return {
            "clusters": found.count,
            "components": found.components,
            "n1": choice.n1,
            "n2": self.n2,
            "rows_added_by_clusters": choice.added,
            "rows_changed_by_diversity": choice.changed,
            "cluster_winners": choice.winners,
            "cluster_winners_left_out": choice.left_out,
        }

    def _shortfall(self, choice: Choice, rows: int, pool: Pool, ids: list[str]) -> str | None:
        if len(choice.ranks) == rows:
            return None
        if len(choice.ranks) == len(ids):
            return f"{len(pool) - len(ids)} of {len(pool)} rows have no score under {self.scorer.name}"
        return (
            f"n1 = {self.n1} and n2 = {self.n2} reach no more: of the {choice.winners} best rows of their clusters "
            f"{len(choice.ranks) - (self.n1 or 0)} are not among the top {self.n1}"
        )


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = vectors / np.where(lengths == 0, 1, lengths)
    return scaled
