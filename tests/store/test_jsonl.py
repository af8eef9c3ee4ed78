"""Files of records: what was written comes back, whatever cut the writing off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selkit.api import DataError
from selkit.store import JsonlWriter, append_jsonl, iter_jsonl, read_jsonl

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters())
RECORDS = st.lists(
    st.recursive(LEAVES, lambda r: st.lists(r) | st.dictionaries(st.text(), r), max_leaves=5), max_size=6
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the examples of one property share."""
    return tmp_path_factory.mktemp("jsonl")


@settings(max_examples=25, deadline=None)
@given(records=RECORDS, more=RECORDS, cut=st.integers(0, 400))
def test_a_cut_at_any_byte_keeps_the_whole_records(folder: Path, records: list[Any], more: list[Any], cut: int) -> None:
    """Scenario 19: cut off anywhere, the file gives a prefix of the records, and appending goes on from there."""
    path = folder / "r.jsonl"
    path.unlink(missing_ok=True)
    with append_jsonl(path) as writer:
        writer.extend(records)
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    whole = data.count(b"\n")
    assert read_jsonl(path) == records[:whole]
    with append_jsonl(path) as writer:
        for record in more:
            writer.append(record)
    assert read_jsonl(path) == records[:whole] + more


def test_lone_surrogates_come_back(tmp_path: Path) -> None:
    """Text without UTF-8 is stored all the same, and so are scores that are no numbers."""
    with JsonlWriter(tmp_path / "deep" / "r.jsonl") as writer:
        writer.append({"text": "\ud800 ü", "score": float("-inf")})
    assert read_jsonl(tmp_path / "deep" / "r.jsonl") == [{"text": "\ud800 ü", "score": float("-inf")}]


def test_records_are_safe_once_appended(tmp_path: Path) -> None:
    """A record can be read before the writer is closed."""
    writer = JsonlWriter(tmp_path / "r.jsonl")
    writer.append(1)
    assert read_jsonl(tmp_path / "r.jsonl") == [1]
    writer.close()
    writer.close()


def test_an_unfinished_line_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dropping the torn last line is said on stderr, with its number."""
    (tmp_path / "r.jsonl").write_bytes(b'{"a": 1}\n{"a": ')
    assert read_jsonl(tmp_path / "r.jsonl") == [{"a": 1}]
    assert "line 2 is unfinished" in capsys.readouterr().err


def test_a_long_unfinished_line_is_dropped(tmp_path: Path) -> None:
    """The search for the last line break goes back over any distance."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"1\n" + b'"' + b"x" * 200_000)
    JsonlWriter(path).close()
    assert path.read_bytes() == b"1\n"
    path.write_bytes(b"x" * 200_000)
    JsonlWriter(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("middle", [b'{"a": \n', b"\xff\n", b"\n"])
def test_a_damaged_line_stops_reading(tmp_path: Path, middle: bytes) -> None:
    """A finished line that is not JSON is an error with its number; what precedes it can be had one by one."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"1\n" + middle + b"3\n")
    with pytest.raises(DataError, match="line 2, is not valid JSON"):
        read_jsonl(path)
    assert next(iter_jsonl(path)) == 1


def test_a_missing_file(tmp_path: Path) -> None:
    """Reading what is not there is one sentence."""
    with pytest.raises(DataError, match=r"cannot read .*No such file"):
        read_jsonl(tmp_path / "none")


def test_a_record_that_is_not_json_leaves_the_file_alone(tmp_path: Path) -> None:
    """A record that cannot be written leaves nothing of itself, and the writer goes on."""
    with append_jsonl(tmp_path / "r.jsonl") as writer:
        writer.append(1)
        with pytest.raises(TypeError):
            writer.extend([2, object()])
        writer.append(3)
    assert read_jsonl(tmp_path / "r.jsonl") == [1, 3]


FULL = """
import resource, sys
from selkit.api.errors import DataError
from selkit.store import append_jsonl
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with append_jsonl(sys.argv[1]) as writer:
    writer.append("a" * 600)
    try:
        writer.append("b" * 600)
    except DataError as error:
        print(error)
    writer.append("c")
"""


def test_a_record_that_does_not_fit_leaves_nothing(tmp_path: Path, start: Any) -> None:
    """A write that the disk cuts short is taken back, so that later records follow whole ones."""
    out, err = start(FULL, tmp_path / "r.jsonl").communicate()
    assert "no room to write" in out, err
    assert "more than 603 bytes needed" in out
    assert read_jsonl(tmp_path / "r.jsonl") == ["a" * 600, "c"]
