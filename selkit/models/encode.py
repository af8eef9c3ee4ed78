"""From texts to token ids."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selkit.api import Continuation, DataError, StartToken

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
        start_id: Id of the model's start token, None where it has none.
    """

    def __init__(self, inner: Any, start_id: int | None = None) -> None:
        self.inner = inner
        self.start_id = start_id
        inner.no_padding()
        inner.no_truncation()

    def pairs(self, pairs: Iterable[Continuation], limit: int, start: StartToken = "auto") -> Iterator[EncodedPair]:
        """Each prompt and completion tokenised together, cut at the end to ``limit`` tokens.

        Where a token spans the boundary it belongs to the completion, as in TRL: the model has to predict it.

        Raises:
            DataError: ``start`` is 'always' and the model has no start token.
        """
        before = self._start_ids(start)
        for block in _blocks(pairs):
            encodings = self._encode([prompt + completion for prompt, completion in block], special=start != "never")
            for (prompt, _), encoding in zip(block, encodings, strict=True):
                yield _pair(encoding, len(prompt), limit, before)

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
        """The id of a one-token text: the vocabulary's entry of that name, or what the text alone becomes.

        None where that is several tokens, or one that stands for something else, such as the unknown word.
        """
        known = self.inner.token_to_id(text)
        if known is not None:
            return int(known)
        ids = self.inner.encode(text, add_special_tokens=False).ids
        if len(ids) != 1 or self.inner.decode(ids).strip().casefold() != text.strip().casefold():
            return None
        return int(ids[0])

    def _start_ids(self, start: StartToken) -> list[int]:
        """What has to stand before what the tokenizer makes of a text."""
        if start != "always":
            return []
        if self.start_id is None:
            raise DataError("the model has no start token: choose another anchor or another model")
        return [] if self.inner.encode("a").ids[0] == self.start_id else [self.start_id]

    def _encode(self, texts: Sequence[str], *, special: bool = True) -> list[Any]:
        try:
            return list(self.inner.encode_batch(texts, add_special_tokens=special))
        except (UnicodeEncodeError, TypeError):  # lone surrogates, which are no text: a question mark for each
            clean = [text.encode("utf-8", "replace").decode() for text in texts]
            return list(self.inner.encode_batch(clean, add_special_tokens=special))


def _pair(encoding: Any, boundary: int, limit: int, before: list[int]) -> EncodedPair:
    end = _end(encoding)
    start = next((i for i, (_, stop) in enumerate(encoding.offsets[:end]) if stop > boundary), end)
    ids = (*before, *encoding.ids[:end])
    kept = min(len(ids), limit)
    return EncodedPair(ids[:kept], min(start + len(before), kept), len(ids) > limit)


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
