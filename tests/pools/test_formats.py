"""Every format of rows is read, whatever file it stands in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selkit.api import DataError, Turn, UsageError
from selkit.pools import load_pool

ASKED, ANSWERED = "Name a colour.", "Blue."

ROWS: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": ASKED, "input": "", "output": ANSWERED},
    "no input": {"instruction": ASKED, "output": ANSWERED},
    "selkit": {"instruction": ASKED, "response": ANSWERED},
    "answer": {"question": ASKED, "answer": ANSWERED},
    "completion": {"prompt": ASKED, "completion": ANSWERED},
    "conversational completion": {
        "prompt": [{"role": "user", "content": ASKED}],
        "completion": [{"role": "assistant", "content": ANSWERED}],
    },
    "sharegpt": {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWERED}]},
    "mapping of lists": {"conversations": {"from": ["human", "gpt"], "value": [ASKED, ANSWERED]}},
    "alternating": {"conversations": [ASKED, ANSWERED]},
    "messages": {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}]},
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": ASKED}]},
            {"role": "assistant", "content": ANSWERED},
        ]
    },
    "json text": {"conversations": json.dumps([{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWERED}])},
    "empty system": {
        "messages": [
            {"role": "system", "content": "  "},
            {"role": "user", "content": ASKED},
            {"role": "assistant", "content": ANSWERED},
            {"role": "user", "content": "And then?"},
        ]
    },
}


def _write(rows: list[dict[str, Any]], path: Path) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=2))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("name", "suffix"),
    # Arrow has no type for a column that holds texts and lists.
    [
        (name, kind)
        for name in ROWS
        for kind in (".jsonl", ".json", ".parquet")
        if (name, kind) != ("parts", ".parquet")
    ],
)
def test_every_format_gives_the_same_text(name: str, suffix: str, tmp_path: Path) -> None:
    """A row means the same in every format and every kind of file."""
    pool = load_pool(_write([ROWS[name]], tmp_path / f"pool{suffix}"))
    (example,) = pool
    assert (example.instruction, example.input, example.response, example.history) == (ASKED, "", ANSWERED, ())
    assert example.source == "pool"


def test_ids_do_not_depend_on_the_format(tmp_path: Path) -> None:
    """The same text has the same id, whichever format it came in."""
    ids = {load_pool(_write([row], tmp_path / f"{name}.jsonl")).ids[0] for name, row in ROWS.items()}
    assert len(ids) == 1


def test_dolly_context_is_the_input(write_lines: Any) -> None:
    """Dolly's raw files call the input context and the output response."""
    (row,) = load_pool(
        write_lines([{"instruction": "Who?", "context": "Ada wrote.", "response": "Ada", "category": "q"}])
    )
    assert (row.input, row.response, row.extra) == ("Ada wrote.", "Ada", {"category": "q"})


def test_conversation_becomes_history_and_response(write_lines: Any) -> None:
    """The last assistant turn is the response, the user turn before it the instruction, the rest history."""
    turns = [
        ("system", "Be kind."),
        ("human", "Hi"),
        ("gpt", "Hello"),
        ("human", "Bye"),
        ("gpt", "Ciao"),
        ("human", "x"),
    ]
    path = write_lines([{"conversations": [{"from": who, "value": text} for who, text in turns]}])
    pool = load_pool(path, turns="all")
    (row,) = pool
    assert (row.instruction, row.response) == ("Bye", "Ciao")
    assert row.history == (Turn("system", "Be kind."), Turn("user", "Hi"), Turn("assistant", "Hello"))
    assert pool.turns == "all"


def test_system_turn_before_the_response(write_lines: Any) -> None:
    """A system turn between question and answer is kept in the history."""
    turns = [("user", "a"), ("system", "now briefly"), ("assistant", "b")]
    (row,) = load_pool(write_lines([{"messages": [{"role": role, "content": text} for role, text in turns]}]))
    assert (row.instruction, row.response, row.history) == ("a", "b", (Turn("system", "now briefly"),))


def test_history_and_system_columns(write_lines: Any) -> None:
    """LLaMA-Factory's history pairs and system column are turns."""
    row = {"instruction": "c", "output": "d", "history": [["a", "b"]], "system": "s"}
    (example,) = load_pool(write_lines([row]))
    assert example.history == (Turn("system", "s"), Turn("user", "a"), Turn("assistant", "b"))


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no assistant turn"),
        ([("user", "a")], "no assistant turn"),
        ([("assistant", "a")], "no user turn before the response"),
        ([("system", "s"), ("assistant", "a")], "no user turn before the response"),
        ([("user", "a"), ("assistant", "b"), ("assistant", "c")], "two assistant turns in a row at the end"),
        ([("user", "a"), ("tool", "b")], "a turn has the unknown role 'tool'"),
        ([("user", "a"), ("assistant", None)], "a turn of the assistant has no text"),
        ([("user", "a"), ("assistant", True)], "a turn of the assistant is a boolean, not text"),
        ([("user", "a"), ("assistant", " ")], "the response is empty"),
        ([("user", ""), ("assistant", "b")], "the instruction is empty"),
        ([(None, "a"), ("assistant", "b")], "a turn has no role"),
    ],
)
def test_unusable_conversations_are_dropped(turns: Any, reason: str, write_lines: Any) -> None:
    """A conversation that makes no example is dropped with its reason, and the others stay."""
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    bad = {"id": "bad", "messages": [{"role": role, "content": text} for role, text in turns]}
    pool = load_pool(write_lines([good, bad]))
    assert len(pool) == 1
    assert [(row.id, row.reason, row.line) for row in pool.dropped] == [("bad", reason, 2)]


def test_column_mapping(write_lines: Any) -> None:
    """A mapping names columns, also places inside one; what it leaves out is found by its usual name."""
    rows = [{"q": "Why?", "answers": ["Because.", "So."], "uid": 7, "input": "i", "other": 1}]
    mapping = {"instruction": "q", "response": "answers.0", "id": "uid"}
    (row,) = load_pool({"path": str(write_lines(rows)), "columns": mapping})
    assert (row.id, row.instruction, row.input, row.response) == ("7", "Why?", "i", "Because.")
    assert row.extra == {"answers": ["Because.", "So."], "other": 1}


def test_mapping_to_a_missing_column_names_it(write_lines: Any) -> None:
    """A mapped column that is not there is refused with the columns that are."""
    path = write_lines([{"q": "Why?", "a": "So."}])
    with pytest.raises(DataError, match=r"no column 'r' to take the response from; it has q, a"):
        load_pool({"path": str(path), "columns": {"instruction": "q", "response": "r"}})
    with pytest.raises(UsageError, match="answer"):
        load_pool({"path": str(path), "columns": {"answer": "a"}})


def test_unknown_format_lists_columns_and_formats(write_lines: Any) -> None:
    """Columns that fit no format are listed, with the formats that are known."""
    with pytest.raises(DataError) as caught:
        load_pool(write_lines([{"text": "all in one", "label": 1}]))
    for word in ("text, label", "alpaca", "conversations", "messages", "prompt-completion"):
        assert word in str(caught.value)


def test_format_said_explicitly(write_lines: Any) -> None:
    """A format that is said is taken, or refused where the columns do not fit it."""
    turns = [{"role": "user", "content": "from turns"}, {"role": "assistant", "content": "b"}]
    path = write_lines([{"messages": turns, "instruction": "from columns", "output": "b"}])
    assert next(iter(load_pool(path))).instruction == "from turns"
    (said,) = load_pool({"path": str(path), "format": "alpaca"})
    assert said.instruction == "from columns"
    assert json.loads(json.dumps(said.extra["messages"])) == turns
    with pytest.raises(DataError, match="not in the format 'conversations'"):
        load_pool({"path": str(path), "format": "sharegpt"})
    with pytest.raises(UsageError, match="no pool format 'xml'"):
        load_pool({"path": str(path), "format": "xml"})


def test_columns_named_like_core_columns_are_kept(write_lines: Any) -> None:
    """A further column whose name a core column has is kept under another; a text source is the row's source."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (row,) = load_pool(write_lines([{"messages": turns, "instruction": "mine", "source": "web"}]))
    assert row.extra == {"original_instruction": "mine"}
    assert row.source == "web"


def test_fields_that_first_appear_late(write_lines: Any) -> None:
    """An id or an input that the first rows lack is read where it appears."""
    rows = [{"instruction": f"q{i}", "output": "a"} for i in range(5000)]
    rows.append({"id": "own", "instruction": "late", "output": "a", "input": "in", "note": "n"})
    pool = load_pool(write_lines(rows))
    (late,) = pool.take(["own"])
    assert (late.input, late.extra) == ("in", {"note": "n"})
    assert pool.column("note").null_count == 5000
