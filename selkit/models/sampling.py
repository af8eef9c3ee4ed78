"""Text generation in batches, where what one prompt gets does not depend on the others in its batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selkit.api import DataError, Decoding, Generation, UsageError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Request:
    """One answer to write: the prompt's ids, the seed of its noise, and the most tokens that fit the context."""

    ids: tuple[int, ...]
    seed: int
    limit: int


def check_decoding(decoding: Decoding) -> None:
    """Refuses settings that contradict each other. Raises UsageError."""
    sampled = decoding.temperature > 0
    if decoding.samples > 1 and not sampled:
        raise UsageError(
            f"{decoding.samples} samples of a greedy decoding are all the same: give a temperature above 0"
        )
    if decoding.num_beams > 1 and sampled:
        raise UsageError("beam search is for greedy decoding: set num_beams to 1 or temperature to 0")
    if decoding.max_new_tokens < 1 or decoding.samples < 1:
        raise UsageError("max_new_tokens and samples are whole numbers from 1 on")


def request_seed(seed: int, prompt: str, sample: int) -> int:
    """The seed of one answer's noise: it depends on the run's seed, the prompt's text and the sample's number alone."""
    text = f"{seed}\0{sample}\0{prompt}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:7])


def write(model: Any, tokenizer: Any, requests: Sequence[Request], decoding: Decoding) -> list[Generation]:
    """One answer per request, written together; all requests of a call have the same limit.

    A sampled answer is the likeliest token after noise of the Gumbel distribution was added to the warped logits,
    which is a draw from their softmax; each row's noise comes from a generator of its own. Rounding in the model can
    still differ with the size of a batch, so an answer can change where two tokens are equally likely to about 1e-6.
    """
    import torch
    from transformers import GenerationConfig

    ends = end_tokens(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0] if ends else 0
    ids, mask = _left_padded([request.ids for request in requests], pad, model.device)
    spelled = bool(decoding.stop) and _spells(tokenizer)
    config = GenerationConfig(
        max_new_tokens=min(decoding.max_new_tokens, requests[0].limit),
        do_sample=False,
        num_beams=decoding.num_beams,
        early_stopping=decoding.num_beams > 1,
        repetition_penalty=1.0,  # ours knows of padding
        eos_token_id=ends or None,
        pad_token_id=pad,
        stop_strings=list(decoding.stop) if spelled else None,
    )
    with torch.inference_mode():
        written = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=_processors(requests, decoding, model.device),
            stopping_criteria=_stopping(tokenizer, decoding.stop, ids.shape[1]) if not spelled else None,
            tokenizer=tokenizer if spelled else None,
        )
    rows = written[:, ids.shape[1] :].tolist()
    return [read_answer(row, tokenizer, frozenset((*ends, pad)), decoding.stop) for row in rows]


def check_room(texts: Sequence[str], lengths: Iterable[int], context: int, ref: str) -> None:
    """Refuses prompts that leave no room for an answer.

    Args:
        texts: The prompts.
        lengths: Tokens of each.
        context: The longest text that the model reads, in tokens.
        ref: Reference of the model.

    Raises:
        DataError: Some fill the context.
    """
    long = [text for text, length in zip(texts, lengths, strict=True) if length >= context]
    if long:
        raise DataError(
            f"{len(long)} of {len(texts)} prompts fill the {context} tokens of model {ref!r} and leave "
            f"no room for an answer, the first begins {long[0][:60]!r}: shorten them, or use a longer context"
        )


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end an answer: those of the model's generation settings and the tokenizer's own."""
    return ends_of(model.generation_config, tokenizer)


def ends_of(config: Any, tokenizer: Any) -> list[int]:
    """As :func:`end_tokens`, from generation settings."""
    configured = config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return sorted({i for i in (*ids, tokenizer.eos_token_id) if i is not None})


def read_answer(ids: Sequence[int], tokenizer: Any, ends: frozenset[int], stops: Sequence[str]) -> Generation:
    """The answer in the ids that a model wrote: up to the first end token, and up to the first stop text."""
    end = next((i for i, token in enumerate(ids) if token in ends), None)
    kept = ids[:end]
    text = tokenizer.decode(kept, skip_special_tokens=True)
    cuts = [place for stop in stops if (place := text.find(stop)) >= 0]
    if cuts:
        text = text[: min(cuts)]
    return Generation(text, "stop" if end is not None or cuts else "length", len(kept))


def _left_padded(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    longest = max(len(ids) for ids in rows)
    ids = [[pad] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _spells(tokenizer: Any) -> bool:
    """Whether any text survives the tokenizer, which transformers' search for stop texts tries with these letters."""
    letters = "abcdef"
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(letters, add_special_tokens=False)["input_ids"])
    return letters in tokenizer.convert_tokens_to_string(tokens)


def _stopping(tokenizer: Any, stops: Sequence[str], start: int) -> Any:
    """Ends each row at a stop text by reading it after every token: for vocabularies of whole words."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class StopTexts(StoppingCriteria):  # type: ignore[misc]
        """Whether a row holds a stop text."""

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
            texts = tokenizer.batch_decode(input_ids[:, start:], skip_special_tokens=True)
            found = [any(stop in text for stop in stops) for text in texts]
            return torch.tensor(found, device=input_ids.device, dtype=torch.bool)

    return StoppingCriteriaList([StopTexts()] if stops else [])


def _processors(requests: Sequence[Request], decoding: Decoding, device: Any) -> Any:
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    chain = LogitsProcessorList()
    if decoding.repetition_penalty != 1:
        chain.append(_repetition_penalty(requests, decoding.repetition_penalty, device))
    if decoding.temperature > 0:
        chain.append(TemperatureLogitsWarper(decoding.temperature))
        if decoding.top_k > 0:
            chain.append(TopKLogitsWarper(decoding.top_k))
        if decoding.top_p < 1:
            chain.append(TopPLogitsWarper(decoding.top_p))
        chain.append(_noise([request.seed for request in requests], device))
    return chain


def _repetition_penalty(requests: Sequence[Request], penalty: float, device: Any) -> Any:
    """transformers' penalty, but for the padding, which it would take for something said: often the end token."""
    import torch
    from transformers import LogitsProcessor, RepetitionPenaltyLogitsProcessor

    longest = max(len(request.ids) for request in requests)
    padding = torch.tensor([longest - len(request.ids) for request in requests], device=device)
    first = torch.tensor([request.ids[0] for request in requests], device=device)
    plain = RepetitionPenaltyLogitsProcessor(penalty)

    class PenaltyWithoutPadding(LogitsProcessor):  # type: ignore[misc]
        """Sees the first token of a prompt in the place of its padding: a token counts once however often it comes."""

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            beams = len(input_ids) // len(requests)
            padded = torch.arange(input_ids.shape[1], device=device) < padding.repeat_interleave(beams)[:, None]
            return plain(torch.where(padded, first.repeat_interleave(beams)[:, None], input_ids), scores)

    return PenaltyWithoutPadding()


def _noise(seeds: Sequence[int], device: Any) -> Any:
    import torch
    from transformers import LogitsProcessor

    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
        """Adds each row's own noise."""

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            width = scores.shape[1]
            uniform = torch.stack([torch.rand(width, generator=each, device=device) for each in generators])
            tiny = torch.finfo(torch.float32).tiny
            return scores.float() - torch.log(-torch.log(uniform.clamp_min(tiny)))

    return GumbelNoise()
