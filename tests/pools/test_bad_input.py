"""What is wrong with a file is said in one sentence, and nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selkit.api import DataError, UsageError
from selkit.pools import load_pool

GOOD = {"instruction": "Say hello.", "input": "", "output": "Hello."}


def _refusal(source: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_pool(source, **options)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    assert "there is no file" in _refusal(str(tmp_path / "none.jsonl"))
    assert "neither a file nor a pool 'dollly' (did you mean 'dolly'?)" in _refusal("dollly")


def test_file_of_unknown_kind(tmp_path: Path) -> None:
    """A file whose name says nothing is refused with the endings that are known."""
    path = tmp_path / "pool.txt"
    path.write_text("x")
    assert ".jsonl" in _refusal(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", ""), ("a.jsonl", "\n \n"), ("a.json", "[]"), ("a.json", " "), ("a.csv", ""), ("a.csv", "a,b\n")],
)
def test_empty_files(name: str, text: str, tmp_path: Path) -> None:
    """A file without rows is an empty pool."""
    path = tmp_path / name
    path.write_text(text)
    assert "is empty" in _refusal(path)


def test_empty_parquet(tmp_path: Path) -> None:
    """The same for Parquet."""
    pq.write_table(pa.table({"instruction": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert "is empty" in _refusal(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        ('{"instruction": "x", "output": ', "not valid JSON", "column"),
        ("{'instruction': 'x'}", "not valid JSON", "column 2"),
        ('{"instruction": "x", "output": NaN}', "not valid JSON", "NaN"),
        ('{"instruction": "x"} {"output": "y"}', "not valid JSON", "Extra data"),
        ("[" * 100_000, "not valid JSON", "nested too deeply"),
        ("[1, 2]", "not a JSON object", "[1, 2]"),
        ('"text"', "not a JSON object", "text"),
        ("null", "not a JSON object", "null"),
        (b'{"instruction": "\xff", "output": "y"}', "not valid UTF-8", "byte 18"),
    ],
)
def test_bad_lines_stop_with_their_number(
    line: Any, reason: str, detail: str, write_lines: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that cannot be read stops reading with its number; asked to, it is named and dropped."""
    path = write_lines([GOOD, "", line, GOOD | {"output": "Hi."}])
    said = _refusal(path)
    assert f"line 3, is {reason}" in said
    assert detail in said
    assert "--skip-bad-lines" in said
    pool = load_pool(path, skip_bad_lines=True)
    assert len(pool) == 2
    assert [(row.reason, row.line) for row in pool.dropped] == [(reason, 3)]
    assert f"1 x {reason} (line 3)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"output": None}, "no response"),
        ({"output": ""}, "the response is empty"),
        ({"output": " \n\t\u3000"}, "the response is empty"),
        ({"instruction": None}, "no instruction"),
        ({"instruction": "  "}, "the instruction is empty"),
        ({"output": True}, "the response is a boolean, not text"),
        ({"output": 42}, "the response is a number, not text"),
        ({"output": 0.5}, "the response is a number, not text"),
        ({"output": ["a"]}, "the response is a list, not text"),
        ({"output": {"a": 1}}, "the response is an object, not text"),
        ({"instruction": False}, "the instruction is a boolean, not text"),
        ({"input": 3}, "the input is a number, not text"),
        ({"history": "x"}, "the conversation is text, not a list of turns"),
        ({"output": "\ud800"}, "holds half a character (a lone surrogate)"),
        ({"note": ["\udfff"]}, "holds half a character (a lone surrogate)"),
    ],
)
def test_unusable_rows_are_dropped_with_a_reason(
    change: dict[str, Any], reason: str, write_lines: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenario 59: a valid row that cannot be used is dropped, named and counted; nothing is made into text
    silently."""
    path = write_lines([GOOD, GOOD | {"id": "bad"} | change])
    pool = load_pool(path)
    assert len(pool) == 1
    assert [(row.id, row.reason, row.line) for row in pool.dropped] == [("bad", reason, 2)]
    assert pool.dropped_counts == {reason: 1}
    assert f"1 x {reason} (line 2)" in capsys.readouterr().err


def test_missing_response_key(write_lines: Any) -> None:
    """A row that lacks the key is as one that has null, and gets an id all the same."""
    pool = load_pool(write_lines([GOOD, {"instruction": "only this"}]))
    (row,) = pool.dropped
    assert (row.reason, len(row.id)) == ("no response", 16)


def test_pool_without_a_usable_row(write_lines: Any) -> None:
    """Where nothing is left, the reasons are said."""
    said = _refusal(write_lines([GOOD | {"output": ""}, GOOD | {"output": None}]))
    assert "none of the 2 rows" in said
    assert "no response" in said


def test_dropped_rows_are_counted_beyond_the_list(write_lines: Any) -> None:
    """Very many dropped rows are counted, and the first thousand listed."""
    pool = load_pool(write_lines([GOOD, *({"instruction": "x", "output": ""},) * 5000]))
    assert pool.dropped_counts == {"the response is empty": 5000}
    assert len(pool.dropped) == 1000


def test_byte_order_mark_and_windows_line_ends(write_lines: Any) -> None:
    """A byte order mark and CR LF are no part of the data; CR LF inside a text stays."""
    first = b"\xef\xbb\xbf" + json.dumps(GOOD | {"output": "a\r\nb"}).encode()
    pool = load_pool(write_lines([first, GOOD], end="\r\n"))
    assert [row.response for row in pool] == ["a\r\nb", "Hello."]


def test_last_line_without_an_end(tmp_path: Path) -> None:
    """A file whose last line has no line end loses nothing."""
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"output": "Hi."}))
    assert len(load_pool(path)) == 2


def test_utf16_is_named(tmp_path: Path) -> None:
    """A file in UTF-16 is recognised."""
    path = tmp_path / "pool.jsonl"
    path.write_bytes(json.dumps(GOOD).encode("utf-16"))
    assert "UTF-16" in _refusal(path)


def test_nul_and_large_rows_are_kept(write_lines: Any) -> None:
    """Scenario 59: NUL characters and rows of a megabyte are stored as they are."""
    long = "\x00 wörd 🎉 " * 100_000
    pool = load_pool(write_lines([GOOD | {"output": long}, *(GOOD | {"output": f"{i}{long}"} for i in range(20))]))
    assert next(iter(pool)).response == long
    assert len(pool) == 21


def test_damaged_json_list_names_the_line(tmp_path: Path) -> None:
    """A JSON list that is cut off or malformed is refused with the line, whatever else was asked."""
    path = tmp_path / "pool.json"
    whole = json.dumps([GOOD, GOOD, GOOD], indent=1)
    for text, line in ((whole[:-30], "line 1"), (whole.replace("},", "}", 1), "line 7"), (whole + "x", "line 17")):
        path.write_text(text)
        said = _refusal(path, skip_bad_lines=True)
        assert line in said, said


def test_json_list_with_a_stray_item(tmp_path: Path) -> None:
    """An item of a JSON list that is no object is a bad line."""
    path = tmp_path / "pool.json"
    path.write_text(json.dumps([GOOD, "stray"], indent=1))
    assert "line 7, is not a JSON object" in _refusal(path)
    assert len(load_pool(path, skip_bad_lines=True)) == 1


def test_json_lines_named_json(tmp_path: Path) -> None:
    """JSON Lines in a file called .json are read; one object over many lines is refused."""
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"output": "Hi."}) + "\n")
    assert len(load_pool(path)) == 2
    path.write_text(json.dumps({"data": [GOOD]}, indent=1))
    assert "is one JSON object" in _refusal(path)


def test_csv_cells(tmp_path: Path) -> None:
    """CSV cells are text, with line breaks and quotes; NaN and empty cells are nothing; numbers are numbers."""
    path = tmp_path / "pool.csv"
    path.write_bytes(
        b'\xef\xbb\xbfinstruction,output,score,code\r\n"Say ""hi"",\r\nplease",hi,1.5,007\r\nB,NaN,nan,8\r\nC,ok,,9\r\n'
    )
    pool = load_pool(path)
    assert [(row.instruction, row.response) for row in pool] == [('Say "hi",\r\nplease', "hi"), ("C", "ok")]
    assert pool.column("score").to_pylist() == [1.5, None]
    assert pool.column("code").to_pylist() == ["007", "9"]
    assert [(row.reason, row.line) for row in pool.dropped] == [("no response", 4)]


def test_csv_column_that_stops_being_numbers(tmp_path: Path) -> None:
    """A column that is numbers for thousands of rows and then text is text as it stands, from the first row on."""
    path = tmp_path / "pool.csv"
    rows = [f"q{i},a,{i}" for i in range(6000)]
    path.write_text("instruction,output,tag\n" + "\n".join([*rows, "q,a,none"]) + "\n")
    tags = load_pool(path).column("tag").to_pylist()
    assert (tags[0], tags[-1]) == ("0", "none")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"B\n", "1 cells where the header has 2"),
        (b"B,b,c\n", "3 cells where the header has 2"),
        (b"B,\xff\n", "not valid UTF-8"),
        (b'B,"b"c\n', "not valid CSV"),
    ],
)
def test_csv_bad_lines(text: bytes, reason: str, tmp_path: Path) -> None:
    """A malformed CSV line stops with its number, or is dropped."""
    path = tmp_path / "pool.csv"
    path.write_bytes(b"instruction,output\nA,a\n" + text + b"C,c\n")
    said = _refusal(path)
    assert "line 3" in said
    assert reason in said
    pool = load_pool(path, skip_bad_lines=True)
    assert [row.instruction for row in pool] == ["A", "C"]
    assert pool.dropped[0].line == 3


def test_csv_header_with_a_column_twice(tmp_path: Path) -> None:
    """Two columns of one name cannot be told apart."""
    path = tmp_path / "pool.csv"
    path.write_text("instruction,output,output\na,b,c\n")
    assert "two columns called 'output'" in _refusal(path)


def test_damaged_parquet(tmp_path: Path) -> None:
    """A Parquet file that is cut off, or none at all, is named."""
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"instruction": ["a"] * 1000, "output": ["b"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:200])
    assert "not a sound Parquet file" in _refusal(path)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the place of a file, and a folder without a pool, are said to be that."""
    (tmp_path / "pool.jsonl").mkdir()
    assert "holds no pool" in _refusal(tmp_path / "pool.jsonl")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, "needs a path"),
        ({"path": "a", "hub": "b"}, "path and hub"),
        ({"pth": "a"}, "Did you mean 'path'?"),
        ({"path": "a", "turns": "some"}, "turns"),
        ({"path": "a", "skip_bad_lines": "yes"}, "skip_bad_lines"),
        ({"path": "a", "cap": {"column": "x"}}, "cap"),
        ({"path": "a", "cap": {"column": "x", "n": 0}}, "cap"),
        ({"path": "a", "sample": True}, "sample"),
        ({"path": "a", "columns": "x"}, "columns"),
        ({"path": "a", "rows": 3}, "only the pool 'planted'"),
        ({"name": "planted", "corrupted": 2}, "between 0 and 1"),
        ({"name": "planted", "rows": "many"}, "rows"),
        ({"name": "planted", "kinds": ["odd"]}, "kinds"),
        ({"mix": []}, "mix"),
        (5, "no pool"),
    ],
)
def test_bad_spec(source: Any, words: str) -> None:
    """A mapping that makes no sense is a usage error that says what is wrong."""
    with pytest.raises(UsageError, match=words.replace("?", r"\?")) as caught:
        load_pool(source)
    assert caught.value.exit_code == 2
