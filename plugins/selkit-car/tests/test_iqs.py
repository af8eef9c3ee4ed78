"""The score against the paper's procedure, done the long way in numpy; and what is no scorer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from selkit_car.card import Architecture
from selkit_car.iqs import Iqs

from selkit.api import DataError, Example, Pool, RowScore, SelkitError, UsageError, WorkFailed
from selkit.models import HostContext
from selkit.select import select
from selkit.store import Store

torch = pytest.importorskip("torch")

Save = Callable[[Architecture, Path], str]
TINY = "tiny:bytes?hidden=32&heads=2&layers=1&context=512&seed=1"

ROWS = [
    Example("a", "Name a colour.", response="Blue."),
    Example("b", "Translate.", "good day", "Guten Tag"),
    Example("c", "说你好", response="你好，世界"),
    Example("d", "قل مرحبا", response="مرحبا 👩‍👩‍👧"),
    Example("e", "Say nothing.", response=""),
    Example("f", "Tell a story.", response="Once upon a time. " * 600),
    Example("g", "Name a colour.", response="Blue."),
    Example("h", "Show control characters.", response="x\x00y\r\n"),
]


def pool(rows: list[Example] = ROWS) -> Pool:
    """Short and long rows, an empty one, several scripts, two the same."""
    return Pool.from_examples(rows, name="rows")


def scores(scorer: Iqs, tmp_path: Path) -> dict[str, RowScore]:
    """What the scorer says of each row."""
    ctx = HostContext(seed=0, device="cpu", cache_dir=tmp_path, pool=pool())
    scorer.preflight(pool(), ctx)
    return dict(zip(pool().ids, scorer.score(pool(), ctx), strict=True))


def read(text: str, folder: str, limit: int = 96) -> list[NDArray[np.float64]]:
    """The average over its tokens of every layer, for one text alone, without padding."""
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=limit)["input_ids"]
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        layers = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return [layer[0].numpy().astype(np.float64).mean(0) for layer in layers]


def simplex(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest point of the simplex, by bisection on what has to be taken off every number."""
    low, high = x.min() - 1, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - low, 0)


def parts(folder: str) -> dict[str, NDArray[np.float64]]:
    """The tensors of mix and head."""
    from safetensors.numpy import load_file

    return {name: value.astype(np.float64) for name, value in load_file(Path(folder) / "head.safetensors").items()}


def vector(text: str, folder: str) -> NDArray[np.float64]:
    """The mix of the layers of one text."""
    weights = parts(folder)
    shares = simplex(weights["mix.weights"])
    return weights["mix.gamma"] * sum(share * layer for share, layer in zip(shares, read(text, folder), strict=True))


def estimated(text: str, folder: str) -> float:
    """The number of the head: Tanh between linear layers."""
    weights, x = parts(folder), vector(text, folder)
    x = np.tanh(weights["head.0.weight"] @ x + weights["head.0.bias"])
    x = np.tanh(weights["head.1.weight"] @ x + weights["head.1.bias"])
    return float((weights["head.2.weight"] @ x + weights["head.2.bias"])[0])


def test_the_estimator_is_the_papers(estimator: str, tmp_path: Path) -> None:
    """Encoder, sparse mix of layers, average, Tanh head: to 1e-4, for texts of any script and length."""
    found = scores(Iqs(estimator), tmp_path)
    for row in ROWS[:7]:
        wanted = estimated(f"Instruction: {row.instruction} Input: {row.input} Response: {row.response}", estimator)
        assert found[row.id].value == pytest.approx(wanted, abs=1e-4)
    assert len({round(row.value or 0, 3) for row in found.values()}) == 7  # the scorer tells them apart


def test_comet_is_nearness_to_the_anchor(comet: str, tmp_path: Path) -> None:
    """One over one plus the distance of instruction and response, each embedded alone."""
    found = scores(Iqs(comet, variant="comet"), tmp_path)
    for row in ROWS[:7]:
        anchor = vector(f"Instruction: {row.instruction} Input: {row.input}", comet)
        distance = np.linalg.norm(anchor - vector(f"Response: {row.response}", comet) + 1e-6)
        assert found[row.id].value == pytest.approx(1 / (1 + distance), abs=1e-4)


def test_the_last_layer_alone(untrained: Save, bert: str, tmp_path: Path) -> None:
    """Without a mix the head reads the average of the last layer."""
    folder = untrained(Architecture(layers="last", hidden_sizes=()), tmp_path / "last")
    found = scores(Iqs(folder), tmp_path)
    weights = parts(folder)
    last = read("Instruction: Name a colour. Input:  Response: Blue.", bert)[-1]
    wanted = float((weights["head.0.weight"] @ last + weights["head.0.bias"])[0])
    assert set(weights) == {"head.0.weight", "head.0.bias"}
    assert found["a"].value == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("template", "without", "with_input"),
    [
        (
            "always-input",
            "Instruction: Name a colour. Input:  Response: Blue.",
            "Instruction: Translate. Input: good day Response: Guten Tag",
        ),
        (
            "omit-empty-input",
            "Instruction: Name a colour. Response: Blue.",
            "Instruction: Translate. Input: good day Response: Guten Tag",
        ),
    ],
)
def test_both_templates_letter_by_letter(template: str, without: str, with_input: str) -> None:
    """The authors' inference names the input always, their training texts only where there is one."""
    scorer = Iqs("x", template=template)  # type: ignore[arg-type]
    assert scorer.texts(ROWS[0]) == (without,)
    assert scorer.texts(ROWS[1]) == (with_input,)
    comet = Iqs("x", variant="comet", template=template)  # type: ignore[arg-type]
    for row, text in zip(ROWS[:2], (without, with_input), strict=True):
        assert " ".join(comet.texts(row)) == text


def test_long_rows_lose_their_end_and_are_flagged(estimator: str, tmp_path: Path) -> None:
    """Ten thousand tokens are cut to what the scorer reads; the closing token stays; an empty response is scored."""
    found = scores(Iqs(estimator), tmp_path)
    assert [row_id for row_id, row in found.items() if row.truncated] == ["f"]
    assert found["f"].details == {"tokens": 96}
    assert found["a"].details == {"tokens": len("Instruction: Name a colour. Input:  Response: Blue.") + 2}
    assert found["e"].value is not None


def test_equal_rows_have_equal_scores_and_ties_go_to_the_smaller_id(estimator: str, tmp_path: Path) -> None:
    """The order of the pool changes nothing."""
    first = select(pool(), Iqs(estimator), 8, store=Store(tmp_path / "a"))
    second = select(pool(ROWS[::-1]), Iqs(estimator), 8, store=Store(tmp_path / "b"))
    assert first.ids == second.ids
    assert first.ids.index("a") + 1 == first.ids.index("g")
    assert first.selection.scores["a"] == first.selection.scores["g"]
    assert first.facts["truncated"] == 1


def test_scores_that_are_no_numbers_fail(untrained: Save, tmp_path: Path) -> None:
    """Damaged weights: every row failed, no default score anywhere, and the pass says so."""
    folder = untrained(Architecture(hidden_sizes=(4,)), tmp_path / "scorer")
    from safetensors.torch import load_file, save_file

    weights = load_file(Path(folder) / "head.safetensors")
    weights["head.1.bias"][0] = float("nan")
    save_file(weights, Path(folder) / "head.safetensors")
    with pytest.raises(WorkFailed, match=r"iqs failed on 8 of 8 rows.*not a finite number"):
        select(pool(), Iqs(folder), 2, store=Store(tmp_path / "store"))


def _card(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / "iqs.json").read_text("utf-8"))
        (folder / "iqs.json").write_text(json.dumps({**card, **changes}), "utf-8")

    return change


def _cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-40])  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("damage", "error", "sentence"),
    [
        (lambda f: (f / "iqs.json").unlink(), DataError, r"holds no iqs.json, so it is no IQS scorer: train a scorer"),
        (lambda f: (f / "iqs.json").write_text("{"), DataError, r"iqs.json of scorer .* cannot be read"),
        (lambda f: (f / "iqs.json").write_text("[]"), DataError, r"iqs.json of scorer .* cannot be read"),
        (_card(format="comet 2.2"), DataError, r"its format is 'comet 2.2'"),
        (_card(layers="softmax"), DataError, r"layers is 'softmax', neither sparsemax nor last"),
        (_card(variant="comet"), UsageError, r"is of variant comet, not estimator: set variant=comet"),
        (_card(hidden_sizes=[12, 7]), DataError, r"head of scorer .* does not fit its iqs.json \(head.1.bias\)"),
        (_card(layers="last"), DataError, r"head of scorer .* does not fit its iqs.json \(mix.gamma\)"),
        (lambda f: (f / "head.safetensors").unlink(), DataError, r"is damaged \(.*head.safetensors"),
        (lambda f: (f / "head.safetensors").write_bytes(b"pickle"), DataError, r"is damaged|not a safetensors"),
        (_cut("head.safetensors"), DataError, r"head.safetensors is cut short"),
        (_cut("model.safetensors"), DataError, r"model.safetensors is cut short"),
        (lambda f: (f / "config.json").unlink(), DataError, r"holds no config.json"),
        (_card(encoder={"ref": "x"}), DataError, r"is damaged \('layers'\)"),
    ],
)
def test_a_damaged_or_wrong_scorer_is_refused_before_any_work(
    damage: Callable[[Path], None],
    error: type[SelkitError],
    sentence: str,
    estimator: str,
    tmp_path: Path,
) -> None:
    """One sentence that says what to do, and nothing scored."""
    folder = tmp_path / "scorer"
    shutil.copytree(estimator, folder)
    damage(folder)
    with pytest.raises(error, match=sentence) as caught:
        select(pool(), Iqs(str(folder)), 2, store=Store(tmp_path / "store"))
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "store").rglob("*.jsonl"))


def test_what_is_no_scorer_at_all(bert: str, tmp_path: Path) -> None:
    """A missing folder, a file, a plain encoder, an untrained model: each is told apart."""
    (tmp_path / "epoch=3.ckpt").write_bytes(b"PK")
    asked = {
        str(tmp_path / "none"): "does not exist",
        str(tmp_path / "epoch=3.ckpt"): "is a file, and a scorer is a folder",
        bert: "holds no iqs.json",
        TINY: "is an untrained language model and no IQS scorer",
    }
    for ref, sentence in asked.items():
        with pytest.raises(DataError, match=sentence):
            select(pool(), Iqs(ref), 2, store=Store(tmp_path / "store"))


def test_the_base_model_of_an_experiment_does_not_become_the_scorer(estimator: str, tmp_path: Path) -> None:
    """A scorer that was named stays."""
    chosen = select(pool(), Iqs(estimator), 2, base_model=TINY, store=Store(tmp_path))
    assert chosen.selector.parameters()["scorer"] == estimator


def test_a_changed_scorer_scores_anew(estimator: str, tmp_path: Path) -> None:
    """Scores are stored under the digest of the scorer's files, not under its path."""
    folder = tmp_path / "scorer"
    shutil.copytree(estimator, folder)
    first = select(pool(), Iqs(str(folder)), 3, store=Store(tmp_path / "store"))
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "head.safetensors")
    weights["head.2.bias"] += 1
    save_file(weights, folder / "head.safetensors")
    second = select(pool(), Iqs(str(folder)), 3, store=Store(tmp_path / "store"))
    for row_id, score in first.selection.scores.items():
        assert second.selection.scores[row_id] == pytest.approx(score + 1, abs=1e-5)
