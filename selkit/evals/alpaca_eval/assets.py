"""What AlpacaEval's length-controlled GLM rests on besides the annotations: difficulties, and gamed annotations."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selkit.api.errors import DataError
from selkit.evals.logistic import Floats

GAMED = "df_gamed.csv"
"""The file that AlpacaEval's GLM reads."""

BASELINE = "gpt4_1106_preview"
"""The baseline that the difficulties and the gamed annotations are about."""

_COLUMNS = ("preference", "index", "std_delta_len", "instruction_difficulty")


@dataclass(frozen=True)
class LcAssets:
    """Instruction difficulties and gamed annotations (EVALUATION 2.2).

    Attributes:
        difficulty: gamma of each instruction, by its index in the eval set.
        gamed_preference: Preference for the baseline prompted to be verbose or concise over its plain self, in [0, 1].
        gamed_gap: Length of the prompted less that of the plain response, in standard deviations.
        gamed_difficulty: gamma of the instruction of each gamed annotation.
    """

    difficulty: Mapping[int, float]
    gamed_preference: Floats
    gamed_gap: Floats
    gamed_difficulty: Floats


def read_assets(folder: Path | None) -> LcAssets:
    """The assets in a folder that holds AlpacaEval's ``df_gamed.csv``.

    The file has the difficulty of every instruction beside each gamed annotation; AlpacaEval takes it from there too.

    Raises:
        DataError: No folder is named, or it has no such file, or that has other columns or values.
    """
    if folder is None or not (folder / GAMED).is_file():
        missing = "no folder is named" if folder is None else f"{folder} has no file {GAMED}"
        raise DataError(
            f"AlpacaEval's length-controlled win rate needs its file {GAMED}, and {missing}: get it from the dataset "
            "tatsu-lab/alpaca_eval of the Hugging Face hub, name its folder with --lc-assets or SELKIT_LC_ASSETS, or "
            "do without it with --mode direct"
        )
    path = folder / GAMED
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        values = np.array([[float(row[name]) for name in _COLUMNS] for row in rows])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not AlpacaEval's: it should have the columns {', '.join(_COLUMNS)}, all numbers ({error!r})"
        ) from error
    if not rows or not np.isfinite(values).all() or not ((values[:, 0] >= 0) & (values[:, 0] <= 1)).all():
        raise DataError(
            f"{path} is empty, or has a preference outside of 0 to 1, or a number that is none: get it anew"
        )
    preference, index, gap, difficulty = values.T
    # AlpacaEval takes the baseline's length less the model's.
    return LcAssets(
        dict(zip(index.astype(int).tolist(), difficulty.tolist(), strict=True)), preference, -gap, difficulty
    )
