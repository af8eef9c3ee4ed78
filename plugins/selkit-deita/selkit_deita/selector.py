"""The component ``deita``: score first, then walk down the ranking and leave out what is too similar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from selkit.api import (
    Budget,
    BudgetError,
    Context,
    DataError,
    Embeddings,
    Pool,
    Scorer,
    Selection,
    Selector,
    UsageError,
)
from selkit_deita.choice import Choice, choose
from selkit_deita.citations import DEITA
from selkit_deita.evol import Ranking, evol_scores, ranked
from selkit_deita.scorers import DeitaComplexity, DeitaQuality
from selkit_deita.texts import TEXTS

_BLOCK = 4096


@dataclass
class Deita(Selector):
    """DEITA: rank by complexity times quality and keep, from the best down, what is unlike all that is kept already.

    The defaults are the paper's: both scorers, the conversation in the template of Vicuna embedded by the last token of
    Mistral-7B, and a row dropped where its cosine similarity to a kept row is above 0.9. 'Chasing Random' ran it with
    score=quality and max_length=512. With scorer=NAME any other scorer does the ranking, e.g. ifd.

    Args:
        score: Rank by complexity times quality, added over the turns ('product', the paper), or by 'quality' alone.
        complexity: The scorer of questions, where score is 'product'.
        quality: The scorer of responses.
        scorer: A scorer that ranks in place of these two; none means they do.
        embedder: The model that embeds: a causal language model or a text encoder; none means the base model.
        text: What of a row is embedded: the whole conversation in Vicuna's template ('vicuna', the paper), its
            questions ('prompt') or its responses ('response').
        pooling: The state of the last token ('last', the paper), their mean, or the first token's ('cls').
        max_length: Most tokens of a text that is embedded; longer texts lose their end.
        threshold: A row is dropped where its cosine similarity to a kept row is above this; 1 drops nothing.
        underflow: Where the filter keeps fewer rows than the budget: start again with a higher threshold ('relax'), add
            the best of the dropped rows ('top-up'), return fewer ('short'), or stop with an error ('fail').
        step: By how much 'relax' raises the threshold at a time.
    """

    name: ClassVar[str] = "deita"
    citation: ClassVar[str] = DEITA
    seeded: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("embedder",)

    score: Literal["product", "quality"] = "product"
    complexity: Scorer | None = field(default_factory=DeitaComplexity)
    quality: Scorer | None = field(default_factory=DeitaQuality)
    scorer: Scorer | None = None
    embedder: str | None = "hub:mistralai/Mistral-7B-v0.1"
    text: Literal["vicuna", "prompt", "response"] = "vicuna"
    pooling: Literal["last", "mean", "cls"] = "last"
    max_length: int = 2048
    threshold: float = 0.9
    underflow: Literal["relax", "top-up", "short", "fail"] = "relax"
    step: float = 0.01

    def __post_init__(self) -> None:
        """Lets go of the scorers that have nothing to do, so that nobody looks for their models."""
        if self.scorer is not None:
            _refuse_idle("quality", self.quality, DeitaQuality(), f"scorer={self.scorer.name}")
            self.quality = None
        if self.scorer is not None or self.score == "quality":
            by = "score=quality" if self.scorer is None else f"scorer={self.scorer.name}"
            _refuse_idle("complexity", self.complexity, DeitaComplexity(), by)
            self.complexity = None

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings that make no sense. Raises UsageError."""
        if (self.embedder or ctx.base_model) is None:
            raise UsageError("deita needs a model that embeds: give -p embedder=MODEL (a folder, hub:, pypi: or tiny:)")
        if not 0 < self.threshold <= 1:
            raise UsageError(f"threshold of deita is a cosine similarity above 0 and at most 1, not {self.threshold}")
        if self.step <= 0:
            raise UsageError(f"step of deita is what a threshold is raised by, so it is above 0, not {self.step}")
        if self.max_length < 1:
            raise UsageError(f"max_length of deita is a number of tokens from 1 on, not {self.max_length}")
        if self.scorer is None:
            self._check_factors()

    def select(self, pool: Pool, budget: Budget, ctx: Context) -> Selection:
        """The rows that the filter keeps, best first; notes say what it looked at, dropped and did about an underflow.

        Raises:
            DataError: An embedding has no direction.
            BudgetError: The filter keeps fewer rows than the budget, and underflow is 'fail'.
        """
        rows = budget.rows(len(pool), f"pool {pool.name!r}")
        ranking = self._ranking(ctx)
        if not rows or not ranking.ids:
            return Selection((), shortfall=_unscored(ranking, pool))
        embeddings = self._embeddings(pool, ctx)
        place = {row_id: index for index, row_id in enumerate(embeddings.ids)}
        order = np.fromiter((place[row_id] for row_id in ranking.ids), np.int64, len(ranking.ids))
        choice = choose(
            embeddings.vectors, order, rows, threshold=self.threshold, step=self.step, underflow=self.underflow
        )
        ids = tuple(embeddings.ids[row] for row in choice.rows)
        self._report(choice, min(rows, len(order)), ctx)
        shortfall = self._shortfall(choice, ranking, rows, pool)
        scores = {row_id: ranking.scores[row_id] for row_id in ids}
        return Selection(ids, scores, _notes(choice, ids, ranking, embeddings), shortfall)

    def _check_factors(self) -> None:
        needed = {"quality": self.quality} | ({"complexity": self.complexity} if self.score == "product" else {})
        for name, scorer in needed.items():
            if scorer is None:
                raise UsageError(f"deita with score={self.score} needs its parameter {name}: leave it out for DEITA's")
            if self.score == "product" and not scorer.higher_is_better:
                raise UsageError(f"in {scorer.name} small scores are good, and a product of scores wants large ones")

    def _ranking(self, ctx: Context) -> Ranking:
        if self.complexity is not None and self.quality is not None:
            return ranked(evol_scores(ctx.row_scores(self.complexity), ctx.row_scores(self.quality)))
        scorer = self.scorer or self.quality
        assert scorer is not None  # preflight has looked
        return ranked(ctx.row_scores(scorer), higher_is_better=scorer.higher_is_better)

    def _embeddings(self, pool: Pool, ctx: Context) -> Embeddings:
        """Embeddings of all rows, with or without a score, so that every ranking of the pool shares them."""
        ref = self.embedder or ctx.base_model or ""
        texts = {row.id: TEXTS[self.text](row) for row in pool}
        found = ctx.embeddings(dict(sorted(texts.items())), ref, pooling=self.pooling, max_length=self.max_length)
        _refuse_aimless(found, ref)
        return found

    def _report(self, choice: Choice, rows: int, ctx: Context) -> None:
        """Says what was done about an underflow. Raises BudgetError where nothing may be done."""
        first = choice.passes[0]
        if len(first.kept) == rows:
            return
        found = f"the filter keeps {len(first.kept)} of the {rows} rows wanted at similarity {self.threshold:g}"
        if self.underflow == "fail":
            raise BudgetError(f"deita: {found}: raise threshold, lower the budget, or set underflow to relax or top-up")
        done = {
            "relax": f"the threshold was raised to {choice.last.threshold:g}",
            "top-up": f"the best {choice.topped_up} of the dropped rows were added",
            "short": "the selection is that short",
        }
        ctx.log(f"deita: {found}; {done[self.underflow]}")

    def _shortfall(self, choice: Choice, ranking: Ranking, rows: int, pool: Pool) -> str | None:
        if len(choice.rows) == rows:
            return None
        if len(choice.rows) == len(ranking.ids):
            return _unscored(ranking, pool)
        return (
            f"the filter keeps {len(choice.rows)} of {len(ranking.ids)} rows at similarity {self.threshold:g}, "
            f"and underflow is {self.underflow}"
        )


def _refuse_idle(name: str, scorer: Scorer | None, default: Scorer, because: str) -> None:
    """Raises UsageError where somebody asked for a scorer that has nothing to do."""
    if scorer is not None and scorer != default:
        raise UsageError(f"{name} of deita has nothing to do with {because}: leave one of the two out")


def _refuse_aimless(embeddings: Embeddings, ref: str) -> None:
    """A vector without a direction has no similarity to anything. Raises DataError."""
    for start in range(0, len(embeddings.ids), _BLOCK):
        block = embeddings.vectors[start : start + _BLOCK]
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1) | ~block.any(axis=1))
        if len(bad):
            raise DataError(
                f"model {ref!r} gives row {embeddings.ids[start + bad[0]]!r} an embedding that is zero or no number, "
                "which is similar to nothing: name another embedder or pooling"
            )


def _unscored(ranking: Ranking, pool: Pool) -> str:
    counts = (*ranking.excluded.items(), *ranking.failed.items())
    reasons = "; ".join(f"{count}: {reason}" for reason, count in counts[:3])
    return f"{len(pool) - len(ranking.ids)} of {len(pool)} rows have no score ({reasons})"


def _notes(choice: Choice, ids: Sequence[str], ranking: Ranking, embeddings: Embeddings) -> dict[str, Any]:
    return {
        "similarity_threshold": choice.last.threshold,
        "filter_examined": choice.last.examined,
        "filter_dropped": choice.last.dropped,
        "filter_passes": [
            {"threshold": each.threshold, "examined": each.examined, "kept": len(each.kept)} for each in choice.passes
        ],
        "topped_up": choice.topped_up,
        "rows_changed_by_diversity": len(set(ids) - set(ranking.ids[: len(ids)])),
        "excluded": dict(ranking.excluded),
        "failed": dict(ranking.failed),
        "embeddings_truncated": int(embeddings.truncated.sum()),
    }
