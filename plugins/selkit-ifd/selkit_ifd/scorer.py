"""The score of 'From Quantity to Quality' (Li et al., NAACL 2024; its code is Cherry_LLM): the component ``ifd``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from selkit.api import Context, Pool
from selkit_ifd.citations import QUANTITY_TO_QUALITY
from selkit_ifd.experience import PreExperience
from selkit_ifd.ratio import LossRatio


@dataclass
class Ifd(LossRatio):
    """Instruction-following difficulty: how little the prompt helps a model to predict the response.

    The defaults are those of the paper and its code. First the model gains experience: it is trained for an epoch on
    ten rows of each of a hundred clusters of prompts. Then it scores: Alpaca's prompt, 512 tokens, the mean loss of
    the response's tokens given the prompt over their mean loss given '### Response:' alone, rows above 1 left out,
    long rows cut. The authors later leave out the first stage for its cost: ``pre_experience=none``.

    Args:
        model: The causal language model that scores, and that is trained first; by default the experiment's base model.
        ratio: Of the mean losses ('loss', Cherry) or of the perplexities ('perplexity', Superfiltering).
        bound: Rows to leave out: above 1 ('at-most-one', Cherry), from 1 on ('below-one', Superfiltering), or none.
        anchor: What stands before the response alone: 'response' ('### Response:', Cherry), the start token ('bos'), or
            'none', so that its first token goes unscored (Superfiltering).
        template: The prompt's format.
        max_length: Most tokens of prompt and response together.
        length: Rows longer than that lose their end and are flagged ('truncate', Cherry; both losses are then over
            equally many tokens), or are left out ('drop').
        pre_experience: Whether the model is trained on a part of the pool before it scores ('cherry', the paper), or
            scores as it is ('none', as the authors later advise).
        recipe: How it is then trained: a recipe's name, or {preset: NAME, KEY: VALUE}.
        clusters: Clusters of prompts; with fewer different prompts there are as many as these.
        per_cluster: Rows that train, of each cluster.
        low: Percentile of the prompts' perplexities, within a cluster, from which on rows may train (25 in the
            authors' script, 1 where their code is left to itself).
        high: Percentile up to which they may (75 in the script, 99 in the code).
    """

    name: ClassVar[str] = "ifd"
    citation: ClassVar[str] = QUANTITY_TO_QUALITY
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "sklearn")
    extra: ClassVar[str] = "selkit-ifd[train]"

    pre_experience: Literal["cherry", "none"] = "cherry"
    recipe: str | Mapping[str, Any] = "cherry-pre-experience"
    clusters: int = 100
    per_cluster: int = 10
    low: float = 25
    high: float = 75

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, str):
            self.recipe = MappingProxyType(dict(self.recipe))
        self._experienced: tuple[Context, str] | None = None

    def trainings(self) -> tuple[tuple[str | Mapping[str, Any], str | None], ...]:
        """The training of the pre-experienced model."""
        return () if self.pre_experience == "none" else ((self.recipe, self.model),)

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings without a model, and numbers that choose nothing. Raises UsageError."""
        super().preflight(pool, ctx)
        self._first_stage(ctx).preflight(pool, ctx)

    def scoring_model(self, ctx: Context) -> str:
        """The model itself, or what training on a part of the pool made of it; asked for once per context."""
        base = super().scoring_model(ctx)
        if self.pre_experience == "none":
            return base
        if self._experienced is None or self._experienced[0] is not ctx:
            chosen = ctx.scores(self._first_stage(ctx))
            assert ctx.pool is not None  # a scorer's context has one
            rows = list(ctx.pool.take(sorted(chosen)))
            self._experienced = ctx, ctx.train(rows, self.recipe, base)
        return self._experienced[1]

    def _first_stage(self, ctx: Context) -> PreExperience:
        return PreExperience(
            model=super().scoring_model(ctx),
            template=self.template,
            max_length=self.max_length,
            clusters=self.clusters,
            per_cluster=self.per_cluster,
            low=self.low,
            high=self.high,
        )
