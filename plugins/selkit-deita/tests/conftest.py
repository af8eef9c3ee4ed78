"""A cache and a store of their own for these tests, odd models, and real data where it is to be had."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selkit.models import resolve

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the user's cache or store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SELKIT_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """torch on one thread: for models this small more threads only wait for each other."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the repository; skips where it is absent."""
    folder = Path(os.environ.get("SELKIT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set SELKIT_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def rater(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A causal model that rates and embeds every text differently; its context is 1,024."""
    return _made(tmp_path_factory, _wild)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small text encoder."""
    return _made(tmp_path_factory, _encoder)


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that says NaN to everything."""
    return _made(tmp_path_factory, _broken)


@pytest.fixture(scope="session")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a tokenizer like LLaMA's."""
    return _made(tmp_path_factory, _sentencepiece)


def _made(factory: pytest.TempPathFactory, write: Callable[[Path], None]) -> str:
    pytest.importorskip("torch")
    folder = factory.mktemp("models") / "model"
    write(folder)
    return str(folder)


def _wild(folder: Path, context: int = 1024) -> None:
    """A model of bytes with large weights, whose ratings and embeddings differ from text to text."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    plain = LlamaConfig.from_pretrained(resolve(TINY).path).to_dict()
    config = LlamaConfig(**{**plain, "tie_word_embeddings": False, "max_position_embeddings": context})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = LlamaForCausalLM(config)
        for name, weights in model.named_parameters():
            if "norm" not in name:
                torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(resolve(TINY).path)
    tokenizer.model_max_length = context
    tokenizer.save_pretrained(folder)


def _encoder(folder: Path) -> None:
    """A small text encoder."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(resolve(TINY).path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _broken(folder: Path) -> None:
    """A model whose weights hold a NaN, so that everything that it says is one."""
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(resolve(TINY).path)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve(TINY).path).save_pretrained(folder)


def _sentencepiece(folder: Path) -> None:
    """A model whose tokenizer works like LLaMA's: a text begins with a blank, and '1' alone is two tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, normalizers
    from tokenizers import models as tokenizer_models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    entries = ["<unk>", "<s>", "</s>", "▁", *(f"<0x{byte:02X}>" for byte in range(256)), *"123456", "▁1"]
    inner = Tokenizer(
        tokenizer_models.BPE(
            {entry: i for i, entry in enumerate(entries)}, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True
        )
    )
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("▁", " ")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=1024
    )
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(entries), max_position_embeddings=1024, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = LlamaForCausalLM(config)
        torch.nn.init.normal_(model.lm_head.weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
