"""K-means diversity, the diversity baseline of 'Rethinking Data Selection for Supervised Fine-Tuning' (Shen 2024).

The paper clusters the embeddings of all instructions (LLaMA-2-7B, the mean of the last hidden layer over all tokens)
into 100 clusters and draws as many rows at random from each. It has no public code and does not say what happens to a
remainder or to a cluster with too few rows; here both are parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from selkit.api import Budget, Context, DataError, Pool, Scorer, Selection, UsageError
from selkit_diversity.citations import RETHINKING
from selkit_diversity.embedded import OnEmbeddings
from selkit_diversity.shares import equal_shares


@dataclass
class KMeans(OnEmbeddings):
    """K-means clusters of the rows' embeddings, and the same number of rows from each, drawn at random.

    The defaults are those of 'Rethinking Data Selection for Supervised Fine-Tuning' (Shen 2024), with the experiment's
    base model in the place of its own, LLaMA-2-7B. Its policies for remainders and small clusters are not published.

    Args:
        embedder: The model that embeds: a causal language model or a text encoder; none means the base model.
        text: What of a row is embedded: the 'question' (instruction and input, the paper's x), the 'instruction' alone,
            the 'response', or 'both' question and response.
        pooling: The mean over all tokens ('mean', the paper), the 'last' token, or the first one ('cls').
        max_length: Most tokens of a text; longer texts lose their end; none means the model's context.
        normalize: Whether embeddings are brought to length 1 first, as sentence encoders often want.
        clusters: Number of clusters.
        n_init: How often k-means starts anew; the best result counts.
        cluster_seed: Seed of the clustering; none draws it by the seed of the run.
        remainder: Clusters that give one row more where the budget is no multiple of them: drawn by the seed ('random')
            or those with most rows left ('largest').
        undersized: What a cluster with too few rows lacks comes in equal parts from the others ('redistribute'), or is
            left out, with the reason ('short').
        scorer: A scorer whose best rows each cluster gives, instead of a random draw; none draws.
    """

    name: ClassVar[str] = "kmeans"
    citation: ClassVar[str] = RETHINKING
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "sklearn")

    clusters: int = 100
    n_init: int = 10
    cluster_seed: int | None = None
    remainder: Literal["random", "largest"] = "random"
    undersized: Literal["redistribute", "short"] = "redistribute"
    scorer: Scorer | None = None

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings that make no sense, and more clusters than rows. Raises UsageError and DataError."""
        super().preflight(pool, ctx)
        for name in ("clusters", "n_init"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} of kmeans is a number from 1 on, not {getattr(self, name)}")
        if self.cluster_seed is not None and not 0 <= self.cluster_seed < 2**32:
            raise UsageError(f"cluster_seed of kmeans is a number from 0 to {2**32 - 1}, not {self.cluster_seed}")
        if self.clusters > len(pool):
            raise DataError(
                f"kmeans cannot make {self.clusters} clusters of the {len(pool)} rows of pool {pool.name!r}: "
                "ask for fewer with -p clusters=N"
            )

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The same number of rows from each cluster, cluster by cluster; notes say how large the clusters are."""
        rows = budget.rows(len(pool), f"pool {pool.name!r}")
        if not rows:
            return Selection(())
        points = self.points(pool, ctx)
        seed = int(ctx.rng.integers(2**32)) if self.cluster_seed is None else self.cluster_seed
        labels = cluster(points.vectors, self.clusters, seed, self.n_init)
        scores = None if self.scorer is None else ctx.scores(self.scorer)
        members = [np.flatnonzero(labels == number) for number in _numbers(labels)]
        if len(members) < self.clusters:
            ctx.log(f"kmeans: the embeddings form {len(members)} clusters only; no {self.clusters} of them differ")
        groups = [self._ranked(group, points.ids, scores, ctx) for group in members]
        sizes = [len(group) for group in groups]
        shares = self._shares(sizes, rows, ctx)
        ids = tuple(row_id for group, share in zip(groups, shares, strict=True) for row_id in group[:share])
        notes = {**_facts(sizes, shares, rows), "truncated": points.truncated}
        chosen = {} if scores is None else {row_id: scores[row_id] for row_id in ids}
        return Selection(ids, chosen, notes, self._shortfall(len(ids), sizes, rows, len(pool)))

    def _ranked(
        self, members: NDArray[np.int64], ids: Sequence[str], scores: Mapping[str, float] | None, ctx: Context
    ) -> list[str]:
        """A cluster's rows in the order in which it gives them; those without a score are left out."""
        if scores is None:
            return [ids[member] for member in ctx.rng.permutation(members)]
        sign = -1 if self.scorer is None or self.scorer.higher_is_better else 1
        return sorted((ids[m] for m in members if ids[m] in scores), key=lambda row_id: (sign * scores[row_id], row_id))

    def _shares(self, sizes: Sequence[int], rows: int, ctx: Context) -> NDArray[np.int64]:
        return equal_shares(
            sizes, rows, ctx.rng, remainder=self.remainder, redistribute=self.undersized == "redistribute"
        )

    def _shortfall(self, found: int, sizes: Sequence[int], rows: int, size: int) -> str | None:
        if found == rows:
            return None
        if self.scorer is not None and sum(sizes) < rows:
            return f"{size - sum(sizes)} of {size} rows have no score under {self.scorer.name}"
        return "some clusters have fewer rows than their share, and undersized=short takes no others in their place"


def cluster(vectors: NDArray[np.float32], clusters: int, seed: int, n_init: int) -> NDArray[np.int64]:
    """The cluster of each row, shape (rows,), by scikit-learn's k-means; equal rows are in one cluster."""
    from sklearn.cluster import KMeans as Lloyd
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
        labels = Lloyd(clusters, n_init=n_init, random_state=seed).fit_predict(vectors)
    return np.asarray(labels, np.int64)


def _numbers(labels: NDArray[np.int64]) -> list[int]:
    """The clusters that have rows, in the order of their first rows, which does not depend on their numbering."""
    numbers, first = np.unique(labels, return_index=True)
    return [int(number) for number in numbers[np.argsort(first)]]


def _facts(sizes: Sequence[int], shares: NDArray[np.int64], rows: int) -> dict[str, Any]:
    equal = rows // len(sizes)
    return {
        "clusters": len(sizes),
        "smallest_cluster": min(sizes),
        "largest_cluster": max(sizes),
        "undersized_clusters": sum(size < equal for size in sizes),
        "smallest_share": int(shares.min()),
        "largest_share": int(shares.max()),
    }
