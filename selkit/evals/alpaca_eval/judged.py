"""What selkit's own judges said and selkit's own models answered, in AlpacaEval's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selkit.api import Comparison
from selkit.api.errors import DataError, UsageError
from selkit.evals.alpaca_eval.outputs import read_outputs, write_outputs
from selkit.evals.alpaca_eval.records import read_records, write_records
from selkit.files import unwritable

_WHAT = ("instruction", "output_1", "generator_1", "output_2", "generator_2", "annotator")
"""What an annotation is about."""


@dataclass(frozen=True)
class Sides:
    """What the two sides are called in annotations.

    Attributes:
        model: The first file's side: AlpacaEval's generator_2, whom the win rate is about.
        baseline: The second file's side: generator_1.
        annotator: Who judged.
    """

    model: str
    baseline: str
    annotator: str


def side_names(first: Path, second: Path) -> tuple[str, str]:
    """Names for the models of two files of responses, which differ.

    A file's own ``generator``, where all its rows have the same one, else its name without endings; where that is the
    same for both, with the folder before it. To AlpacaEval a model of its baseline's name has won half of its rows.
    """
    files = (first, second)
    for one, other in (
        [_generator(path) or _stem(path) for path in files],
        [f"{path.absolute().parent.name}/{_stem(path)}" for path in files],
    ):
        if one != other:
            return one, other
    return f"{_stem(first)} (A)", f"{_stem(second)} (B)"


def annotation_records(
    comparisons: Sequence[Comparison], scores: Mapping[str, float | None], sides: Sides
) -> list[dict[str, Any]]:
    """Judged comparisons as rows of an annotations.json.

    Args:
        comparisons: What was judged; ``first`` is the model's response.
        scores: Score of the model by the comparison's id, from 0 to 1: the mean over the orders in which it was judged;
            None without a verdict, which becomes a null that AlpacaEval and selkit leave out.
        sides: What they are called.

    Raises:
        DataError: A comparison has earlier turns, or two have the same prompt, by which AlpacaEval joins.
    """
    if long := [c.id for c in comparisons if c.earlier]:
        raise DataError(f"{len(long)} comparisons, e.g. {long[0]!r}, have earlier turns, which AlpacaEval's files lack")
    by_prompt: dict[str, str] = {}
    for c in comparisons:
        if c.prompt in by_prompt:
            raise DataError(
                f"the comparisons {by_prompt[c.prompt]!r} and {c.id!r} have the same prompt, by which AlpacaEval joins "
                "its files: keep one of them"
            )
        by_prompt[c.prompt] = c.id
    return [_record(c, scores.get(c.id), sides) for c in comparisons]


def check_annotations(path: Path, records: Sequence[Mapping[str, Any]], *, force: bool = False) -> None:
    """Raises DataError where a file is there that holds other annotations than those of these comparisons."""

    def same(rows: Sequence[Mapping[str, Any]]) -> bool:
        return {tuple(map(row.get, _WHAT)) for row in rows} == {tuple(map(row.get, _WHAT)) for row in records}

    _check_place(path, same, force)


def write_annotations(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Writes an annotations.json. Raises DataError where the place cannot be written to."""
    _parent(path)
    write_records(path, list(records))


def check_model_outputs(path: Path, generator: str, *, force: bool = False, single: bool = True) -> None:
    """Makes sure before anything is answered that outputs of a model can be written.

    Args:
        path: The file to write.
        generator: The model's name.
        force: Whether to replace a file that holds something else.
        single: Whether there will be one answer to a prompt.

    Raises:
        DataError: A file is there that does not hold outputs of this model.
        UsageError: There will be several answers to a prompt.
    """
    if not single:
        raise UsageError("AlpacaEval's model_outputs.json has one answer to an instruction: take one sample a prompt")
    _check_place(path, lambda rows: {row.get("generator") for row in rows} == {generator}, force)


def write_model_outputs(responses: Path, path: Path, generator: str) -> None:
    """Writes the answers of a responses.jsonl as AlpacaEval's model_outputs.json.

    Args:
        responses: The answers, one to each prompt.
        path: The file to write.
        generator: The model's name.

    Raises:
        DataError: The answers cannot be read, a prompt has several, or the place cannot be written to.
    """
    _parent(path)
    write_outputs(path, [replace(one, generator=generator) for one in read_outputs(responses)])


def _record(comparison: Comparison, score: float | None, sides: Sides) -> dict[str, Any]:
    return {
        "instruction": comparison.prompt,
        "output_1": comparison.second,
        "generator_1": sides.baseline,
        "output_2": comparison.first,
        "generator_2": sides.model,
        "annotator": sides.annotator,
        "preference": None if score is None else 1.0 + score,
    }


def _generator(path: Path) -> str:
    """The one generator that all rows of a file name; else nothing."""
    try:
        found = {row.get("generator") for _, row in read_records(path)}
    except DataError:
        return ""
    (only,) = found if len(found) == 1 else ("",)
    return only if isinstance(only, str) else ""


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _check_place(path: Path, same: Callable[[list[dict[str, Any]]], bool], force: bool) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder: name a file")
    if force or not path.exists():
        return
    try:
        known = same([row for _, row in read_records(path)])
    except DataError:
        known = False
    if not known:
        raise DataError(f"{path} exists and holds something else: name another file, or replace it with --force")


def _parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, path) from error
