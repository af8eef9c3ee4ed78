"""AlpacaEval's model_outputs.json: what a model answered to each instruction, and the eval set that joins by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selkit.api.errors import DataError
from selkit.evals.alpaca_eval.records import read_records, shown, write_records
from selkit.files import digest_text

_OFFICIAL = "bfe8c45991f635de0b1f94abeeb1335ef665d58eddd87ddf6fa71b7b0c2ce7a5"
"""Digest of AlpacaEval's 805 instructions in their order: an instruction's place there is its index."""


@dataclass(frozen=True, slots=True)
class Output:
    """A model's answer to an instruction.

    Attributes:
        instruction: The instruction.
        output: The answer; None where the file has the instruction alone.
        generator: The model's name, where the file says it.
        index: The instruction's number in the eval set, by which its difficulty is looked up; None where unknown.
        dataset: The part of AlpacaEval's set that the instruction comes from, where the file says it.
    """

    instruction: str
    output: str | None
    generator: str | None = None
    index: int | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class EvalSet:
    """Instructions with a baseline's outputs, found by text or by index.

    Attributes:
        source: What messages call it.
        rows: The instructions, in the order of the file.
    """

    source: str
    rows: Sequence[Output]
    _by_text: Mapping[str, Output] = field(init=False, repr=False)
    _by_index: Mapping[int, Output] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_text", {row.instruction: row for row in self.rows})
        object.__setattr__(self, "_by_index", {row.index: row for row in self.rows if row.index is not None})

    @property
    def generators(self) -> tuple[str, ...]:
        """The names of the models whose outputs these are; none where the file names none."""
        return tuple(dict.fromkeys(row.generator for row in self.rows if row.generator is not None))

    @property
    def has_index(self) -> bool:
        """Whether any instruction has an index."""
        return bool(self._by_index)

    def find(self, instruction: str | None, index: int | None) -> Output | None:
        """The row of an instruction, by its text where that is known, else by its index."""
        if instruction is not None:
            return self._by_text.get(instruction)
        return None if index is None else self._by_index.get(index)


def read_eval_set(path: Path) -> EvalSet:
    """An eval set with a baseline's outputs, from AlpacaEval's JSON or from JSON Lines.

    Where the rows have no ``index`` and are AlpacaEval's 805 instructions in their order, their places are the indices.

    Raises:
        DataError: As :func:`read_outputs`.
    """
    rows = read_outputs(path)
    if all(row.index is None for row in rows) and digest_text("\0".join(r.instruction for r in rows)) == _OFFICIAL:
        rows = [
            Output(row.instruction, row.output, row.generator, place, row.dataset) for place, row in enumerate(rows)
        ]
    return EvalSet(str(path), rows)


def read_outputs(path: Path) -> list[Output]:
    """The rows of a model_outputs.json, or of the responses.jsonl that `selkit generate` writes.

    Raises:
        DataError: The file cannot be read, a row has no instruction, or an instruction or an index comes twice.
    """
    rows = [_output(path, number, row) for number, row in read_records(path)]
    for what, values in (
        ("instruction", [row.instruction for row in rows]),
        ("index", [row.index for row in rows if row.index is not None]),
    ):
        if twice := _repeated(values):
            raise DataError(
                f"{path} has {len(twice)} instructions twice, by their {what} ({shown(repr(v)[:60] for v in twice)}): "
                "keep one row each"
            )
    return rows


def write_outputs(path: Path, outputs: Iterable[Output]) -> None:
    """Writes AlpacaEval's model_outputs.json. Raises DataError where the place cannot be written to."""
    write_records(
        path,
        [
            ({"dataset": row.dataset} if row.dataset is not None else {})
            | {"instruction": row.instruction, "output": row.output}
            | ({"generator": row.generator} if row.generator is not None else {})
            for row in outputs
        ],
    )


def draw_outputs(runs: Sequence[Sequence[Output]], seed: int = 0) -> list[Output]:
    """For each instruction the answer of one of several models, drawn at random ('Chasing Random', section 4.1).

    The draw depends on the seed and the set of instructions alone, not on the order of rows. Each answer keeps the name
    of its model, so that annotations say whom they are about.

    Args:
        runs: The outputs of each model, on the same instructions.
        seed: Seed of the draw.

    Raises:
        DataError: There is no model, or their instructions differ.
    """
    by_text = [{row.instruction: row for row in run} for run in runs]
    if not by_text:
        raise DataError("there are no outputs to draw from: give those of one model or more")
    for number, run in enumerate(by_text, 1):
        if run.keys() != by_text[0].keys():
            different = sorted(run.keys() ^ by_text[0].keys())
            raise DataError(
                f"models 1 and {number} answered different instructions ({len(different)} are in one alone, e.g. "
                f"{different[0][:60]!r}): draw from models that answered the same"
            )
    texts = sorted(by_text[0])
    picks = dict(zip(texts, np.random.default_rng(seed).integers(len(runs), size=len(texts)), strict=True))
    return [by_text[picks[row.instruction]][row.instruction] for row in runs[0]]


def whole_number(value: Any) -> int | None:
    """An index, also one written as text or as a float without a fraction; None where it is none."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_of(value: Any) -> str | None:
    """A text, or None where the value is none."""
    return value if isinstance(value, str) else None


def _output(path: Path, number: int, row: Mapping[str, Any]) -> Output:
    instruction, output = text_of(row.get("instruction", row.get("prompt"))), row.get("output", row.get("response"))
    if instruction is None or not (output is None or isinstance(output, str)):
        raise DataError(
            f"{path}, row {number}: outputs need a text 'instruction' and a text 'output'; it has {', '.join(row)}"
        )
    return Output(
        instruction, output, text_of(row.get("generator")), whole_number(row.get("index")), text_of(row.get("dataset"))
    )


def _repeated(values: Sequence[Any]) -> list[Any]:
    seen: set[Any] = set()
    return [value for value in values if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
