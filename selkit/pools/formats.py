"""The formats of rows: which columns they have, and one small function each that reads a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selkit.api.errors import DataError, UsageError
from selkit.pools.fields import Fields, Unusable, kind_of, optional_text, required_text
from selkit.pools.turns import conversation_fields, history_turns, with_system

FORMATS = {
    "alpaca": "instruction, input (optional), output",
    "conversations": "conversations with turns from/value (ShareGPT)",
    "messages": "messages with turns role/content",
    "prompt-completion": "prompt, completion",
}
"""The formats that are known by name, with the columns they need."""

ALIASES = {"sharegpt": "conversations", "chat": "messages", "dolly": "alpaca"}
"""Other names of formats."""

INSTRUCTION = ("instruction", "prompt", "question")
INPUT = ("input", "context")
RESPONSE = ("response", "output", "completion", "answer")
_CONVERSATION = {"messages": ("messages",), "conversations": ("conversations", "conversation")}
MAPPED = ("id", "instruction", "input", "response", "history", "system")
"""What a column mapping can name."""

Row = Mapping[str, Any]
Getter = Callable[[Row], Any]


@dataclass(frozen=True)
class Format:
    """How to read the rows of one file.

    Args:
        name: What people call the format.
        uses: The columns that are read and do not stand in the pool a second time.
        needs: The columns that a row is read from; more than ``uses`` where a mapping points into a column.
        read: Makes the fields of a row, or raises :class:`Unusable`.
        row_id: Gives a row's own id, or None.
    """

    name: str
    uses: frozenset[str]
    needs: frozenset[str]
    read: Callable[[Row], Fields]
    row_id: Getter


def detect_format(
    columns: Sequence[str], label: str, name: str | None = None, mapping: Mapping[str, str] | None = None
) -> Format:
    """The format of a file with these columns.

    Args:
        columns: Names of the file's columns.
        label: What messages call the file.
        name: The format, where it is said explicitly.
        mapping: Column (or ``column.0``, ``column.key`` into one) by what it holds, see :data:`MAPPED`; what is not
            mapped is found by its usual names.

    Raises:
        UsageError: There is no format of that name, or the mapping names something unknown.
        DataError: The columns fit no format, or not the one asked for, or a mapped column is not there.
    """
    mapping = checked_mapping(mapping)
    wanted = checked_format(name)
    for field, column in mapping.items():
        if _getter(columns, column) is None:
            raise DataError(
                f"{label} has no column {column!r} to take the {field} from; it has {', '.join(columns) or 'none'}"
            )
    for kind in _candidates(wanted, columns, mapping):
        found = _conversation(columns, kind, mapping) if kind in _CONVERSATION else _pair(columns, kind, mapping)
        if found is not None:
            return found
    raise DataError(_unknown(columns, label, wanted))


def checked_format(name: str | None) -> str | None:
    """The name of a known format. Raises UsageError for an unknown one."""
    if name is None or name in FORMATS:
        return name
    if name in ALIASES:
        return ALIASES[name]
    raise UsageError(f"there is no pool format {name!r}; known are {', '.join((*FORMATS, *ALIASES))}")


def checked_mapping(mapping: Mapping[str, str] | None) -> dict[str, str]:
    """A column mapping whose keys are known. Raises UsageError for others."""
    mapping = dict(mapping or {})
    for key, column in mapping.items():
        if key not in MAPPED or not isinstance(column, str):
            raise UsageError(
                f"columns: {key!r}: {column!r} is no mapping; give names of columns for {', '.join(MAPPED)}"
            )
    return mapping


def _candidates(wanted: str | None, columns: Sequence[str], mapping: Mapping[str, str]) -> Iterable[str]:
    if wanted is not None:
        return (wanted,)
    if {"instruction", "response"} & set(mapping) or {"instruction", "response"} <= set(columns):
        return ("alpaca",)  # said explicitly, or written by selkit itself
    return ("messages", "conversations", "alpaca", "prompt-completion")


def _unknown(columns: Sequence[str], label: str, wanted: str | None) -> str:
    found = f"it has the columns {', '.join(columns) or '(none)'}"
    if wanted is not None:
        return f"{label} is not in the format {wanted!r}, which needs {FORMATS[wanted]}; {found}"
    known = "; ".join(f"{name}: {needs}" for name, needs in FORMATS.items())
    return (
        f"{label} is in no known format: {found}, and known are {known}; "
        "say which columns to read with --columns FIELD=COLUMN (columns: {instruction: ..., response: ...})"
    )


def _conversation(columns: Sequence[str], kind: str, mapping: Mapping[str, str]) -> Format | None:
    column = _first(columns, _CONVERSATION[kind])
    if column is None:
        return None
    system = _Cell(columns, mapping.get("system", "system"))

    def read(row: Row) -> Fields:
        return conversation_fields(row.get(column), system.of(row))

    return _format(kind, columns, mapping, (column,), (system,), read)


def _pair(columns: Sequence[str], kind: str, mapping: Mapping[str, str]) -> Format | None:
    instruction = _found(columns, mapping, "instruction", INSTRUCTION)
    response = _found(columns, mapping, "response", RESPONSE)
    if instruction is None or response is None:
        return None
    input_ = _found(columns, mapping, "input", INPUT) or _Cell(columns, "input")
    history = _Cell(columns, mapping.get("history", "history"))
    system = _Cell(columns, mapping.get("system", "system"))

    def read(row: Row) -> Fields:
        asked, answered = instruction.of(row), response.of(row)
        if isinstance(asked, list):
            return _chat_pair(asked, answered)
        return Fields(
            required_text(asked, "instruction"),
            optional_text(input_.of(row), "input"),
            required_text(answered, "response"),
            with_system(history_turns(history.of(row)), system.of(row)),
        )

    cells = (instruction, response, input_, history, system)
    name = "prompt-completion" if instruction.column == "prompt" and response.column == "completion" else kind
    return _format(name, columns, mapping, (), cells, read)


def _chat_pair(prompt: list[Any], completion: Any) -> Fields:
    """TRL's conversational prompt and completion: the turns before the answer, and the answer as a list of one."""
    if not isinstance(completion, list):
        raise Unusable(f"the prompt is a list of turns and the completion is {kind_of(completion)}")
    return conversation_fields([*prompt, *completion])


class _Cell:
    """Where to find one field of a row: a column, or a place inside one. Rows that lack it give None."""

    def __init__(self, columns: Sequence[str], column: str) -> None:
        inside = column not in columns and column.split(".")[0] in columns
        self.column = column
        self.base = column.split(".")[0] if inside else column
        self.uses = frozenset() if inside else frozenset({column})
        self.of: Getter = _getter(columns, column) or (lambda row: row.get(column))


def _found(columns: Sequence[str], mapping: Mapping[str, str], field: str, names: Sequence[str]) -> _Cell | None:
    column = mapping.get(field) or _first(columns, names)
    return None if column is None else _Cell(columns, column)


def _first(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _getter(columns: Sequence[str], column: str) -> Getter | None:
    if column in columns:
        return lambda row: row.get(column)
    base, *steps = column.split(".")
    if base not in columns or not steps:
        return None
    return lambda row: _inside(row.get(base), steps)


def _inside(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _format(
    name: str,
    columns: Sequence[str],
    mapping: Mapping[str, str],
    whole: Sequence[str],
    cells: Sequence[_Cell],
    read: Callable[[Row], Fields],
) -> Format:
    own = _Cell(columns, mapping.get("id", "id"))
    uses = frozenset(whole).union(*(cell.uses for cell in (*cells, own)))
    needs = frozenset((*whole, *(cell.base for cell in (*cells, own))))
    return Format(name, uses, needs, read, lambda row: own_id(own.of(row)))


def own_id(value: Any) -> str | None:
    """A row's own id as text; None where it has none: null, empty, or neither text nor a whole number."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
