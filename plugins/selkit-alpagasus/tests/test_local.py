"""A local model as grader, through its own chat template: scored, resumed, and with rows that do not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from selkit_alpagasus.rubrics import RUBRICS
from selkit_alpagasus.scorer import Alpagasus

from selkit.api import Example, Pool, RowScore, UsageError
from selkit.models import HostContext, load_model, resolve
from selkit.select import score_key, select
from selkit.store import Store

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

CHAT = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
ROWS = [Example(f"r{i}", f"Name the number after {i * 7}.", response=f"It is {i * 7 + 1}.") for i in range(12)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model with a chat template whose next token is always one of the digits 0 to 5, by the text before it."""
    plain = load_model("tiny:bytes?hidden=32&heads=2&layers=1&context=2048&seed=3", device="cpu")
    folder = tmp_path_factory.mktemp("grader") / "model"
    shutil.copytree(resolve(plain.ref).path, folder)
    (folder / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    config = json.loads((folder / "config.json").read_text("utf-8")) | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    # What all prompts of a rubric have in common is taken out, so that the rows make the difference.
    states = [torch.stack([last_state(plain, prompt(row, rubric)) for row in ROWS]) for rubric in ("original", "shen")]
    common, _ = torch.linalg.qr(torch.stack([state.mean(0) for state in states], dim=1))
    half = torch.randn(3, len(common), generator=torch.Generator().manual_seed(5))
    half -= half @ common @ common.T
    weights = safetensors.load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = torch.zeros_like(weights["model.embed_tokens.weight"])
    # Three directions and their opposites: one of them always beats the zeros of every other token.
    weights["lm_head.weight"][plain.tokenizer.convert_tokens_to_ids(list("012345"))] = torch.cat([half, -half])
    safetensors.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def prompt(row: Example, rubric: str) -> str:
    """The conversation about one row as the model's template has it."""
    turns = RUBRICS[rubric].messages(row, "accuracy")
    return "".join(f"{turn.role}: {turn.content}\n" for turn in turns) + "assistant: "


def last_state(engine: Any, text: str) -> Any:
    """The last layer's state at the last token of a text."""
    with torch.no_grad():
        return engine.model.model(torch.tensor([engine.tokenizer(text)["input_ids"]])).last_hidden_state[0, -1]


def rate(selector: Alpagasus, rows: list[Example], tmp_path: Path) -> dict[str, RowScore]:
    """What the scorer says of each row."""
    pool = Pool.from_examples(rows)
    ctx = HostContext(seed=0, device="cpu", cache_dir=tmp_path, pool=pool)
    return dict(zip(pool.ids, selector.score(pool, ctx), strict=True))


def likeliest_digit(model: str, row: Example, rubric: str) -> float:
    """The grader's first token about one row, from one forward pass."""
    engine: Any = load_model(model, device="cpu")
    state = last_state(engine, prompt(row, rubric))
    return float(engine.tokenizer.decode([int((engine.model.lm_head.weight @ state).argmax())]))


@pytest.mark.parametrize("rubric", ["original", "shen"])
def test_the_rating_is_what_the_model_answers(model: str, rubric: str, tmp_path: Path) -> None:
    """The same digits as by hand, row by row, and more than one of them."""
    found = rate(Alpagasus(rubric=rubric, endpoint=model, max_tokens=1), ROWS, tmp_path)  # type: ignore[arg-type]
    assert {row.id: found[row.id].value for row in ROWS} == {
        row.id: likeliest_digit(model, row, rubric) for row in ROWS
    }
    assert len({score.value for score in found.values()}) > 1
    assert all(score.details["output"] == 1 for score in found.values())


def test_selkit_select_runs_it_and_its_weights_stand_in_the_key(model: str, tmp_path: Path) -> None:
    """Through the engine: the best rated first, ties by id; another budget is served from the same scores."""
    pool, store = Pool.from_examples(ROWS), Store(tmp_path / "store")
    selector = Alpagasus(endpoint=model, max_tokens=1)
    assert selector.model_parameters() == ("endpoint",)
    result = select(pool, selector, 5, store=store)
    scores = {row.id: likeliest_digit(model, row, "original") for row in ROWS}
    assert list(result.ids) == sorted(scores, key=lambda row: (-scores[row], row))[:5]
    assert result.facts["failed"] == {}
    assert select(pool, selector, 3, store=store).spent == result.spent
    other = tmp_path / "other"
    shutil.copytree(model, other)
    weights = safetensors.load_file(other / "model.safetensors")
    weights["lm_head.weight"] *= 2
    safetensors.save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    twin = tmp_path / "twin"
    shutil.copytree(model, twin)
    for folder, same in ((twin, True), (other, False)):
        key = score_key(Alpagasus(endpoint=str(folder), max_tokens=1), pool)
        assert (key.inputs["endpoint"] == score_key(selector, pool).inputs["endpoint"]) is same


def test_a_row_that_fills_the_context_fails_alone(model: str, tmp_path: Path) -> None:
    """Ten thousand words: that row has no score and a reason, and its neighbours are rated."""
    long = Example("long", "Tell a story.", response="word " * 10_000)
    found = rate(Alpagasus(endpoint=model, max_tokens=1), [*ROWS[:3], long, *ROWS[3:5]], tmp_path)
    assert found["long"].status == "failed"
    assert "context" in found["long"].reason
    assert [score.status for row, score in found.items() if row != "long"] == ["ok"] * 5


def test_a_model_without_a_chat_template_is_refused_before_it_loads(tmp_path: Path) -> None:
    """One sentence, at preflight."""
    with pytest.raises(UsageError, match="no chat template"):
        select(Pool.from_examples(ROWS), Alpagasus(endpoint="tiny:bytes"), 3, store=Store(tmp_path))
