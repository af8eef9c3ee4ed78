"""Superfiltering against its own procedure, done the long way, with the architecture it was made for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selkit_ifd.superfiltering import Superfiltering

from selkit.api import Example, Pool, TokenLosses
from selkit.models import load_model
from selkit.models.tiny import build_tokenizer
from selkit.select import select
from selkit.store import Store

torch = pytest.importorskip("torch")

ROWS = [
    Example("a", "Name a colour.", response="Blue, like the sky on a clear day."),
    Example("b", "Translate.", "good morning", "Guten Morgen"),
    Example("c", "Say hello in Chinese.", response="你好"),
    Example("d", "Count to three.", response="1 2 3"),
    Example("e", "Yes or no?", response="y"),
    Example("f", "Tell a long story.", response="Once upon a time there was a fox. " * 12),
    Example("g", "Count to three.", response="1 2 3"),
    Example("h", "Name a colour.", response="Red and green and blue."),
]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a small GPT-2 with large random weights, a token a byte, and no start token before a text."""
    import transformers
    from tokenizers import processors

    inner = build_tokenizer("bytes")
    inner.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    config = transformers.GPT2Config(
        vocab_size=inner.get_vocab_size(),
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=512,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = transformers.GPT2LMHeadModel(config)
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                torch.nn.init.normal_(weights, std=0.3 if "wte" in name else 0.1)
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def by_hand(ref: str, row: Example, limit: int) -> float | None:
    """Superfiltering's two passes on one row: full logits, a log-softmax per token, their mean, exponentiated."""
    model = load_model(ref, device="cpu")
    prompt = f"{row.instruction}\n{row.input}\n" if row.input else f"{row.instruction}\n"
    size = len(model.tokenizer(prompt)["input_ids"])

    def loss(text: str, start: int, most: int) -> float:
        ids = model.tokenizer(text)["input_ids"][:most]
        with torch.no_grad():
            logits = model.model(torch.tensor([ids])).logits[0].double()
        found = [-torch.log_softmax(logits[i - 1], -1)[ids[i]].item() for i in range(max(1, start), len(ids))]
        return float(np.mean(found)) if found else math.nan

    alone = loss(row.response, 1, limit - size + 1)
    given = loss(prompt + row.response, size, limit)
    ratio = math.exp(given) / math.exp(alone)
    return ratio if ratio < 1 else None


@pytest.mark.parametrize("limit", [512, 300])
def test_scores_and_choice_are_those_of_the_published_procedure(gpt2: str, tmp_path: Path, limit: int) -> None:
    """To 1e-4, also of a row that is cut; the same rows stay below 1, and the same are chosen."""
    selector = Superfiltering(model=gpt2, max_length=limit)
    wanted = {row.id: by_hand(gpt2, row, limit) for row in ROWS}
    kept = {row_id: value for row_id, value in wanted.items() if value is not None}
    assert 2 < len(kept) < len(ROWS), "the example tells nothing"
    result = select(Pool.from_examples(ROWS), selector, len(ROWS), store=Store(tmp_path))
    assert dict(result.selection.scores) == pytest.approx(kept, abs=1e-4)
    assert list(result.ids) == sorted(kept, key=lambda row_id: (-kept[row_id], row_id))
    assert result.facts["truncated"] == (1 if limit == 300 and "f" in kept else 0)


def test_a_response_of_one_token_has_no_perplexity_alone(gpt2: str, tmp_path: Path) -> None:
    """Nothing predicts a first token; the published code gives such a row NaN, which it never selects."""
    result = select(Pool.from_examples(ROWS), Superfiltering(model=gpt2), 1, store=Store(tmp_path))
    assert result.facts["excluded"]["the response has no token to score"] == 1


@pytest.mark.parametrize(("given", "kept"), [(1.999, True), (2.0, False), (2.1, False)])
def test_only_rows_below_one_stay(given: float, kept: bool) -> None:
    """Strictly below, unlike Cherry."""
    pair: list[Any] = [TokenLosses(np.array([loss], np.float32), 5) for loss in (given, 2.0)]
    assert (Superfiltering().row_score(*pair).status == "ok") is kept


def test_ties_and_the_order_of_the_pool(gpt2: str, tmp_path: Path) -> None:
    """Of equal rows the smaller id comes first, also from the pool turned round; budgets are exact."""
    selector = Superfiltering(model=gpt2, bound="none")
    first = select(Pool.from_examples(ROWS), selector, 7, store=Store(tmp_path / "a"))
    second = select(Pool.from_examples(ROWS[::-1]), selector, 7, store=Store(tmp_path / "b"))
    assert first.selection == second.selection
    assert len(first.ids) == 7
    assert first.selection.scores["d"] == first.selection.scores["g"]
    assert first.ids.index("d") + 1 == first.ids.index("g")
