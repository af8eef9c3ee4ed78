"""Test sets: open-ended prompts whose answers are judged."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from selkit.api.data import Example
from selkit.api.errors import DataError
from selkit.pools.planted import planted_prompts
from selkit.store.jsonl import iter_jsonl

if TYPE_CHECKING:
    from selkit.store import Store

FOLDER_VARIABLE = "SELKIT_TESTSETS"
"""Environment variable: a folder of test sets, NAME.jsonl each."""

SIZES = {
    "vicuna": 80,
    "koala": 180,
    "wizardlm": 218,
    "self-instruct": 252,
    "lima": 300,
    "coachlm": 150,
    "pandalm": 170,
    "mt-bench": 80,
}
"""Rows of the published test sets."""

PLANTED_PROMPTS = 200


@dataclass(frozen=True)
class TestPrompt:
    """One prompt. ``prompt`` has no response; ``turns`` are further user turns, as in MT-Bench."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    id: str
    prompt: Example
    reference: str | None = None
    category: str | None = None
    turns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestSet:
    """Prompts under a name."""

    __test__ = False

    name: str
    prompts: tuple[TestPrompt, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that a model or a judge is shown, 64 hex digits."""
        shown = [
            [p.id, p.prompt.instruction, p.prompt.input, p.reference, p.category, list(p.turns)] for p in self.prompts
        ]
        return hashlib.sha256(json.dumps(shown, ensure_ascii=True).encode()).hexdigest()

    def sample(self, count: int, *, seed: int = 0) -> TestSet:
        """A seeded uniform draw of ``count`` prompts, in the order of the set; the whole set where it is smaller."""
        if count >= len(self.prompts):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self.prompts), size=count, replace=False))
        return TestSet(self.name, tuple(self.prompts[i] for i in chosen))


def load_testset(source: str | Path, *, store: Store | None = None) -> TestSet:
    """The test set of a file, or of a name.

    Args:
        source: A JSON Lines file with ``instruction`` (or ``prompt``, or ``turns``) and, where the set has them, id,
            input, reference and category; a name, looked up as NAME.jsonl in the folders of SELKIT_TESTSETS and of
            SELKIT_SHARED_DATA; or 'planted'.
        store: Not needed; accepted as by the other loaders.

    Raises:
        DataError: There is no such file, it is empty, or a row has no prompt or an id that another row has.
    """
    if str(source) == "planted":
        return TestSet("planted", tuple(_planted()))
    path = _find(str(source))
    prompts = tuple(_prompt(row, path, number) for number, row in enumerate(iter_jsonl(path), 1))
    if not prompts:
        raise DataError(f"test set {path} holds no prompt")
    ids = [prompt.id for prompt in prompts]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise DataError(f"test set {path}: the id {twice!r} comes twice")
    return TestSet(path.stem, prompts)


def _find(source: str) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    shared = os.environ.get("SELKIT_SHARED_DATA")
    folders = [os.environ.get(FOLDER_VARIABLE), str(Path(shared) / "testsets") if shared else None]
    for folder in folders:
        if folder and (found := Path(folder) / f"{source}.jsonl").is_file():
            return found
    known = (
        f"put {source}.jsonl into a folder and name that in {FOLDER_VARIABLE}" if source in SIZES else "check the path"
    )
    raise DataError(f"there is no test set {source!r}: {known}, or give a JSON Lines file")


def _prompt(row: Any, path: Path, number: int) -> TestPrompt:
    if not isinstance(row, Mapping):
        raise DataError(f"test set {path}, line {number}: a prompt is an object with an instruction")
    first, *later = _turns(row)
    if not isinstance(first, str) or not first.strip():
        raise DataError(f"test set {path}, line {number}: there is no instruction")
    row_id = str(row["id"]) if row.get("id") not in (None, "") else hashlib.sha256(first.encode()).hexdigest()[:16]
    example = Example(row_id, first, str(row.get("input") or ""))
    return TestPrompt(row_id, example, row.get("reference") or None, row.get("category"), tuple(later))


def _turns(row: Mapping[str, Any]) -> list[Any]:
    turns = row.get("turns")
    return list(turns) if isinstance(turns, list) and turns else [row.get("instruction") or row.get("prompt")]


def _planted() -> Iterator[TestPrompt]:
    for example in planted_prompts(PLANTED_PROMPTS):
        bare = Example(example.id, example.instruction, example.input)
        yield TestPrompt(example.id, bare, example.response, example.extra["task"])
