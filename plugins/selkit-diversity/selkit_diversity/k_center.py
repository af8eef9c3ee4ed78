"""k-center: each row taken is the one farthest from all rows taken before (Sener and Savarese 2018).

'Rethinking Data Selection for Supervised Fine-Tuning' (Shen 2024, table 6) tried it on instruction data and found it
weaker than k-means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from selkit.api import Budget, Context, Pool, Selection
from selkit_diversity.citations import CORE_SET, RETHINKING
from selkit_diversity.embedded import OnEmbeddings
from selkit_diversity.farthest import farthest_first, nearest_to_mean


@dataclass
class KCenter(OnEmbeddings):
    """Greedy k-center: each row taken is the one whose embedding lies farthest from those of all rows taken before.

    Distances are Euclidean; with normalize they order rows as cosines do. Rows with equal embeddings are taken when
    all different ones are, and ties go to the smaller id.

    Args:
        embedder: The model that embeds: a causal language model or a text encoder; none means the base model.
        text: What of a row is embedded: the 'question' (instruction and input), the 'instruction' alone, the
            'response', or 'both' question and response.
        pooling: The mean over all tokens ('mean'), the 'last' token, or the first one ('cls').
        max_length: Most tokens of a text; longer texts lose their end; none means the model's context.
        normalize: Whether embeddings are brought to length 1 first.
        start: The row that distances begin at: drawn by the seed ('random'), or the 'medoid', the row nearest to the
            mean of all (which has the smallest sum of squared distances to the others).
        return_start: Whether that row is the first of the selection, or is left out of it.
    """

    name: ClassVar[str] = "k-center"
    citation: ClassVar[str] = f"{CORE_SET}\n\n{RETHINKING}"

    start: Literal["random", "medoid"] = "random"
    return_start: bool = True

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The rows in the order in which they were taken; notes name the start and the largest distance left."""
        rows = budget.rows(len(pool), f"pool {pool.name!r}")
        if not rows:
            return Selection(())
        points = self.points(pool, ctx)
        size = len(points.ids)
        start = int(ctx.rng.integers(size)) if self.start == "random" else nearest_to_mean(points.vectors)
        skipped = 0 if self.return_start else 1
        picks, radius = farthest_first(points.vectors, min(rows + skipped, size), start)
        ids = tuple(points.ids[pick] for pick in picks[skipped:])
        notes = {"start": points.ids[start], "radius": radius, "truncated": points.truncated}
        short = "return_start=false leaves out the row to start from, and there is no other in the pool"
        return Selection(ids, {}, notes, short if len(ids) < rows else None)
