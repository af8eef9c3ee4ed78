"""The Open LLM Leaderboard (v1) and what the papers make of it: multiple choice by likelihood, and their averages.

Shots and metrics are those of the leaderboard (EleutherAI's v1 settings): ARC-Challenge 25 acc_norm, HellaSwag 10
acc_norm, MMLU 5 acc, TruthfulQA 0 mc2, WinoGrande 5 acc, GSM8K 5 exact match; the average is over the six, and that of
MMLU over its 57 subjects, each counting alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, HubData
from selkit_tasks.citations import ARC, HELLASWAG, MMLU, TRUTHFULQA, WINOGRANDE
from selkit_tasks.lm_eval_tasks import definition
from selkit_tasks.reasoning import Bbh, Gsm8k, Gsm8kLeaderboard

SUBJECTS = (
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "business_ethics",
    "clinical_knowledge",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_medicine",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "econometrics",
    "electrical_engineering",
    "elementary_mathematics",
    "formal_logic",
    "global_facts",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_european_history",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_mathematics",
    "high_school_microeconomics",
    "high_school_physics",
    "high_school_psychology",
    "high_school_statistics",
    "high_school_us_history",
    "high_school_world_history",
    "human_aging",
    "human_sexuality",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "machine_learning",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "moral_disputes",
    "moral_scenarios",
    "nutrition",
    "philosophy",
    "prehistory",
    "professional_accounting",
    "professional_law",
    "professional_medicine",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
    "virology",
    "world_religions",
)
"""The 57 subjects of MMLU."""


@dataclass
class _Choice(Benchmark):
    """A benchmark of multiple choice in lm-eval's own definition.

    Args:
        shots: Examples before the question.
    """

    requires = ("lm_eval", "datasets")
    extra = "selkit-eval[eval]"
    metrics = {"acc": True, "acc_norm": True}  # noqa: RUF012 (never changed)
    primary = "acc_norm"

    shots: int = 0

    def response(self, sample: Any) -> str:
        """The choice that was likeliest by the plain likelihood."""
        likelihoods = [float(answer[0][0]) for answer in sample["resps"]]
        best = likelihoods.index(max(likelihoods))
        return str(sample["arguments"][best][1]).strip()

    def _config(self, *path: str, **changes: Any) -> dict[str, Any]:
        return {"include": definition(*path), "task": f"selkit_{self.label}", "num_fewshot": self.shots, **changes}


@dataclass
class ArcChallenge(_Choice):
    """ARC-Challenge: 25-shot science questions."""

    name = "arc_challenge"
    citation = ARC
    size = 1172
    splits = {"test": "arc_challenge/test.jsonl", "train": "arc_challenge/train.jsonl"}  # noqa: RUF012
    hub_data = "allenai/ai2_arc (ARC-Challenge)"
    hub = HubData("allenai/ai2_arc", "ARC-Challenge")
    columns = {"question": str, "choices": dict, "answerKey": str}  # noqa: RUF012

    shots: int = 25

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``arc_challenge``, its examples from the training part."""
        return self._config("arc", "arc_challenge.yaml", fewshot_split="train", validation_split=None)


@dataclass
class ArcEasy(_Choice):
    """ARC-Easy: science questions, by default without examples, as lm-eval has it."""

    name = "arc_easy"
    citation = ARC
    size = 2376
    splits = {"test": "arc_easy/test.jsonl", "train": "arc_easy/train.jsonl"}  # noqa: RUF012
    hub_data = "allenai/ai2_arc (ARC-Easy)"
    hub = HubData("allenai/ai2_arc", "ARC-Easy")
    columns = {"question": str, "choices": dict, "answerKey": str}  # noqa: RUF012

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``arc_easy``."""
        return self._config("arc", "arc_easy.yaml", fewshot_split="train", validation_split=None)


@dataclass
class HellaSwag(_Choice):
    """HellaSwag: 10-shot choice of an ending."""

    name = "hellaswag"
    citation = HELLASWAG
    size = 10042
    splits = {"validation": "hellaswag/validation.jsonl", "train": "hellaswag/train.jsonl"}  # noqa: RUF012
    hub_data = "Rowan/hellaswag"
    hub = HubData("Rowan/hellaswag")
    columns = {"ctx_a": str, "ctx_b": str, "activity_label": str, "endings": list, "label": str}  # noqa: RUF012

    shots: int = 10

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``hellaswag``."""
        return self._config("hellaswag", "hellaswag.yaml", fewshot_split="train")


@dataclass
class Winogrande(_Choice):
    """WinoGrande: 5-shot choice of what a pronoun stands for."""

    name = "winogrande"
    citation = WINOGRANDE
    size = 1267
    metrics = {"acc": True}  # noqa: RUF012
    primary = "acc"
    splits = {"validation": "winogrande/validation.jsonl", "train": "winogrande/train.jsonl"}  # noqa: RUF012
    hub_data = "allenai/winogrande (winogrande_xl)"
    hub = HubData("allenai/winogrande", "winogrande_xl")
    columns = {"sentence": str, "option1": str, "option2": str, "answer": str}  # noqa: RUF012

    shots: int = 5

    def response(self, sample: Any) -> str:
        """The option that made the end of the sentence likeliest."""
        likelihoods = [float(answer[0][0]) for answer in sample["resps"]]
        return str(sample["doc"][f"option{1 + likelihoods.index(max(likelihoods))}"])

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``winogrande``."""
        return self._config("winogrande", "default.yaml", fewshot_split="train")


@dataclass
class TruthfulQA(_Choice):
    """TruthfulQA, mc2: the probability of the true answers; six fixed questions stand before each."""

    name = "truthfulqa_mc2"
    citation = TRUTHFULQA
    size = 817
    metrics = {"acc": True}  # noqa: RUF012
    primary = "acc"
    splits = {"validation": "truthfulqa/multiple_choice.jsonl"}  # noqa: RUF012
    hub_data = "truthfulqa/truthful_qa (multiple_choice)"
    hub = HubData("truthfulqa/truthful_qa", "multiple_choice")
    columns = {"question": str, "mc1_targets": dict, "mc2_targets": dict}  # noqa: RUF012

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``truthfulqa_mc2``."""
        return self._config("truthfulqa", "truthfulqa_mc2.yaml")


@dataclass
class MmluSubject(_Choice):
    """One subject of MMLU.

    Args:
        subject: One of :data:`SUBJECTS`.
        shots: Examples from the development part.
    """

    name = "mmlu_subject"
    citation = MMLU
    metrics = {"acc": True}  # noqa: RUF012
    primary = "acc"
    hub_data = "cais/mmlu"
    columns = {"question": str, "choices": list, "answer": int}  # noqa: RUF012

    shots: int = 5
    subject: str = "anatomy"

    def __post_init__(self) -> None:
        self.size = 0  # the subjects differ; the data are counted as they are
        self.splits = {"test": f"mmlu/{self.subject}/test.jsonl", "dev": f"mmlu/{self.subject}/dev.jsonl"}
        self.hub = HubData(self.hub_data, self.subject)

    @property
    def label(self) -> str:
        """``mmlu_`` and the subject."""
        return f"mmlu_{self.subject}"

    def task_config(self) -> dict[str, Any]:
        """lm-eval's ``mmlu`` task of the subject."""
        return self._config("mmlu", "default", f"mmlu_{self.subject}.yaml")


@dataclass
class Mmlu(BenchmarkGroup):
    """MMLU: 57 subjects, 5-shot, each counting alike."""

    name = "mmlu"
    pooled = True
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """The 57 subjects."""
        return [MmluSubject(subject=subject) for subject in SUBJECTS]


@dataclass
class MmluByQuestion(BenchmarkGroup):
    """MMLU: 57 subjects, 5-shot, each question counting alike, as in the script of its authors (hendrycks/test)."""

    name = "mmlu_by_question"
    pooled = True
    average = "items"

    def members(self) -> Sequence[BaseBenchmark]:
        """The 57 subjects."""
        return Mmlu().members()


@dataclass
class OpenLLM(BenchmarkGroup):
    """The Open LLM Leaderboard, version 1: six benchmarks and their average."""

    name = "openllm"
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """The six with the leaderboard's shots."""
        return [ArcChallenge(), HellaSwag(), Mmlu(), TruthfulQA(), Winogrande(), Gsm8kLeaderboard()]


@dataclass
class OpenLLMChasingRandom(BenchmarkGroup):
    """The six that 'Chasing Random' names in its Table 1 (its text says seven).

    The paper gives no shots: those of the leaderboard are inferred, and 25 for ARC-Easy as for ARC-Challenge.
    """

    name = "openllm-chasing-random"
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """MMLU, ARC-Easy, ARC-Challenge, WinoGrande, TruthfulQA, HellaSwag."""
        return [Mmlu(), ArcEasy(shots=25), ArcChallenge(), Winogrande(), TruthfulQA(), HellaSwag()]


@dataclass
class ShenAverage2(BenchmarkGroup):
    """AVG2 of 'Rethinking Data Selection' (Table 3): the leaderboard's six and BIG-Bench Hard.

    GSM8K is 8-shot with chain of thought on 200 rows and BIG-Bench Hard on 50 rows a task, as its appendix F says; its
    MMLU is by the authors' script, in which questions count alike.
    """

    name = "shen-avg2"
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """The seven of the average."""
        return [ArcChallenge(), HellaSwag(), MmluByQuestion(), TruthfulQA(), Winogrande(), Gsm8k(), Bbh()]
