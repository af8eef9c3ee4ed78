"""``tiny:`` models: small untrained Llamas, built on the spot, the same weights for the same reference.

``tiny:llama?layers=2&hidden=128&heads=4&context=512&vocab=words&seed=0`` spells out the defaults. ``vocab=words`` is a
word-level tokenizer that knows the words of the planted pool and of the prompt templates; ``vocab=bytes`` covers any
text, a token a byte. ``tiny:words`` and ``tiny:bytes`` are short for the two.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from selkit.api import TEMPLATES, MissingExtra, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as RustTokenizer

PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
_SPECIAL = (PAD, START, END, UNKNOWN)
_VOCABULARIES = ("words", "bytes")


@dataclass(frozen=True)
class TinyModel:
    """What a ``tiny:`` reference says.

    Args:
        layers: Number of layers.
        hidden: Width; the feed-forward part is four times as wide.
        heads: Attention heads; twice their number divides ``hidden``.
        context: Longest text, in tokens.
        vocab: 'words' or 'bytes'.
        seed: Seed of the weights.
    """

    layers: int = 2
    hidden: int = 128
    heads: int = 4
    context: int = 512
    vocab: str = "words"
    seed: int = 0

    @property
    def canonical(self) -> str:
        """The reference with every setting spelt out."""
        return "tiny:llama?" + "&".join(f"{name}={value}" for name, value in asdict(self).items())

    @property
    def vocabulary_digest(self) -> str:
        """Digest of the tokenizer, which is built from the words that this version of selkit knows."""
        return _vocabulary_digest(self.vocab)


@lru_cache
def _vocabulary_digest(vocab: str) -> str:
    return hashlib.sha256(build_tokenizer(vocab).to_str().encode()).hexdigest()


def parse(text: str) -> TinyModel:
    """What stands behind ``tiny:``.

    Raises:
        UsageError: An unknown name or setting, or a value that makes no model.
    """
    name, _, query = text.partition("?")
    if name not in ("llama", *_VOCABULARIES):
        raise UsageError(f"there is no model tiny:{name}: there are tiny:llama (= tiny:words) and tiny:bytes")
    spec = TinyModel(vocab="words" if name == "llama" else name)
    for key, value in parse_qsl(query, keep_blank_values=True):
        spec = _set(spec, key, value)
    if min(spec.layers, spec.heads, spec.hidden, spec.context) < 1 or spec.hidden % (2 * spec.heads):
        raise UsageError(f"tiny:{text} makes no model: hidden must be a multiple of twice the heads, and all positive")
    return spec


def _set(spec: TinyModel, key: str, value: str) -> TinyModel:
    known = [f.name for f in fields(TinyModel)]
    if key not in known:
        raise UsageError(f"a tiny: model has no setting {key!r}: it has {', '.join(known)}")
    if key == "vocab":
        if value not in _VOCABULARIES:
            raise UsageError(f"the vocab of a tiny: model is words or bytes, not {value!r}")
        return replace(spec, vocab=value)
    if not value.isdecimal():
        raise UsageError(f"the setting {key} of a tiny: model is a whole number, not {value!r}")
    return replace(spec, **{key: int(value)})  # type: ignore[arg-type]


def build_tokenizer(vocab: str) -> RustTokenizer:
    """The tokenizer of a ``tiny:`` model: it puts the start token before a text, and decodes words with spaces."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    if vocab == "words":
        entries = (*_SPECIAL, *_words())
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(entries)}, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    else:
        entries = (*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()))
        tokenizer = Tokenizer(models.BPE({char: i for i, char in enumerate(entries)}, [], unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    start = tokenizer.token_to_id(START)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A {START} $B", special_tokens=[(START, start)]
    )
    return tokenizer


def build(spec: TinyModel, target: Path) -> None:
    """Writes the model folder. Raises MissingExtra where torch or transformers is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtra.of("building a tiny: model", "train")
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from selkit.models.quiet import hush_libraries

    hush_libraries()
    inner = build_tokenizer(spec.vocab)
    special = {"bos_token": START, "eos_token": END, "pad_token": PAD, "unk_token": UNKNOWN}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=spec.context, clean_up_tokenization_spaces=False, **special
    )
    config = LlamaConfig(
        vocab_size=inner.get_vocab_size(),
        hidden_size=spec.hidden,
        intermediate_size=4 * spec.hidden,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        max_position_embeddings=spec.context,
        tie_word_embeddings=True,
        bos_token_id=inner.token_to_id(START),
        eos_token_id=inner.token_to_id(END),
        pad_token_id=inner.token_to_id(PAD),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _words() -> list[str]:
    """Words and signs of the planted pool and the templates, each once, in order."""
    from tokenizers.pre_tokenizers import Whitespace

    from selkit.pools.planted import FILLER, TASKS, WORDS

    planted = [*WORDS, *(word.upper() for word in WORDS), *FILLER, *(task.instruction for task in TASKS.values())]
    texts = [text for template in TEMPLATES.values() for text in asdict(template).values()]
    cut = Whitespace()
    words = {word for text in (*texts, *planted) for word, _ in cut.pre_tokenize_str(text)}
    return sorted(words - set(_SPECIAL))
