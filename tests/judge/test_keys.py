"""What judgements are stored by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

pytest.importorskip("torch")

from selkit.api import Comparison, Context, Judgement, PairwiseJudge
from selkit.judge.engine import judging_key


@dataclass
class Local(PairwiseJudge):
    """A judge that runs a model, where it is given one."""

    name = "local"
    models = ("model",)

    model: str | None = None

    def compare(self, comparisons: Sequence[Comparison], ctx: Context) -> Iterable[Judgement]:
        """Not asked here."""
        return []


def test_a_local_models_judgements_are_kept_apart_by_device_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a judge that computes nothing here are found on every machine: they may have been paid for."""
    asked = [Comparison("c", "p", "a", "b")]
    keys = []
    for device, version in (("cpu", "1"), ("cuda:1", "1"), ("cpu", "2")):
        monkeypatch.setenv("SELKIT_DEVICE", device)
        monkeypatch.setattr("selkit.judge.engine.package_version", lambda name, version=version: version)
        keys.append((judging_key(Local("tiny:words?hidden=32&layers=1"), asked), judging_key(Local(), asked)))
    assert len({local for local, _ in keys}) == 3
    assert len({other for _, other in keys}) == 1
    assert [local.conditions["device"] for local, _ in keys] == ["cpu", "cuda", "cpu"]
