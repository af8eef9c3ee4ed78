"""``selkit eval``: stored outputs and a tiny model against benchmarks, as a person types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from selkit.__main__ import main
from selkit.cli import cli

QUESTIONS = [
    {"input": f"Say {i}.", "output_1": f"good {i}", "output_2": f"bad {i}", "label": 1 + i % 2} for i in range(6)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty store and rows of GSM8K and LLMBar."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELKIT_STORE", str(tmp_path / "store"))
    write("gsm8k/test.jsonl", [{"question": f"What is {i} + 1?", "answer": f"#### {i + 1}"} for i in range(12)])
    write("llmbar/natural.jsonl", QUESTIONS)
    choices = {"text": ["one", "two"], "label": ["A", "B"]}
    for split in ("test", "train"):
        write(f"arc_easy/{split}.jsonl", [{"id": "a", "question": "Which?", "choices": choices, "answerKey": "A"}])
    return tmp_path


def write(name: str, rows: list[dict[str, Any]]) -> Path:
    """A file of JSON lines."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def outputs(wrong: int = 3, name: str = "outputs.jsonl") -> Path:
    """Responses to GSM8K's rows by their number, the first ``wrong`` of them wrong."""
    return write(name, [{"id": i, "response": f"The answer is {i + 1 + (i < wrong)}."} for i in range(12)])


def run(*words: str) -> Result:
    """``selkit eval`` with these words."""
    return CliRunner().invoke(cli, ["eval", *words])


def found(*words: str) -> dict[str, Any]:
    """Its JSON."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_stored_outputs_are_scored_the_same_each_time(folder: Path) -> None:
    """Value, error and count under lm-eval's metric names; twice the same bytes; files beside it."""
    outputs(wrong=3)
    words = ("-b", "gsm8k", "--responses", "outputs.jsonl", "--data", ".", "-o", "out")
    document = found(*words)
    metric = document["benchmarks"]["gsm8k"]["metrics"]["exact_match"]
    assert document["schema_version"] == 1
    assert metric == {"value": 0.75, "se": pytest.approx((0.75 * 0.25 / 11) ** 0.5), "n": 12}
    files = {path: path.read_bytes() for path in Path("out").rglob("*.*")}
    assert run(*words, "--json").stdout_bytes == run(*words, "--json").stdout_bytes
    assert {path: path.read_bytes() for path in Path("out").rglob("*.*")} == files
    assert len(files) == 3
    assert json.loads(Path("out/results.json").read_text("utf-8")) == document
    items = pq.read_table("out/items/gsm8k.parquet").to_pylist()
    assert [item["exact_match"] for item in items] == [0.0] * 3 + [1.0] * 9
    by_lm_eval = json.loads(Path("out/lm_eval_results.json").read_text("utf-8"))
    assert by_lm_eval["results"]["gsm8k"]["exact_match,none"] == 0.75


def test_a_baseline_gives_the_paired_difference(folder: Path) -> None:
    """Items joined by their hash: the error is that of the differences, not of two independent means."""
    outputs(wrong=3)
    outputs(wrong=5, name="other.jsonl")
    document = found("-b", "gsm8k", "--responses", "outputs.jsonl", "--baseline", "other.jsonl", "--data", ".")
    gap = document["baseline"]["differences"]["gsm8k"]
    delta = [0] * 3 + [1] * 2 + [0] * 7
    mean = sum(delta) / 12
    se = (sum((d - mean) ** 2 for d in delta) / 11 / 12) ** 0.5
    assert (gap["value"], gap["n"], gap["metric"]) == (pytest.approx(mean), 12, "exact_match")
    assert gap["se"] == pytest.approx(se)
    assert gap["ci_low"] == pytest.approx(mean - 1.96 * se, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1:], "no response for 1 of 12 rows, by id '0'"),
        (lambda rows: [*rows, {"id": "99", "response": "x"}], "1 responses that no row asks for, by id '99'"),
        (lambda rows: [*rows, rows[4]], "1 ids come twice, '4'"),
        (lambda rows: [*rows, {"id": "5", "answer": "x"}], "line 13: a row needs a text 'response'"),
        (lambda rows: [], "holds no response"),
    ],
)
def test_outputs_that_do_not_fit_are_counted_and_named(folder: Path, change: Any, message: str, capsys: Any) -> None:
    """Missing, extra and double ids, rows without a response: one sentence and exit code 4."""
    rows = [json.loads(line) for line in outputs().read_text("utf-8").splitlines()]
    write("outputs.jsonl", change(rows))
    code = main(["eval", "-b", "gsm8k", "--responses", "outputs.jsonl", "--data", "."])
    assert code == 4
    assert message in capsys.readouterr().err


def test_numbers_of_rows_stand_for_those_of_one_benchmark(folder: Path, capsys: Any) -> None:
    """Two benchmarks both have a row 0: a bare number would stand for both, so the benchmark is named before it."""
    outputs(wrong=3)
    words = ["-b", "gsm8k", "-b", "llmbar_set", "--data", ".", "--responses"]
    write("bare.jsonl", [{"id": i, "response": "(a)"} for i in range(12)])
    assert main(["eval", *words, "bare.jsonl"]) == 4
    assert "'0' is the number of a row of gsm8k and of llmbar_natural: write it as" in capsys.readouterr().err
    rows = [{"id": f"gsm8k/{i}", "response": f"The answer is {i + 1}."} for i in range(12)]
    write("named.jsonl", [*rows, *({"id": f"llmbar_natural/{i}", "response": "(a)"} for i in range(12))])
    metrics = {name: one["metrics"] for name, one in found(*words, "named.jsonl")["benchmarks"].items()}
    assert metrics["gsm8k"]["exact_match"]["value"] == 1.0
    assert metrics["llmbar_natural"]["acc"]["value"] == 0.5


def test_partial_scores_what_is_there(folder: Path) -> None:
    """The rows that have an output, extras left aside."""
    rows = [json.loads(line) for line in outputs(wrong=3).read_text("utf-8").splitlines()]
    write("outputs.jsonl", [*rows[2:], {"id": "99", "response": "x"}])
    document = found("-b", "gsm8k", "--responses", "outputs.jsonl", "--partial", "--data", ".")
    metric = document["benchmarks"]["gsm8k"]
    assert metric["metrics"]["exact_match"]["n"] == 10
    assert metric["metrics"]["exact_match"]["value"] == 0.9
    assert metric["remarks"] == ["2 of 12 questions have no stored response and are left out, by id '0', '1'"]
    assert document["left_out"] == ["1 responses that no row asks for, by id '99'"]


def test_partial_leaves_out_what_two_responses_contradict(folder: Path) -> None:
    """An id with two responses stands for no row; one that comes twice with the same response stands for its row."""
    rows = [json.loads(line) for line in outputs(wrong=3).read_text("utf-8").splitlines()]
    write("outputs.jsonl", [*rows, rows[4], {"id": 5, "response": "No."}])
    document = found("-b", "gsm8k", "--responses", "outputs.jsonl", "--partial", "--data", ".")
    assert document["benchmarks"]["gsm8k"]["metrics"]["exact_match"] == {
        "value": pytest.approx(8 / 11),
        "se": pytest.approx((8 / 11 * 3 / 11 / 10) ** 0.5),
        "n": 11,
    }
    assert document["left_out"] == ["1 ids that come twice with different responses, '5'"]
    assert "left out: 1 ids" in run("-b", "gsm8k", "--responses", "outputs.jsonl", "--partial", "--data", ".").stdout


def test_a_sample_is_drawn_by_the_seed(folder: Path) -> None:
    """Never the first rows; another seed, another part; and responses outside it are no fault."""
    outputs(wrong=12)
    words = ("-b", "gsm8k", "--responses", "outputs.jsonl", "--data", ".", "--sample", "4", "-o")
    parts = []
    for seed in ("1", "1", "2"):
        found(*words, f"out{len(parts)}", "--seed", seed)
        parts.append(pq.read_table(f"out{len(parts)}/items/gsm8k.parquet")["prompt"].to_pylist())
    assert parts[0] == parts[1] != parts[2]
    assert len(parts[0]) == 4


def test_a_model_is_evaluated_once_and_a_new_benchmark_alone(folder: Path) -> None:
    """A tiny model on LLMBar; the second time nothing is computed; GSM8K is added without LLMBar running again."""
    pytest.importorskip("torch")
    words = ("tiny:bytes?context=4096&layers=1", "--data", ".", "--template", "alpaca", "--max-new-tokens", "4")
    document = found(*words, "-b", "llmbar_set")
    metrics = document["benchmarks"]["llmbar_natural"]["metrics"]
    assert metrics["first_pos_rate"]["n"] == 6
    made = sorted(path.stat().st_mtime_ns for path in (folder / "store").rglob("items.parquet"))
    assert found(*words, "-b", "llmbar_set") == document
    both = found(*words, "-b", "llmbar_set", "-b", "gsm8k", "--sample", "2")
    assert both["benchmarks"]["gsm8k"]["metrics"]["exact_match"]["n"] == 2
    assert set(made) < {path.stat().st_mtime_ns for path in (folder / "store").rglob("items.parquet")}


@pytest.fixture
def always_a(tmp_path: Path) -> Path:
    """A model that finds "a" likelier than "b" whatever it reads: one dimension is the same for all texts."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    from selkit.models import load_tokenizer, resolve

    ref = "tiny:bytes?context=4096&layers=1"
    folder = tmp_path / "always-a"
    shutil.copytree(resolve(ref).path, folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    (letter,) = load_tokenizer(ref).inner.encode("a", add_special_tokens=False).ids
    with torch.no_grad():
        for weights in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
            weights[:, 0] = 10.0  # the state's first dimension is large and positive,
            weights[letter, 0] = 20.0  # and speaks for one letter
    model.save_pretrained(folder)
    return folder


def test_a_model_that_always_takes_the_first_is_shown_as_bound_to_the_place(folder: Path, always_a: Path) -> None:
    """Half right, and the table and the JSON say that this is no ability: never both right, always the first."""
    words = (str(always_a), "-b", "llmbar_set", "--data", ".", "--template", "alpaca")
    benchmark = found(*words)["benchmarks"]["llmbar_natural"]
    values = {name: metric["value"] for name, metric in benchmark["metrics"].items()}
    assert (values["acc"], values["acc_both"], values["agreement"], values["first_pos_rate"]) == (0.5, 0.0, 0.0, 1.0)
    remark = "takes the first output in 100% of the questions: its accuracy of 50% says nothing about the outputs"
    assert benchmark["remarks"] == [remark]
    shown = run(*words)
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["llmbar_natural", "acc_both", "0.0", "0.0", "6"] in rows
    assert ["llmbar_natural", "first_pos_rate", "100.0", "0.0", "6"] in rows
    assert shown.stdout.splitlines()[-1] == f"llmbar_natural: {remark}."


def answers(*texts: str) -> Path:
    """Responses to LLMBar's questions by their number: those of a pair stand side by side."""
    return write("answers.jsonl", [{"id": i, "response": text} for i, text in enumerate(texts)])


def test_stored_answers_to_llmbar_are_read(folder: Path) -> None:
    """Always "(a)" is bound to the place; the better output in both orders is right, by id and by prompt."""
    words = ("-b", "llmbar_set", "--responses", "answers.jsonl", "--data", ".", "-o", "out")
    answers(*["(a)"] * 12)
    always = found(*words)["benchmarks"]["llmbar_natural"]
    values = {name: metric["value"] for name, metric in always["metrics"].items()}
    assert values == {"acc": 0.5, "acc_both": 0.0, "agreement": 0.0, "acc_debiased": 0.5, "first_pos_rate": 1.0}
    assert always["metrics"]["acc"] == {"value": 0.5, "se": 0.0, "n": 6}
    assert "takes the first output in 100% of the questions" in always["remarks"][0]
    better = [letter for row in QUESTIONS for letter in ("ab" if row["label"] == 1 else "ba")]
    answers(*[f"Output ({letter}) is better." for letter in better])
    right = found(*words)["benchmarks"]["llmbar_natural"]
    assert {right["metrics"][name]["value"] for name in ("acc", "acc_both", "agreement", "acc_debiased")} == {1.0}
    assert right["remarks"] == []


def test_an_answer_that_names_no_output_is_not_right(folder: Path) -> None:
    """It is counted, it takes no place, and its pair is not in agreement; half a pair is no pair with --partial."""
    words = ("-b", "llmbar_set", "--responses", "answers.jsonl", "--data", ".")
    better = [letter for row in QUESTIONS for letter in ("ab" if row["label"] == 1 else "ba")]
    answers("(a)", "Who knows?", *[f"({letter})" for letter in better[2:]])  # (b) would be right
    benchmark = found(*words)["benchmarks"]["llmbar_natural"]
    values = {name: metric["value"] for name, metric in benchmark["metrics"].items()}
    assert values["acc"] == pytest.approx(11 / 12)
    assert values["acc_both"] == values["agreement"] == pytest.approx(5 / 6)
    assert values["first_pos_rate"] == pytest.approx(6 / 11)
    assert benchmark["remarks"] == ["1 of 12 responses name no choice and are not right"]
    answers(*[f"({letter})" for letter in better[:-1]])
    assert found(*words, "--partial")["benchmarks"]["llmbar_natural"]["metrics"]["acc"] == {
        "value": 1.0,
        "se": 0.0,
        "n": 5,
    }
    answers(*["Neither."] * 12)
    refused = run(*words)
    assert refused.exit_code != 0
    assert "names a choice" in str(refused.exception)


def test_no_index_of_tasks_is_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's index of fourteen thousand tasks takes many seconds: every manager that is made leaves it out."""
    from lm_eval.tasks import TaskManager

    made: list[tuple[object, int]] = []
    init = TaskManager.__init__

    def recorded(self: TaskManager, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        made.append((options.get("include_defaults"), len(self.all_tasks)))

    monkeypatch.setattr(TaskManager, "__init__", recorded)
    outputs()
    found("-b", "gsm8k", "--responses", "outputs.jsonl", "--data", ".")
    ((with_defaults, known),) = made
    assert with_defaults is False
    assert known <= 2, "the task and its tag"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("-b", "ifevl", "--responses", "outputs.jsonl"), 3, "Did you mean 'ifeval'"),
        (("-b", "gsm8k"), 2, "name either a MODEL or stored outputs"),
        (("-b", "mmlu", "--responses", "outputs.jsonl", "--data", "."), 4, "mmlu/abstract_algebra/test.jsonl"),
        (("-b", "gsm8k", "--responses", "nowhere.jsonl", "--data", "."), 4, "there is no file nowhere.jsonl"),
        (("-b", "arc_easy", "--responses", "outputs.jsonl", "--data", "."), 2, "compares likelihoods"),
        (("-b", "llmbar_set", "--responses", "outputs.jsonl", "--data", "."), 4, "names a choice"),
        (("no/model", "-b", "gsm8k", "--data", "."), 4, "no/model"),
        (("tiny:bytes", "-b", "gsm8k", "--data", ".", "--template", "chat"), 2, "no chat template"),
        (("tiny:bytes", "-b", "gsm8k", "--data", ".", "--sample", "0"), 2, "--sample is a number of rows"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, words: tuple[str, ...], code: int, message: str, capsys: Any) -> None:
    """Exit codes as everywhere, before any model loads."""
    outputs()
    assert main(["eval", *words]) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert message in line


def test_lm_eval_prints_its_own_table_from_the_results(folder: Path) -> None:
    """Groups stand beside their tasks, and an error that one item cannot give is the N/A of lm-eval."""
    pytest.importorskip("torch")
    from lm_eval.utils import make_table

    for name in ("neighbor", "gptinst", "gptout", "manual"):
        write(f"llmbar/{name}.jsonl", QUESTIONS[:1])
    words = ("tiny:bytes?context=4096&layers=1", "--data", ".", "-b", "llmbar-adversarial", "-o", "out")
    document = found(*words)
    results = json.loads(Path("out/lm_eval_results.json").read_text("utf-8"))
    assert list(document["benchmarks"]) == list(results["results"])
    assert results["group_subtasks"]["llmbar-adversarial"][0] == "llmbar_neighbor"
    value = document["benchmarks"]["llmbar-adversarial"]["metrics"]["acc"]["value"]
    assert results["groups"]["llmbar-adversarial"]["acc,none"] == value
    table = make_table(results)
    assert "llmbar_manual" in table
    assert "N/A" in table
    assert "llmbar-adversarial" in make_table(results, "groups")


def test_a_model_is_held_against_several_seeds(folder: Path) -> None:
    """Three seeds around 70% and a model at 100%: a verdict with run variance borrowed from the seeds."""
    outputs(wrong=0, name="model.jsonl")
    for number, wrong in enumerate((3, 4, 5)):
        outputs(wrong=wrong, name=f"seed{number}.jsonl")
    seeds = [word for number in range(3) for word in ("--seeds-of", f"seed{number}.jsonl")]
    document = found("-b", "gsm8k", "--responses", "model.jsonl", "--data", ".", *seeds)
    (verdict,) = document["seeds"]["verdicts"]
    assert (verdict["runs"], verdict["control_runs"], verdict["items"]) == (1, 3, 12)
    assert verdict["effect"] == pytest.approx(100 * 4 / 12)
    assert "borrowed_variance" in verdict["flags"]
