"""Results as files, laid out as AlpacaEval does: a leaderboard, and a folder for each model."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selkit.api.errors import DataError
from selkit.evals.alpaca_eval.annotations import Annotation, Annotations
from selkit.evals.alpaca_eval.leaderboard import leaderboard_rows, write_leaderboard
from selkit.evals.alpaca_eval.outputs import Output, text_of, write_outputs
from selkit.evals.alpaca_eval.rates import ModelRates, RateSettings
from selkit.evals.alpaca_eval.records import write_records
from selkit.files import atomic_write_text, digest_text, unwritable

SCHEMA_VERSION = 1
WIN_RATES = "win_rates.json"
LEADERBOARD = "leaderboard.csv"
ANNOTATIONS = "annotations.json"
OUTPUTS = "model_outputs.json"

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def document(rates: Sequence[ModelRates], settings: RateSettings, annotations: Annotations) -> dict[str, Any]:
    """The result as JSON writes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "mode": settings.mode,
        "baselines": settings.baselines,
        "difficulty": settings.difficulty,
        "bootstraps": settings.bootstraps,
        "seed": settings.seed,
        "models": [one.to_dict() for one in rates],
        "notes": list(annotations.notes),
    }


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Raises DataError where a folder holds something and ``force`` is not set."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: name a folder with -o")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} holds other files: choose another folder, or add --force")


def write_results(folder: Path, found: dict[str, Any], rates: Sequence[ModelRates], annotations: Annotations) -> None:
    """Writes win_rates.json, leaderboard.csv and for each model NAME/annotations.json and NAME/model_outputs.json.

    Args:
        folder: Where to write; made where it is not there.
        found: What :func:`document` gave.
        rates: The rates, for the leaderboard.
        annotations: What they rest on.

    Raises:
        DataError: The place cannot be written to.
    """
    try:
        for name in annotations.models:
            (folder / folder_name(name)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder) from error
    atomic_write_text(folder / WIN_RATES, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    write_leaderboard(folder / LEADERBOARD, leaderboard_rows(rates))
    for name, unsorted in annotations.models.items():
        rows = sorted(unsorted, key=_place)
        write_records(folder / folder_name(name) / ANNOTATIONS, [dict(row.record) for row in rows])
        write_outputs(folder / folder_name(name) / OUTPUTS, _outputs(rows))


def folder_name(model: str) -> str:
    """A name of a model that is safe as that of a folder: itself, or what is left of it and a digest of the whole."""
    plain = _UNSAFE.sub("_", model).strip(".")[:80]
    return plain if plain == model else f"{plain}-{digest_text(model)[:8]}"


def _place(row: Annotation) -> tuple[int, str, str]:
    """The eval set's order, because alpaca_eval takes the number of a row for its instruction's index."""
    return (sys.maxsize if row.index is None else row.index, row.prompt, row.baseline)


def _outputs(rows: Sequence[Annotation]) -> list[Output]:
    """One output for each instruction that has a text, whatever number of baselines it was compared with."""
    found: dict[str, Output] = {}
    for row in rows:
        instruction = text_of(row.record.get("instruction"))
        if instruction is not None:
            dataset = text_of(row.record.get("dataset"))
            found.setdefault(instruction, Output(instruction, row.output, row.model, row.index, dataset))
    return list(found.values())
