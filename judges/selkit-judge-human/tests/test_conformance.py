"""The judge `human` keeps the contract of judges."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from selkit_judge_human.judge import Human

from selkit.testing import JudgeConformance, make_context, sample_comparisons


class TestHuman(JudgeConformance):
    """With labels for every sample comparison."""

    @pytest.fixture
    def component(self, tmp_path: Path) -> Human:
        """The judge, after an annotator has filled in the sheet."""
        sent = Human().export(sample_comparisons(), tmp_path / "study", make_context(tmp_path))
        sheet = sent / "comparisons.csv"
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows):
            row["better"] = ("1", "2", "tie")[number % 3]
        with sheet.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return Human(labels=(tmp_path / "study",))
