"""Reasoning step by step: BIG-Bench Hard and GSM8K, as 'Rethinking Data Selection' (appendix F) samples them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, HubData, UsageError
from selkit_tasks.citations import BBH, GSM8K
from selkit_tasks.digests import declared
from selkit_tasks.lm_eval_tasks import definition

BBH_ROWS = {
    "boolean_expressions": 250,
    "causal_judgement": 187,
    "date_understanding": 250,
    "disambiguation_qa": 250,
    "dyck_languages": 250,
    "formal_fallacies": 250,
    "geometric_shapes": 250,
    "hyperbaton": 250,
    "logical_deduction_five_objects": 250,
    "logical_deduction_seven_objects": 250,
    "logical_deduction_three_objects": 250,
    "movie_recommendation": 250,
    "multistep_arithmetic_two": 250,
    "navigate": 250,
    "object_counting": 250,
    "penguins_in_a_table": 146,
    "reasoning_about_colored_objects": 250,
    "ruin_names": 250,
    "salient_translation_error_detection": 250,
    "snarks": 178,
    "sports_understanding": 250,
    "temporal_sequences": 250,
    "tracking_shuffled_objects_five_objects": 250,
    "tracking_shuffled_objects_seven_objects": 250,
    "tracking_shuffled_objects_three_objects": 250,
    "web_of_lies": 250,
    "word_sorting": 250,
}
"""Rows of each of the 27 tasks."""


@dataclass
class BbhTask(Benchmark):
    """One task of BIG-Bench Hard: chain of thought after three examples, exact match of the answer.

    Args:
        subset: Its name in BIG-Bench Hard.
    """

    name = "bbh_task"
    citation = BBH
    requires = ("lm_eval", "datasets")
    extra = "selkit-eval[eval]"
    metrics = {"exact_match": True}  # noqa: RUF012 (never changed)
    primary = "exact_match"
    hub_data = "SaylorTwift/bbh"
    columns = {"input": str, "target": str}  # noqa: RUF012
    sample = 50

    subset: str = "boolean_expressions"

    def __post_init__(self) -> None:
        if self.subset not in BBH_ROWS:
            raise UsageError(f"BIG-Bench Hard has no task {self.subset!r}: take one of {', '.join(BBH_ROWS)}")
        self.size = BBH_ROWS[self.subset]
        self.splits = {"test": f"bbh/{self.subset}.jsonl"}
        self.digests = declared(self.splits)
        self.hub = HubData(self.hub_data, self.subset)

    @property
    def label(self) -> str:
        """``bbh_`` and the task's name."""
        return f"bbh_{self.subset}"

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``bbh_cot_fewshot`` task."""
        return {"include": definition("bbh", "cot_fewshot", f"{self.subset}.yaml"), "task": f"selkit_{self.label}"}


@dataclass
class Bbh(BenchmarkGroup):
    """BIG-Bench Hard: 27 tasks, 3-shot with chain of thought; 50 rows of each are drawn unless more are asked for."""

    name = "bbh"
    pooled = True

    def members(self) -> Sequence[BaseBenchmark]:
        """The 27 tasks."""
        return [BbhTask(subset) for subset in BBH_ROWS]


@dataclass
class Gsm8k(Benchmark):
    """School mathematics, 8-shot with chain of thought (lm-eval's ``gsm8k_cot``); 200 rows are drawn by default."""

    name = "gsm8k"
    citation = GSM8K
    requires = ("lm_eval", "datasets")
    extra = "selkit-eval[eval]"
    size = 1319
    metrics = {"exact_match": True, "exact_match,flexible-extract": True}  # noqa: RUF012
    primary = "exact_match"
    splits = {"test": "gsm8k/test.jsonl"}  # noqa: RUF012
    digests = declared(splits)
    hub_data = "openai/gsm8k"
    hub = HubData("openai/gsm8k", "main")
    columns = {"question": str, "answer": str}  # noqa: RUF012
    sample = 200

    def task_config(self) -> dict[str, Any]:
        """lm-eval's task with Wei et al.'s eight worked examples; the strict match is the first of its two filters."""
        return {"include": definition("gsm8k", "gsm8k-cot.yaml"), "task": "selkit_gsm8k"}


@dataclass
class Gsm8kLeaderboard(Benchmark):
    """School mathematics as the Open LLM Leaderboard asks it: 5-shot from the training part, the whole test part."""

    name = "gsm8k_leaderboard"
    citation = GSM8K
    requires = ("lm_eval", "datasets")
    extra = "selkit-eval[eval]"
    size = 1319
    metrics = {"exact_match": True, "exact_match,flexible-extract": True}  # noqa: RUF012
    primary = "exact_match"
    splits = {"test": "gsm8k/test.jsonl", "train": "gsm8k/train.jsonl"}  # noqa: RUF012
    digests = declared(splits)
    hub_data = "openai/gsm8k"
    hub = HubData("openai/gsm8k", "main")
    columns = {"question": str, "answer": str}  # noqa: RUF012

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``gsm8k``."""
        return {"include": definition("gsm8k", "gsm8k.yaml"), "task": "selkit_gsm8k_leaderboard", "num_fewshot": 5}
