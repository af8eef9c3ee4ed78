"""The Hugging Face engine: one model of transformers behind :class:`selkit.api.LanguageModel`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selkit.api import (
    Continuation,
    DataError,
    Decoding,
    Generation,
    Pooling,
    StartToken,
    TokenLosses,
)
from selkit.console import get_console
from selkit.models.encode import EncodedPair, TextEncoder
from selkit.models.folder import ModelFolder
from selkit.models.forward import WORTH_SHARING, CausalForward, Row, with_less_memory
from selkit.models.passes import CPU, GPU, Limits, Passes
from selkit.models.pooling import pool_causal, pool_states
from selkit.models.sampling import Request, check_decoding, check_room, request_seed, write

__all__ = ["CPU", "GPU", "Embedded", "HFModel", "Limits"]

_REMEMBERED = 20_000
"""Results kept for rows that come again; pools hold duplicates, and short answers stand in many rows."""

_REMEMBERED_VECTORS = 2_000
"""The same of embeddings, which are larger."""


class Embedded(NamedTuple):
    """A text's vector, the tokens that it was made of, and whether the text was longer and lost its end."""

    vector: NDArray[np.float32]
    tokens: int
    truncated: bool


class HFModel:
    """A causal language model or a text encoder, loaded from a folder of safetensors.

    Args:
        folder: Where it came from.
        model: The model of transformers, on its device, in evaluation mode.
        tokenizer: The tokenizer of transformers, a fast one.
        limits: How much is done at once.
    """

    def __init__(self, folder: ModelFolder, model: Any, tokenizer: Any, limits: Limits | None = None) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.encoder = TextEncoder(tokenizer.backend_tokenizer, tokenizer.bos_token_id)
        self.limits = limits or (CPU if str(model.device).startswith("cpu") else GPU)
        self.passes = Passes(self.limits)
        self.causal = model.get_output_embeddings() is not None
        self.context = context_of(model.config, tokenizer, folder)
        self._folder = folder
        self._forward: CausalForward | None = None

    @classmethod
    def load(cls, folder: ModelFolder, device: str, dtype: str) -> HFModel:
        """Loads a model from its folder; no code from the folder runs. Raises DataError where it cannot be loaded."""
        from selkit.models.load import read_model, read_tokenizer

        return cls(folder, read_model(folder, device, dtype), read_tokenizer(folder))

    @property
    def ref(self) -> str:
        """The reference the model was asked for under."""
        return self._folder.ref

    @property
    def digest(self) -> str:
        """Digest of the weights and the tokenizer."""
        return self._folder.digest

    def lengths(self, prompts: Iterable[str]) -> NDArray[np.int64]:
        """Tokens of each prompt as :meth:`label_probabilities` and :meth:`generate` see it, shape (len(prompts),)."""
        return np.fromiter((len(ids) for ids in self.encoder.prompts(prompts)), np.int64)

    def token_losses(
        self, pairs: Iterable[Continuation], *, max_length: int | None = None, start: StartToken = "auto"
    ) -> Iterator[TokenLosses]:
        """Losses of the tokens of each completion given its prompt, in nats.

        Prompt and completion are tokenised together, by default with the start token that the tokenizer adds; a token
        that spans the boundary belongs to the completion. ``prompt_tokens`` counts the start token. Texts over
        ``max_length`` tokens (by default the model's context) lose their end and are flagged. Rows that come again are
        computed once. Results appear window by window (:class:`Limits`), in the order of ``pairs``. The same pairs
        in the same order give the same bits; in another order losses can differ by rounding, about 1e-6.

        Raises:
            DataError: The model is an encoder.
            WorkFailed: One row alone does not fit into memory.
        """
        forward = self._causal_forward("token losses")
        encoded = self.encoder.pairs(pairs, min(max_length or self.context, self.context), start)
        found = self.passes.each_once(
            encoded, lambda pair: pair.key, lambda new: self._losses(forward, new), _REMEMBERED
        )
        for pair, losses in found:
            yield TokenLosses(losses, pair.start, pair.cut)

    def label_probabilities(self, prompts: Iterable[str], labels: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """Softmax of the raw next-token logits over ``labels`` only; one array of len(labels) per prompt, float64.

        A label is the entry of that name in the vocabulary, else what the tokenizer makes of it alone.

        Raises:
            DataError: A label is not one token, a prompt does not fit the context, or the model is an encoder.
        """
        forward = self._causal_forward("label probabilities")
        ids = self._label_ids(labels)
        rows = (self._fitting(prompt) for prompt in self.encoder.prompts(prompts))

        def compute(new: list[Row]) -> Iterator[NDArray[np.float64]]:
            return self.passes.grouped(
                new,
                lambda group: _label_probabilities(forward, group, ids),
                opening=lambda row: row.ids[: min(WORTH_SHARING, row.first)],
                share=lambda group: forward.share(group, min(row.first for row in group)),
            )

        for _, probabilities in self.passes.each_once(rows, lambda row: row.ids, compute, _REMEMBERED):
            yield probabilities

    def embed(
        self, texts: Iterable[str], *, pooling: Pooling = "mean", max_length: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Last-layer hidden states pooled over the tokens of each text, special tokens counted; (width,) in float32.

        Texts over ``max_length`` tokens (by default the model's context; a sentence encoder's own limit) lose their
        end, and a note says how many did. The vectors are not normalised.
        """
        cut = 0
        for found in self.embedded(texts, pooling=pooling, max_length=max_length):
            cut += found.truncated
            yield found.vector
        if cut:
            limit = min(max_length or self.context, self.context)
            get_console().note(f"{self.ref}: {cut} texts were longer than {limit} tokens and lost their end")

    def embedded(
        self, texts: Iterable[str], *, pooling: Pooling = "mean", max_length: int | None = None
    ) -> Iterator[Embedded]:
        """As :meth:`embed`, with what is known of each text beside its vector, and without the note."""
        limit = min(max_length or self.context, self.context)
        forward = self._causal_forward("embeddings") if self.causal else None

        def compute(new: list[EncodedPair]) -> Iterator[NDArray[np.float32]]:
            rows = [Row(pair.ids, 0) for pair in new]
            if forward is None:
                return self.passes.grouped(rows, lambda group: pool_states(self.model, group, pooling))
            return self.passes.grouped(
                rows,
                lambda group: pool_causal(forward, group, pooling),
                opening=lambda row: row.ids[: min(WORTH_SHARING, len(row.ids) - 1)],
                share=lambda group: forward.share(group, min(len(row.ids) for row in group) - 1),
            )

        encoded = self._embeddable(texts, limit)
        for pair, vector in self.passes.each_once(encoded, lambda pair: pair.ids, compute, _REMEMBERED_VECTORS):
            yield Embedded(vector, len(pair.ids), pair.cut)

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """``decoding.samples`` answers per prompt, in the order of ``prompts``, batch by batch of neighbours.

        Hand the prompts over sorted by length: a batch is padded on the left to its longest. What a prompt gets
        depends on ``seed``, its text and the sample's number, not on its neighbours (but for rounding, see
        :func:`selkit.models.sampling.write`). An answer that reaches the end of the context stops with 'length'.

        Raises:
            DataError: A prompt fills the model's context; nothing is written then. Or the model is an encoder.
            UsageError: The decoding contradicts itself.
        """
        self._causal_forward("text")
        check_decoding(decoding)
        texts = list(prompts)
        rows = [tuple(ids) for ids in self.encoder.prompts(texts)]
        self._refuse_long(texts, rows)
        requests = [
            Request(ids, request_seed(seed, text, sample), min(decoding.max_new_tokens, self.context - len(ids)))
            for text, ids in zip(texts, rows, strict=True)
            for sample in range(decoding.samples)
        ]
        answers = self._answers(requests, decoding)
        for _ in texts:
            yield list(islice(answers, decoding.samples))

    def _losses(self, forward: CausalForward, pairs: list[EncodedPair]) -> Iterator[NDArray[np.float32]]:
        return self.passes.grouped(
            [Row(pair.ids, max(pair.start, 1)) for pair in pairs],  # nothing predicts a first token
            lambda group: _token_losses(forward, group),
            opening=lambda row: row.ids[: min(WORTH_SHARING, row.first - 1)],
            share=lambda group: forward.share(group, min(row.first for row in group) - 1),
        )

    def _answers(self, requests: list[Request], decoding: Decoding) -> Iterator[Generation]:
        """Batches of neighbours with the same limit; they end at multiples of ``limits.answers`` at the latest, so that
        a list that begins at such a multiple is cut as the whole list is."""
        size = self.limits.answers
        places = enumerate(requests)
        for _, batch in groupby(places, key=lambda place: (place[0] // size, place[1].limit)):
            chosen = [request for _, request in batch]
            yield from with_less_memory(lambda part: write(self.model, self.tokenizer, part, decoding), chosen)

    def _causal_forward(self, what: str) -> CausalForward:
        if not self.causal:
            raise DataError(f"model {self.ref!r} is a text encoder and gives no {what}: name a causal language model")
        if self._forward is None:
            self._forward = CausalForward(self.model)
        self._forward.forget_prefixes()
        return self._forward

    def _label_ids(self, labels: Sequence[str]) -> list[int]:
        ids = [self.encoder.label(label) for label in labels]
        for label, found in zip(labels, ids, strict=True):
            if found is None:
                raise DataError(f"label {label!r} is not one token of model {self.ref!r}: choose other labels or model")
        return [i for i in ids if i is not None]

    def _fitting(self, ids: Sequence[int]) -> Row:
        if not 0 < len(ids) <= self.context:
            raise DataError(f"a prompt of {len(ids)} tokens does not fit the {self.context} of model {self.ref!r}")
        return Row(tuple(ids), len(ids) - 1)

    def _embeddable(self, texts: Iterable[str], limit: int) -> Iterator[EncodedPair]:
        for ids in self.encoder.ids(texts):
            kept = ids
            if len(ids) > limit:  # an encoder's closing token stays
                kept = ids[:limit] if self.causal else [*ids[: limit - 1], ids[-1]]
            yield EncodedPair(tuple(kept) or (self.tokenizer.eos_token_id or 0,), 0, len(ids) > limit)

    def _refuse_long(self, texts: list[str], rows: list[tuple[int, ...]]) -> None:
        check_room(texts, map(len, rows), self.context, self.ref)


def _token_losses(forward: CausalForward, group: Sequence[Row]) -> list[NDArray[np.float32]]:
    """The losses of ids[first:] of each row; the last token is never fed, since nothing follows it."""
    rows = [Row(row.ids[:-1], row.first - 1) for row in group if row.first < len(row.ids)]
    if not rows:
        return [np.zeros(0, np.float32) for _ in group]
    targets = [token for row in group for token in row.ids[row.first :]]
    flat = forward.losses(rows, targets).numpy()
    ends = np.cumsum([max(0, len(row.ids) - row.first) for row in group])
    found = np.split(flat, ends[:-1])
    return [np.array(part, np.float32) for part in found]


def _label_probabilities(
    forward: CausalForward, rows: Sequence[Row], labels: Sequence[int]
) -> list[NDArray[np.float64]]:
    import torch

    logits = torch.cat([chunk[:, list(labels)].double() for chunk in forward.logits(rows)])
    return list(torch.softmax(logits, -1).cpu().numpy())


def context_of(config: Any, tokenizer: Any, folder: ModelFolder) -> int:
    """The longest text in tokens: the least of what the configuration, the tokenizer and a sentence encoder say."""
    text = config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "max_sequence_length")
    said = [value for name in names if isinstance(value := getattr(text, name, None), int) and value > 0]
    said.append(int(min(tokenizer.model_max_length, 10**9)))
    sentence = folder.path / "sentence_bert_config.json"
    if sentence.is_file():
        said.append(int(json.loads(sentence.read_text("utf-8")).get("max_seq_length") or 10**9))
    return min(said)
