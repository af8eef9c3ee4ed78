"""What training reads: the texts of each row, and their states in the encoder, computed once or again each time."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selkit.api import Context
from selkit_car.encoder import Encoder
from selkit_car.pairs import ScoredTexts, triplets

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Examples:
    """Rows to train on or to validate with.

    Args:
        texts: The texts of each row: one, or three (revised anchor, revised answer, original answer).
        labels: The score of each row; 1 for triplets, where it does not matter.
    """

    texts: tuple[tuple[str, ...], ...]
    labels: tuple[float, ...]

    @classmethod
    def of(cls, scored: ScoredTexts, comet: bool) -> Examples:
        """The rows of a file, or the triplets of its pairs. Raises DataError where a text has no response."""
        if comet:
            texts = tuple(tuple(triplet) for triplet in triplets(scored.pairs()))
            return cls(texts, (1.0,) * len(texts))
        return cls(tuple((row.text,) for row in scored.rows), tuple(row.score for row in scored.rows))

    def __len__(self) -> int:
        return len(self.texts)


class States(ABC):
    """The encoder's states of the texts of examples.

    Args:
        encoder: The encoder.
        examples: The examples.
    """

    def __init__(self, encoder: Encoder, examples: Examples) -> None:
        self.encoder = encoder
        self.examples = examples
        flat = iter(encoder.encode([text for row in examples.texts for text in row]))
        self.encoded = [tuple(next(flat) for _ in row) for row in examples.texts]

    @abstractmethod
    def parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        """``rows`` cut into parts that fit into memory."""

    @abstractmethod
    def of(self, part: Sequence[int]) -> torch.Tensor:
        """States of a part, shape (rows, texts, layers, width), on the encoder's device."""


class Tuned(States):
    """States of an encoder that learns: a forward pass each time, with gradients where they are wanted."""

    def parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        """Parts of similar length, so that little is padding."""
        for batch in self.encoder.batches([self.encoded[row] for row in rows]):
            yield [rows[position] for position in batch]

    def of(self, part: Sequence[int]) -> torch.Tensor:
        """One forward pass over all texts of the part."""
        states = self.encoder.states([text for row in part for text in self.encoded[row]])
        return states.reshape(len(part), -1, *states.shape[1:])


class Frozen(States):
    """States of an encoder that stays as it is: one forward pass per text, with progress shown, kept in memory."""

    def __init__(self, encoder: Encoder, examples: Examples, ctx: Context) -> None:
        super().__init__(encoder, examples)
        import torch

        flat = [text for row in self.encoded for text in row]
        device = encoder.model.device
        states = torch.empty((len(flat), encoder.layers, encoder.width), device=device)
        found = encoder.each(flat, lambda batch: batch)
        for position, value in ctx.track(found, total=len(flat), description="reading the texts"):
            states[position] = value.to(device)
        self._states = states.reshape(len(examples), -1, *states.shape[1:])

    def parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        """All of them at once."""
        yield list(rows)

    def of(self, part: Sequence[int]) -> torch.Tensor:
        """What was kept."""
        return self._states[list(part)]


def digest_of(scored: ScoredTexts) -> str:
    """SHA-256 of the texts and scores of a file, whatever its quoting."""
    return hashlib.sha256(json.dumps(scored.rows).encode()).hexdigest()
