"""``selkit train`` and ``selkit recipes`` as people run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selkit.__main__ import main
from selkit.api import Example, Pool
from selkit.pools import write_jsonl
from selkit.train import RECIPES, TrainReport

SMALL = ["-r", "quickstart", "--set", "max_steps=2", "--set", "batch_size=4", "--device", "cpu", "--threads", "1", "-q"]


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A file of six rows."""
    rows = Pool.from_examples(Example(f"row-{i}", f"Say {i}", "", str(i) * (i + 1)) for i in range(6))
    write_jsonl(rows, tmp_path / "rows.jsonl")
    return str(tmp_path / "rows.jsonl")


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of half a thousand weights, built on the spot."""
    pytest.importorskip("trl")
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path_factory.getbasetemp() / "models-cli"))
    return "tiny:bytes?layers=1&hidden=8&heads=2&context=64"


def test_train_prints_the_folder_and_notes_the_counts(
    model: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout is the folder alone; changes of the recipe arrive, numbers and nested ones among them."""
    options = ["--set", "lora.r=2", "--set", "learning_rate=1e-4", "--seed", "4"]
    assert main(["train", model, "-d", data, "-o", str(tmp_path / "out"), *SMALL, *options]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    report = TrainReport.read(tmp_path / "out")
    assert (report.n_selected, report.steps, report.seeds["training"]) == (6, 2, 4)
    assert report.recipe["learning_rate"] == 1e-4
    assert report.recipe["lora"]["r"] == 2


def test_json_is_the_report(model: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints what training.json holds; a second time needs --force."""
    command = ["train", model, "-d", data, "-o", str(tmp_path / "out"), "--json", *SMALL]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "training.json").read_text())
    assert main(command) == 4
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


def test_dry_run_checks_and_writes_nothing(
    model: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it would do and leaves no trace."""
    before = sorted(tmp_path.iterdir())
    assert main(["train", model, "-d", data, "-o", str(tmp_path / "out"), *SMALL, "-n"]) == 0
    assert "would train on 6 rows, 4 a step, for 2 steps" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["-r", "lmia"], 2, "Did you mean 'lima'?"),
        (["-r", "lima", "--set", "epoch=2"], 2, "Did you mean 'epochs'?"),
        (["-r", "lima", "--set", "epochs"], 2, "KEY=VALUE"),
        (["-r", "lima", "--set", "epochs=some"], 2, "epochs of recipe"),
        (["-r", "lima", "--set", "precision=bf16", "--device", "cpu"], 2, "needs a GPU"),
        (["-r", "lima", "--set", "template=chat"], 2, "no chat template"),
        (["-r", "lima", "--device", "gpu"], 2, "runs on cpu or cuda"),
        (["-r", "lima", "-d", "none.jsonl"], 4, "none.jsonl"),
    ],
)
def test_refusals_are_one_line(
    model: str,
    data: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    said: str,
) -> None:
    """One sentence on stderr, nothing on stdout, the exit code of the kind of error."""
    assert main(["train", model, "-d", data, "-o", str(tmp_path / "out"), "-q", *options]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_recipes_lists_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for each; --json has every field of each."""
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert main(["recipes", "list"]) == 0
    assert capsys.readouterr().out == listed
    assert all(name in listed for name in RECIPES)
    assert main(["recipes", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [recipe.as_dict() for recipe in RECIPES.values()]


def test_recipes_show_marks_what_is_inferred(capsys: pytest.CaptureFixture[str]) -> None:
    """A field that the source does not print says so in its line."""
    assert main(["recipes", "show", "moon-03"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "inferred" in lines["batch_size"]
    assert "inferred" not in lines["weight_decay"]
    assert main(["recipes", "show", "lima", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == RECIPES["lima"].as_dict()


def test_recipes_show_refuses_a_typo(capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest known name."""
    assert main(["recipes", "show", "car-1"]) == 2
    assert "Did you mean 'car'?" in capsys.readouterr().err


def test_help_loads_no_heavy_package() -> None:
    """Help of both commands imports neither torch nor numpy."""
    import subprocess
    import sys

    for command in ("train", "recipes"):
        script = (
            "import sys; from selkit.__main__ import main; code = main([sys.argv[1], '--help']); "
            "heavy = {'torch', 'transformers', 'trl', 'datasets', 'numpy', 'pyarrow', 'pydantic'} & set(sys.modules); "
            "sys.exit(f'{heavy}' if heavy or code else 0)"
        )
        subprocess.run([sys.executable, "-c", script, command], check=True, capture_output=True)


def test_importing_train_loads_no_torch() -> None:
    """The package itself is light; torch and the trainers load when a training starts."""
    import subprocess
    import sys

    script = "import sys, selkit.train; sys.exit(bool({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", script], check=True)
