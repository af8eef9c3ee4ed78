"""Plain perplexity against a loop over tokens, and its three orders."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selkit_ifd.perplexity import Perplexity

from selkit.api import ALPACA, Example, Pool, TokenLosses, UsageError
from selkit.models import load_model
from selkit.select import select
from selkit.store import Store

torch = pytest.importorskip("torch")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"
ROWS = [
    Example("a", "Name a colour.", response="Blue, like the sky."),
    Example("b", "Translate.", "good morning", "Guten Morgen"),
    Example("c", "Say hello in Chinese.", response="你好"),
    Example("d", "Say nothing.", response=""),
    Example("e", "Tell a long story.", response="Once upon a time there was a fox. " * 20),
    Example("f", "Count.", response="1 2 3"),
    Example("g", "Count.", response="1 2 3"),
]
POOL = Pool.from_examples(ROWS, name="rows")


def by_hand(row: Example, of: str) -> float:
    """The exponential of the mean loss of the tokens that count, one forward pass per row."""
    model = load_model(TINY, device="cpu")
    prompt = ALPACA.prompt(row)
    text = prompt if of == "prompt" else prompt + row.response
    ids = model.tokenizer(text)["input_ids"][:512]
    first = 1 + len(prompt.encode()) if of == "response" else 1
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0].double()
    losses = [-torch.log_softmax(logits[i - 1], -1)[ids[i]].item() for i in range(first, len(ids))]
    return math.exp(np.mean(losses)) if losses else math.nan


@pytest.mark.parametrize("of", ["response", "prompt", "whole"])
def test_perplexities_are_those_of_the_loop(of: str, tmp_path: Path) -> None:
    """To 1e-4 of the value, for each kind; what has no token has no score and a reason."""
    result = select(POOL, Perplexity(model=TINY, of=of), len(ROWS), store=Store(tmp_path))  # type: ignore[arg-type]
    wanted = {row.id: by_hand(row, of) for row in ROWS}
    scored = {row_id: value for row_id, value in wanted.items() if not math.isnan(value)}
    assert dict(result.selection.scores) == pytest.approx(scored, rel=1e-4)
    assert list(result.ids) == sorted(scored, key=lambda row_id: (-result.selection.scores[row_id], row_id))
    assert result.facts["excluded"] == ({"the response has no token to score": 1} if of == "response" else {})
    assert result.facts["truncated"] == (0 if of == "prompt" else 1)


def test_the_orders_rearrange_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """'low' is 'high' turned round and 'middle' the window around the median, from stored losses and the same ids."""
    store = Store(tmp_path)
    high = select(POOL, Perplexity(model=TINY), 6, store=store)
    monkeypatch.setattr("selkit.models.hf.HFModel.token_losses", None)
    low = select(POOL, Perplexity(model=TINY, order="low"), 6, store=store)
    assert dict(low.selection.scores) == dict(high.selection.scores)
    by_value = sorted(high.selection.scores.items(), key=lambda pair: (pair[1], pair[0]))
    assert list(low.ids) == [row_id for row_id, _ in by_value]
    assert low.facts["excluded"] == high.facts["excluded"]
    assert high.facts["scores"] in low.spent
    for budget in (1, 2, 3, 4):
        middle = select(POOL, Perplexity(model=TINY, order="middle"), budget, store=store)
        ranks = sorted([row_id for row_id, _ in by_value].index(row_id) for row_id in middle.ids)
        assert ranks == list(range(ranks[0], ranks[0] + budget))
        assert abs(ranks[0] + ranks[-1] - 5) <= 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 50), min_size=1, max_size=30))
def test_perplexity_is_the_exponential_of_the_mean(losses: list[float]) -> None:
    """Between those of its least and largest loss."""
    row = Perplexity().row_score(TokenLosses(np.array(losses, np.float32), 1))
    assert row.value is not None
    assert math.exp(min(losses)) * 0.999 <= row.value <= math.exp(max(losses)) * 1.001


def test_what_is_no_number_fails(tmp_path: Path) -> None:
    """NaN and infinity are failures with a reason; without a model or room for a token it is refused."""
    for loss in (math.nan, math.inf):
        row = Perplexity().row_score(TokenLosses(np.array([loss], np.float32), 1))
        assert (row.value, row.status) == (None, "failed")
    with pytest.raises(UsageError, match="perplexity needs a language model"):
        select(POOL, Perplexity(), 2, store=Store(tmp_path))
    with pytest.raises(UsageError, match="from 2 on"):
        select(POOL, Perplexity(model=TINY, max_length=1), 2, store=Store(tmp_path))
