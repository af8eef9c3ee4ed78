"""Under which template a model is asked, and what is said where it was trained with another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from selkit.api import ALPACA
from selkit.evals.evaluation import model_subject
from selkit.models import resolve


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A model folder."""
    return Path(shutil.copytree(resolve("tiny:words?layers=1").path, tmp_path / "model"))


def record(folder: Path, **template: str) -> None:
    """What training writes beside the weights."""
    (folder / "training.json").write_text(json.dumps({"template": template}), "utf-8")


def test_the_template_of_the_training_is_taken(trained: Path) -> None:
    """Without a word; and without a record Alpaca's, as the model brings none."""
    record(trained, name="plain")
    subject = model_subject(str(trained))
    assert (subject.template.name, subject.note) == ("plain", "")
    (trained / "training.json").unlink()
    assert model_subject(str(trained)).template.name == "alpaca"


def test_another_template_is_taken_with_a_warning(trained: Path) -> None:
    """By name, or where the template of that name has changed since."""
    record(trained, name="plain")
    subject = model_subject(str(trained), "alpaca")
    assert (subject.template.name, subject.note) == (
        "alpaca",
        f"{trained} was trained with the template plain, not alpaca",
    )
    record(trained, name="alpaca", digest="0" * 16)
    assert "another version of the template alpaca" in model_subject(str(trained)).note
    record(trained, name="alpaca", digest=ALPACA.digest)
    assert model_subject(str(trained)).note == ""
