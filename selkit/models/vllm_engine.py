"""vLLM behind :class:`selkit.api.LanguageModel`: answers and token losses of a local model, many at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from selkit.api import Continuation, DataError, Decoding, Generation, Pooling, StartToken, TokenLosses, UsageError
from selkit.models.encode import EncodedPair, TextEncoder
from selkit.models.folder import ModelFolder
from selkit.models.hf import context_of
from selkit.models.load import read_tokenizer
from selkit.models.orphans import Guard, children_of, guard_new
from selkit.models.sampling import check_decoding, check_room, ends_of, read_answer, request_seed

CPU_CACHE = 4 << 30
"""Bytes of keys and values that vLLM keeps on a CPU, where it would take most of the memory; $VLLM_CPU_KVCACHE_SPACE
overrides it, in GiB."""

PASS_TOKENS = 2048
"""Tokens of one pass, fewer than by default. Log-probabilities of a prompt take memory that vLLM does not plan with:
for each token of a pass a number for every word of the vocabulary."""

CPU_TOGETHER, GPU_TOGETHER = 64, 1024
"""Prompts handed to vLLM at once, which batches them by itself: after a kill, at most those are answered again."""

_SETTINGS = {
    # read when vLLM is imported, and by the processes that it starts
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}


class VLLMModel:
    """A causal language model that vLLM runs.

    Prompts become tokens as for the Hugging Face engine, and ids become text as there, so that both give the same
    answers but where two tokens are equally likely to rounding.

    Args:
        folder: Where the model came from.
        llm: vLLM's ``LLM``.
        tokenizer: The tokenizer of transformers, a fast one.
        ends: Ids that end an answer.
        context: The longest text in tokens.
        together: Prompts handed over at once.
    """

    def __init__(
        self, folder: ModelFolder, llm: Any, tokenizer: Any, ends: Sequence[int], context: int, together: int
    ) -> None:
        self.tokenizer = tokenizer
        self.encoder = TextEncoder(tokenizer.backend_tokenizer, tokenizer.bos_token_id)
        self.context = context
        self.together = together
        self._folder = folder
        self._llm = llm
        self._ends = list(ends)
        self._guard: Guard | None = None

    @classmethod
    def load(cls, folder: ModelFolder, device: str, dtype: str) -> VLLMModel:
        """Starts vLLM on a model's folder; no code from the folder runs. Raises DataError where that fails.

        Args:
            folder: The model.
            device: 'cpu'; 'cuda' for the first GPU that is visible, or several with commas, over which it is split.
            dtype: 'float32', 'bfloat16' or 'float16'.
        """
        from transformers import AutoConfig, GenerationConfig

        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        from vllm import LLM

        path, options = str(folder.path), _options(device)
        tokenizer = read_tokenizer(folder)
        before = children_of(os.getpid())
        try:
            config = AutoConfig.from_pretrained(path, trust_remote_code=False)
            llm = LLM(path, dtype=dtype, max_model_len=-1, load_format="safetensors", **options)
        except (ValueError, OSError, KeyError, RuntimeError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise DataError(
                f"vLLM cannot load model {folder.ref!r} on {device} ({reason}): take another model, or --engine hf"
            ) from error
        if (folder.path / "generation_config.json").is_file():
            settings = GenerationConfig.from_pretrained(path)
        else:
            settings = GenerationConfig.from_model_config(config)
        context = min(context_of(config, tokenizer, folder), llm.llm_engine.model_config.max_model_len)
        together = CPU_TOGETHER if device == "cpu" else GPU_TOGETHER
        model = cls(folder, llm, tokenizer, ends_of(settings, tokenizer), context, together)
        model._guard = guard_new(before)
        return model

    @property
    def ref(self) -> str:
        """The reference the model was asked for under."""
        return self._folder.ref

    @property
    def digest(self) -> str:
        """Digest of the weights and the tokenizer."""
        return self._folder.digest

    def close(self) -> None:
        """Ends vLLM's processes and gives its memory back."""
        self._llm.llm_engine.engine_core.shutdown()
        if self._guard is not None:
            self._guard.release()

    def lengths(self, prompts: Iterable[str]) -> NDArray[np.int64]:
        """Tokens of each prompt as :meth:`generate` sees it, shape (len(prompts),)."""
        return np.fromiter((len(ids) for ids in self.encoder.prompts(prompts)), np.int64)

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """``decoding.samples`` answers per prompt, in the order of ``prompts``; see :meth:`HFModel.generate`.

        Sampled answers depend on the same things as there, and differ from those of the other engine, whose random
        numbers are others.

        Raises:
            DataError: A prompt fills the model's context; nothing is written then.
            UsageError: The decoding contradicts itself, or asks for a beam search.
        """
        from vllm import SamplingParams

        check_decoding(decoding)
        if decoding.num_beams > 1:
            raise UsageError("engine vllm has no beam search: set the number of beams to 1, or take engine hf")
        texts = list(prompts)
        rows = list(self.encoder.prompts(texts))
        check_room(texts, map(len, rows), self.context, self.ref)

        def settings(text: str, ids: Sequence[int], sample: int) -> Any:
            return SamplingParams(
                max_tokens=min(decoding.max_new_tokens, self.context - len(ids)),
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                top_k=decoding.top_k,
                repetition_penalty=decoding.repetition_penalty,
                seed=request_seed(seed, text, sample) if decoding.temperature > 0 else None,
                stop=list(decoding.stop) or None,
                stop_token_ids=self._ends,
            )

        asked = (
            (ids, settings(text, ids, sample))
            for text, ids in zip(texts, rows, strict=True)
            for sample in range(decoding.samples)
        )
        answers = (
            read_answer(list(found.outputs[0].token_ids), self.tokenizer, frozenset(self._ends), decoding.stop)
            for found in self._run(asked)
        )
        for _ in texts:
            yield list(islice(answers, decoding.samples))

    def token_losses(
        self, pairs: Iterable[Continuation], *, max_length: int | None = None, start: StartToken = "auto"
    ) -> Iterator[TokenLosses]:
        """Losses of the tokens of each completion given its prompt, in nats; see :meth:`HFModel.token_losses`.

        vLLM writes at least one token behind a text, so that texts are cut one token earlier than there.
        """
        from vllm import SamplingParams

        limit = min(max_length or self.context, self.context - 1)
        settings = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        encoded = self.encoder.pairs(pairs, limit, start)
        while block := list(islice(encoded, self.together)):
            found = self._run((pair.ids, settings) for pair in block)
            for pair, output in zip(block, found, strict=True):
                yield TokenLosses(_losses(pair, output.prompt_logprobs), pair.start, pair.cut)

    def label_probabilities(self, prompts: Iterable[str], labels: Sequence[str]) -> NoReturn:
        """Not served. Raises UsageError."""
        raise UsageError("engine vllm gives no probabilities of labels: take engine hf")

    def embed(self, texts: Iterable[str], *, pooling: Pooling = "mean", max_length: int | None = None) -> NoReturn:
        """Not served. Raises UsageError."""
        raise UsageError("engine vllm gives no embeddings: take engine hf")

    def _run(self, asked: Iterable[tuple[Sequence[int], Any]]) -> Iterator[Any]:
        """vLLM's outputs for prompts with their settings, in order, so many at once."""
        source = iter(asked)
        while block := list(islice(source, self.together)):
            prompts = [{"prompt_token_ids": list(ids)} for ids, _ in block]
            yield from self._llm.generate(prompts, [settings for _, settings in block], use_tqdm=False)


def _losses(pair: EncodedPair, found: Sequence[Any]) -> NDArray[np.float32]:
    """The losses of ids[start:], from what vLLM says of every token of a prompt; nothing predicts a first token."""
    places = range(max(pair.start, 1), len(pair.ids))
    return np.array([-found[place][pair.ids[place]].logprob for place in places], np.float32)


def _options(device: str) -> dict[str, Any]:
    """What vLLM is started with on a device, beside the model.

    Raises:
        UsageError: These are not the first GPUs that are visible.
    """
    quiet = {"disable_log_stats": True, "use_tqdm_on_load": False, "seed": 0, "max_num_batched_tokens": PASS_TOKENS}
    if device == "cpu":
        # compiling takes minutes and a compiler, and changes answers by rounding
        memory = {} if os.environ.get("VLLM_CPU_KVCACHE_SPACE") else {"kv_cache_memory_bytes": CPU_CACHE}
        return quiet | {"enforce_eager": True} | memory
    names = [name.strip() for name in device.split(",")]
    first = [f"cuda:{number}" for number in range(len(names))]
    if names not in (["cuda"], first):
        raise UsageError(
            f"engine vllm takes the first GPUs that it sees and not {device}: set CUDA_VISIBLE_DEVICES to the ones you "
            f"mean, and take --device cuda"
        )
    return quiet | {"tensor_parallel_size": len(names)}
