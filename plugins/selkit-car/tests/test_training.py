"""Training: what it learns, what it leaves alone, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selkit_car.__main__ import main
from selkit_car.agreement import kendall
from selkit_car.examples import Examples, Frozen, Tuned
from selkit_car.fitting import Fit
from selkit_car.head import sparsemax
from selkit_car.iqs import Iqs
from selkit_car.network import Network, load_scorer
from selkit_car.pairs import Labelled, ScoredTexts, read_scored, triplets
from selkit_car.settings import HELP, Settings
from selkit_car.training import Trained, pair_accuracy, train

from selkit.api import Context, DataError, Example, Pool, UsageError, WorkFailed, open_context
from selkit.select import select
from selkit.store import Store

torch = pytest.importorskip("torch")

WORDS = ["sea", "sky", "fox", "oak", "sun", "ice", "gold", "rain", "corn", "iron"]
SMALL = Settings(
    hidden_sizes=(32,), epochs=3, lr=3e-3, encoder_lr=1e-4, dropout=0.0, patience=20, batch_size=4, accumulate=2
)


def write(path: Path, rows: Sequence[tuple[str, object]], columns: tuple[str, str] = ("src", "score")) -> Path:
    """A CSV file of texts and scores."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def texts(count: int, start: int = 0) -> list[tuple[str, object]]:
    """Pairs that can be told apart: the revised answer ends in thanks, with a line break in it."""
    found: list[tuple[str, object]] = []
    for n in range(start, start + count):
        anchor = f"Instruction: Name the {WORDS[n % 10]} {n}."
        found += [(f"{anchor} Response: {WORDS[n % 7]}", 0), (f"{anchor} Response: {WORDS[n % 7]},\nthank you !!", 1)]
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three files of pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    sizes = {"train": (40, 0), "valid": (10, 40), "test": (12, 50)}
    return {name: write(folder / f"{name}.csv", texts(*size)) for name, size in sizes.items()}


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """A context as the command makes it."""
    return open_context(tmp_path, device="cpu")


def run(files: dict[str, Path], output: Path, ctx: Context, encoder: str, **changes: Any) -> Trained:
    """A quick training."""
    settings = replace(SMALL, **changes)
    return train(
        files["train"], files["valid"], output, ctx, encoder=encoder, test_csv=files["test"], settings=settings, seed=1
    )


def tensors(folder: Path, name: str = "model.safetensors") -> dict[str, np.ndarray]:
    """The weights in a file."""
    from safetensors.numpy import load_file

    return load_file(folder / name)


@pytest.mark.parametrize(
    "changes",
    [
        {"frozen_encoder": True, "epochs": 15},
        {"frozen_encoder": True, "epochs": 15, "layers": "last"},
        {"epochs": 6},
        {"encoder_lr": 3e-3, "variant": "comet"},
    ],
    ids=["frozen", "last", "tuned", "comet"],
)
def test_it_learns_what_experts_prefer_and_the_saved_scorer_is_that_one(
    changes: dict[str, Any], files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path
) -> None:
    """Pairs it has not seen are told apart; loaded again it gives the accuracy that its card says."""
    done = run(files, tmp_path / "scorer", ctx, bert, **changes)
    assert done.accuracy is not None
    assert done.accuracy.right >= 11
    variant = changes.get("variant", "estimator")
    again = pair_accuracy(
        load_scorer(ctx.model_files(str(done.output)), variant, "cpu"), read_scored(files["test"]).pairs()
    )
    assert again == done.accuracy
    card = json.loads((done.output / "iqs.json").read_text("utf-8"))
    assert card["accuracy"]["accuracy"] == done.accuracy.accuracy
    assert card["encoder"] == {
        "ref": bert,
        "digest": ctx.model_files(bert).digest,
        "frozen": changes.get("frozen_encoder", False),
        "layers": 1 if changes.get("layers") == "last" else 3,
        "width": 16,
    }
    assert card["training"]["template"] == "omit-empty-input"
    assert card["training"]["data"]["test"]["rows"] == 24
    assert {path.suffix for path in done.output.iterdir()} == {".json", ".safetensors"}
    assert len({path.stat().st_mode for path in done.output.iterdir()}) == 1
    pool = Pool.from_examples([Example(str(n), "Name the sea 99.", response=WORDS[n]) for n in range(10)])
    assert len(select(pool, Iqs(str(done.output), variant=variant), 3, store=Store(tmp_path / "store")).ids) == 3


def test_a_frozen_encoder_is_saved_as_it_was(files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path) -> None:
    """And the head is not as it was drawn."""
    done = run(files, tmp_path / "scorer", ctx, bert, frozen_encoder=True)
    before, after = tensors(Path(bert)), tensors(done.output)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_embeddings_stand_still_unless_they_are_asked_for(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path
) -> None:
    """The paper tunes all layers and no embeddings."""
    for asked in (False, True):
        done = run(files, tmp_path / f"scorer-{asked}", ctx, bert, tuned_embeddings=asked)
        before, after = tensors(Path(bert)), tensors(done.output)
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        assert any(name.startswith("embeddings.") for name in changed) is asked
        assert {f"encoder.layer.{n}.output.dense.weight" for n in range(2)} <= changed


def test_the_encoder_thaws_after_its_part_of_the_first_epoch(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path
) -> None:
    """Frozen for all epochs there are, it stays as it was; for a part of one, it does not."""
    for frozen, changes in ((1.0, False), (0.7, True), (0.0, True)):
        done = run(files, tmp_path / f"scorer-{frozen}", ctx, bert, frozen_epochs=frozen, epochs=1)
        name = "encoder.layer.1.output.dense.weight"
        assert np.array_equal(tensors(Path(bert))[name], tensors(done.output)[name]) is not changes


def test_rates_fall_from_layer_to_layer(bert: str) -> None:
    """The top layer has the encoder's rate, each below less by the decay, the embeddings none."""
    network = Network.untrained(SMALL.architecture, Path(bert), bert, "cpu", 0)
    groups = Fit(network, SMALL, None)._groups()  # type: ignore[arg-type]
    names = {id(p): name for name, p in network.encoder.model.named_parameters()}
    assert [group["lr"] for group in groups] == pytest.approx([3e-3, 1e-4, 0.95e-4])
    for group, layer in zip(groups[1:], ("encoder.layer.1.", "encoder.layer.0."), strict=True):
        assert {names[id(p)] for p in group["params"]} == {
            name for name in names.values() if name.startswith((layer, "pooler") if layer[14] == "1" else layer)
        }
    tuned = Fit(network, replace(SMALL, tuned_embeddings=True), None)._groups()  # type: ignore[arg-type]
    assert tuned[-1]["lr"] == pytest.approx(1e-4 * 0.95**2)
    assert all(names[id(p)].startswith("embeddings.") for p in tuned[-1]["params"])


@pytest.mark.parametrize("variant", ["estimator", "comet"])
def test_a_step_in_parts_has_the_gradient_of_the_whole(
    variant: str, files: dict[str, Path], bert: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean squared error, or triplet margin, over the whole batch, one text at a time and without padding."""
    settings = replace(SMALL, variant=variant, margin=5.0, clip=0.0, hidden_sizes=(16, 8))  # type: ignore[arg-type]
    network = Network.untrained(settings.architecture, Path(bert), bert, "cpu", 0)
    scored = read_scored(files["train"])
    states = Tuned(network.encoder, Examples.of(scored, variant == "comet"))
    monkeypatch.setattr(type(network.encoder), "batch_tokens", 150)
    assert len(list(states.parts(range(6)))) > 2
    fit = Fit(network, settings, ctx)
    fit._freeze()
    fit._thaw()
    network.encoder.model.eval()  # without its dropout
    standing = torch.optim.SGD(network.weights.values(), lr=0.0)
    total = fit._step(states, list(range(6)), standing)
    found = {name: tensor.grad.clone() for name, tensor in network.weights.items()}

    def vector(text: str) -> Any:
        ids = torch.tensor([network.encoder.tokenizer(text)["input_ids"]])
        layers = network.encoder.model(ids, output_hidden_states=True).hidden_states
        shares = sparsemax(network.weights["mix.weights"])
        return network.weights["mix.gamma"] * sum(s * h[0].mean(0) for s, h in zip(shares, layers, strict=True))

    if variant == "comet":
        rows = [[vector(text) for text in triplet] for triplet in triplets(scored.pairs())[:6]]
        losses = [torch.relu((a - b + 1e-6).norm() - (a - w + 1e-6).norm() + 5) for a, b, w in rows]
    else:
        losses = []
        for text, score in scored.rows[:6]:
            x = vector(text)
            for place in range(3):
                x = network.weights[f"head.{place}.weight"] @ x + network.weights[f"head.{place}.bias"]
                x = x.tanh() if place < 2 else x
            losses.append((x[0] - score) ** 2)
    for tensor in network.weights.values():
        tensor.grad = None
    torch.stack(losses).mean().backward()
    assert total == pytest.approx(sum(losses).item(), rel=1e-4)
    for name, tensor in network.weights.items():
        assert torch.allclose(found[name], tensor.grad, rtol=1e-3, atol=1e-5), name


def test_a_frozen_encoder_reads_every_text_once_and_gives_the_same_states(
    files: dict[str, Path], bert: str, ctx: Context
) -> None:
    """Row after row the states of a forward pass."""
    network = Network.untrained(SMALL.architecture, Path(bert), bert, "cpu", 0)
    examples = Examples.of(read_scored(files["valid"]), comet=False)
    frozen, tuned = Frozen(network.encoder, examples, ctx), Tuned(network.encoder, examples)
    for row in range(len(examples)):
        with torch.no_grad():
            assert torch.allclose(frozen.of([row]), tuned.of([row]), atol=1e-5)


def test_the_epoch_that_validates_best_is_kept(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs whose tau is 0.1, 0.5, 0.4, 0.5 end after the fourth, with the weights of the second."""
    taus = iter([0.1, 0.5, 0.4, 0.5, 0.9])
    heads: list[np.ndarray] = []
    agreement = Fit._agreement

    def scripted(self: Fit, valid: Any) -> tuple[float, float]:
        heads.append(self.network.weights["head.0.weight"].detach().numpy().copy())
        return next(taus), agreement(self, valid)[1]

    monkeypatch.setattr(Fit, "_agreement", scripted)
    done = run(files, tmp_path / "scorer", ctx, bert, frozen_encoder=True, epochs=9, patience=2)
    assert [entry["kendall"] for entry in done.history] == [0.1, 0.5, 0.4, 0.5]
    assert done.card.training["best"]["epoch"] == 2
    assert np.array_equal(tensors(done.output, "head.safetensors")["head.0.weight"], heads[1])


def test_validation_is_kendalls_tau_of_scores_and_labels(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path
) -> None:
    """What the history says is what the saved scorer has on the validation file."""
    done = run(files, tmp_path / "scorer", ctx, bert, frozen_encoder=True, epochs=1)
    network = load_scorer(ctx.model_files(str(done.output)), "estimator", "cpu")
    rows = read_scored(files["valid"]).rows
    scores = [found.value for found in network.score([(row.text,) for row in rows])]
    assert done.history[0]["kendall"] == pytest.approx(kendall(scores, [row.score for row in rows]), abs=1e-6)


def test_the_same_seed_gives_the_same_scorer_and_others_random_numbers_are_left_alone(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path
) -> None:
    """Dropout and order come from the seed; what torch draws next is what it would have drawn."""
    torch.manual_seed(4)
    wanted = torch.rand(3)
    torch.manual_seed(4)
    changes = {"dropout": 0.2, "epochs": 2}
    first, second = (run(files, tmp_path / name, ctx, bert, **changes) for name in ("one", "two"))
    assert torch.equal(torch.rand(3), wanted)
    assert first.history == second.history
    for name in ("head.safetensors", "model.safetensors", "iqs.json"):
        assert (first.output / name).read_bytes() == (second.output / name).read_bytes()


@pytest.mark.parametrize("x", [[0.0, 0.0, 0.0], [3.0, 0.0, -1.0], [0.4, -1.2, 0.1, 0.3], [5.0], [-1e20, -1e20]])
def test_sparsemax_is_the_nearest_point_of_the_simplex(x: list[float]) -> None:
    """No random point of the simplex is nearer, and it is one itself."""
    found = sparsemax(torch.tensor(x)).numpy()
    assert found.sum() == pytest.approx(1, abs=1e-6)
    assert (found >= 0).all()
    others = np.random.default_rng(0).dirichlet(np.full(len(x), 0.5), 2000)
    assert (np.linalg.norm(others - x, axis=1) >= np.linalg.norm(found - x) - 1e-6).all()


def test_training_data_as_the_authors_files_have_it() -> None:
    """A pair is each two successive rows, in either order; triplets take the revised anchor."""
    rows = ScoredTexts(
        "x.csv", (Labelled("Instruction: A Input: B Response: C", 0), Labelled("Instruction: D Response: E", 1))
    )
    assert rows.pairs() == [("Instruction: A Input: B Response: C", "Instruction: D Response: E")]
    assert triplets(rows.pairs()) == [("Instruction: D", "Response: E", "Response: C")]
    turned = ScoredTexts("x.csv", rows.rows[::-1])
    assert turned.pairs() == rows.pairs()
    assert rows.template == "omit-empty-input"


def test_the_real_pairs_are_pairs(shared_data: Path) -> None:
    """2,032, 254 and 254 of them, and 1,568 of 4,064 training texts name an input."""
    found = {name: read_scored(shared_data / "pools" / "iqs" / f"{name}.csv") for name in ("train", "valid", "test")}
    assert {name: len(scored.pairs()) for name, scored in found.items()} == {"train": 2032, "valid": 254, "test": 254}
    assert sum(" Input:" in row.text for row in found["train"].rows) == 1568
    assert all(len(triplets(scored.pairs())) == len(scored.pairs()) for scored in found.values())


@pytest.mark.parametrize(
    ("rows", "columns", "sentence"),
    [
        ([("a", 0)], ("text", "score"), "has no column 'src'"),
        ([], ("src", "score"), "has no rows"),
        ([("a", "good"), ("b", 1)], ("src", "score"), "row 1 of .* a score that is no number: 'good'"),
        ([("a", "nan"), ("b", 1)], ("src", "score"), "row 1 of .* a score that is no number: 'nan'"),
        ([("a", 0), ("b", 1), ("c", 0)], ("src", "score"), "has 3 rows, and pairs need an even number"),
        ([("a", 1), ("b", 1)], ("src", "score"), "rows 1 and 2 of bad.csv are no pair"),
    ],
)
def test_bad_files_are_refused_before_the_encoder_is_loaded(
    rows: list[tuple[str, object]], columns: tuple[str, str], sentence: str, ctx: Context, tmp_path: Path
) -> None:
    """One sentence, and nothing written."""
    bad = write(tmp_path / "bad.csv", rows, columns)
    with pytest.raises(DataError, match=sentence):
        train(bad, bad, tmp_path / "scorer", ctx, encoder="no/such/encoder")
    assert not (tmp_path / "scorer").exists()


def test_files_that_are_no_csv(ctx: Context, tmp_path: Path, files: dict[str, Path]) -> None:
    """Missing, not in UTF-8, or with a field that never ends."""
    (tmp_path / "latin.csv").write_bytes(b"src,score\n\xe9t\xe9,1\n")
    (tmp_path / "huge.csv").write_text(f'src,score\n"{"x" * 200_000}",1\n')
    for name, sentence in (
        ("none", "cannot be read"),
        ("latin", "not a CSV file in UTF-8"),
        ("huge", "not a CSV file"),
    ):
        with pytest.raises(DataError, match=sentence):
            train(tmp_path / f"{name}.csv", files["valid"], tmp_path / "scorer", ctx)


def test_a_comet_scorer_needs_responses(ctx: Context, tmp_path: Path) -> None:
    """A text without one is named before the encoder is loaded."""
    bad = write(tmp_path / "bad.csv", [("Instruction: A", 0), ("Instruction: A", 1)])
    with pytest.raises(DataError, match="the text 'Instruction: A' has no ' Response: ' in it"):
        train(bad, bad, tmp_path / "scorer", ctx, encoder="none", settings=replace(SMALL, variant="comet"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 0}, "epochs is a number from 1 on, not 0"),
        ({"lr": float("inf")}, "lr is a number from 0 on, not inf"),
        ({"dropout": 1.0}, "dropout is below 1"),
        ({"hidden_sizes": (4, 0)}, "hidden_sizes are widths from 1 on"),
        ({"variant": "comet", "layers": "last", "frozen_encoder": True}, "has nothing to train: tune the encoder"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], sentence: str, ctx: Context, tmp_path: Path) -> None:
    """Refused first of all."""
    with pytest.raises(UsageError, match=sentence):
        train(tmp_path / "a", tmp_path / "b", tmp_path / "c", ctx, settings=Settings(**changes))


def test_a_loss_that_runs_away_stops_the_training(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path
) -> None:
    """With a sentence, and without a scorer."""
    with pytest.raises(WorkFailed, match="lower the learning rates"):
        run(files, tmp_path / "scorer", ctx, bert, lr=1e30, frozen_encoder=True, hidden_sizes=(), epochs=20)
    assert not (tmp_path / "scorer").exists()


def test_what_is_there_is_replaced_whole_or_not_at_all(
    files: dict[str, Path], ctx: Context, bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without force refused; a write that fails half-way leaves the old scorer and no crumbs; with force it is new."""
    done = run(files, tmp_path / "scorer", ctx, bert, frozen_encoder=True, epochs=1)
    old = (done.output / "iqs.json").read_bytes()
    with pytest.raises(UsageError, match="is there already: choose another folder, or add --force"):
        run(files, tmp_path / "scorer", ctx, bert)

    def train_again() -> Trained:
        settings = replace(SMALL, frozen_encoder=True, epochs=2)
        output = tmp_path / "scorer"
        return train(files["train"], files["valid"], output, ctx, encoder=bert, settings=settings, force=True)

    with monkeypatch.context() as broken:
        broken.setattr("safetensors.torch.save_file", _full_disk)
        with pytest.raises(DataError, match=r"cannot write .*No space left"):
            train_again()
    assert (done.output / "iqs.json").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["scorer"]
    train_again()
    assert (done.output / "iqs.json").read_bytes() != old
    assert [path.name for path in tmp_path.iterdir()] == ["scorer"]


def _full_disk(*args: object, **options: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_encoder_that_is_none(files: dict[str, Path], ctx: Context, tmp_path: Path) -> None:
    """A folder without weights, and a model with a decoder."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no config.json"):
        run(files, tmp_path / "scorer", ctx, str(tmp_path / "empty"))


def test_the_command_trains_and_says_what_it_made(
    files: dict[str, Path], bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout is the result: the folder, the best epoch, the test pairs; notes go to stderr."""
    arguments = ["train", "--train", str(files["train"]), "--valid", str(files["valid"]), "--test", str(files["test"])]
    arguments += ["--encoder", bert, "-o", str(tmp_path / "scorer"), "--frozen-encoder", "--epochs", "2"]
    arguments += ["--hidden-sizes", "8", "--lr", "0.003", "--seed", "3", "--device", "cpu"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == str(tmp_path / "scorer")
    assert "on the validation pairs" in out.splitlines()[1]
    assert out.splitlines()[2].startswith("test pairs: ")
    assert "epoch 1 of 2: loss" in err
    card = json.loads((tmp_path / "scorer" / "iqs.json").read_text("utf-8"))
    assert (card["hidden_sizes"], card["training"]["seed"]) == ([8], 3)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("Error: ")
    assert main([*arguments, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card


def test_the_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    """A missing file is data that is missing (4); every setting has an option and its help."""
    command = [sys.executable, "-m", "selkit_car", "train"]
    missing = [*command, "--train", "none.csv", "--valid", "none.csv", "-o", str(tmp_path / "scorer")]
    done = subprocess.run(missing, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "Error: none.csv cannot be read (No such file or directory): give a CSV file with src and score\n"
    )
    shown = subprocess.run([*command, "-h"], capture_output=True, text=True, check=True).stdout
    for name in HELP:
        assert f"--{name.replace('_', '-')}" in shown
    assert set(HELP) == set(Settings().to_dict())
