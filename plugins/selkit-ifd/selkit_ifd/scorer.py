"""The score of 'From Quantity to Quality' (Li et al., NAACL 2024; its code is Cherry_LLM).

A response that the prompt hardly makes likelier is hard to follow from the instruction, and worth training on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from selkit.api import (
    TEMPLATES,
    Context,
    Continuation,
    Pool,
    RowScore,
    Scorer,
    StartToken,
    TokenLosses,
    UsageError,
)

RESPONSE_MARK = "### Response:"
"""What stands before the response where it is scored without its prompt."""

_ANCHORS: dict[str, tuple[str, StartToken]] = {
    "response": (RESPONSE_MARK, "auto"),
    "bos": ("", "always"),
    "none": ("", "never"),
}


@dataclass
class Ifd(Scorer):
    """Instruction-following difficulty: how little the prompt helps a model to predict the response.

    The defaults are those of Cherry's code: Alpaca's prompt, 512 tokens, the mean loss of the response's tokens given
    the prompt over their mean loss given '### Response:' alone, rows above 1 left out, long rows cut.

    Args:
        model: The causal language model that scores; by default the experiment's base model.
        ratio: Of the mean losses ('loss', Cherry) or of the perplexities ('perplexity', Superfiltering).
        bound: Rows to leave out: above 1 ('at-most-one', Cherry), from 1 on ('below-one', Superfiltering), or none.
        anchor: What stands before the response alone: 'response' ('### Response:', Cherry), the start token ('bos'), or
            'none', so that its first token goes unscored (Superfiltering).
        template: The prompt's format.
        max_length: Most tokens of prompt and response together.
        length: Rows longer than that lose their end and are flagged ('truncate', Cherry; both losses are then over the
            same tokens), or are left out ('drop').
    """

    name: ClassVar[str] = "ifd"
    by_length: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("model",)

    model: str | None = None
    ratio: Literal["loss", "perplexity"] = "loss"
    bound: Literal["at-most-one", "below-one", "none"] = "at-most-one"
    anchor: Literal["response", "bos", "none"] = "response"
    template: Literal["alpaca", "wizardlm", "plain"] = "alpaca"
    max_length: int = 512
    length: Literal["truncate", "drop"] = "truncate"

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings without a model or with a length that holds no text. Raises UsageError."""
        if (self.model or ctx.base_model) is None:
            raise UsageError("ifd needs a language model: give -p model=MODEL (a folder, hub:, pypi: or tiny:)")
        if self.max_length < 2:
            raise UsageError(f"max_length of ifd is a number of tokens from 2 on, not {self.max_length}")

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """One ratio per row; details hold both mean losses and the number of response tokens."""
        model = ctx.model(self.model or ctx.base_model or "")
        template = TEMPLATES[self.template]
        mark, start = _ANCHORS[self.anchor]
        given = model.token_losses(
            (Continuation(template.prompt(row), row.response) for row in pool), max_length=self.max_length
        )
        alone = model.token_losses(
            (Continuation(mark, row.response) for row in pool), max_length=self.max_length, start=start
        )
        for pair in ctx.track(zip(given, alone, strict=True), total=len(pool), description="ifd"):
            yield self.row_score(*pair)

    def row_score(self, given: TokenLosses, alone: TokenLosses) -> RowScore:
        """The score of one row from the losses of its response given the prompt, and alone."""
        if given.truncated and self.length == "drop":
            return RowScore.excluded(f"longer than {self.max_length} tokens")
        if given.truncated and not len(given.losses):
            return RowScore.excluded(f"the prompt alone fills {self.max_length} tokens")
        if given.truncated:
            alone = self._same_tokens(alone, len(given.losses))
        if not len(given.losses) or not len(alone.losses):
            return RowScore.excluded("the response has no token to score")
        return self._ratio(given, alone)

    def _same_tokens(self, alone: TokenLosses, kept: int) -> TokenLosses:
        unscored = 1 if self.anchor == "none" else 0
        return TokenLosses(alone.losses[: max(0, kept - unscored)], alone.prompt_tokens, True)

    def _ratio(self, given: TokenLosses, alone: TokenLosses) -> RowScore:
        details = {"loss_given_prompt": given.mean, "loss_alone": alone.mean, "tokens": float(len(given.losses))}
        if not (math.isfinite(given.mean) and math.isfinite(alone.mean)):
            return RowScore.failed("a loss is not a finite number", **details)
        if self.ratio == "loss" and alone.mean == 0:
            return RowScore.failed("the loss of the response alone is 0", **details)
        value = given.mean / alone.mean if self.ratio == "loss" else _exp(given.mean - alone.mean)
        if value > 1 and self.bound != "none":
            return RowScore.excluded("the prompt makes the response less likely (ratio above 1)", **details)
        if value == 1 and self.bound == "below-one":
            return RowScore.excluded("the prompt makes no difference to the response (ratio of 1)", **details)
        return RowScore(value, truncated=given.truncated, details=details)


def _exp(x: float) -> float:
    return math.exp(min(x, 700.0))  # larger numbers have no float; such a row stays at the top
