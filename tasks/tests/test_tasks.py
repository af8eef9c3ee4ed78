"""The tasks beside IFEval: on rows in each one's schema, the same item scores as lm-eval run by hand."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from selkit_tasks.leaderboard import SUBJECTS, MmluSubject
from selkit_tasks.llmbar import LlmBarSet
from selkit_tasks.long_answers import EXACT_STEM, METEOR, Eli5, LongForm, has_wordnet, meteor
from selkit_tasks.reasoning import BBH_ROWS, BbhTask, Gsm8k

from selkit.api import RAW, Benchmark, Continuation, DataError, Decoding, Generation, TokenLosses, task_yaml
from selkit.evals import BenchmarkJob, benchmark_key, endpoints, leaves, read_items, run_benchmark
from selkit.evals.summary import summaries
from selkit.plugins import build
from selkit.store import Store


def chance(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


class Oracle:
    """An engine whose likelihoods and answers are a fixed function of what it is asked."""

    ref = "oracle"
    digest = "0" * 64

    def __init__(self, answers: list[str] | None = None) -> None:
        self.answers = answers or ["The answer is 4.", "so the answer is True.", "#### 4", "no idea"]

    def token_losses(self, pairs: Iterable[Continuation], **_: Any) -> Iterator[TokenLosses]:
        """A loss per text."""
        for pair in pairs:
            yield TokenLosses(np.array([1 + chance(pair.prompt + pair.completion)], np.float32), 1)

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """One of the answers per prompt."""
        for prompt in prompts:
            yield [Generation(self.answers[int(chance(prompt) * len(self.answers))], "stop", 3)]

    label_probabilities = embed = token_losses


def by_hand(oracle: Oracle) -> Any:
    """The same function as an lm-eval model, without selkit's bridge."""
    from lm_eval.api.model import LM

    class HandLM(LM):
        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            losses = oracle.token_losses(Continuation(*request.args) for request in requests)
            return [(-float(loss.losses.sum(dtype="float64")), False) for loss in losses]

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
            raise NotImplementedError

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [text.text for (text,) in oracle.generate([r.args[0] for r in requests], Decoding())]

    return HandLM()


def arc(i: int) -> dict[str, Any]:
    """A row of ARC."""
    choices = {"text": ["iron", "a bird", "the sun", f"stone {i}"], "label": ["A", "B", "C", "D"]}
    return {"id": str(i), "question": f"What is number {i}?", "choices": choices, "answerKey": "ABCD"[i % 4]}


def hellaswag(i: int) -> dict[str, Any]:
    """A row of HellaSwag."""
    endings = [f"does {word} [step] {i}." for word in ("this", "that", "nothing", "all")]
    return {
        "ind": i,
        "activity_label": "Cooking",
        "ctx_a": f"Cook {i} stirs.",
        "ctx_b": "then she",
        "ctx": f"Cook {i} stirs. then she",
        "endings": endings,
        "label": str(i % 4),
    }


def winogrande(i: int) -> dict[str, Any]:
    """A row of WinoGrande."""
    sentence = f"The box {i} did not fit the case because _ was too big."
    return {"sentence": sentence, "option1": "the box", "option2": "the case", "answer": str(1 + i % 2)}


def truthfulqa(i: int) -> dict[str, Any]:
    """A row of TruthfulQA."""
    targets = {"choices": [f"yes {i}", "no", "perhaps"], "labels": [1, 1, 0]}
    return {
        "question": f"Is {i} odd?",
        "mc1_targets": {"choices": ["yes", "no"], "labels": [1, 0]},
        "mc2_targets": targets,
    }


def mmlu(i: int) -> dict[str, Any]:
    """A row of MMLU."""
    return {"question": f"Which is {i}?", "choices": ["a", "b", "c", f"{i}"], "answer": i % 4, "subject": "anatomy"}


def gsm(i: int) -> dict[str, Any]:
    """A row of GSM8K."""
    return {"question": f"{i}: how many is {i % 3} + 2?", "answer": f"It is {i % 3 + 2}.\n#### {i % 3 + 2}"}


def bbh(i: int) -> dict[str, Any]:
    """A row of BIG-Bench Hard."""
    return {"input": f"not False and {i} is", "target": ["True", "False"][i % 2]}


CASES = [
    ("arc_challenge", arc),
    ("arc_easy", arc),
    ("hellaswag", hellaswag),
    ("winogrande", winogrande),
    ("truthfulqa_mc2", truthfulqa),
    ("mmlu_subject", mmlu),
    ("gsm8k", gsm),
    ("gsm8k_leaderboard", gsm),
    ("bbh_task", bbh),
]


def write(folder: Path, benchmark: Benchmark, rows: list[dict[str, Any]]) -> Path:
    """The files of a benchmark in a folder: these rows in every split."""
    for name in benchmark.splits.values():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def run(job: BenchmarkJob, oracle: Any, store: Store) -> list[dict[str, Any]]:
    """The items of a job as rows."""
    return table(job, oracle, store).to_pylist()


def table(job: BenchmarkJob, oracle: Any, store: Store) -> pa.Table:
    """The items of a job as they are stored."""
    key = benchmark_key(job, oracle.digest, RAW, 1)
    return read_items(run_benchmark(job, key, lambda: oracle, RAW, store))


@pytest.mark.parametrize(("name", "row"), CASES, ids=[name for name, _ in CASES])
def test_item_scores_are_lm_evals(name: str, row: Any, tmp_path: Path) -> None:
    """Every metric of every item, lm-eval's shots included, for rows in the published schema; its error from them."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    benchmark = build("benchmark", name, {})
    assert isinstance(benchmark, Benchmark)
    folder = write(tmp_path / "data", benchmark, [row(i) for i in range(30)])
    ((endpoint),) = endpoints(benchmark, folder, sample="all")
    stored = table(endpoint.jobs[0], Oracle(), Store(tmp_path / "store"))
    items = stored.to_pylist()
    for metric, mean in summaries(benchmark, {benchmark.label: stored})[benchmark.label].items():
        scores = np.array([item[metric] for item in items])
        assert mean.value == pytest.approx(scores.mean())
        assert mean.se == pytest.approx(scores.std(ddof=1) / len(scores) ** 0.5)
    config = benchmark.task_config() | {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {split: str(folder / path) for split, path in benchmark.splits.items()}},
    }
    (tmp_path / "yaml").mkdir()
    (tmp_path / "yaml" / "task.yaml").write_text(task_yaml(config), encoding="utf-8")
    manager = TaskManager(include_path=[str(tmp_path / "yaml")], include_defaults=False)
    results = lm_eval.simple_evaluate(
        by_hand(Oracle()), tasks=[config["task"]], task_manager=manager, bootstrap_iters=0
    )
    assert results is not None
    samples = results["samples"][config["task"]]
    for metric in benchmark.metrics:
        bare, _, wanted = metric.partition(",")
        mine = [s for s in samples if s["filter"] == wanted] if wanted else _first_filter(samples)
        expected = [float(sample[bare]) for sample in sorted(mine, key=lambda s: s["doc_id"])]
        assert [item[metric] for item in items] == expected
        assert 0 < sum(expected) < len(expected), "a benchmark on which all are right, or none, shows nothing"


def _first_filter(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [sample for sample in samples if sample["filter"] == samples[0]["filter"]]


def test_the_groups_hold_what_the_papers_name() -> None:
    """Members, shots, and rows that are drawn."""
    sizes = {name: len(leaves(build("benchmark", name, {}))) for name in ("openllm", "bbh", "mmlu", "shen-avg2")}
    assert sizes == {"openllm": 57 + 5, "bbh": 27, "mmlu": 57, "shen-avg2": 57 + 27 + 5}
    shots = {leaf.label: getattr(leaf, "shots", None) for leaf in leaves(build("benchmark", "openllm", {}))}
    assert (shots["arc_challenge"], shots["hellaswag"], shots["winogrande"], shots["mmlu_anatomy"]) == (25, 10, 5, 5)
    assert {leaf.sample for leaf in leaves(build("benchmark", "bbh", {}))} == {50}
    assert Gsm8k().sample == 200
    assert sum(BBH_ROWS.values()) == 6511
    assert len(SUBJECTS) == len(set(SUBJECTS)) == 57
    averages = {
        name: build("benchmark", name, {}).average for name in ("openllm", "mmlu", "mmlu_by_question", "shen-avg2")
    }
    assert averages == {"openllm": "members", "mmlu": "members", "mmlu_by_question": "items", "shen-avg2": "members"}
    named = {leaf.label.split("_")[0] for leaf in leaves(build("benchmark", "openllm-chasing-random", {}))}
    assert named == {"mmlu", "arc", "winogrande", "truthfulqa", "hellaswag"}


def test_the_average_of_mmlu_counts_subjects_alike(tmp_path: Path) -> None:
    """A subject of 40 rows weighs as one of 5."""
    store, items = Store(tmp_path / "store"), {}
    for subject, rows in (("anatomy", 40), ("virology", 5)):
        leaf = MmluSubject(subject=subject)
        folder = write(tmp_path / "data", leaf, [mmlu(i) for i in range(rows)])
        ((endpoint),) = endpoints(leaf, folder)
        job = endpoint.jobs[0]
        items[leaf.label] = read_items(
            run_benchmark(job, benchmark_key(job, "w", RAW, 1), lambda: Oracle(), RAW, store)
        )
    means = [np.mean(items[name]["acc"].to_numpy()) for name in items]

    class Two(type(build("benchmark", "mmlu", {}))):  # type: ignore[misc]
        """MMLU with two subjects."""

        def members(self) -> list[Any]:
            return [MmluSubject(subject="anatomy"), MmluSubject(subject="virology")]

    assert summaries(Two(), items)["mmlu"]["acc"].value == pytest.approx(np.mean(means))


class Positional(Oracle):
    """Always finds 'Output (a)' likelier."""

    def token_losses(self, pairs: Iterable[Continuation], **_: Any) -> Iterator[TokenLosses]:
        """Less for (a), and a little by the text."""
        for pair in pairs:
            loss = (0.5 if "(a)" in pair.completion else 1.5) + 0.1 * chance(pair.prompt)
            yield TokenLosses(np.array([loss], np.float32), 1)


class Knowing(Oracle):
    """Finds the output that holds the word 'good' likelier, with a bias to the first place that it overcomes."""

    def token_losses(self, pairs: Iterable[Continuation], **_: Any) -> Iterator[TokenLosses]:
        """Less for the good one."""
        for pair in pairs:
            first = pair.prompt.index("good") < pair.prompt.index("bad")
            right = ("(a)" in pair.completion) == first
            yield TokenLosses(np.array([(1.0 if right else 3.0) + ("(b)" in pair.completion) * 0.5], np.float32), 1)


def pairs(count: int) -> list[dict[str, Any]]:
    """Rows of LLMBar."""
    return [
        {
            "input": f"Say {i}.",
            "output_1": f"{'good' if i % 3 else 'bad'} {i}",
            "output_2": f"{'bad' if i % 3 else 'good'} {i}",
            "label": 1 if i % 3 else 2,
        }
        for i in range(count)
    ]


def test_a_model_that_looks_at_places_is_shown_as_such(tmp_path: Path) -> None:
    """Always '(a)': half right, never both, no agreement, and a remark; one that knows is right in both orders."""
    benchmark = LlmBarSet("natural")
    folder = write(tmp_path, benchmark, pairs(21))
    ((endpoint),) = endpoints(benchmark, folder)
    items = run(endpoint.jobs[0], Positional(), Store(tmp_path / "a"))
    assert len(items) == 21
    assert {(i["acc"], i["acc_both"], i["agreement"], i["first_pos_rate"]) for i in items} == {(0.5, 0.0, 0.0, 1.0)}
    (remark,) = benchmark.remarks({"first_pos_rate": 1.0, "acc": 0.5})
    assert "first output in 100%" in remark
    knowing = run(endpoint.jobs[0], Knowing(), Store(tmp_path / "b"))
    wanted = {(1.0, 1.0, 1.0, 1.0, 0.5)}
    assert {
        (i["acc"], i["acc_both"], i["agreement"], i["acc_debiased"], i["first_pos_rate"]) for i in knowing
    } == wanted
    assert benchmark.remarks({"first_pos_rate": 0.5, "acc": 1.0}) == []


def test_a_draw_takes_both_orders_of_a_pair(tmp_path: Path) -> None:
    """Pairs are drawn, not questions, and not the first ones."""
    folder = write(tmp_path, LlmBarSet("natural"), pairs(40))
    ((endpoint),) = endpoints(LlmBarSet("natural"), folder, sample=6)
    items = run(endpoint.jobs[0], Knowing(), Store(tmp_path / "store"))
    assert len(items) == len({item["item"] for item in items}) == 6
    numbers = [int(item["prompt"].split("Say ")[1].split(".")[0]) for item in items]
    assert numbers == sorted(numbers)
    assert numbers[-1] > 10


def test_real_rows_of_llmbar_and_bbh_fit(prompts: Path) -> None:
    """The published files have the sizes and columns that are declared."""
    for name in ("llmbar", "bbh", "gsm8k"):
        for endpoint in endpoints(build("benchmark", name, {}), prompts.parents[1]):
            for job in endpoint.jobs:
                assert len(job.scored.read_text("utf-8").strip().split("\n")) == job.benchmark.size


def test_a_label_that_is_no_place_is_refused(tmp_path: Path) -> None:
    """Before the model is asked, by row."""
    rows = [*pairs(2), {"input": "x", "output_1": "good", "output_2": "bad", "label": 0}]
    ((endpoint),) = endpoints(LlmBarSet("manual"), write(tmp_path, LlmBarSet("manual"), rows))
    with pytest.raises(DataError, match=r"row 3: the label is 0"):
        run(endpoint.jobs[0], Knowing(), Store(tmp_path / "store"))


@pytest.mark.usefixtures("punkt")
def test_meteor_without_synonyms_is_called_what_it_is(tmp_path: Path) -> None:
    """nltk's score of known sentences; without WordNet the metric has a name of its own."""
    # Banerjee and Lavie's formula by hand: 5 of 6 words match in one chunk of 5 -> F = 10PR/(R+9P), penalty 0.5(1/5)^3.
    precision = recall = 5 / 6
    expected = (10 * precision * recall / (recall + 9 * precision)) * (1 - 0.5 * (1 / 5) ** 3)
    assert meteor("the cat sat on the zyx", "the cat sat on the mat") == pytest.approx(expected, abs=1e-9)
    # Punctuation is a word of its own: "mat." matches "mat", and 6 of 7 words do, in one chunk of 6.
    precision, recall = 6 / 7, 6 / 6
    expected = (10 * precision * recall / (recall + 9 * precision)) * (1 - 0.5 * (1 / 6) ** 3)
    assert meteor("the cat sat on the mat.", "the cat sat on the mat") == pytest.approx(expected, abs=1e-9)
    assert meteor("", "anything") == 0.0
    assert LongForm().primary == (METEOR if has_wordnet() else EXACT_STEM)
    rows = [
        {"title": f"Why {i}?", "answers": {"text": ["because", f"since {i} is so"], "score": [1, 7]}} for i in range(4)
    ]
    ((endpoint),) = endpoints(Eli5(), write(tmp_path, Eli5(), rows))
    items = run(endpoint.jobs[0], Oracle([f"since {i} is so" for i in range(4)]), Store(tmp_path / "store"))
    assert max(item[Eli5().primary] for item in items) > 0.5


def made_wordnet(folder: Path) -> None:
    """A WordNet of one synset, car and auto, in the format of Princeton's files."""
    home = folder / "corpora" / "wordnet"
    home.mkdir(parents=True)
    parts = ("noun", "verb", "adj", "adv")
    empty = [f"{kind}.{part}" for kind in ("data", "index") for part in parts] + [f"{part}.exc" for part in parts]
    for name in (*empty, "cntlist.rev", "index.sense"):
        (home / name).write_text("", encoding="utf-8")
    (home / "lexnames").write_text("00\tnoun.artifact\t1\n", encoding="utf-8")
    (home / "data.noun").write_text("00000000 00 n 02 car 0 auto 0 000 | a made vehicle\n", encoding="utf-8")
    index = "".join(f"{word} n 1 0 1 0 00000000  \n" for word in ("auto", "car"))
    (home / "index.noun").write_text(index, encoding="utf-8")


@pytest.mark.usefixtures("punkt")
@pytest.mark.parametrize(("with_wordnet", "name", "matches"), [(True, METEOR, 4), (False, EXACT_STEM, 3)])
def test_synonyms_count_where_wordnet_is_at_hand(
    with_wordnet: bool, name: str, matches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'car' for 'auto' is a match with WordNet and none without; each score under its own name, in a fresh process."""
    import nltk

    found = str(nltk.data.find("tokenizers/punkt_tab/english/")).split("/tokenizers/")[0]
    if with_wordnet:
        made_wordnet(tmp_path / "wordnet")
    elif has_wordnet():
        pytest.skip("this machine has WordNet")
    monkeypatch.setenv("NLTK_DATA", os.pathsep.join([str(tmp_path / "wordnet"), found]))
    program = (
        "from selkit_tasks.long_answers import LongForm, score_longform\n"
        "print(LongForm().primary, score_longform({'output': 'my old auto here'}, ['my old car here']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # Four words on both sides: all match in one chunk, or three in two.
    share, chunks = matches / 4, 1 if matches == 4 else 2
    expected = share * (1 - 0.5 * (chunks / matches) ** 3)
    primary, _, scores = done.stdout.partition(" ")
    assert primary == name
    assert ast.literal_eval(scores) == {name: pytest.approx(expected, abs=1e-12)}


def test_bbh_reads_the_answer_after_its_marker(tmp_path: Path) -> None:
    """'the answer is True.' is True; the same word elsewhere is not."""
    folder = write(tmp_path, BbhTask("boolean_expressions"), [bbh(i) for i in range(4)])
    ((endpoint),) = endpoints(BbhTask("boolean_expressions"), folder)
    right = run(endpoint.jobs[0], Oracle(["So the answer is True."]), Store(tmp_path / "a"))
    wrong = run(endpoint.jobs[0], Oracle(["True"]), Store(tmp_path / "b"))
    assert [item["exact_match"] for item in right] == [1.0, 0.0, 1.0, 0.0]
    assert [item["exact_match"] for item in wrong] == [0.0] * 4


def test_lm_eval_itself_runs_the_exported_tasks(tmp_path: Path) -> None:
    """With --include_path, without selkit's bridge: the same item scores; every task and group is known to lm-eval."""
    import lm_eval
    from lm_eval.tasks import TaskManager
    from selkit_tasks.__main__ import main

    folder = write(tmp_path / "data", LlmBarSet("natural"), pairs(9))
    assert main([str(tmp_path / "yaml"), "--data", str(folder)]) == 0
    manager = TaskManager(include_path=[str(tmp_path / "yaml")], include_defaults=False)
    known = {"selkit_ifeval", "selkit_openllm", "selkit_shen_avg2", "selkit_mmlu_anatomy", "selkit_bbh_snarks"}
    assert known <= set(manager.all_tasks)
    assert all(path.stem.startswith("selkit_") for path in (tmp_path / "yaml").iterdir())
    results = lm_eval.simple_evaluate(
        by_hand(Oracle()), tasks=["selkit_llmbar_natural"], task_manager=manager, bootstrap_iters=0
    )
    assert results is not None
    ((endpoint),) = endpoints(LlmBarSet("natural"), folder)
    items = run(endpoint.jobs[0], Oracle(), Store(tmp_path / "store"))
    mean = sum(item["acc"] for item in items) / len(items)
    assert results["results"]["selkit_llmbar_natural"]["acc,none"] == pytest.approx(mean)
