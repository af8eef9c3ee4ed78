"""Cherry's first stage: which rows the pre-experienced model is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from selkit.api import TEMPLATES, Context, DataError, Pool, RowScore, Scorer, UsageError
from selkit_ifd.citations import QUANTITY_TO_QUALITY
from selkit_ifd.perplexity import Perplexity
from selkit_ifd.ratio import TemplateName

RESTARTS = 10
"""Starts of k-means, of which the best counts: scikit-learn's own number when the paper was written."""


@dataclass
class PreExperience(Scorer):
    """Chooses a few rows of each cluster of prompts, none of them too easy or too hard; the others have no score.

    Args:
        model: The causal language model that embeds the prompts and finds them likely or not.
        template: The prompt's format.
        max_length: Most tokens of a prompt.
        clusters: Clusters of k-means.
        per_cluster: Rows of each cluster.
        low: Percentile of the prompts' perplexities, within a cluster, from which on rows may be chosen.
        high: Percentile up to which they may.
    """

    name: ClassVar[str] = "ifd-pre-experience"
    citation: ClassVar[str] = QUANTITY_TO_QUALITY
    independent: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "sklearn")
    extra: ClassVar[str] = "selkit-ifd[train]"
    models: ClassVar[tuple[str, ...]] = ("model",)

    model: str = ""
    template: TemplateName = "alpaca"
    max_length: int = 512
    clusters: int = 100
    per_cluster: int = 10
    low: float = 25
    high: float = 75

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses numbers that choose nothing. Raises UsageError."""
        if self.clusters < 1 or self.per_cluster < 1:
            raise UsageError("clusters and per_cluster of ifd are numbers from 1 on")
        if not 0 <= self.low <= self.high <= 100:
            band = f"{self.low:g} and {self.high:g}"
            raise UsageError(f"low and high of ifd are percentiles from 0 to 100, low first, not {band}")

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """1 for each chosen row, with its cluster and the perplexity of its prompt in the details."""
        perplexities = ctx.scores(
            Perplexity(model=self.model, of="prompt", template=self.template, max_length=self.max_length)
        )
        template = TEMPLATES[self.template]
        prompts = {row.id: template.prompt(row) for row in pool if row.id in perplexities}
        if not prompts:
            raise DataError(f"no prompt of pool {pool.name!r} has two tokens: score with -p pre_experience=none")
        ids = sorted(prompts)  # not the pool's order: the same rows in another order are the same pool
        found = ctx.embeddings({row_id: prompts[row_id] for row_id in ids}, self.model, max_length=self.max_length)
        labels = self._labels(found.vectors, ctx)
        values = np.array([perplexities[row_id] for row_id in ids])
        chosen = {ids[place] for place in evenly_in_band(labels, values, self.per_cluster, self.low, self.high)}
        cluster = dict(zip(ids, labels.tolist(), strict=True))
        ctx.log(f"ifd: {len(chosen)} rows of {labels.max() + 1} clusters of prompts train the pre-experienced model")
        for row_id in ctx.track(pool.ids, description=self.name):
            if row_id in chosen:
                yield RowScore(1.0, details={"cluster": cluster[row_id], "perplexity": perplexities[row_id]})
            elif row_id in cluster:
                yield RowScore.excluded("not among the rows chosen of its cluster")
            else:
                yield RowScore.excluded("the prompt has no token to score")

    def _labels(self, vectors: NDArray[np.float32], ctx: Context) -> NDArray[np.int64]:
        distinct = len({vector.tobytes() for vector in vectors})
        if distinct < self.clusters:
            ctx.log(f"ifd: {distinct} different prompts make {distinct} clusters instead of {self.clusters}")
        return clusters_of(vectors, min(self.clusters, distinct))


def clusters_of(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The cluster of each row of ``vectors``, shape (n, width), by k-means with a fixed seed."""
    from sklearn.cluster import KMeans

    means = KMeans(n_clusters=count, n_init=RESTARTS, random_state=0)
    labels: NDArray[np.int64] = means.fit(np.array(vectors)).labels_.astype(np.int64)
    return labels


def evenly_in_band(
    labels: NDArray[np.int64], perplexities: NDArray[np.float64], count: int, low: float, high: float
) -> list[int]:
    """Places of the chosen rows: of each cluster ``count``, at even steps among those inside the band.

    As in Cherry's code, the percentiles ``low`` and ``high`` are those of the cluster; a cluster of fewer than
    ``count`` rows gives all of them, and one with fewer inside the band gives those; the step is rounded down, so that
    the last rows of a cluster may be out of reach.
    """
    chosen: list[int] = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        if len(members) >= count:
            values = perplexities[members]
            least, most = np.percentile(values, [low, high])
            members = members[(values >= least) & (values <= most)]
            members = members[:: max(1, len(members) // count)][:count]
        chosen += members.tolist()
    return chosen
