"""Test sets: open-ended prompts whose answers are judged."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from selkit.api.data import Dropped, Example
from selkit.api.errors import DataError
from selkit.console import get_console
from selkit.files import own_cache
from selkit.pools.drops import DropLog, row_id, summary
from selkit.pools.fields import Fields, Unusable, optional_text, required_text
from selkit.pools.files import iter_json_lines
from selkit.pools.formats import INPUT, INSTRUCTION, RESPONSE, own_id
from selkit.pools.ids import text_digest, unique_ids
from selkit.pools.named import PLANTED, did_you_mean
from selkit.pools.planted import planted_prompts
from selkit.pools.results import ResultStore
from selkit.pools.turns import history_turns

FOLDER_VARIABLE = "SELKIT_TESTSETS"
"""Environment variable: a folder of test sets, NAME.jsonl each."""

SHARED_VARIABLE = "SELKIT_SHARED_DATA"
"""Environment variable: a folder with a folder 'testsets' of the same kind."""

SIZES = {
    "vicuna": 80,
    "koala": 180,
    "wizardlm": 218,
    "self-instruct": 252,
    "lima": 300,
    "coachlm": 150,
    "pandalm": 170,
    "mt-bench": 80,
    "alpaca-eval": 805,
}
"""Rows of the published test sets."""

DIGESTS = {
    "vicuna": "35adffa8cd3173e2916ebbd57f00fc8d5a36cc1470974febd81744aed0f994e5",
    "koala": "b51f49a957e00c127f4c4d362406662bf1cea3a34260752846c6e4c6d7e560ec",
    "wizardlm": "6f6e01a04bbdfd3c7abb72086c6fb7faa38dc7cebb6ae4a8e83c18e7b2691ef5",
    "self-instruct": "ff1e6533c3142553183123c457bc940d47fa1190cf4df5b3870aef843bcad96b",
    "lima": "d4120106064d4171dd08e08d2a3f597c4a9ca146a4cb3b2d80994cc4b7bba926",
    "coachlm": "b02484244df54f340227e51a53c0c4740aa7e5a4057a9d33f1cb52b17344d48a",
    "pandalm": "048a1a95c8d35eb93543bef4a1cae6b9366a27ee179a2c4bc79f8244bd01fe8b",
    "mt-bench": "64f1342efb4b6f9831378ba466328be193a9806faa296080e9411c41ab19e21c",
    "alpaca-eval": "c0df8605dcbb6d47c780926f4ad0b70f128cc9f100569aca5c9899e28bf85601",
}
"""What the published test sets have as their :attr:`TestSet.digest`: other prompts, references or ids are noted."""

HUB_FILES = {"alpaca-eval": ("tatsu-lab/alpaca_eval", "alpaca_eval_gpt4_baseline.json")}
"""Data set and file (one JSON list of rows) of the test sets that the Hugging Face hub has in a form to be read."""

_ELSEWHERE = {"alpaca-eval": Path("alpaca-eval") / "eval-set.jsonl"}
"""Where a test set stands in a folder of data, if that is not testsets/NAME.jsonl."""

PLANTED_PROMPTS = 200
"""Rows of the test set 'planted'."""

_REFERENCE = ("reference", *RESPONSE)


@dataclass(frozen=True)
class TestPrompt:
    """One prompt.

    Args:
        id: Its id in the test set.
        prompt: What the model is shown; it has no response.
        reference: The test set's own answer (to the first turn).
        category: The test set's own category.
        turns: Further user turns, as in MT-Bench; the prompt is the first.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    id: str
    prompt: Example
    reference: str | None = None
    category: str | None = None
    turns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestSet:
    """Prompts under a name; ``dropped`` are the rows that had none, and ``part`` says that others were not drawn."""

    __test__ = False

    name: str
    prompts: tuple[TestPrompt, ...]
    dropped: tuple[Dropped, ...] = field(default=(), compare=False)
    part: bool = field(default=False, compare=False)

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that a model or a judge is shown, 64 hex digits."""
        shown = [
            [*(p.id, p.prompt.instruction, p.prompt.input, p.prompt.history), p.reference, p.category, p.turns]
            for p in self.prompts
        ]
        return hashlib.sha256(json.dumps(shown, ensure_ascii=True).encode()).hexdigest()

    @property
    def departures(self) -> list[str]:
        """How a test set of a published name differs from the published one, as clauses; nothing of other names."""
        if self.name not in SIZES or self.part:
            return []
        if len(self) != SIZES[self.name]:
            return [f"{len(self)} prompts, and {SIZES[self.name]} are published"]
        return [] if self.digest == DIGESTS[self.name] else ["its prompts are not the declared ones"]

    def sample(self, count: int, *, seed: int = 0) -> TestSet:
        """A seeded uniform draw of ``count`` prompts, in the order of the set; the whole set where it is smaller."""
        if count >= len(self.prompts):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self.prompts), size=count, replace=False))
        return TestSet(self.name, tuple(self.prompts[i] for i in chosen), self.dropped, part=True)


def load_testset(source: str | Path, *, store: ResultStore | None = None, data: Path | None = None) -> TestSet:
    """The test set of a file, or of a name; a note says where one of a published name is not as published.

    Args:
        source: A JSON Lines file with ``instruction`` (or prompt, question, or ``turns``, a list of user turns) and,
            where the set has them, id, input (context), reference (response, output, completion, answer), history and
            category; a name, looked up as NAME.jsonl in the folder SELKIT_TESTSETS and in testsets/ of the folder
            SELKIT_SHARED_DATA; or 'planted'. Ids follow the rule for rows of pools.
        store: Not needed; accepted as by the other loaders.
        data: A folder in which the name is looked up first, as NAME.jsonl, and in its testsets/.

    Raises:
        DataError: There is no such file, a line of it is not valid JSON, or it holds no prompt.
    """
    if str(source) == PLANTED:
        return TestSet(PLANTED, tuple(_planted()))
    path = _find(str(source), data)
    log = DropLog(str(path))
    rows = list(_read(path, log))
    if not rows:
        said = f" that can be used: {summary(log.counts, log.listed)}" if log.counts else ""
        raise DataError(f"test set {path} holds no prompt{said}")
    if log.counts:
        get_console().note(f"{path}: {log.counts.total()} rows left out: {summary(log.counts, log.listed)}")
    name = str(source) if str(source) in SIZES else path.stem
    testset = TestSet(name, tuple(_with_ids(rows)), tuple(log.listed))
    for clause in testset.departures:
        get_console().note(f"test set {name}: {clause} ({path})")
    return testset


def is_testset(name: str, data: Path | None = None) -> bool:
    """Whether a name is that of a test set: a published one, 'planted', a file, or one in a folder of test sets."""
    known = name in SIZES or name == PLANTED or Path(name).is_file()
    return known or is_here(name, data)


def is_here(name: str, data: Path | None = None) -> bool:
    """Whether a file stands where a test set of that name is looked up."""
    return any(path.is_file() for path in _places(name, data))


def _find(source: str, data: Path | None = None) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    for place in _places(source, data):
        if place.is_file():
            return place
    others = (*SIZES, PLANTED, *(file.stem for folder in _folders(data) for file in folder.glob("*.jsonl")))
    near = "" if source in SIZES else did_you_mean(source, others)
    known = (
        f"put {source}.jsonl into a folder and name that in {FOLDER_VARIABLE}" if source in SIZES else "check the path"
    )
    raise DataError(f"there is no test set {source!r}{near}: {known}, or give a JSON Lines file")


def _places(name: str, data: Path | None) -> list[Path]:
    """The files that a name may stand for."""
    shared = [data] if data else [Path(folder) for folder in [os.environ.get(SHARED_VARIABLE)] if folder]
    elsewhere = [folder / _ELSEWHERE[name] for folder in shared if name in _ELSEWHERE]
    return [*(folder / f"{name}.jsonl" for folder in _folders(data)), *elsewhere]


def _folders(data: Path | None) -> list[Path]:
    """The folders in which test sets are looked up by name; what was named is not replaced by something else."""
    if data is not None:
        return [data, data / "testsets"]
    shared = os.environ.get(SHARED_VARIABLE)
    named = [os.environ.get(FOLDER_VARIABLE), str(Path(shared) / "testsets") if shared else None]
    return [*(Path(folder) for folder in named if folder), fetched_testsets()]


def fetched_testsets() -> Path:
    """Where `selkit eval prefetch` puts test sets."""
    return own_cache() / "testsets"


def _read(path: Path, log: DropLog) -> Iterator[tuple[str | None, TestPrompt]]:
    """Each usable row's own id and prompt, whose id is not settled yet."""
    try:
        for line, row, _ in iter_json_lines(path, log):
            try:
                yield own_id(row.get("id")), _prompt(row)
            except Unusable as reason:
                log.drop(row_id(row.get("id"), json.dumps(row)), str(reason), line)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): check its permissions") from error


def _prompt(row: Mapping[str, Any]) -> TestPrompt:
    first, *later = row["turns"] if isinstance(row.get("turns"), list) and row["turns"] else [_first(row, INSTRUCTION)]
    given = optional_text(_first(row, INPUT), "input")
    # Published sets have prompts that stand in the input alone; those count, so that nobody's set shrinks.
    asked = first if given and isinstance(first, str) else required_text(first, "instruction")
    example = Example(id="", instruction=asked, input=given, history=history_turns(row.get("history")))
    return TestPrompt(
        id="",
        prompt=example,
        reference=_reference(_first(row, _REFERENCE)),
        category=None if row.get("category") is None else str(row["category"]),
        turns=tuple(required_text(turn, "further turn") for turn in later),
    )


def _reference(value: Any) -> str | None:
    """The answer to the first turn; MT-Bench has a list with one for each turn."""
    first = value[0] if isinstance(value, list) and value else value
    return optional_text(None if isinstance(first, list) else first, "reference") or None


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _with_ids(rows: list[tuple[str | None, TestPrompt]]) -> Iterator[TestPrompt]:
    texts = [(p.prompt.instruction, p.prompt.input, p.reference or "", p.prompt.history) for _, p in rows]
    own = pa.array([one for one, _ in rows], pa.string())
    ids = unique_ids(own, pa.array([text_digest(Fields(*text)) for text in texts], pa.string()))
    for one, (_, p) in zip(ids.to_pylist(), rows, strict=True):
        example = Example(one, p.prompt.instruction, p.prompt.input, history=p.prompt.history)
        yield TestPrompt(one, example, p.reference, p.category, p.turns)


def _planted() -> Iterator[TestPrompt]:
    for example in planted_prompts(PLANTED_PROMPTS):
        bare = Example(example.id, example.instruction, example.input)
        yield TestPrompt(example.id, bare, example.response, example.extra["task"])
