"""How fast work goes: measured on what is stored where there is any, else by a rule of thumb that is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from selkit.experiment.cells.work import RECORD
from selkit.experiment.judging.judged import JUDGEMENT
from selkit.experiment.setup.stages import Stage
from selkit.models import resolve
from selkit.store import Artifact, LedgerRow, Store, totals
from selkit.store.ledger import read_rows

CHARACTERS_A_TOKEN = 4.0
BENCHMARK_TOKENS = 500
"""Tokens that an item of a benchmark has a model read, all its choices together, where nothing is measured."""

DECODING = 10
"""Writing answers gets a tenth of the operations out of a device that training does: a token reads every weight."""

PLAIN_ROWS = 20_000
"""Rows a second of a scorer without a model, and passes a second of such a judge."""

SELECTION_SECONDS = 0.05
_MOST = 50


@dataclass(frozen=True)
class Rate:
    """Seconds of a device per unit of a stage's work, and who says so."""

    seconds: float
    source: str


def trainings_measured(stages: Sequence[Stage], store: Store, device: str) -> Rate | None:
    """Seconds per character of training text under one recipe and model.

    Read from the stored trainings of the experiment itself, else from those of others in the same store on the same
    kind of device.
    """
    own = [(stage.artifact, stage.characters) for stage in stages if stage.artifact]
    found = [(_record(artifact), characters) for artifact, characters in own[-_MOST:]]
    seconds, characters = sum(one["seconds"] for one, _ in found), sum(size for _, size in found)
    if found and characters:
        return Rate(seconds / characters, _measured(len(found), "stored trainings"))
    return _elsewhere(stages[0], store, device)


def _elsewhere(stage: Stage, store: Store, device: str) -> Rate | None:
    """Measured on trainings of other experiments with the same model and recipe."""
    digest, settings = resolve(stage.model).digest, stage.detail["recipe"]
    seconds = tokens = number = 0.0
    for artifact in _latest(store, "training"):
        record = _record(artifact)
        recipe = {name: record["recipe"].get(name) for name in settings}
        if record["model_digest"] == digest and recipe == settings and record["device"] == device:
            seconds, tokens = seconds + record["seconds"], tokens + record["total_tokens"] * record["epochs"]
            number += 1
    if not tokens:
        return None
    return Rate(seconds / tokens / CHARACTERS_A_TOKEN, _measured(int(number), "trainings of other experiments"))


def stages_measured(stages: Sequence[Stage], store: Store) -> Rate | None:
    """Seconds per row of other stages: wall seconds of the stored ones over their rows."""
    own = [(stage.artifact, stage.rows) for stage in stages if stage.artifact and stage.rows][-_MOST:]
    made = [(_made(artifact, store), rows) for artifact, rows in own]
    timed = [(_wall(artifact.ledger), rows) for artifact, rows in made if artifact]
    if timed:
        rate = sum(seconds for seconds, _ in timed) / sum(rows for _, rows in timed)
        return Rate(rate, _measured(len(timed), "stored results"))
    return _passes_elsewhere(stages[0], store) if stages[0].kind == "scoring" else None


def _made(artifact: Artifact, store: Store) -> Artifact | None:
    """The result itself, where ``artifact`` is only the mark of a judging."""
    return store.get(artifact.facts[JUDGEMENT]) if JUDGEMENT in artifact.facts else artifact


def _passes_elsewhere(stage: Stage, store: Store) -> Rate | None:
    """Measured on scoring passes of the same component with the same model over other pools."""
    found = [
        artifact
        for artifact in _latest(store, "scores")
        if artifact.manifest["component"] == stage.component
        and stage.model in ("", *map(str, artifact.manifest["parameters"].values()))
    ]
    rows = sum(int(artifact.facts.get("scored", 0)) for artifact in found)
    if not rows:
        return None
    return Rate(sum(_wall(one.ledger) for one in found) / rows, _measured(len(found), "passes over other pools"))


def rule_of(stage: Stage, flops: float | None) -> Rate | None:
    """The rule of thumb for a stage: seconds per row, or for a training per character; None where it needs operations
    a second and nobody said them."""
    if stage.kind == "selection":
        return Rate(SELECTION_SECONDS / max(stage.rows, 1), "rule: 0.05 s a selection")
    if not stage.model:
        return Rate(1 / PLAIN_ROWS, f"rule: {PLAIN_ROWS:,} a second")
    if flops is None:
        return None
    parameters = parameters_of(stage.model)
    tokens = stage.characters / CHARACTERS_A_TOKEN / max(stage.rows, 1)
    match stage.kind:
        case "training":
            return Rate(6 * parameters / flops / CHARACTERS_A_TOKEN, "rule: parameters x tokens x 6 / flops")
        case "answers":
            tokens += stage.tokens_out / max(stage.rows, 1)
            return Rate(2 * parameters * tokens * DECODING / flops, "rule: parameters x tokens x 20 / flops, at most")
        case "benchmark" | "validation":
            return Rate(2 * parameters * BENCHMARK_TOKENS / flops, "rule: parameters x 500 tokens an item x 2 / flops")
        case _:
            return Rate(2 * parameters * tokens / flops, "rule: parameters x tokens x 2 / flops")


@lru_cache(maxsize=32)
def parameters_of(ref: str) -> float:
    """Parameters of a model, from the headers of its weights; loads none."""
    return float(sum(prod(shape) for path in resolve(ref).path.glob("*.safetensors") for shape in _shapes(path)))


def _shapes(path: Path) -> Iterator[list[int]]:
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    yield from (entry["shape"] for name, entry in header.items() if name != "__metadata__")


def _latest(store: Store, stage: str) -> Iterator[Artifact]:
    """The latest results of a stage that the ledger names and that are still there."""
    keys: dict[str, None] = {}
    for row in reversed(read_rows(store.root)):
        if row.stage == stage:
            keys.setdefault(row.key)
    for key in list(keys)[:_MOST]:
        if artifact := store.get(key):
            yield artifact


def _record(artifact: Artifact) -> Mapping[str, Any]:
    record: dict[str, Any] = json.loads(artifact.file(RECORD).read_text("utf-8"))
    return {**record, **record["measured"]}


def _wall(rows: Sequence[LedgerRow]) -> float:
    return totals(rows).get("wall_seconds", 0.0)


def _measured(number: int, what: str) -> str:
    return f"measured: {what}, {number} of them"
