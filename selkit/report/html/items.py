"""The items of a run, read from its folder into columns: what each prompt was answered, and what was said of that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selkit.api import DataError
from selkit.store import iter_jsonl

FILES = "files.json"
PLACE = ("pool", "budget", "arm", "run")
MAX_ITEMS = 40_000
"""Items that a page holds; of a run with more the prompts are thinned out evenly."""

OUTCOMES = ("win", "tie", "loss", "orders disagree", "no verdict", "right", "wrong", "partly")
"""What an item came to: the first five of a judged one, the others of a benchmark's."""

_TURN = "{role}: {content}"


@dataclass(frozen=True)
class Pass:
    """What a judge said once: texts as they came, ``preference`` for the response under judgement."""

    order: str
    outcome: str
    preference: float | None
    raw: str
    reason: str


@dataclass(frozen=True)
class Item:
    """One prompt answered in one cell.

    Args:
        cell: Number of the cell in :attr:`Items.cells`.
        benchmark: Number of the benchmark or judged test set in :attr:`Items.benchmarks`.
        prompt: Number of the prompt in :attr:`Items.prompts`.
        response: The answer.
        other: What it was compared with; None on a benchmark.
        score: From 0 to 1; None without a verdict.
        passes: What the judge said.
    """

    cell: int
    benchmark: int
    prompt: int
    response: str
    other: str | None
    score: float | None
    passes: tuple[Pass, ...] = ()

    @property
    def outcome(self) -> str:
        """One of :data:`OUTCOMES`."""
        if self.other is None:
            return "no verdict" if self.score is None else {1.0: "right", 0.0: "wrong"}.get(self.score, "partly")
        if self.score is None:
            return "no verdict"
        if self.score == 0.5:
            return "tie" if all(one.preference == 0.5 for one in self.passes) else "orders disagree"
        return "win" if self.score > 0.5 else "loss"


@dataclass(frozen=True)
class Prompt:
    """A prompt: its id, its text, and what its test set knows of it."""

    id: str
    text: str
    category: str | None = None
    reference: str | None = None


@dataclass
class Items:
    """All that the browser of items shows.

    ``answers`` holds the responses to every prompt of test sets by cell, also of cells that nobody judged, such as the
    anchor's; ``left_out`` counts the items that did not fit.
    """

    cells: list[dict[str, Any]] = field(default_factory=list)
    benchmarks: list[dict[str, str]] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    answers: dict[tuple[int, int], str] = field(default_factory=dict)
    left_out: int = 0


def read_items(run: Path, limit: int = MAX_ITEMS) -> Items | None:
    """The items of a run's folder; None where it holds none (its files.json is missing).

    Raises:
        DataError: A file that files.json names is missing or damaged.
    """
    path = run / FILES
    if not path.is_file():
        return None
    try:
        files = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}): run the same `selkit run` again") from error
    return _thinned(_Reader(run, files).read(), limit)


class _Reader:
    """Reads files one after another; numbers stand for cells, benchmarks and prompts as they come."""

    def __init__(self, run: Path, files: Mapping[str, Any]) -> None:
        self.run, self.files, self.found = run, files, Items()
        self.cells: dict[str, int] = {}
        self.benchmarks: dict[tuple[str, ...], int] = {}
        self.prompts: dict[tuple[str, str], int] = {}
        self.opponents: dict[str, dict[str, str]] = {}

    def read(self) -> Items:
        known = {one["testset"]: self._rows(one) for one in self.files["testsets"]}
        about = {name: {row["id"]: row for row in rows} for name, rows in known.items()}
        for file in self.files["responses"]:
            self._responses(file, about[file["testset"]])
        for file in self.files["passes"]:
            self.found.items += self._judged(file)
        for file in self.files["benchmarks"]:
            self.found.items += self._scored(file)
        return self.found

    def _responses(self, file: Mapping[str, Any], about: Mapping[str, Mapping[str, Any]]) -> None:
        cell = self._cell(file)
        for row in self._rows(file):
            known = about.get(row["id"], {})
            prompt = self._prompt(
                file["testset"], row["id"], row["prompt"], known.get("category"), known.get("reference")
            )
            self.found.answers[cell, prompt] = _answer(row)

    def _judged(self, file: Mapping[str, Any]) -> Iterator[Item]:
        cell, benchmark = self._cell(file), self._benchmark(file["benchmark"], "judge", file["judge"], file["opponent"])
        passes: dict[str, list[Pass]] = {}
        for row in self._rows(file):
            passes.setdefault(row["id"], []).append(_pass(row))
        others = self._opponents(file["against"])
        for name, said in passes.items():
            prompt = self.prompts[file["testset"], name]
            scores = [one.preference for one in said]
            known = [score for score in scores if score is not None]
            score = sum(known) / len(scores) if len(known) == len(scores) else None
            response = self.found.answers[cell, prompt]
            yield Item(cell, benchmark, prompt, response, others[name], score, tuple(said))

    def _scored(self, file: Mapping[str, Any]) -> Iterator[Item]:
        import pyarrow.parquet as pq

        path = self._path(file["file"])
        table = pq.read_table(path)
        wanted = [name for name in ("item", "prompt", "response", file["score"]) if name in table.column_names]
        cell, benchmark = self._cell(file), self._benchmark(file["benchmark"], "score", file["task"], file["score"])
        for row in table.select(wanted).to_pylist():
            text = row.get("prompt") or f"item {row['item']}"
            prompt = self._prompt(f"\0{file['task']}", row["item"], text, None, None)
            yield Item(cell, benchmark, prompt, row.get("response") or "", None, row[file["score"]])

    def _cell(self, file: Mapping[str, Any]) -> int:
        place = {key: value for key, value in file.items() if key in self._keys}
        name = json.dumps(place, sort_keys=True)
        if name not in self.cells:
            self.cells[name] = len(self.found.cells)
            self.found.cells.append(place)
        return self.cells[name]

    @property
    def _keys(self) -> frozenset[str]:
        """What tells one cell from another: whatever a file of responses or items has beside its content."""
        return frozenset((*PLACE, "recipe", "model"))

    def _benchmark(self, *names: str) -> int:
        if names not in self.benchmarks:
            self.benchmarks[names] = len(self.found.benchmarks)
            self.found.benchmarks.append(dict(zip(("name", "kind", "by", "against"), names, strict=True)))
        return self.benchmarks[names]

    def _prompt(self, testset: str, name: str, text: str, category: str | None, reference: str | None) -> int:
        if (testset, name) not in self.prompts:
            self.prompts[testset, name] = len(self.found.prompts)
            self.found.prompts.append(Prompt(name, text, category, reference))
        return self.prompts[testset, name]

    def _opponents(self, file: str) -> dict[str, str]:
        if file not in self.opponents:
            self.opponents[file] = {row["id"]: row["response"] for row in self._rows({"file": file})}
        return self.opponents[file]

    def _rows(self, file: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        return iter_jsonl(self._path(file["file"]))

    def _path(self, file: str) -> Path:
        path = self.run / file
        if not path.resolve().is_relative_to(self.run.resolve()) or not path.is_file():
            raise DataError(f"{path} is missing: run the same `selkit run` again, which writes it from the store")
        return path


def _pass(row: Mapping[str, Any]) -> Pass:
    preference = row["preference"]
    if preference is not None and row["order"] == "second":
        preference = 1 - preference
    return Pass(row["order"], row["outcome"], preference, row["raw"], row["reason"] or "")


def _answer(row: Mapping[str, Any]) -> str:
    """The answer; of a later turn with the turns before it, which are other ones in every cell."""
    earlier = "\n\n".join(_TURN.format(**turn) for turn in row.get("history") or ())
    return f"{earlier}\n\nuser: {row['prompt']}\n\nassistant: {row['response']}" if earlier else row["response"]


def _thinned(found: Items, limit: int) -> Items:
    """The items of every k-th prompt, with the smallest k that leaves no more than ``limit`` of them."""
    step = -(-len(found.items) // limit) if limit else 1
    if step <= 1:
        return found
    kept = [item for item in found.items if item.prompt % step == 0]
    numbers = sorted({item.prompt for item in kept})
    place = {prompt: number for number, prompt in enumerate(numbers)}
    return Items(
        cells=found.cells,
        benchmarks=found.benchmarks,
        prompts=_at(found.prompts, numbers),
        items=[Item(**{**vars(item), "prompt": place[item.prompt]}) for item in kept],
        answers={(cell, place[prompt]): text for (cell, prompt), text in found.answers.items() if prompt in place},
        left_out=len(found.items) - len(kept),
    )


def _at(prompts: Sequence[Prompt], numbers: Sequence[int]) -> list[Prompt]:
    return [prompts[number] for number in numbers]
