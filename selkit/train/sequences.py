"""Tokenises the pairs as TRL does, to know before training what TRL would cut off or drop without a word.

TRL's rule (read in its version 1.16): the end mark is appended to the response; the prompt alone and the prompt with
its response are tokenised; the supervised tokens start where the two first differ; what lies beyond ``max_length`` is
cut off; a sequence that has no supervised token left is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from selkit.api import Dropped
from selkit.train.turns import Pair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BLOCK = 512


class Measured(NamedTuple):
    """A pair with its lengths in tokens.

    ``prompt`` tokens carry no loss. ``merged`` says that tokens ran together over the end of the prompt, so that the
    prompt's last tokens as evaluation sees them are not in the training sequence.
    """

    pair: Pair
    prompt: int
    total: int
    merged: bool


@dataclass(frozen=True)
class Prepared:
    """What goes into training, and what does not.

    Args:
        kept: Pairs with at least one supervised token within ``max_length``, with their lengths before the cut.
        dropped: The others, with the reason.
        max_length: Longest sequence, in tokens.
    """

    kept: tuple[Measured, ...]
    dropped: tuple[Dropped, ...]
    max_length: int

    @property
    def truncated(self) -> set[str]:
        """Ids of rows with a response that loses its end."""
        return {item.pair.id for item in self.kept if item.total > self.max_length}

    @property
    def merged(self) -> set[str]:
        """Ids of rows with tokens that run together over the end of the prompt."""
        return {item.pair.id for item in self.kept if item.merged}

    @property
    def trained(self) -> set[str]:
        """Ids of rows with at least one kept pair."""
        return {item.pair.id for item in self.kept}

    @property
    def total_tokens(self) -> int:
        """Tokens of one pass over the data, after the cut."""
        return sum(min(item.total, self.max_length) for item in self.kept)

    @property
    def supervised_tokens(self) -> int:
        """Tokens with a loss in one pass over the data."""
        return sum(min(item.total, self.max_length) - item.prompt for item in self.kept)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence, after the cut."""
        return max((min(item.total, self.max_length) for item in self.kept), default=0)


def prepare(pairs: Iterable[Pair], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Prepared:
    """Sorts the pairs into those that training can use and those that leave nothing to learn.

    Args:
        pairs: What to train on.
        tokenizer: The model's tokenizer, with an end-of-sequence token.
        max_length: Longest sequence, in tokens.
    """
    kept: list[Measured] = []
    dropped: list[Dropped] = []
    for item in _measure(pairs, tokenizer):
        if item.prompt < min(item.total, max_length):
            kept.append(item)
        else:
            length = f"{item.prompt} tokens of the {max_length} of a sequence"
            reason = f"the prompt of turn {item.pair.turn} takes {length} and leaves none for the response"
            dropped.append(Dropped(item.pair.id, reason))
    return Prepared(tuple(kept), tuple(dropped), max_length)


def _measure(pairs: Iterable[Pair], tokenizer: PreTrainedTokenizerBase) -> Iterator[Measured]:
    remaining = iter(pairs)
    while block := list(islice(remaining, _BLOCK)):
        alone = tokenizer([pair.prompt for pair in block])["input_ids"]
        whole = tokenizer([pair.prompt + with_end(pair.response, tokenizer) for pair in block])["input_ids"]
        for pair, prompt, both in zip(block, alone, whole, strict=True):
            common = common_length(prompt, both)
            yield Measured(pair, common, len(both), common < len(prompt))


def with_end(response: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The response with the end mark that TRL appends, so that the model learns to stop."""
    end = str(tokenizer.eos_token)
    return response if response.endswith(end) else response + end


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of leading tokens that both have."""
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))
