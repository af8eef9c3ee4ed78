"""The scores against the published procedure, done the long way: one prompt, all logits, six of them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from selkit_deita.scorers import DeitaComplexity, DeitaQuality, expected_rating, turn_ratings

from selkit.api import DataError, Example, Pool, RowScore, Turn, UsageError, WorkFailed
from selkit.models import HostContext, load_model
from selkit.models.hf import HFModel
from selkit.select import select
from selkit.select.scoring import BLOCK
from selkit.store import Store

torch = pytest.importorskip("torch")

TINY = "tiny:bytes?hidden=32&heads=2&layers=2&context=512&seed=1"

ROWS = [
    Example("a", "Name a colour.", response="Blue, like the sky."),
    Example("b", "Translate.", "good morning", "Guten Morgen"),
    Example("c", "用一句话介绍北京。", response="北京是中国的首都。"),
    Example("d", "Say nothing.", response=""),
    Example("e", "", response="An answer to nothing."),
    Example("f", "Tell a story.", response="Once upon a time there was a fox. " * 300),
    Example("g", "Summarise: " + "the fox ran. " * 900, response="It ran."),
    Example("h", "Name a colour.", response="Blue, like the sky."),
    Example("i", "And now?", response="Now.", history=(Turn("user", "Hi."), Turn("assistant", "Hello."))),
]
COMPLEXITY = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {}  \n##Complexity: "
)
QUALITY = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{}\n#Response#:\n{} \n##Quality: "
)


def scores(
    scorer: DeitaComplexity | DeitaQuality, tmp_path: Path, rows: Sequence[Example] = ROWS
) -> dict[str, RowScore]:
    """What the scorer says of each row."""
    pool = Pool.from_examples(rows)
    ctx = HostContext(seed=0, device="cpu", cache_dir=tmp_path, pool=pool)
    return dict(zip(pool.ids, scorer.score(pool, ctx), strict=True))


def rating(ref: str, prompt: str) -> float:
    """The expected rating of one prompt: full logits of the last position, the six labels, softmax, mean."""
    model = load_model(ref, device="cpu")
    ids = model.tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0, -1].double()
    vocabulary = model.tokenizer.get_vocab()
    weights = [math.exp(logits[vocabulary[label]].item()) for label in "123456"]
    return sum(k * weight for k, weight in enumerate(weights, 1)) / sum(weights)


def test_the_head_in_numbers() -> None:
    """Logits ln(1, 1, 2, 4, 1, 1) are probabilities of a tenth, two and four tenths; their mean is 3.6."""
    weights = np.exp(np.log([1.0, 1, 2, 4, 1, 1]))
    assert expected_rating(weights / weights.sum()) == pytest.approx(3.6)
    assert expected_rating(np.array([0, 0, 0, 0, 0, 1.0])) == 6
    assert expected_rating(np.full(6, 1 / 6)) == pytest.approx(3.5)


def test_complexity_is_the_expected_rating_of_the_question(rater: str, tmp_path: Path) -> None:
    """Each prompt alone gives the same number to 1e-4; an input belongs to the question, a response does not."""
    found = scores(DeitaComplexity(model=rater), tmp_path)
    for row in ROWS[:5]:
        question = f"{row.instruction}\n{row.input}" if row.input else row.instruction
        assert found[row.id].value == pytest.approx(rating(rater, COMPLEXITY.format(question)), abs=1e-4)
    values = [found[row.id].value for row in ROWS[:5]]
    assert np.ptp(np.array(values, float)) > 0.5


def test_quality_is_the_expected_rating_of_question_and_response(rater: str, tmp_path: Path) -> None:
    """Also for an empty response, which is a text like any other here; the same row has the same score."""
    found = scores(DeitaQuality(model=rater), tmp_path)
    for row in ROWS[:5]:
        question = f"{row.instruction}\n{row.input}" if row.input else row.instruction
        assert found[row.id].value == pytest.approx(rating(rater, QUALITY.format(question, row.response)), abs=1e-4)
    assert found["a"] == found["h"]


def test_a_conversation_is_rated_turn_by_turn_and_added(rater: str, tmp_path: Path) -> None:
    """Each turn without what was said before it; with turns=last the last one alone."""
    first, second = (rating(rater, QUALITY.format(*turn)) for turn in [("Hi.", "Hello."), ("And now?", "Now.")])
    row = scores(DeitaQuality(model=rater), tmp_path)["i"]
    assert turn_ratings(row) == pytest.approx((first, second), abs=1e-4)
    assert row.value == pytest.approx(first + second, abs=1e-4)
    assert scores(DeitaQuality(model=rater, turns="last"), tmp_path)["i"].value == pytest.approx(second, abs=1e-4)
    first, second = (rating(rater, COMPLEXITY.format(turn)) for turn in ("Hi.", "And now?"))
    row = scores(DeitaComplexity(model=rater), tmp_path)["i"]
    assert turn_ratings(row) == pytest.approx((first, second), abs=1e-4)


def test_sampling_settings_of_the_checkpoint_change_nothing(rater: str, tmp_path: Path) -> None:
    """The raw logits count, not those that a temperature, top-k or repetition penalty have changed."""
    folder = tmp_path / "warped"
    shutil.copytree(rater, folder)
    settings = {"do_sample": True, "temperature": 0.2, "top_k": 3, "repetition_penalty": 2.0}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    plain, warped = (scores(DeitaQuality(model=ref), tmp_path, ROWS[:3]) for ref in (rater, str(folder)))
    assert plain == warped


def test_the_labels_of_a_sentencepiece_vocabulary_are_the_bare_digits(sentencepiece: str, tmp_path: Path) -> None:
    """Where '1' alone would be cut into a blank and a 1, the label is the 1: LLaMA's ids 29896 to 29953 are those."""
    tokenizer = load_model(sentencepiece, device="cpu").tokenizer
    assert tokenizer.tokenize("1") == ["▁", "1"]
    found = scores(DeitaComplexity(model=sentencepiece), tmp_path, ROWS[:1])["a"]
    assert found.value == pytest.approx(rating(sentencepiece, COMPLEXITY.format("Name a colour.")), abs=1e-4)
    assert abs((found.value or 0) - 3.5) > 0.05


def test_long_turns_are_left_out_with_their_reason(rater: str, tmp_path: Path) -> None:
    """A response of 10,000 tokens has no quality under a context of 1,024, and its question still has a complexity."""
    quality, complexity = scores(DeitaQuality(model=rater), tmp_path), scores(DeitaComplexity(model=rater), tmp_path)
    reason = RowScore.excluded("a turn is longer than the 1024 tokens of the model")
    assert (quality["f"], quality["g"], complexity["g"]) == (reason, reason, reason)
    assert complexity["f"].status == "ok"


def test_long_turns_can_be_cut_and_are_flagged(rater: str, tmp_path: Path) -> None:
    """The end of the response goes until the prompt just fits; where the question leaves no room, the row goes."""
    found = scores(DeitaQuality(model=rater, length="truncate"), tmp_path)
    room = 1024 - 1 - len(QUALITY.format(ROWS[5].instruction, ""))
    cut = QUALITY.format(ROWS[5].instruction, ROWS[5].response[:room])
    assert len(cut) + 1 == 1024
    assert found["f"].value == pytest.approx(rating(rater, cut), abs=1e-4)
    assert found["f"].truncated
    assert not found["a"].truncated
    assert found["g"] == RowScore.excluded("the rest of the prompt fills the 1024 tokens of the model")
    full = Example("full", "x" * (1024 - 1 - len(QUALITY.format("", ""))), response="y")
    assert scores(DeitaQuality(model=rater, length="truncate"), tmp_path, [full])["full"] == found["g"]
    question = scores(DeitaComplexity(model=rater, length="truncate"), tmp_path)["g"]
    room = 1024 - 1 - len(COMPLEXITY.format(""))
    assert question.value == pytest.approx(rating(rater, COMPLEXITY.format(ROWS[6].instruction[:room])), abs=1e-4)
    assert question.truncated


def test_the_wrong_kind_of_model_is_refused_before_anything_is_scored(encoder: str, tmp_path: Path) -> None:
    """An encoder, and a vocabulary without the ratings: one sentence each, and no score is stored."""
    pool, store = Pool.from_examples(ROWS[:4]), Store(tmp_path / "store")
    with pytest.raises(DataError, match="is a text encoder and gives no label probabilities: name a causal"):
        select(pool, DeitaQuality(model=encoder), 2, store=store)
    with pytest.raises(DataError, match="label '1' is not one token of model 'tiny:words'"):
        select(pool, DeitaComplexity(model="tiny:words"), 2, store=store)
    with pytest.raises(UsageError, match="deita-quality needs a language model"):
        select(pool, DeitaQuality(model=None), 2, store=store)
    assert list(store.artifacts()) == []


def test_logits_that_are_no_numbers_are_failures(broken: str, tmp_path: Path) -> None:
    """Every row fails with the reason, so the pass stops; no 3.0 stands in for a score."""
    found = scores(DeitaComplexity(model=broken), tmp_path, ROWS[:2])
    assert found["a"] == RowScore.failed("the model's logits of the ratings are not finite numbers")
    with pytest.raises(WorkFailed, match="deita-complexity failed on 2 of 2 rows"):
        select(Pool.from_examples(ROWS[:2]), DeitaComplexity(model=broken), 1, store=Store(tmp_path / "store"))


def test_equal_prompts_are_asked_once(rater: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with the same question share its complexity."""
    asked: list[str] = []
    ask = HFModel.label_probabilities

    def counting(self: HFModel, prompts: Iterable[str], labels: Sequence[str]) -> Iterator[np.ndarray]:
        asked.extend(prompts)
        return ask(self, list(asked), labels)

    monkeypatch.setattr(HFModel, "label_probabilities", counting)
    found = scores(DeitaComplexity(model=rater), tmp_path, [ROWS[0], ROWS[1], ROWS[7]])
    assert len(asked) == 2
    assert found["a"] == found["h"] != found["b"]


def test_a_killed_pass_scores_at_most_one_block_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle and run again: at most one block of rows is rated again, and the choice is the same."""
    rows = [Example(f"r{n:03}", f"Question {n}?", response=f"Answer {n}. " * (1 + n % 3)) for n in range(200)]
    pool, scorer = Pool.from_examples(rows), DeitaQuality(model=TINY)
    wanted = select(pool, scorer, 20, store=Store(tmp_path / "whole"))
    seen, limit = 0, 120

    def counting(probabilities: np.ndarray) -> float:
        nonlocal seen
        seen += 1
        if seen > limit:
            raise KeyboardInterrupt
        return expected_rating(probabilities)

    monkeypatch.setattr("selkit_deita.scorers.expected_rating", counting)
    with pytest.raises(KeyboardInterrupt):
        select(pool, scorer, 20, store=Store(tmp_path / "killed"))
    seen, limit = 0, 10**9
    resumed = select(pool, scorer, 20, store=Store(tmp_path / "killed"))
    assert 200 - 120 <= seen <= 200 - 120 + BLOCK
    assert resumed.selection == wanted.selection
