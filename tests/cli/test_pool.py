"""``selkit pool`` says what is in a pool and writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selkit.__main__ import main
from selkit.cli.reading import FORMATS
from selkit.pools import describe, load_pool
from selkit.pools import formats as known


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small pool with a row that cannot be used."""
    rows = [{"id": f"r{i}", "instruction": f"q{i}", "output": "a" * (i + 1), "task": i % 2} for i in range(6)]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": "bad", "instruction": "q", "output": ""}]))
    return path


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["pool", "show", *arguments, "--json"]) == 0
    said: dict[str, object] = json.loads(capsys.readouterr().out)
    return said


def test_show_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The facts, the dropped rows and the first rows arrive on stdout; the note goes to stderr."""
    assert main(["pool", "show", str(file), "--json", "--rows", "2"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert said["rows"] == 6
    assert said["fingerprint"] == load_pool(file).fingerprint
    assert said["dropped_rows"] == [{"id": "bad", "reason": "the response is empty", "line": 7}]
    assert [row["id"] for row in said["first"]] == ["r0", "r1"]
    assert "the response is empty (line 7)" in err


def test_show_as_a_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People see the same facts, and as many rows as they ask for."""
    assert main(["pool", "show", str(file), "-q", "--rows", "1"]) == 0
    out, err = capsys.readouterr()
    assert describe(load_pool(file)).fingerprint in out
    assert "r0" in out
    assert "r1" not in out
    assert err == ""


def test_reading_options(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Caps, samples, turns and column mappings reach the reader."""
    assert _json(capsys, str(file), "--cap", "task=1")["rows"] == 2
    assert _json(capsys, str(file), "--sample", "4", "--turns", "all")["turns"] == "all"
    said = _json(capsys, f"lima={file}", "--columns", "response=id")
    assert said["name"] == "lima"
    assert said["first"][0]["response"] == "r0"  # type: ignore[index]
    assert set(FORMATS) <= {*known.FORMATS, *known.ALIASES}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_import(file: Path, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are written in selkit's columns and read back the same; stdout stays empty."""
    target = tmp_path / f"out{suffix}"
    assert main(["pool", "import", str(file), "-o", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert load_pool(target).fingerprint == load_pool(file).fingerprint


def test_import_dry_run_and_force(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run writes nothing; a file that is there is replaced only by force."""
    target = tmp_path / "out.jsonl"
    assert main(["pool", "import", str(file), "-o", str(target), "-n"]) == 0
    assert not target.exists()
    assert "6 rows" in capsys.readouterr().out
    target.write_text("mine")
    assert main(["pool", "import", str(file), "-o", str(target)]) == 4
    assert target.read_text() == "mine"
    assert main(["pool", "import", str(file), "-o", str(target), "--force"]) == 0
    assert len(load_pool(target)) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "none.jsonl"], 4, "there is no file none.jsonl"),
        (["show", "alpca"], 4, "did you mean 'alpaca'"),
        (["show", "{file}", "--cap", "task"], 2, "NAME=VALUE"),
        (["show", "{file}", "--cap", "task=x"], 2, "no number of rows"),
        (["show", "{file}", "--cap", "kind=1"], 2, "no column 'kind'"),
        (["show", "{file}", "--columns", "reply=x"], 2, "reply"),
        (["show", "{file}", "--columns", "response=x"], 4, "no column 'x'"),
        (["show", "{file}", "--format", "messages"], 4, "not in the format 'messages'"),
        (["show", "{file}", "--format", "xml"], 2, "xml"),
        (["import", "{file}", "-o", "out.csv"], 2, ".jsonl or .parquet"),
        (["import", "{file}", "-o", "no/where/out.jsonl"], 4, "cannot write"),
        (["import", "{file}"], 2, "--output"),
    ],
)
def test_refusals(
    arguments: list[str], code: int, words: str, file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each mistake ends with its exit code and a sentence, and nothing on stdout."""
    assert main(["pool", *(one.format(file=file) for one in arguments)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


def test_bad_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is not JSON ends the command with 4 and its number; it can be skipped."""
    file.write_text(file.read_text() + "{\n")
    assert main(["pool", "show", str(file)]) == 4
    assert "line 8, is not valid JSON" in capsys.readouterr().err
    assert _json(capsys, str(file), "--skip-bad-lines")["dropped"] == {"not valid JSON": 1, "the response is empty": 1}


def test_names_and_texts_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in rows do not reach the terminal, and long texts are cut to one line."""
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps({"instruction": "\x1b[31mred\nline", "output": "x" * 5000}) + "\n")
    assert main(["pool", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out
    assert "x" * 100 not in out
