"""IFEval (Zhou et al., 2023): instructions whose following a program can check."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import Benchmark, MissingExtra
from selkit_tasks.punkt import ensure_punkt

PROMPT_METRICS = ("prompt_level_strict_acc", "prompt_level_loose_acc")
INSTRUCTION_METRICS = ("inst_level_strict_acc", "inst_level_loose_acc")


@dataclass
class IFEval(Benchmark):
    """Prompt- and instruction-level accuracy on 541 prompts, strict and loose, 0-shot."""

    name = "ifeval"
    requires = ("lm_eval", "langdetect", "immutabledict", "nltk")
    extra = "selkit-eval[eval]"
    size = 541
    metrics = dict.fromkeys((*PROMPT_METRICS, *INSTRUCTION_METRICS), True)
    primary = "prompt_level_strict_acc"
    data_name = "ifeval/prompts.jsonl"
    hub_data = "google/IFEval"

    def task_config(self, data: Path) -> dict[str, Any]:
        """lm-eval's own task on local rows, with a scorer that gives the same text the same score."""
        return {
            "include": str(lm_eval_tasks() / "ifeval" / "ifeval.yaml"),
            "task": "selkit_ifeval",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": {"train": str(data)}},
            "process_results": "!function selkit_tasks.ifeval.process_results",
            "metadata": {"version": 1.0},
        }

    def item_scores(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """Whether the prompt was followed as a whole, and the share of its instructions that were followed."""
        scores = {metric: float(sample[metric]) for metric in PROMPT_METRICS}
        for metric in INSTRUCTION_METRICS:
            followed = sample[metric]
            scores[metric] = sum(map(bool, followed)) / len(followed)
        return scores

    def prepare(self, cache_dir: Path) -> None:
        """Puts the sentence splitter where nltk finds it."""
        ensure_punkt(cache_dir)


def process_results(doc: Mapping[str, Any], results: list[str]) -> dict[str, Any]:
    """lm-eval's scores of one response, with its two sources of chance seeded by the row."""
    import langdetect
    from lm_eval.tasks.ifeval import utils

    state = random.getstate()
    random.seed(int(doc["key"]))
    langdetect.DetectorFactory.seed = 0
    try:
        scores: dict[str, Any] = utils.process_results(doc, results)
    finally:
        random.setstate(state)
    return scores


def lm_eval_tasks() -> Path:
    """The folder of lm-eval's task definitions, found without importing lm-eval."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra.of("IFEval", "eval")
    return Path(spec.submodule_search_locations[0]) / "tasks"
