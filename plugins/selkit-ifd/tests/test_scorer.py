"""The score of a model as it is, against the paper's procedure done the long way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selkit_ifd.scorer import Ifd

from selkit.api import ALPACA, Example, Pool, RowScore, TokenLosses, UsageError
from selkit.models import HostContext, load_model
from selkit.select import select
from selkit.select.scoring import BLOCK
from selkit.store import Store

torch = pytest.importorskip("torch")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"
ROWS = [
    Example("a", "Name a colour.", response="Blue, like the sky on a clear day."),
    Example("b", "Translate.", "good morning", "Guten Morgen"),
    Example("c", "Say hello in Chinese.", response="你好"),
    Example("d", "Count to three.", response="1 2 3"),
    Example("e", "Say nothing.", response=""),
    Example("f", "Tell a long story.", response="Once upon a time there was a fox. " * 20),
    Example("g", "Summarise: " + "the fox ran. " * 50, response="It ran."),
    Example("h", "Count to three.", response="1 2 3"),
]


def ifd(**parameters: Any) -> Ifd:
    """The score without its first stage, of a tiny model unless another is named."""
    return Ifd(**{"model": TINY, "pre_experience": "none", **parameters})


def pool() -> Pool:
    """Short and long rows, one empty, one whose prompt is too long, two the same."""
    return Pool.from_examples(ROWS, name="rows")


def context(tmp_path: Path) -> HostContext:
    """A context on the CPU."""
    return HostContext(seed=0, device="cpu", cache_dir=tmp_path, pool=pool())


def scores(selector: Ifd, tmp_path: Path) -> dict[str, RowScore]:
    """What the scorer says of each row."""
    return dict(zip(pool().ids, selector.score(pool(), context(tmp_path)), strict=True))


def losses(text: str, keep: int, start_token: bool = True) -> list[float]:
    """Losses of the last ``keep`` tokens of a text (a token a byte): one forward pass, full logits, token by token."""
    model = load_model(TINY, device="cpu")
    ids = model.tokenizer(text)["input_ids"][0 if start_token else 1 :]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0]
    found = []
    for position in range(max(1, len(ids) - keep), len(ids)):
        found.append(-torch.log_softmax(logits[position - 1].double(), -1)[ids[position]].item())
    return found


def test_the_score_is_the_papers_ratio(tmp_path: Path) -> None:
    """Mean loss of the response given Alpaca's prompt, over its mean loss after '### Response:', to 1e-4."""
    found = scores(ifd(bound="none"), tmp_path)
    for row in ROWS[:4]:
        size = len(row.response.encode())
        given = np.mean(losses(ALPACA.prompt(row) + row.response, size))
        alone = np.mean(losses("### Response:" + row.response, size))
        assert found[row.id].value == pytest.approx(given / alone, abs=1e-4)
        assert found[row.id].details == pytest.approx(
            {"loss_given_prompt": given, "loss_alone": alone, "tokens": size}, abs=1e-4
        )


def test_the_start_token_can_be_the_anchor(tmp_path: Path) -> None:
    """Then every token of the response is scored alone, too."""
    found = scores(ifd(anchor="bos", bound="none"), tmp_path)
    size = len(ROWS[0].response)
    given, alone = (np.mean(losses(text + ROWS[0].response, size)) for text in (ALPACA.prompt(ROWS[0]), ""))
    assert found["a"].value == pytest.approx(given / alone, abs=1e-4)


def test_long_rows_are_cut_in_both_passes_and_flagged(tmp_path: Path) -> None:
    """Both means are over the tokens that fit behind the prompt, as in Cherry's code."""
    row = ROWS[5]
    found = scores(ifd(bound="none", max_length=400), tmp_path)
    kept = 400 - 1 - len(ALPACA.prompt(row))
    given = np.mean(losses(ALPACA.prompt(row) + row.response[:kept], kept))
    alone = np.mean(losses("### Response:" + row.response[:kept], kept))
    assert found["f"].truncated
    assert found["f"].value == pytest.approx(given / alone, abs=1e-4)
    assert not found["a"].truncated


def test_a_cut_row_is_scored_alone_over_as_many_tokens_as_stayed() -> None:
    """Three tokens stayed behind the prompt, so three count alone; a row that was not cut counts whole."""
    alone = TokenLosses(np.array([8, 8, 2, 9, 9], np.float32), 1)
    cut, whole = (TokenLosses(np.array([1, 2, 3], np.float32), 5, truncated=flag) for flag in (True, False))
    assert ifd().row_score(cut, alone).details["loss_alone"] == pytest.approx(6)
    assert ifd().row_score(whole, alone).details["loss_alone"] == pytest.approx(7.2)


def test_rows_without_a_score_have_a_reason(tmp_path: Path) -> None:
    """Empty responses, prompts that fill the length, and with length=drop long rows, are left out and say why."""
    found = scores(ifd(bound="none", max_length=400), tmp_path)
    assert {key: (row.status, row.reason) for key, row in found.items() if row.value is None} == {
        "e": ("excluded", "the response has no token to score"),
        "g": ("excluded", "the prompt alone fills 400 tokens"),
    }
    dropped = scores(ifd(bound="none", max_length=400, length="drop"), tmp_path)
    assert dropped["f"].reason == "longer than 400 tokens"


@pytest.mark.parametrize(
    ("bound", "given", "kept"),
    [
        ("at-most-one", 2.0, True),
        ("at-most-one", 2.0001, False),
        ("below-one", 2.0, False),
        ("below-one", 1.9, True),
        ("none", 9.0, True),
    ],
)
@pytest.mark.parametrize("ratio", ["loss", "perplexity"])
def test_bounds_are_as_published(bound: str, ratio: str, given: float, kept: bool) -> None:
    """Cherry keeps a ratio of exactly 1, Superfiltering does not; both ratios pass 1 at the same place."""
    selector = ifd(bound=bound, ratio=ratio)  # type: ignore[arg-type]
    row = selector.row_score(TokenLosses(np.array([given], np.float64), 5), TokenLosses(np.array([2.0]), 5))  # type: ignore[arg-type]
    assert (row.status == "ok") is kept
    assert row.details["loss_alone"] == 2.0


def test_numbers_that_are_none_fail_and_are_never_scores() -> None:
    """NaN, infinity and a loss of nothing are failures with a reason."""
    for given, alone in [(math.nan, 1.0), (1.0, math.inf), (1.0, 0.0)]:
        row = ifd(bound="none").row_score(
            TokenLosses(np.array([given], np.float32), 5), TokenLosses(np.array([alone], np.float32), 5)
        )
        assert (row.value, row.status) == (None, "failed")
        assert row.reason


def test_ties_go_to_the_smaller_id_and_the_order_of_the_pool_does_not_matter(tmp_path: Path) -> None:
    """Two equal rows: the smaller id is chosen first, also from the pool turned round."""
    selector = ifd(bound="none")
    turned = Pool.from_examples(ROWS[::-1], name="rows")
    first = select(pool(), selector, 6, store=Store(tmp_path / "a"))
    second = select(turned, selector, 6, store=Store(tmp_path / "b"))
    assert first.ids == second.ids
    assert first.ids.index("d") < first.ids.index("h")
    assert first.selection.scores["d"] == first.selection.scores["h"]


def test_a_killed_pass_scores_at_most_one_batch_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle and run again: at most one block is scored again, and the choice is the same bits."""
    rows = [Example(f"r{n:03}", f"Question {n}?", response=f"Answer number {n}. " * (1 + n % 5)) for n in range(200)]
    many = Pool.from_examples(rows, name="many")
    selector = ifd(bound="none")
    wanted = select(many, selector, 20, store=Store(tmp_path / "whole"))
    store, seen, limit = Store(tmp_path / "killed"), 0, 120
    score = Ifd.row_score

    def counting(self: Ifd, given: TokenLosses, alone: TokenLosses) -> RowScore:
        nonlocal seen
        seen += 1
        if seen > limit:
            raise KeyboardInterrupt
        return score(self, given, alone)

    monkeypatch.setattr(Ifd, "row_score", counting)
    with pytest.raises(KeyboardInterrupt):
        select(many, selector, 20, store=store)
    seen, limit = 0, 10**9
    resumed = select(many, selector, 20, store=store)
    assert 200 - 120 <= seen <= 200 - 120 + BLOCK
    assert resumed.selection == wanted.selection


def test_rows_of_ten_thousand_tokens_are_cut_to_the_length(tmp_path: Path) -> None:
    """A long response is scored on what fits and flagged; behind a long prompt nothing fits."""
    rows = [
        Example("long", "Write.", response="word " * 2000),
        Example("late", "word " * 2000, response="Yes."),
        Example("both", "ما هو؟ " * 1000, response="北京。" * 3000),
    ]
    found = [*ifd(bound="none").score(Pool.from_examples(rows), context(tmp_path))]
    assert found[0].truncated
    assert found[0].details["tokens"] == 512 - 1 - len(ALPACA.prompt(rows[0]))
    assert [row.reason for row in found[1:]] == ["the prompt alone fills 512 tokens"] * 2


def test_it_needs_a_model_and_a_length(tmp_path: Path) -> None:
    """Without a model, or with a length that holds nothing, it is refused before any work."""
    with pytest.raises(UsageError, match="give -p model=MODEL"):
        select(pool(), ifd(model=None), 2, store=Store(tmp_path))
    with pytest.raises(UsageError, match="from 2 on"):
        select(pool(), ifd(max_length=1), 2, store=Store(tmp_path))
    assert len(select(pool(), ifd(model=None, bound="none"), 2, base_model=TINY, store=Store(tmp_path)).ids) == 2
