"""IFEval (Zhou et al., 2023): instructions whose following a program can check."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import Benchmark, HubData
from selkit_tasks.citations import IFEVAL
from selkit_tasks.digests import declared
from selkit_tasks.lm_eval_tasks import definition
from selkit_tasks.punkt import ensure_punkt

PROMPT_METRICS = ("prompt_level_strict_acc", "prompt_level_loose_acc")
INSTRUCTION_METRICS = ("inst_level_strict_acc", "inst_level_loose_acc")


@dataclass
class IFEval(Benchmark):
    """Prompt- and instruction-level accuracy on 541 prompts, strict and loose, 0-shot."""

    name = "ifeval"
    citation = IFEVAL
    requires = ("lm_eval", "langdetect", "immutabledict", "nltk", "datasets")
    extra = "selkit-eval[eval]"
    size = 541
    metrics = dict.fromkeys((*PROMPT_METRICS, *INSTRUCTION_METRICS), True)
    primary = "prompt_level_strict_acc"
    splits = {"train": "ifeval/prompts.jsonl"}  # noqa: RUF012 (never changed)
    digests = declared(splits)
    hub_data = "google/IFEval"
    hub = HubData("google/IFEval")
    columns = {"key": int, "prompt": str, "instruction_id_list": list, "kwargs": list}  # noqa: RUF012 (a ClassVar)

    def task_config(self) -> dict[str, Any]:
        """lm-eval's own task, with a scorer that gives the same text the same score."""
        return {
            "include": definition("ifeval", "ifeval.yaml"),
            "task": "selkit_ifeval",
            "process_results": "!function selkit_tasks.ifeval.process_results",
            "metadata": {"version": 1.0},
        }

    def check_row(self, row: Mapping[str, Any]) -> str:
        """Whether this lm-eval knows the row's instructions: a row that would fail in scoring fails here."""
        from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT

        names = row["instruction_id_list"]
        unknown = [name for name in names if name not in INSTRUCTION_DICT]
        if unknown:
            return f"prompt {row['key']} has the unknown instruction {unknown[0]!r}"
        if not names or len(names) != len(row["kwargs"]):
            return f"prompt {row['key']} lacks instructions or their kwargs"
        return ""

    def item_weights(self, sample: Mapping[str, Any]) -> dict[str, float]:
        """The instruction-level metrics are means over instructions, of which a prompt has one to three."""
        return dict.fromkeys(INSTRUCTION_METRICS, float(len(sample["doc"]["instruction_id_list"])))

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
    from lm_eval.tasks.ifeval import utils

    with seeded(int(doc["key"])):
        scores: dict[str, Any] = utils.process_results(doc, results)
    return scores


@contextmanager
def seeded(key: int) -> Iterator[None]:
    """What lm-eval's scorer draws depends on ``key`` alone: the letters it makes up, and langdetect's guesses.

    The state of both, which belongs to the process, is as before afterwards.
    """
    from langdetect import DetectorFactory

    state, seed = random.getstate(), DetectorFactory.seed
    random.seed(key)
    DetectorFactory.seed = 0
    try:
        yield
    finally:
        random.setstate(state)
        DetectorFactory.seed = seed
