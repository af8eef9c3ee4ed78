"""The score of 'Superfiltering' (Li et al., ACL 2024): a small model says what is difficult for a large one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from selkit_ifd.citations import SUPERFILTERING
from selkit_ifd.ratio import Anchor, Bound, Length, LossRatio, Ratio, TemplateName


@dataclass
class Superfiltering(LossRatio):
    """How little the prompt helps a small model to predict the response, as a ratio of perplexities.

    The defaults are those of Superfiltering's code: GPT-2, 1,024 tokens, the bare instruction and input as the prompt,
    the response alone with nothing before it (so that its first token goes unscored there), and only rows below 1.

    Args:
        model: The causal language model that scores, small and not the one to be trained.
        ratio: Of the perplexities ('perplexity', Superfiltering) or of the mean losses ('loss', Cherry).
        bound: Rows to leave out: from 1 on ('below-one', Superfiltering), above 1 ('at-most-one', Cherry), or none.
        anchor: What stands before the response alone: nothing ('none', Superfiltering), '### Response:' ('response',
            Cherry), or the start token ('bos').
        template: The prompt's format.
        max_length: Most tokens of prompt and response together.
        length: Rows longer than that lose their end and are flagged ('truncate', Superfiltering; both perplexities are
            then over equally many tokens), or are left out ('drop').
    """

    name: ClassVar[str] = "superfiltering"
    citation: ClassVar[str] = SUPERFILTERING

    model: str | None = "hub:openai-community/gpt2"
    ratio: Ratio = "perplexity"
    bound: Bound = "below-one"
    anchor: Anchor = "none"
    template: TemplateName = "plain"
    max_length: int = 1024
    length: Length = "truncate"
