"""A cache and a store of their own for these tests, small encoders and small scorers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selkit_car.card import Architecture, Card
from selkit_car.network import Network, save_scorer


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the user's cache or store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SELKIT_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("SELKIT_DEVICE", "cpu")
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the repository; skips where it is absent."""
    folder = Path(os.environ.get("SELKIT_SHARED_DATA", Path(__file__).resolve().parents[3].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set SELKIT_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small untrained BERT: a token a byte between [CLS] and [SEP], 96 tokens at most."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    entries = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({entry: i for i, entry in enumerate(entries)}, [], unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.add_special_tokens(special)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=96, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = BertConfig(
        vocab_size=len(entries),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = BertModel(config)
        for parameter in model.parameters():  # as initialised, all texts would look alike
            parameter.data.mul_(4)
    folder = tmp_path_factory.mktemp("models") / "bert"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def untrained(bert: str) -> Callable[[Architecture, Path], str]:
    """Saves a scorer as it is before training, with a mix that is not even; returns its folder."""

    def save(architecture: Architecture, output: Path) -> str:
        network = Network.untrained(architecture, Path(bert), bert, "cpu", seed=5)
        if architecture.layers == "sparsemax":
            network.weights["mix.weights"][0] = 0.4
            network.weights["mix.weights"][1] = -1.2
            network.weights["mix.gamma"][0] = 1.3
        save_scorer(network, Card(architecture, {"ref": bert, **network.encoder_facts()}), {}, output)
        return str(output)

    return save


@pytest.fixture(scope="session")
def estimator(untrained: Callable[[Architecture, Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small scorer with the paper's parts."""
    return untrained(Architecture(hidden_sizes=(12, 6)), tmp_path_factory.mktemp("scorers") / "estimator")


@pytest.fixture(scope="session")
def comet(untrained: Callable[[Architecture, Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small comet scorer."""
    return untrained(Architecture(variant="comet"), tmp_path_factory.mktemp("scorers") / "comet")
