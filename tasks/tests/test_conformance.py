"""The conformance kit, on benchmarks and groups of every form: likelihoods, answers, both orders, programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from selkit_tasks.ifeval import IFEval
from selkit_tasks.leaderboard import ArcChallenge, ArcEasy, HellaSwag, MmluSubject, TruthfulQA, Winogrande
from selkit_tasks.llmbar import ADVERSARIAL, ROWS, LlmBar, LlmBarAdversarial, LlmBarSet
from selkit_tasks.long_answers import Eli5, LongForm, ShenAverage1
from selkit_tasks.reasoning import BbhTask, Gsm8k, Gsm8kLeaderboard

from selkit.api import Benchmark
from selkit.testing import BenchmarkConformance

pytest.importorskip("lm_eval")

Row = dict[str, Any]


def everywhere(benchmark: Benchmark, rows: list[Row]) -> dict[str, list[Row]]:
    """These rows in every file of the benchmark."""
    return dict.fromkeys(benchmark.splits.values(), rows)


def arc(i: int) -> Row:
    """A row of ARC."""
    choices = {"text": ["iron", "a bird", "the sun", f"stone {i}"], "label": ["A", "B", "C", "D"]}
    return {"id": str(i), "question": f"What is number {i}?", "choices": choices, "answerKey": "ABCD"[i % 4]}


def pair(i: int) -> Row:
    """A row of LLMBar."""
    return {"input": f"Say {i}.", "output_1": f"It is {i}.", "output_2": "No.", "label": 1 + i % 2}


def sum_of(i: int) -> Row:
    """A row of GSM8K."""
    return {"question": f"What is {i} + 2?", "answer": f"So.\n#### {i + 2}"}


def text(i: int) -> Row:
    """A row of LongForm."""
    return {"input": f"Tell me of {i}.", "output": f"It is the number {i} of a long list."}


def asked(i: int) -> Row:
    """A row of ELI5, the second answer liked better."""
    answers = {"text": ["No idea.", f"It is the number {i} of a long list."], "score": [1, 9]}
    return {"title": f"Why is {i} odd?", "answers": answers}


@pytest.mark.slow
class TestArc(BenchmarkConformance):
    """Multiple choice with 25 shots."""

    component = ArcChallenge()
    data = everywhere(ArcChallenge(), [arc(i) for i in range(30)])

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """The text of the choice."""
        return row["choices"]["text"]["ABCD".index(row["answerKey"])]


@pytest.mark.slow
class TestArcEasy(BenchmarkConformance):
    """The same without shots."""

    component = ArcEasy()
    data = everywhere(ArcEasy(), [arc(i) for i in range(8)])
    right = TestArc.right


class TestLlmBar(BenchmarkConformance):
    """A pooled group whose members ask in both orders."""

    component = LlmBar()
    data = {f"llmbar/{subset}.jsonl": [pair(i) for i in range(4)] for subset in ROWS}  # noqa: RUF012

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """The output that the question's gold names."""
        return ("Output (a)", "Output (b)")[row["gold"]]


@pytest.mark.slow
class TestLlmBarAdversarial(BenchmarkConformance):
    """Four of the five."""

    component = LlmBarAdversarial()
    data = {f"llmbar/{subset}.jsonl": [pair(i) for i in range(2)] for subset in ADVERSARIAL}  # noqa: RUF012
    right = TestLlmBar.right


@pytest.mark.slow
class TestLlmBarSet(BenchmarkConformance):
    """One of them by itself."""

    component = LlmBarSet(subset="manual")
    data = everywhere(LlmBarSet(subset="manual"), [pair(i) for i in range(4)])
    right = TestLlmBar.right


class TestGsm8k(BenchmarkConformance):
    """Answers that are searched for a number, by two filters."""

    component = Gsm8k()
    data = everywhere(Gsm8k(), [sum_of(i) for i in range(9)])

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """In the words that both filters look for."""
        number = row["answer"].split()[-1]
        return f"The answer is {number}.\n#### {number}"


@pytest.mark.slow
class TestGsm8kLeaderboard(BenchmarkConformance):
    """With shots from the training part, in its own words."""

    component = Gsm8kLeaderboard()
    data = everywhere(Gsm8kLeaderboard(), [sum_of(i) for i in range(7)])
    right = TestGsm8k.right


@pytest.mark.slow
class TestBbh(BenchmarkConformance):
    """Answers after a chain of thought, with the published shots."""

    component = BbhTask()
    data = everywhere(
        BbhTask(), [{"input": f"not False and {i} is", "target": ["True", "False"][i % 2]} for i in range(6)]
    )

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """In the words of the shots."""
        return f"So the answer is {row['target']}."


@pytest.mark.slow
class TestHellaSwag(BenchmarkConformance):
    """Likelihood of endings, normalised by length."""

    component = HellaSwag()
    data = everywhere(
        HellaSwag(),
        [
            {
                "ind": i,
                "activity_label": "Cooking",
                "ctx_a": f"Cook {i} stirs.",
                "ctx_b": "then she",
                "ctx": f"Cook {i} stirs. then she",
                "endings": [f"does {word} and {i}." for word in ("this", "that", "nothing", "all")],
                "label": str(i % 4),
            }
            for i in range(12)
        ],
    )

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """The ending."""
        return row["endings"][int(row["label"])]


@pytest.mark.slow
class TestWinogrande(BenchmarkConformance):
    """Likelihood of one text after two different beginnings; no answer of its own stands for the right one."""

    component = Winogrande()
    data = everywhere(
        Winogrande(),
        [
            {
                "sentence": f"The box {i} did not fit the case because _ was too big.",
                "option1": "the box",
                "option2": "the case",
                "answer": str(1 + i % 2),
            }
            for i in range(8)
        ],
    )


@pytest.mark.slow
class TestTruthfulQA(BenchmarkConformance):
    """The probability of all true answers together."""

    component = TruthfulQA()
    data = everywhere(
        TruthfulQA(),
        [
            {
                "question": f"Is {i} odd?",
                "mc1_targets": {"choices": ["yes", "no"], "labels": [1, 0]},
                "mc2_targets": {"choices": [f"yes {i}", "no", "perhaps"], "labels": [1, 1, 0]},
            }
            for i in range(6)
        ],
    )

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """One of the true answers."""
        return row["mc2_targets"]["choices"][0]


@pytest.mark.slow
class TestMmlu(BenchmarkConformance):
    """One subject, with shots from its own file."""

    component = MmluSubject(subject="anatomy")
    xfails = dict.fromkeys(("names_its_data", "declared_size"), "57 subjects, each counted as its data is")
    data = everywhere(
        MmluSubject(subject="anatomy"),
        [
            {"question": f"Which is {i}?", "choices": ["a", "b", "c", f"{i}"], "answer": i % 4, "subject": "anatomy"}
            for i in range(8)
        ],
    )

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """The letter."""
        return "ABCD"[row["answer"]]


@pytest.mark.slow
@pytest.mark.usefixtures("punkt")
class TestIFEval(BenchmarkConformance):
    """Programs that look whether instructions were followed."""

    component = IFEval()
    data = everywhere(
        IFEval(),
        [
            {
                "key": key,
                "prompt": f"Write about {key} without a comma.",
                "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
                "kwargs": [{}, {"relation": "at least", "num_words": 5}],
            }
            for key in (1000, 1001, 1002)
        ],
    )

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """Six words and no comma."""
        return f"This is all about {row['key']} alone."


@pytest.mark.slow
class TestLongForm(BenchmarkConformance):
    """Long answers against a reference."""

    component = LongForm()
    data = everywhere(LongForm(), [text(i) for i in range(5)])

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """The reference itself."""
        return row["output"]


@pytest.mark.slow
class TestEli5(BenchmarkConformance):
    """Long answers against the one with the most votes."""

    component = Eli5()
    data = everywhere(Eli5(), [asked(i) for i in range(5)])

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """That answer."""
        return row["answers"]["text"][1]


@pytest.mark.slow
class TestShenAverage1(BenchmarkConformance):
    """A group whose members have rows of different forms."""

    component = ShenAverage1()
    data = everywhere(LongForm(), [text(i) for i in range(3)]) | everywhere(Eli5(), [asked(i) for i in range(3)])

    @staticmethod
    def right(row: Mapping[str, Any]) -> str:
        """The reference of either."""
        return TestLongForm.right(row) if "output" in row else TestEli5.right(row)
