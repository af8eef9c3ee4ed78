"""The items of a run as files: the scores that rows were chosen by, every answer, what it was compared with, what the
judges said, the benchmarks' items, and files.json, which says what each file holds."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from selkit.experiment.judging.judging import Judged
from selkit.experiment.judging.scores import Outcome
from selkit.experiment.selection.selecting import Chosen, distinct
from selkit.experiment.setup.experiment import Experiment
from selkit.experiment.setup.grid import ANCHOR, Cell
from selkit.judge import pass_row
from selkit.select import stored_scores, write_marked
from selkit.store import Store, atomic_write_text, canonical_json, digest_text

FILES = "files.json"
FOLDERS = ("selections", "testsets", "responses", "opponents", "passes", "benchmarks")

Row = dict[str, Any]


def write_items(output: Path, experiment: Experiment, chosen: Mapping[Cell, Chosen], outcome: Outcome) -> None:
    """Writes the items to folders in ``output``, in place of what an earlier run left there, and files.json.

    Args:
        output: The run's folder.
        experiment: The experiment.
        chosen: The selection of every cell.
        outcome: What its cells left.
    """
    for name in FOLDERS:
        shutil.rmtree(output / name, ignore_errors=True)
    written = {
        "selections": list(_selections(output, experiment.store, chosen)),
        "testsets": list(_testsets(output, experiment)),
        "responses": list(_responses(output, outcome)),
        "passes": list(_passes(output, experiment, outcome)),
        "benchmarks": list(_benchmarks(output, outcome)),
    }
    text = json.dumps({"schema_version": 1, **written}, indent=1, ensure_ascii=False)
    atomic_write_text(output / FILES, text + "\n")


def _selections(output: Path, store: Store, chosen: Mapping[Cell, Chosen]) -> Iterator[Row]:
    """The scores of every arm that has some, with a column for each of its selections that marks the chosen rows."""
    groups: dict[tuple[str, str, str, str], list[Chosen]] = defaultdict(list)
    for one in distinct(chosen):
        if scores := one.facts.get("scores"):
            groups[one.cell.pool, one.cell.arm, one.cell.model, str(scores)].append(one)
    for (pool, arm, model, scores), group in groups.items():
        if (scored := stored_scores(store, scores)) is None:  # the store may have been cleaned since
            continue
        runs = len({one.key for one in group}) > len({one.cell.budget for one in group})
        marks = {f"chosen at {one.cell.budget}" + (f", run {one.cell.run}" if runs else ""): one.ids for one in group}
        file = f"selections/{_plain('/'.join(name for name in (pool, arm, model) if name))}.parquet"
        (output / file).parent.mkdir(parents=True, exist_ok=True)
        write_marked(scored, marks, output / file)
        yield {"file": file, "pool": pool, "arm": arm, "model": model or None, "columns": list(marks)}


def _testsets(output: Path, experiment: Experiment) -> Iterator[Row]:
    """What a test set knows of its prompts beside their text."""
    for testset in experiment.testsets:
        rows = [
            {"id": name, "category": prompt.category, "reference": prompt.reference}
            for name, prompt in testset.prompts.items()
        ]
        file = f"testsets/{_plain(testset.label)}.jsonl"
        _write_lines(output / file, rows)
        yield {"file": file, "testset": testset.label}


def _responses(output: Path, outcome: Outcome) -> Iterator[Row]:
    for (cell, label), rows in outcome.responses.items():
        file = f"responses/{_plain(f'{cell.label}/{label}')}.jsonl"
        _write_lines(output / file, rows)
        # Answers that are judged in several places are one file for all of them.
        judged = dict.fromkeys(one.cell for one in [*outcome.judged, *outcome.direct] if _same(cell, one.cell))
        for place in dict.fromkeys([cell, *judged]):
            yield {"file": file, **place.columns(), "testset": label}


def _same(cell: Cell, place: Cell) -> bool:
    return (cell.arm, cell.run) == (place.arm, place.run) and cell.covers(place)


def _passes(output: Path, experiment: Experiment, outcome: Outcome) -> Iterator[Row]:
    """What the judges said: of every cell in its own place, and in the place of another for pairs of ``compare:``."""
    testsets = {one.endpoint: testset.label for testset in experiment.testsets for one in testset.judges}
    own = [(one.cell, one, one.opponent) for one in [*outcome.judged, *outcome.direct]]
    again = [(cell, one, f"anchor of {_place(one.cell, cell)}") for cell, one in outcome.again]
    written = set()
    for cell, judged, opponent in [*own, *again]:
        against = "" if opponent == ANCHOR else f"/{opponent}"
        file = f"passes/{_plain(f'{cell.label}/{judged.endpoint}{against}')}.jsonl"
        if file in written:  # two pairs may hold one cell
            continue
        written.add(file)
        _write_lines(output / file, [pass_row(judged.judge.name, judgement) for judgement in judged.passes])
        yield {
            "file": file,
            **cell.columns(),
            "benchmark": judged.endpoint,
            "testset": testsets[judged.endpoint],
            "judge": judged.judge.name,
            "opponent": opponent,
            "against": _opponent(output, judged),
        }


def _place(place: Cell, cell: Cell) -> str:
    """Where another place differs from the cell's own."""
    names = ("pool", "budget", "recipe", "model")
    return ", ".join(getattr(place, name) for name in names if getattr(place, name) != getattr(cell, name))


def _opponent(output: Path, judged: Judged) -> str:
    """The file with the responses that a cell was compared with; many cells share one."""
    text = _lines([{"id": one.id, "response": one.second} for one in judged.comparisons])
    file = f"opponents/{digest_text(text)[:16]}.jsonl"
    if not (output / file).is_file():
        _write_text(output / file, text)
    return file


def _benchmarks(output: Path, outcome: Outcome) -> Iterator[Row]:
    for (cell, endpoint), scored in outcome.benchmarks.items():
        for one in scored:
            name = endpoint if len(scored) == 1 else f"{endpoint}/{one.benchmark.label}"
            file = f"benchmarks/{_plain(f'{cell.label}/{name}')}.parquet"
            (output / file).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(one.items, output / file)
            task = one.benchmark.label
            yield {
                "file": file,
                **cell.columns(),
                "benchmark": endpoint,
                "task": task,
                "score": one.benchmark.primary,
            }


def _plain(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^\w.,=+()-]", "-", name.replace("/", "_").replace("%", "pct"))


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    _write_text(path, _lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{canonical_json(row)}\n" for row in rows)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, text)
