"""The loss of a response given its prompt, over its loss alone: what Cherry and Superfiltering share.

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

Ratio = Literal["loss", "perplexity"]
Bound = Literal["at-most-one", "below-one", "none"]
Anchor = Literal["response", "bos", "none"]
TemplateName = Literal["alpaca", "wizardlm", "plain"]
Length = Literal["truncate", "drop"]

RESPONSE_MARK = "### Response:"
"""What stands before the response where it is scored without its prompt."""

_ANCHORS: dict[Anchor, tuple[str, StartToken]] = {
    "response": (RESPONSE_MARK, "auto"),
    "bos": ("", "always"),
    "none": ("", "never"),
}


@dataclass
class LossRatio(Scorer):
    """How little the prompt helps a model to predict the response.

    Args:
        model: The causal language model that scores; by default the experiment's base model.
        ratio: Of the mean losses ('loss', Cherry) or of the perplexities ('perplexity', Superfiltering).
        bound: Rows to leave out: above 1 ('at-most-one', Cherry), from 1 on ('below-one', Superfiltering), or none.
        anchor: What stands before the response alone: 'response' ('### Response:', Cherry), the start token ('bos'), or
            'none', so that its first token goes unscored (Superfiltering).
        template: The prompt's format.
        max_length: Most tokens of prompt and response together.
        length: Rows longer than that lose their end and are flagged ('truncate', as in both papers' code; both losses
            are then over equally many tokens), or are left out ('drop').
    """

    by_length: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("model",)

    model: str | None = None
    ratio: Ratio = "loss"
    bound: Bound = "at-most-one"
    anchor: Anchor = "response"
    template: TemplateName = "alpaca"
    max_length: int = 512
    length: Length = "truncate"

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings without a model or with a length that holds no text. Raises UsageError."""
        check_model_and_length(self.name, self.model or ctx.base_model, self.max_length)

    def scoring_model(self, ctx: Context) -> str:
        """Reference of the model whose losses count."""
        return self.model or ctx.base_model or ""

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """One ratio per row; details hold both mean losses and the number of response tokens."""
        model = ctx.model(self.scoring_model(ctx))
        template = TEMPLATES[self.template]
        mark, start = _ANCHORS[self.anchor]
        given = model.token_losses(
            (Continuation(template.prompt(row), row.response) for row in pool), max_length=self.max_length
        )
        alone = model.token_losses(
            (Continuation(mark, row.response) for row in pool), max_length=self.max_length, start=start
        )
        for pair in ctx.track(zip(given, alone, strict=True), total=len(pool), description=self.name):
            yield self.row_score(*pair)

    def row_score(self, given: TokenLosses, alone: TokenLosses) -> RowScore:
        """The score of one row from the losses of its response given the prompt, and alone."""
        if given.truncated and self.length == "drop":
            return RowScore.excluded(f"longer than {self.max_length} tokens")
        if given.truncated and not len(given.losses):
            return RowScore.excluded(f"the prompt alone fills {self.max_length} tokens")
        if given.truncated:  # as many tokens as stayed behind the prompt; Superfiltering too counts them so
            alone = TokenLosses(alone.losses[: len(given.losses)], alone.prompt_tokens, True)
        if not len(given.losses) or not len(alone.losses):
            return RowScore.excluded("the response has no token to score")
        return self._ratio(given, alone)

    def _ratio(self, given: TokenLosses, alone: TokenLosses) -> RowScore:
        details = {"loss_given_prompt": given.mean, "loss_alone": alone.mean, "tokens": float(len(given.losses))}
        if not (math.isfinite(given.mean) and math.isfinite(alone.mean)):
            return RowScore.failed("a loss is not a finite number", **details)
        if self.ratio == "loss" and alone.mean == 0:
            return RowScore.failed("the loss of the response alone is 0", **details)
        value = given.mean / alone.mean if self.ratio == "loss" else exp(given.mean - alone.mean)
        if value > 1 and self.bound != "none":
            return RowScore.excluded("the prompt makes the response less likely (ratio above 1)", **details)
        if value == 1 and self.bound == "below-one":
            return RowScore.excluded("the prompt makes no difference to the response (ratio of 1)", **details)
        return RowScore(value, truncated=given.truncated, details=details)


def check_model_and_length(name: str, model: str | None, max_length: int) -> None:
    """Raises UsageError where a scorer has no model, or a length that holds no text."""
    if model is None:
        raise UsageError(f"{name} needs a language model: give -p model=MODEL (a folder, hub:, pypi: or tiny:)")
    if max_length < 2:
        raise UsageError(f"max_length of {name} is a number of tokens from 2 on, not {max_length}")


def exp(x: float) -> float:
    """e to the x, at most e to the 700: larger numbers have no float, and such a row stays at the top."""
    return math.exp(min(x, 700.0))
