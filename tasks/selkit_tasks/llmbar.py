"""LLMBar (Zeng et al., 2024): which of two outputs follows the instruction, asked in both orders.

A model that always takes the first output is right on half of the questions. So a pair is one item, with what both
orders say together: whether both are right, whether they agree, how often the first output was taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, BenchmarkItem, UsageError, parse_output_ab
from selkit_tasks.citations import LLMBAR
from selkit_tasks.digests import declared

ROWS = {"natural": 100, "neighbor": 134, "gptinst": 92, "gptout": 47, "manual": 46}
"""Pairs of each set."""

ADVERSARIAL = ("neighbor", "gptinst", "gptout", "manual")

QUESTION = (
    "Two outputs, (a) and (b), were written for the instruction below. Decide which of them carries out the "
    'instruction better, however long or polished they are. Answer with "Output (a)" or "Output (b)" and nothing '
    "else.\n\n# Instruction:\n{input}\n\n# Output (a):\n{a}\n\n# Output (b):\n{b}\n\n# Which is better?"
)
"""selkit's wording of the question."""

_LETTER = re.compile(r"\W*(?:output\s*)?\(?([ab])\)?\W*?(?:\n|$)", re.IGNORECASE)
"""A letter alone on the first line."""

_CHOICES = ("Output (a)", "Output (b)")


@dataclass
class LlmBarSet(Benchmark):
    """One set of LLMBar.

    acc is the mean over both orders (0, 0.5 or 1 a pair), acc_both whether both are right, agreement whether both
    orders take the same output, first_pos_rate how often the first output is taken, and acc_debiased whether the
    summed log-odds of both orders favour the better output.

    Args:
        subset: natural, neighbor, gptinst, gptout or manual.
    """

    name = "llmbar_set"
    citation = LLMBAR
    requires = ("lm_eval", "datasets")
    extra = "selkit-eval[eval]"
    metrics = {  # noqa: RUF012 (never changed)
        "acc": True,
        "acc_both": True,
        "agreement": True,
        "acc_debiased": True,
        "first_pos_rate": None,
    }
    primary = "acc"
    hub_data = "princeton-nlp/LLMBar"
    columns = {"input": str, "output_1": str, "output_2": str, "label": int}  # noqa: RUF012
    records_per_row = 2

    subset: str = "natural"

    def __post_init__(self) -> None:
        if self.subset not in ROWS:
            raise UsageError(f"LLMBar has no set {self.subset!r}: take one of {', '.join(ROWS)}")
        self.size = ROWS[self.subset]
        self.splits = {"test": f"llmbar/{self.subset}.jsonl"}
        self.digests = declared(self.splits)

    @property
    def label(self) -> str:
        """``llmbar_`` and the set's name."""
        return f"llmbar_{self.subset}"

    def task_config(self) -> dict[str, Any]:
        """A task of multiple choice with two questions a pair."""
        return {
            "task": f"selkit_{self.label}",
            "output_type": "multiple_choice",
            "test_split": "test",
            "process_docs": "!function selkit_tasks.llmbar.both_orders",
            "doc_to_text": "{{question}}",
            "doc_to_choice": list(_CHOICES),
            "doc_to_target": "{{gold}}",
            "target_delimiter": " ",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            "num_fewshot": 0,
            "metadata": {"version": 1.0},
        }

    def items(self, samples: Sequence[Mapping[str, Any]]) -> list[BenchmarkItem]:
        """One item a pair, from the records of its two orders."""
        return [pair_item(first, second) for first, second in zip(samples[::2], samples[1::2], strict=True)]

    def choice_of(self, response: str) -> int | None:
        """The output that a written answer takes: ``Output (a)``, ``(a)``, or that one ``is better``."""
        verdict = parse_output_ab(response)
        if verdict is not None:
            return 0 if verdict == 1.0 else 1
        letter = None if "Output (" in response else _LETTER.match(response)
        return "ab".index(letter[1].lower()) if letter else None

    def check_row(self, row: Mapping[str, Any]) -> str:
        """The label says which output is better."""
        return "" if row["label"] in (1, 2) else f"the label is {row['label']!r}, and it must be 1 or 2"

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        """Says when the model looks at the place and not at the outputs."""
        first = metrics["first_pos_rate"]
        if 0.1 < first < 0.9:
            return []
        return [
            f"takes the {'first' if first > 0.5 else 'second'} output in {100 * max(first, 1 - first):.0f}% of the "
            f"questions: its accuracy of {100 * metrics['acc']:.0f}% says nothing about the outputs"
        ]


@dataclass
class LlmBar(BenchmarkGroup):
    """LLMBar: the natural set and the four adversarial ones, 419 pairs in both orders."""

    name = "llmbar"
    pooled = True
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """The five sets."""
        return [LlmBarSet(subset) for subset in ROWS]


@dataclass
class LlmBarAdversarial(BenchmarkGroup):
    """The four adversarial sets of LLMBar, 319 pairs in both orders."""

    name = "llmbar-adversarial"
    pooled = True
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """The four sets."""
        return [LlmBarSet(subset) for subset in ADVERSARIAL]


def both_orders(dataset: Any) -> Any:
    """Two questions per pair: the outputs as they stand, then swapped; ``gold`` is the place of the better one."""
    from datasets import Dataset

    return Dataset.from_list([question for row in dataset for question in _questions(row)])


def _questions(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    outputs, better = (row["output_1"], row["output_2"]), row["label"] - 1
    return [
        {
            "question": QUESTION.format(input=row["input"], a=outputs[swapped], b=outputs[1 - swapped]),
            "gold": better if not swapped else 1 - better,
            "swapped": swapped,
        }
        for swapped in (0, 1)
    ]


def pair_item(first: Mapping[str, Any], second: Mapping[str, Any]) -> BenchmarkItem:
    """The item of a pair from the records of its two orders, as it stands and swapped.

    An order whose log-odds are NaN has no answer that could be read: it is not right, and tells nothing of places.
    """
    odds = [float(r["resps"][0][0][0]) - float(r["resps"][1][0][0]) for r in (first, second)]
    # the place that was taken; a tie is the second, as in argmin
    taken = [None if math.isnan(odd) else 0 if odd > 0 else 1 for odd in odds]
    golds = [int(record["doc"]["gold"]) for record in (first, second)]
    right = [place == gold for place, gold in zip(taken, golds, strict=True)]
    read = [odd if gold == 0 else -odd for odd, gold in zip(odds, golds, strict=True) if not math.isnan(odd)]
    towards_better = sum(read)
    scores = {
        "acc": sum(right) / 2,
        "acc_both": float(all(right)),
        "agreement": float(len(read) == 2 and right[0] == right[1]),
        "acc_debiased": 0.0 if not read else 0.5 if towards_better == 0 else float(towards_better > 0),
        "first_pos_rate": taken.count(0) / len(read) if read else 0.0,
    }
    response = " / ".join("unreadable" if place is None else _CHOICES[place] for place in taken)
    weights = {} if len(read) == 2 else {"first_pos_rate": len(read) / 2}
    return BenchmarkItem(first["doc_hash"], first["doc"]["question"], response, scores, weights)
