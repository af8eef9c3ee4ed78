"""AlpacaEval's annotations: which of two outputs an annotator preferred, joined to the eval set by instruction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api.errors import DataError
from selkit.evals.alpaca_eval.outputs import EvalSet, Output, text_of, whole_number
from selkit.evals.alpaca_eval.records import read_records, shown

NO_PREFERENCE = "no preference"
NO_OUTPUT = "no output"
UNNAMED = "baseline"
"""The name of a baseline that no file names."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One comparison of a model with a baseline.

    Attributes:
        model: Name of the model (AlpacaEval's generator_2).
        baseline: Name of the baseline (generator_1).
        prompt: What tells instructions apart: the text, or the index where there is no text.
        index: The instruction's number in the eval set, where it is known.
        output: The model's output.
        baseline_output: The baseline's output.
        preference: For the model, in [0, 1]: AlpacaEval's preference less 1.
        record: The row as AlpacaEval writes it.
    """

    model: str
    baseline: str
    prompt: str
    index: int | None
    output: str
    baseline_output: str
    preference: float
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An annotation that cannot be used: whose, where it stands, and why."""

    model: str
    where: str
    reason: str


@dataclass(frozen=True)
class Annotations:
    """What was read.

    Attributes:
        models: The annotations of each model, sorted by prompt and baseline: the order of the rows plays no part.
        left_out: Rows without preference or output.
        notes: What should be known about how the rows were read.
    """

    models: Mapping[str, Sequence[Annotation]]
    left_out: Sequence[LeftOut]
    notes: Sequence[str]


def read_annotations(
    paths: Sequence[Path], eval_set: EvalSet | None = None, baselines: Mapping[str, EvalSet] | None = None
) -> Annotations:
    """The annotations of files, by model.

    A row is joined by its instruction's text, or by its index where it has no text; never by its place in the file. Its
    model is ``generator_2``, else the file's name. A preference that is null or NaN leaves the row out.

    Args:
        paths: annotations.json files of AlpacaEval, or JSON Lines with index or instruction, output_2 and preference.
        eval_set: The instructions, with the outputs of the baseline where the rows have no ``output_1``.
        baselines: The outputs of further baselines by name, for rows whose ``generator_1`` that is.

    Raises:
        DataError: A file is missing, damaged, empty or has other columns; preferences are out of range; an instruction
            is unknown; a baseline's output is missing; a comparison comes twice; a model has no usable row.
    """
    reader = _Reader(eval_set, baselines or {})
    for path in paths:
        reader.read(path)
    return reader.result()


class _Wrong(Exception):
    """A row that cannot be right; rows with the same problem are told in one sentence."""

    def __init__(self, problem: str, remedy: str, detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.detail = detail


class _Reader:
    """Collects the rows of several files."""

    def __init__(self, eval_set: EvalSet | None, baselines: Mapping[str, EvalSet]) -> None:
        self.eval_set = eval_set
        self.baselines = baselines
        self.rows: dict[str, list[Annotation]] = defaultdict(list)
        self.left_out: list[LeftOut] = []
        self.seen: set[tuple[str, str, str]] = set()
        self.counts: dict[str, int] = defaultdict(int)

    def read(self, path: Path) -> None:
        """Takes the rows of a file, or refuses it with the number of wrong rows and the first few of them."""
        records = read_records(path)
        _check_columns(path, [row for _, row in records])
        wrong: dict[tuple[str, str], list[str]] = defaultdict(list)
        for number, row in records:
            try:
                self._take(path, number, row)
            except _Wrong as error:
                wrong[error.problem, error.remedy].append(f"{number}{error.detail and f' ({error.detail})'}")
        for (problem, remedy), rows in wrong.items():
            raise DataError(f"{path}: {len(rows)} of {len(records)} rows {problem}, namely row {shown(rows)}: {remedy}")

    def result(self) -> Annotations:
        """All that was taken."""
        for row in self.left_out:
            if row.model not in self.rows:
                raise DataError(
                    f"no annotation of {row.model!r} has a preference and an output, so there is no win rate: annotate "
                    "it again"
                )
        models = {name: sorted(rows, key=lambda a: (a.prompt, a.baseline)) for name, rows in self.rows.items()}
        notes = [f"{count} {note}" for note, count in self.counts.items()]
        return Annotations(models, self.left_out, notes)

    def _take(self, path: Path, number: int, row: Mapping[str, Any]) -> None:
        model = str(row.get("generator_2") or _plain_name(path))
        if reason := _unusable(row):
            self.left_out.append(LeftOut(model, f"{path.name}, row {number}", reason))
            return
        annotation = self._joined(model, row, _preference(row))
        key = (model, annotation.prompt, annotation.baseline)
        if key in self.seen:
            raise _Wrong("repeat a comparison", "keep one row for each model, baseline and instruction")
        self.seen.add(key)
        if row["preference"] == 0:
            self.counts["preferences are 0, which AlpacaEval counts as a draw"] += 1
        self.rows[model].append(annotation)

    def _joined(self, model: str, row: Mapping[str, Any], preference: float) -> Annotation:
        found = self._found(row)
        baseline, baseline_output = self._baseline(row, found)
        instruction = found.instruction if found else text_of(row.get("instruction"))
        index = found.index if found and found.index is not None else whole_number(row.get("index"))
        return Annotation(
            model=model,
            baseline=baseline,
            prompt=instruction if instruction is not None else f"index {index}",
            index=index,
            output=row["output_2"],
            baseline_output=baseline_output,
            preference=preference,
            record={
                **({"dataset": found.dataset} if found and found.dataset is not None else {}),
                **({} if instruction is None else {"instruction": instruction}),
                "output_1": baseline_output,
                "generator_1": baseline,
                **row,
                "generator_2": model,
            },
        )

    def _found(self, row: Mapping[str, Any]) -> Output | None:
        """The instruction in the eval set; None where there is no eval set."""
        instruction, index = text_of(row.get("instruction")), whole_number(row.get("index"))
        if instruction is None and index is None:
            raise _Wrong("have neither an instruction nor an index", "add one of the two")
        if self.eval_set is None:
            return None
        found = self.eval_set.find(instruction, index)
        if found is None and instruction is None and not self.eval_set.has_index:
            raise _Wrong(
                f"have an index alone, and {self.eval_set.source} has none",
                "add the instruction to the one or the index to the other",
            )
        if found is None:
            name = f"index {index}" if instruction is None else repr(instruction[:40])
            raise _Wrong(
                f"are about instructions that {self.eval_set.source} does not have",
                "name the eval set that they were made with",
                name,
            )
        if None not in (index, found.index) and index != found.index:
            self.counts["rows have another index than their instruction in the eval set; the instruction counts"] += 1
        return found

    def _baseline(self, row: Mapping[str, Any], found: Output | None) -> tuple[str, str]:
        """The baseline's name and its output."""
        name, output = text_of(row.get("generator_1")), text_of(row.get("output_1"))
        named = self.baselines.get(name or "")
        if output is None and named is not None:
            instruction = found.instruction if found else text_of(row.get("instruction"))
            answer = named.find(instruction, whole_number(row.get("index")))
            output = answer.output if answer else None
        elif output is None and found is not None:
            output = found.output
            if name and found.generator and name != found.generator:
                self.counts[f"rows name {name!r} as baseline and were given the outputs of {found.generator!r}"] += 1
        if output is None:
            source = named or self.eval_set
            where = f"and {source.source} has none for them" if source else "and no eval set is given"
            raise _Wrong(
                f"have no output_1, {where}",
                "give the baseline's outputs with --eval-set, or those of several baselines with --baseline-outputs",
            )
        return name or (found.generator if found and found.generator else UNNAMED), output


def _check_columns(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = {name for row in rows for name in row}
    for needed in (("preference",), ("output_2",), ("instruction", "index")):
        if columns.isdisjoint(needed):
            raise DataError(
                f"{path} has no column {' or '.join(map(repr, needed))}: annotations have instruction or index, "
                f"output_2 and preference, and this file has {shown(sorted(columns), 12)}"
            )


def _unusable(row: Mapping[str, Any]) -> str:
    """Why a row is left out; empty where it is not."""
    preference = row.get("preference")
    if preference is None or preference != preference:
        return NO_PREFERENCE
    return NO_OUTPUT if row.get("output_2") is None else ""


def _preference(row: Mapping[str, Any]) -> float:
    """The preference for the model, in [0, 1]."""
    value = row["preference"]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value == 0 or 1 <= value <= 2):
        raise _Wrong(
            "have a preference that is not from 1 (the baseline is better) to 2 (the model is better)",
            "mend or remove them",
            str(value)[:20],
        )
    if not isinstance(row["output_2"], str):
        raise _Wrong("have an output_2 that is no text", "mend or remove them")
    return 0.5 if value == 0 else float(value) - 1


def _plain_name(path: Path) -> str:
    """The file's name without its endings."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name
