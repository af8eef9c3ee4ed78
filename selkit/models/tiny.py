"""Small Llamas built on the spot, for examples and tests: random weights that depend on the seed alone.

    tiny:words    a tokenizer with one token per word of the planted pool
    tiny:bytes    a tokenizer with one token per byte, for any text

Options follow a question mark: ``tiny:words?hidden=128&layers=2&heads=4&context=256&seed=0``.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from filelock import FileLock

from selkit.api import DataError, MissingExtra
from selkit.models.refs import models_cache

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, BOS, EOS, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
VERSION = 1
"""Raised whenever the same reference gives other weights or another tokenizer."""


@dataclass(frozen=True, slots=True)
class Tiny:
    """The shape of a tiny Llama."""

    vocabulary: str
    hidden: int = 128
    layers: int = 2
    heads: int = 4
    context: int = 256
    seed: int = 0


def parse_tiny(ref: str) -> Tiny:
    """The shape that a reference asks for.

    Raises:
        DataError: Another vocabulary than words and bytes, an unknown option, or a value that is no whole number.
    """
    name, _, query = ref.removeprefix("tiny:").partition("?")
    if name not in ("words", "bytes"):
        raise DataError(f"there is no tiny model {name!r}: take tiny:words or tiny:bytes")
    known = [f.name for f in fields(Tiny) if f.name != "vocabulary"]
    options: dict[str, int] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in known or not value.isdigit():
            raise DataError(f"{ref!r}: {key}={value} is not an option; write KEY=NUMBER with {', '.join(known)}")
        options[key] = int(value)
    return Tiny(name, **options)


def build(ref: str) -> Path:
    """The folder of a tiny model, built once per shape."""
    shape = parse_tiny(ref)
    digest = hashlib.sha256(f"{VERSION} {sorted(asdict(shape).items())} {_vocabulary_digest(shape)}".encode())
    target = models_cache() / f"tiny-{shape.vocabulary}-{digest.hexdigest()[:16]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / "config.json").is_file():
            with tempfile.TemporaryDirectory(dir=target.parent) as work:
                _save(shape, Path(work) / "made")
                (Path(work) / "made").rename(target)
    return target


def _save(shape: Tiny, folder: Path) -> None:
    try:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtra.of("a tiny model", "train") from error
    tokenizer = _tokenizer(shape)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=shape.hidden,
        intermediate_size=shape.hidden * 4,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.token_to_id(PAD),
        bos_token_id=tokenizer.token_to_id(BOS),
        eos_token_id=tokenizer.token_to_id(EOS),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(shape.seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS, unk_token=UNKNOWN,
        model_max_length=shape.context,
    ).save_pretrained(folder)


def _tokenizer(shape: Tiny) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    specials = [PAD, BOS, EOS, UNKNOWN]
    if shape.vocabulary == "words":
        words = {word: i for i, word in enumerate([*specials, *_words()])}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokens = {token: i for i, token in enumerate([*specials, *alphabet])}
        tokenizer = Tokenizer(models.BPE(tokens, [], unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    return tokenizer


def _words() -> list[str]:
    from selkit.pools import planted_vocabulary

    return sorted(planted_vocabulary())


def _vocabulary_digest(shape: Tiny) -> str:
    words = "\n".join(_words()) if shape.vocabulary == "words" else ""
    return hashlib.sha256(words.encode()).hexdigest()
