"""``selkit generate``: the command around :func:`selkit.models.generate.generate_responses`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selkit.__main__ import main

MODEL = "tiny:bytes?hidden=32&heads=2&layers=2&context=256&seed=5"


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of two prompts, and a cache that is not the user's."""
    monkeypatch.setenv("SELKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SELKIT_DEVICE", "cpu")
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"id": "a", "instruction": "One?"}\n{"id": "b", "instruction": "Two?"}\n')
    return str(file)


def test_answers_go_to_the_file_and_its_name_to_stdout(
    prompts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout is the result alone; ``--json`` is for programs; a dry run writes nothing."""
    pytest.importorskip("torch")
    output = tmp_path / "responses.jsonl"
    arguments = ["generate", MODEL, "--prompts", prompts, "-o", str(output), "--max-new-tokens", "3"]
    assert main([*arguments, "--dry-run"]) == 0
    assert "would write 2 answers" in capsys.readouterr().out
    assert not output.exists()
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{output}\n"
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["id"], row["prompt"]) for row in rows] == [("a", "One?"), ("b", "Two?")]
    assert main([*arguments, "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["answers"] == 2
    assert err == ""


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (["--decoding", "best"], 2, "choose one of greedy, car"),
        (["--samples", "0"], 2, "0 is not in the range"),
        (["--template", "chat"], 2, "has no chat template"),
        (["--prompts", "missing.jsonl"], 4, "missing.jsonl"),
    ],
)
def test_mistakes_are_one_sentence_with_their_exit_code(
    prompts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], code: int, says: str
) -> None:
    """On stderr, with nothing on stdout and no file."""
    pytest.importorskip("torch")
    output = tmp_path / "responses.jsonl"
    assert main(["generate", MODEL, "--prompts", prompts, "-o", str(output), *change]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert not output.exists()


def test_a_model_folder_without_weights_is_refused(
    prompts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, before anything loads."""
    pytest.importorskip("torch")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert main(["generate", str(tmp_path / "model"), "--prompts", prompts, "-o", str(tmp_path / "r.jsonl")]) == 4
    assert "holds no weights" in capsys.readouterr().err
