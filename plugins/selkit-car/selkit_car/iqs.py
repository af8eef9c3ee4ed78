"""The score of 'Clustering and Ranking' (Ge et al., EMNLP 2024): what experts would make of a row.

IQS (instruction pair quality score) is learnt from rows before and after experts revised them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from selkit.api import Context, DataError, Example, Pool, RowScore, Scorer
from selkit_car.card import Variant
from selkit_car.citations import CAR
from selkit_car.texts import Template, anchor, answer, whole


@dataclass
class Iqs(Scorer):
    """Quality as language experts see it, by a scorer that was trained on pairs of original and revised rows.

    ``python -m selkit_car train`` makes such a scorer. A conversation is judged by its last turn. Texts of more tokens
    than the scorer reads (512) lose their end and are flagged.

    Args:
        scorer: The trained scorer: its folder, or a reference (hub:NAME, pypi:NAME==VERSION).
        variant: What the scorer is: 'estimator' (IQS itself) or 'comet' (the paper's Comet Instruct, which rates the
            nearness of response and instruction); one of the other kind is refused.
        template: 'always-input' names the input also where it is empty (the authors' inference), 'omit-empty-input'
            does not (their training texts).
    """

    name: ClassVar[str] = "iqs"
    citation: ClassVar[str] = CAR
    by_length: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    extra: ClassVar[str] = "selkit-car[train]"
    models: ClassVar[tuple[str, ...]] = ("scorer",)

    scorer: str
    variant: Variant = "estimator"
    template: Template = "always-input"

    def preflight(self, pool: Pool, ctx: Context) -> None:
        """Refuses what is no scorer of this variant, where it is a folder; what is fetched first is checked then."""
        from selkit_car.network import check_scorer

        if self.scorer.startswith("tiny:"):
            raise DataError(f"{self.scorer!r} is an untrained language model and no IQS scorer: give a trained one")
        if not self.scorer.startswith(("hub:", "pypi:")):
            check_scorer(Path(self.scorer).expanduser(), self.scorer, self.variant)

    def score(self, pool: Pool, ctx: Context) -> Iterator[RowScore]:
        """One number per row; details hold the tokens that were read."""
        from selkit_car.network import load_scorer

        network = load_scorer(ctx.model_files(self.scorer), self.variant, ctx.device)
        rows = [self.texts(row) for row in pool]
        for found in ctx.track(network.score(rows), total=len(rows), description="iqs"):
            details = {"tokens": float(found.tokens)}
            if math.isfinite(found.value):
                yield RowScore(found.value, truncated=found.truncated, details=details)
            else:
                yield RowScore.failed("the score is not a finite number", **details)

    def texts(self, row: Example) -> tuple[str, ...]:
        """The texts of a row that the scorer reads."""
        if self.variant == "comet":
            return anchor(row, self.template), answer(row)
        return (whole(row, self.template),)
