"""The components as arms of an experiment that is written down in YAML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("sacrebleu")

from selkit.experiment import parse_spec, run_experiment
from selkit.store import Store

SPEC = """
name: diversity
pools: [{name: planted, source: {name: planted, rows: 120}}]
model: tiny:words?hidden=32&layers=1
recipe: {preset: quickstart, max_steps: 2, batch_size: 8}
selectors:
  - random
  - {name: kmeans, parameters: {clusters: 6, n_init: 1}}
  - name: kmeans
    as: best-of-clusters
    parameters: {clusters: 6, n_init: 1, scorer: {name: longest, unit: words}}
  - {name: k-center, parameters: {start: medoid}}
budgets: [20]
runs: {random: 3, default: 1}
testsets: {planted: {prompts: 6, max_new_tokens: 4}}
workers: 1
threads: 1
"""


@pytest.mark.slow
def test_arms_share_one_set_of_embeddings(tmp_path: Path) -> None:
    """Three arms, one of them with a scorer of the host: embeddings are made once, by the base model, and reported."""
    store = Store(tmp_path / "store")
    report = run_experiment(parse_spec(yaml.safe_load(SPEC)), tmp_path / "out", store=store)
    assert {row["arm"] for row in report["verdicts"]} == {"kmeans", "best-of-clusters", "k-center"}
    stored = list(store.artifacts(stage="embeddings"))
    assert [artifact.facts["texts"] for artifact in stored] == [120]
    chosen = [
        json.loads(artifact.file("choice.json").read_text("utf-8")) for artifact in store.artifacts(stage="selection")
    ]
    assert {len(choice["ids"]) for choice in chosen} == {20}
    assert sum("smallest_share" in choice["facts"] for choice in chosen) == 2
    assert sum("radius" in choice["facts"] for choice in chosen) == 1
