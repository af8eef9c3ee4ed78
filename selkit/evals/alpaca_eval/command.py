"""What ``selkit eval alpaca-eval`` does, as a function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from selkit.api.errors import DataError
from selkit.console import get_console
from selkit.evals.alpaca_eval.annotations import Annotations, read_annotations
from selkit.evals.alpaca_eval.assets import BASELINE, read_assets
from selkit.evals.alpaca_eval.leaderboard import leaderboard_rows, merged, read_leaderboard, write_leaderboard
from selkit.evals.alpaca_eval.outputs import EvalSet, read_eval_set
from selkit.evals.alpaca_eval.rates import (
    Baselines,
    Difficulty,
    Mode,
    ModelRates,
    RateSettings,
    check_settings,
    other_baselines,
    win_rates,
)
from selkit.evals.alpaca_eval.records import shown
from selkit.evals.alpaca_eval.results import check_folder, document, write_results
from selkit.evals.length_control import check_bootstraps


@dataclass(frozen=True)
class AlpacaEvalJob:
    """The options of ``selkit eval alpaca-eval``.

    Attributes:
        annotations: Files of annotations.
        eval_set: The instructions, with the baseline's outputs.
        baseline_outputs: Outputs of further baselines, one model a file.
        lc_assets: Folder with AlpacaEval's df_gamed.csv.
        mode: 'official' or 'direct'.
        baselines: 'pooled' or 'drawn'.
        difficulty: 'none' or 'joint'.
        bootstraps: Resamples that intervals rest on.
        seed: Seed of all that is drawn.
        leaderboard: CSV to add the models to.
        output: Folder for the results.
        force: Whether to overwrite what is there.
    """

    annotations: Sequence[Path]
    eval_set: Path | None = None
    baseline_outputs: Sequence[Path] = ()
    lc_assets: Path | None = None
    mode: str = "official"
    baselines: str = "pooled"
    difficulty: str = "none"
    bootstraps: int = 1000
    seed: int = 0
    leaderboard: Path | None = None
    output: Path | None = None
    force: bool = False


def run_job(job: AlpacaEvalJob) -> tuple[dict[str, Any], list[ModelRates]]:
    """Reads, estimates and writes; returns the result as JSON writes it, and the rates of each model.

    Raises:
        UsageError: Options that do not go together.
        DataError: A file is missing or wrong, or a place cannot be written to.
    """
    settings = RateSettings(
        cast(Mode, job.mode),
        cast(Baselines, job.baselines),
        cast(Difficulty, job.difficulty),
        job.bootstraps,
        job.seed,
    )
    check_settings(settings)
    check_bootstraps(job.bootstraps)
    if job.output is not None:
        check_folder(job.output, force=job.force)
    old = read_leaderboard(job.leaderboard) if job.leaderboard is not None and job.leaderboard.exists() else {}
    assets = read_assets(job.lc_assets) if settings.mode == "official" else None
    eval_set = None if job.eval_set is None else read_eval_set(job.eval_set)
    annotations = read_annotations(job.annotations, eval_set, _by_generator(job.baseline_outputs))
    _tell(annotations, settings)
    rates = win_rates(annotations, settings, assets)
    found = document(rates, settings, annotations)
    if job.leaderboard is not None:
        write_leaderboard(job.leaderboard, merged(old, leaderboard_rows(rates), force=job.force))
    if job.output is not None:
        write_results(job.output, found, rates, annotations)
    return found, rates


def _by_generator(paths: Sequence[Path]) -> dict[str, EvalSet]:
    """The outputs of each file under the name of its model."""
    found: dict[str, EvalSet] = {}
    for path in paths:
        outputs = read_eval_set(path)
        if len(outputs.generators) > 1:
            raise DataError(
                f"{path} has outputs of {len(outputs.generators)} models ({shown(outputs.generators)}): give one file "
                "for each"
            )
        name = outputs.generators[0] if outputs.generators else path.name.partition(".")[0]
        if name in found:
            raise DataError(f"{path} has outputs of {name!r}, and so has {found[name].source}: give one of them")
        found[name] = outputs
    return found


def _tell(annotations: Annotations, settings: RateSettings) -> None:
    """Notes on what was left out or taken in a particular way."""
    console = get_console()
    for note in annotations.notes:
        console.note(note)
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in annotations.left_out:
        groups[row.model, row.reason].append(row.where)
    for (model, reason), where in groups.items():
        console.note(f"{model}: {len(where)} annotations have {reason} and were left out ({shown(where)})")
    if settings.mode == "official" and (others := other_baselines(annotations)):
        console.note(
            f"AlpacaEval's difficulties and gamed annotations are about the baseline {BASELINE}, and these annotations "
            f"are against {shown(others)}: --mode direct needs neither"
        )
