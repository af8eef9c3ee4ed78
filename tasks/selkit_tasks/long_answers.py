"""Long answers against a reference: LongForm and ELI5 by METEOR, and their average in 'Rethinking Data Selection'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selkit.api import BaseBenchmark, Benchmark, BenchmarkGroup, HubData
from selkit_tasks.citations import ELI5, LONGFORM
from selkit_tasks.punkt import ensure_punkt

METEOR = "meteor"
EXACT_STEM = "meteor_exact_stem"
"""METEOR that matches words and stems and no synonyms: what can be had without WordNet, under a name of its own."""


@dataclass
class _LongAnswers(Benchmark):
    """Answers of up to 512 tokens, greedy, scored by METEOR (Banerjee and Lavie, 2005) as the library evaluate does.

    Where WordNet is not installed the metric is meteor_exact_stem, which leaves synonyms out and is not METEOR.
    """

    requires = ("lm_eval", "datasets", "nltk")
    extra = "selkit-eval[eval]"
    metrics = {METEOR: True}  # noqa: RUF012 (never changed)
    primary = METEOR

    def __post_init__(self) -> None:
        self.primary = METEOR if has_wordnet() else EXACT_STEM
        self.metrics = {self.primary: True}

    def prepare(self, cache_dir: Path) -> None:
        """Puts the sentence splitter, which words are split with, where nltk finds it."""
        ensure_punkt(cache_dir)

    def _config(self, question: str) -> dict[str, Any]:
        return {
            "task": f"selkit_{self.name}",
            "output_type": "generate_until",
            "doc_to_text": question,
            "doc_to_target": "",
            "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": 512},
            "process_results": f"!function selkit_tasks.long_answers.score_{self.name}",
            "metric_list": [{"metric": self.primary, "aggregation": "mean", "higher_is_better": True}],
            "num_fewshot": 0,
            "metadata": {"version": 1.0},
        }


@dataclass
class LongForm(_LongAnswers):
    """LongForm (Koksal et al., 2023): texts that instructions were written for; its test part."""

    name = "longform"
    citation = LONGFORM
    size = 2045
    splits = {"test": "longform/test.jsonl"}  # noqa: RUF012
    hub_data = "akoksal/LongForm"
    hub = HubData("akoksal/LongForm")
    columns = {"input": str, "output": str}  # noqa: RUF012

    def task_config(self) -> dict[str, Any]:
        """Generation from ``input``."""
        return self._config("{{input}}") | {"test_split": "test"}


@dataclass
class Eli5(_LongAnswers):
    """ELI5 (Fan et al., 2019): questions of laymen; the reference is the answer with the most votes."""

    name = "eli5"
    citation = ELI5
    size = 1507
    splits = {"validation": "eli5/validation.jsonl"}  # noqa: RUF012
    hub_data = "eli5 (validation)"
    columns = {"title": str, "answers": dict}  # noqa: RUF012

    def task_config(self) -> dict[str, Any]:
        """Generation from the question's title."""
        return self._config("{{title}}") | {"validation_split": "validation"}

    def check_row(self, row: Mapping[str, Any]) -> str:
        """A question needs an answer with its votes."""
        texts, votes = row["answers"].get("text"), row["answers"].get("score")
        return "" if texts and votes and len(texts) == len(votes) else "'answers' lacks texts or their scores"


@dataclass
class ShenAverage1(BenchmarkGroup):
    """AVG1 of 'Rethinking Data Selection' (Table 3): LongForm and ELI5."""

    name = "shen-avg1"
    average = "members"

    def members(self) -> Sequence[BaseBenchmark]:
        """The two of the average."""
        return [LongForm(), Eli5()]


def score_longform(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """METEOR of an answer against the text that the instruction was written for."""
    return _scored(results[0], doc["output"])


def score_eli5(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """METEOR of an answer against the answer with the most votes; the first of several."""
    votes = doc["answers"]["score"]
    return _scored(results[0], doc["answers"]["text"][votes.index(max(votes))])


def has_wordnet() -> bool:
    """Whether nltk finds WordNet, packed or unpacked."""
    return any(_found(f"corpora/wordnet{ending}") for ending in (".zip", ""))


def _found(name: str) -> bool:
    try:
        import nltk

        nltk.data.find(name)
    except (ImportError, LookupError):
        return False
    return True


def meteor(response: str, reference: str) -> float:
    """METEOR of a response as the library evaluate computes it: nltk's, on nltk's words, punctuation by itself.

    nltk looks for synonyms of stems, so that it finds those of "car" and none of "automobile". Without WordNet, exact
    and stem matches alone.
    """
    from nltk import word_tokenize
    from nltk.translate.meteor_score import meteor_score

    words = word_tokenize(response)
    synonyms = {} if has_wordnet() else {"wordnet": _NoSynonyms()}
    return float(meteor_score([word_tokenize(reference)], words, **synonyms)) if words else 0.0


def _scored(response: str, reference: str) -> dict[str, float]:
    return {METEOR if has_wordnet() else EXACT_STEM: meteor(response, reference)}


class _NoSynonyms:
    """Stands for a WordNet that knows no word."""

    def synsets(self, word: str) -> list[Any]:
        """None."""
        return []
