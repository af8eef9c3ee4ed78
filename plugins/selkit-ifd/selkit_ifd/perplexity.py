"""Plain perplexity, the baseline of many papers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from selkit.api import TEMPLATES, Context, Continuation, Example, Pool, RowScore, Scorer, TokenLosses
from selkit_ifd.ratio import TemplateName, check_model_and_length, exp


@dataclass
class Perplexity(Scorer):
    """How unlikely a model finds a row: the exponential of the mean loss of its tokens.

    Args:
        model: The causal language model that scores; by default the experiment's base model.
        of: Whose tokens count: those of the 'response' given the prompt, of the 'prompt' alone, or of the 'whole' text
            of prompt and response. A first token that nothing stands before is not scored.
        order: Which rows come first: those of 'high' perplexity ('top-PPL'), of 'low', or those nearest to the
            'middle' of the pool's rows in order of perplexity ('mid-PPL').
        template: The prompt's format.
        max_length: Most tokens of the text; a longer one loses its end and is flagged.
    """

    name: ClassVar[str] = "perplexity"
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("model",)

    model: str | None = None
    of: Literal["response", "prompt", "whole"] = "response"
    order: Literal["high", "low", "middle"] = "high"
    template: TemplateName = "alpaca"
    max_length: int = 512

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """False where rows of low perplexity come first."""
        return self.order != "low"

    @property
    def by_length(self) -> bool:  # type: ignore[override]
        """Only where the model runs: the other orders rearrange stored perplexities."""
        return self.order == "high"

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings without a model or with a length that holds no text. Raises UsageError."""
        check_model_and_length(self.name, self.model or ctx.base_model, self.max_length)

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """The perplexity of each row; for 'middle' the negative distance of its rank from the middle one.

        Details hold the mean loss and the number of tokens, and the perplexity where that is not the score.
        """
        if self.order == "high":
            model = ctx.model(self.model or ctx.base_model or "")
            losses = model.token_losses(map(self._text, pool), max_length=self.max_length)
            rows: Iterator[RowScore] = map(self.row_score, losses)
        else:
            found = self._rearranged(ctx)
            rows = (found[row_id] for row_id in pool.ids)
        yield from ctx.track(rows, total=len(pool), description=self.name)

    def row_score(self, found: TokenLosses) -> RowScore:
        """The perplexity of one text from the losses of its tokens."""
        if found.truncated and not len(found.losses):
            return RowScore.excluded(f"the prompt alone fills {self.max_length} tokens")
        if not len(found.losses):
            return RowScore.excluded(f"the {'text' if self.of == 'whole' else self.of} has no token to score")
        details = {"loss": found.mean, "tokens": float(len(found.losses))}
        if not math.isfinite(found.mean):
            return RowScore.failed("a loss is not a finite number", **details)
        return RowScore(exp(found.mean), truncated=found.truncated, details=details)

    def _text(self, row: Example) -> Continuation:
        prompt = TEMPLATES[self.template].prompt(row)
        if self.of == "response":
            return Continuation(prompt, row.response)
        return Continuation("", prompt if self.of == "prompt" else prompt + row.response)

    def _rearranged(self, ctx: Context) -> dict[str, RowScore]:
        """The stored scores of 'high', for the order that is asked for."""
        rows = dict(ctx.row_scores(replace(self, order="high", model=self.model or ctx.base_model)))
        if self.order == "low":
            return rows
        ranked = sorted((row.value, row_id) for row_id, row in rows.items() if row.value is not None)
        middle = (len(ranked) - 1) / 2
        for rank, (value, row_id) in enumerate(ranked):
            details = {**rows[row_id].details, "perplexity": value}
            rows[row_id] = replace(rows[row_id], value=-abs(rank - middle), details=details)
        return rows
