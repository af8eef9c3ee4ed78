"""From texts to token ids."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selkit.api import Continuation

_BLOCK = 64


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A prompt and its completion as one sequence of token ids.

    ``start`` is the position of the first completion token, len(ids) where there is none. ``cut`` says whether the
    text was longer than allowed.
    """

    ids: tuple[int, ...]
    start: int
    cut: bool = False

    @property
    def key(self) -> bytes:
        """Stands for the ids and the start; rows with the same key have the same losses."""
        return hashlib.blake2b(array("q", (self.start, *self.ids)).tobytes(), digest_size=16).digest()


class TextEncoder:
    """The tokenizer of a model, as the model saw texts in training: with its own start token, if it has one.

    Args:
        inner: A tokenizer of the ``tokenizers`` library.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        inner.no_padding()
        inner.no_truncation()

    def pairs(self, pairs: Iterable[Continuation], limit: int) -> Iterator[EncodedPair]:
        """Each prompt and completion tokenised together, cut at the end to ``limit`` tokens.

        Where a token spans the boundary it belongs to the completion, as in TRL: the model has to predict it.
        """
        for block in _blocks(pairs):
            encodings = self._encode([prompt + completion for prompt, completion in block])
            for (prompt, _), encoding in zip(block, encodings, strict=True):
                yield _pair(encoding, len(prompt), limit)

    def ids(self, texts: Iterable[str]) -> Iterator[list[int]]:
        """The ids of each text, with the model's special tokens."""
        for block in _blocks(texts):
            for encoding in self._encode(block):
                yield encoding.ids

    def prompts(self, texts: Iterable[str]) -> Iterator[list[int]]:
        """The ids of each text, without special tokens at its end, so that the model goes on with it."""
        for block in _blocks(texts):
            for encoding in self._encode(block):
                yield encoding.ids[: _end(encoding)]

    def label(self, text: str) -> int | None:
        """The id of a one-token text: the vocabulary's entry of that name, or what the text alone becomes."""
        known = self.inner.token_to_id(text)
        if known is not None:
            return int(known)
        ids = self.inner.encode(text, add_special_tokens=False).ids
        return int(ids[0]) if len(ids) == 1 else None

    def _encode(self, texts: Sequence[str]) -> list[Any]:
        try:
            return list(self.inner.encode_batch(texts))
        except (UnicodeEncodeError, TypeError):  # lone surrogates, which are no text: a question mark for each
            return list(self.inner.encode_batch([text.encode("utf-8", "replace").decode() for text in texts]))


def _pair(encoding: Any, boundary: int, limit: int) -> EncodedPair:
    end = _end(encoding)
    start = next((i for i, (_, stop) in enumerate(encoding.offsets[:end]) if stop > boundary), end)
    kept = min(end, limit)
    return EncodedPair(tuple(encoding.ids[:kept]), min(start, kept), end > limit)


def _end(encoding: Any) -> int:
    """Where the text ends: tokenizers put special tokens behind it for encoders, with no place in the text."""
    end = len(encoding.ids)
    while end > 0 and encoding.special_tokens_mask[end - 1] and encoding.offsets[end - 1][1] == 0 and end > 1:
        end -= 1
    return end


def _blocks(items: Iterable[Any]) -> Iterator[list[Any]]:
    block: list[Any] = []
    for item in items:
        block.append(item)
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block
