"""A benchmark of two-column rows and an engine that answers from a table, for the tests of the bridge to lm-eval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from selkit.api import Benchmark, Continuation, Decoding, Generation, UsageError


@dataclass
class Riddles(Benchmark):
    """Questions whose answer must be met exactly."""

    name = "riddles"
    requires = ("lm_eval",)
    size = 40
    metrics = {"exact": True}  # noqa: RUF012
    primary = "exact"
    splits = {"test": "riddles/rows.jsonl"}  # noqa: RUF012
    hub_data = "nobody/riddles"
    columns = {"question": str, "answer": str}  # noqa: RUF012

    def task_config(self) -> dict[str, Any]:
        """A task of generation that ends an answer at the first line break."""
        return {
            "task": "riddles",
            "output_type": "generate_until",
            "test_split": "test",
            "doc_to_text": "question",
            "doc_to_target": "answer",
            "generation_kwargs": {"until": ["\n", "END"], "do_sample": False, "max_gen_toks": 20},
            "process_results": "!function toy_benchmark.score",
            "metric_list": [{"metric": "exact", "aggregation": "mean", "higher_is_better": True}],
        }


@dataclass
class Likelihoods(Riddles):
    """The same as a task that compares likelihoods."""

    name = "likelihoods"
    metrics = {"acc": True}  # noqa: RUF012
    primary = "acc"

    def task_config(self) -> dict[str, Any]:
        """A task of multiple choice."""
        config = super().task_config()
        del config["generation_kwargs"], config["process_results"]
        chance = [{"metric": "acc"}]
        return (
            config
            | {"output_type": "multiple_choice", "doc_to_choice": ["a", "the"], "doc_to_target": "{{answer|int % 2}}"}
            | {"metric_list": chance}
        )


@dataclass
class Replay:
    """An engine that answers from a table of prompts and remembers what it was asked."""

    answers: Mapping[str, str]
    asked: list[str] = field(default_factory=list)
    decodings: list[Decoding] = field(default_factory=list)
    ref: str = "replay"
    digest: str = "0" * 64

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """The stored answer of each prompt."""
        self.decodings.append(decoding)
        for prompt in prompts:
            self.asked.append(prompt)
            yield [Generation(self.answers[prompt], "stop", 3)]

    def token_losses(self, pairs: Iterable[Continuation], **_: Any) -> Iterator[Any]:
        """Stored texts have no losses."""
        raise UsageError("stored responses have no losses")

    label_probabilities = embed = token_losses


def score(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the answer is the expected one; prints, as what lm-eval imports does."""
    print("the task speaks")  # noqa: T201 (as what lm-eval imports does)
    return {"exact": float(results[0].strip() == doc["answer"])}
