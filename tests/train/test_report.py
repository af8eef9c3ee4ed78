"""The record of a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import DataError, Dropped
from selkit.train import RECIPES, TrainReport
from selkit.train.outcome import passes, thinned

REPORT = TrainReport(
    model="tiny:llama",
    model_digest="0" * 64,
    recipe=RECIPES["lima"].as_dict(),
    template={"name": "plain", "digest": "1" * 16},
    data="2" * 64,
    turns="last",
    n_selected=10,
    n_trained=9,
    n_truncated=2,
    n_dropped=1,
    n_merged=0,
    n_sequences=9,
    dropped=(Dropped("a", "too long"),),
    max_length=64,
    supervised_tokens=90,
    total_tokens=200,
    steps=2,
    epochs=1.5,
    loss_curve=((1, 2.5), (2, 2.25)),
    final_loss=2.25,
    batch_size=8,
    micro_batch=4,
    accumulation=2,
    seeds={"training": 3},
    versions={"torch": "2"},
    device="cpu",
    precision="float32",
    threads=1,
    seconds=1.25,
    tokens_per_second=240.0,
)


def test_json_reads_back() -> None:
    """What is written is what is read."""
    assert TrainReport.from_json(REPORT.to_json()) == REPORT


def test_clock_and_machine_stand_in_one_place() -> None:
    """Everything that differs between two runs of the same training is under ``measured``."""
    measured = json.loads(REPORT.to_json())["measured"]
    assert measured == {"seconds": 1.25, "tokens_per_second": 240.0, "resumed_from": None, "halvings": 0}


def test_the_summary_counts_what_was_left_out() -> None:
    """People read how many rows were trained, dropped and cut."""
    assert REPORT.summary().startswith("2 steps on 9 of 10 rows, 1 dropped, 2 cut off; 90 supervised tokens")


@pytest.mark.parametrize("text", [None, "{", "{}", "[]", '{"measured": {}}'])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str | None) -> None:
    """Missing, torn or foreign: one sentence with the path."""
    if text is not None:
        (tmp_path / "training.json").write_text(text)
    with pytest.raises(DataError, match=r"training\.json is not the record of a training"):
        TrainReport.read(tmp_path)


@given(steps=st.integers(1, 60), batch=st.integers(1, 20), rows=st.integers(1, 50))
def test_passes_against_counting_rows(steps: int, batch: int, rows: int) -> None:
    """Rows seen over rows there are, where no batch reaches over the end of a pass."""
    seen, left = 0, rows
    for _ in range(steps):
        taken = min(batch, left)
        seen, left = seen + taken, left - taken or rows
    assert passes(steps, batch, rows) == pytest.approx(seen / rows)


@given(length=st.integers(0, 5000))
def test_a_long_curve_is_thinned_and_keeps_its_ends(length: int) -> None:
    """At most about a thousand points, in order, the first and the last among them."""
    curve = [(step, 1 / step) for step in range(1, length + 1)]
    kept = thinned(curve)
    assert len(kept) <= 1001
    assert list(kept) == sorted(set(kept))
    assert (kept[0], kept[-1]) == (curve[0], curve[-1]) if curve else kept == ()
    assert set(kept) <= set(curve)
