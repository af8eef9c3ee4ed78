"""The bridge to lm-eval, on a benchmark of this folder's own: what reaches the engine, and what is stored."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lm_eval")

from toy_benchmark import Likelihoods, Replay, Riddles, score

from selkit.api import (
    ALPACA,
    PLAIN,
    RAW,
    BenchmarkGroup,
    Continuation,
    DataError,
    Decoding,
    Example,
    MissingExtra,
    PromptTemplate,
    TokenLosses,
    task_yaml,
)
from selkit.evals import BenchmarkJob, benchmark_key, endpoints, find_data, read_items, run_benchmark
from selkit.evals.lm import decoding_of
from selkit.store import Store

# Lengths fall and rise, so that an order by length is neither that of the data nor its reverse.
ROWS = [{"question": f"What is {'very ' * (i * 7 % 11)}{i}?", "answer": str(i)} for i in range(40)]


def write_rows(path: Path, rows: list[dict[str, str]] = ROWS) -> Path:
    """A data file of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def engine(rows: list[dict[str, str]] = ROWS, template=ALPACA, wrong: tuple[int, ...] = ()) -> Replay:
    """An engine that knows every answer but those of the rows ``wrong``."""
    return Replay(
        {
            template.prompt(Example("0", row["question"])): "no" if i in wrong else row["answer"]
            for i, row in enumerate(rows)
        }
    )


def run(job: BenchmarkJob, model: Replay, store: Store, template=ALPACA) -> list[dict]:
    """The items of a benchmark as rows."""
    key = benchmark_key(job, model.digest, template, 1)
    return read_items(run_benchmark(job, key, lambda: model, template, store)).to_pylist()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The file of ROWS."""
    return write_rows(tmp_path / "rows.jsonl")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


def test_items_stand_in_the_order_of_the_data_with_their_own_answers(data: Path, store: Store) -> None:
    """Every item has its own prompt, response and score, although the engine saw them sorted by length."""
    model = engine(wrong=(0, 17, 39))
    items = run(BenchmarkJob(Riddles(), {"test": data}), model, store)
    assert [item["prompt"] for item in items] == [row["question"] for row in ROWS]
    assert [item["response"] for item in items] == [
        "no" if i in (0, 17, 39) else row["answer"] for i, row in enumerate(ROWS)
    ]
    assert [item["exact"] for item in items] == [float(i not in (0, 17, 39)) for i in range(40)]
    assert list(items[0]) == ["item", "prompt", "response", "cluster", "truncated", "exact"]
    assert len({item["item"] for item in items}) == 40
    assert [len(prompt) for prompt in model.asked] == sorted(len(prompt) for prompt in model.asked)


@pytest.mark.parametrize("template", [ALPACA, PLAIN], ids=lambda template: template.name)
def test_the_engine_sees_the_prompts_of_the_training_template(template, data: Path, store: Store) -> None:
    """What reaches the model is the template's prompt of the row, nothing before or after it."""
    model = engine(template=template)
    run(BenchmarkJob(Riddles(), {"test": data}), model, store, template)
    assert sorted(model.asked) == sorted(template.prompt(Example("x", row["question"])) for row in ROWS)


@pytest.mark.parametrize(("limit", "tokens"), [(None, 20), (8, 8), (500, 20)])
def test_the_engine_gets_the_tasks_stop_texts_and_limit(
    limit: int | None, tokens: int, data: Path, store: Store
) -> None:
    """Greedy, with the stop texts of the task; a limit of the spec only ever lowers that of the task."""
    model = engine()
    run(BenchmarkJob(Riddles(), {"test": data}, max_new_tokens=limit), model, store)
    assert set(model.decodings) == {Decoding(max_new_tokens=tokens, stop=("\n", "END"))}


def test_settings_of_lm_eval_become_a_decoding() -> None:
    """One stop text, none, empty ones; sampling only where the task asks for it; lm-eval's own limit by default."""
    assert decoding_of({"until": "\n\n"}) == Decoding(max_new_tokens=256, stop=("\n\n",))
    assert decoding_of({"until": [], "temperature": 0.7, "max_gen_toks": 5}) == Decoding(max_new_tokens=5)
    assert decoding_of({"until": ["", "Q:"]}, 9) == Decoding(max_new_tokens=9, stop=("Q:",))
    sampled = {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "top_k": 7}
    assert decoding_of(sampled) == Decoding(256, temperature=0.5, top_p=0.9, top_k=7)


def test_a_sample_is_random_and_the_same_for_every_model(data: Path, tmp_path: Path) -> None:
    """A part of the rows is drawn, not cut off the front, and every model answers the same part."""
    job = BenchmarkJob(Riddles(), {"test": data}, sample=12)
    one = run(job, engine(wrong=(3,)), Store(tmp_path / "a"))
    other = run(job, engine(), Store(tmp_path / "b"))
    drawn = [int(item["prompt"].split()[-1].rstrip("?")) for item in one]
    assert len(set(drawn)) == 12
    assert drawn == sorted(drawn)
    assert drawn != list(range(12))
    assert drawn[-1] > 20
    assert [item["item"] for item in one] == [item["item"] for item in other]
    assert [item["exact"] for item in one] == [float(i != 3) for i in drawn]


def test_a_sample_of_all_or_more_takes_every_row(data: Path, store: Store) -> None:
    """Asking for more rows than there are takes them all."""
    assert len(run(BenchmarkJob(Riddles(), {"test": data}, sample=99), engine(), store)) == 40


def test_the_second_call_computes_nothing(data: Path, store: Store) -> None:
    """What is stored is given back without asking for a model."""
    job = BenchmarkJob(Riddles(), {"test": data})
    key = benchmark_key(job, "w", ALPACA, 1)
    model = engine()
    first = run_benchmark(job, key, lambda: model, ALPACA, store)

    def none_wanted() -> Replay:
        raise AssertionError("a stored benchmark asked for its model")

    again = run_benchmark(job, key, none_wanted, ALPACA, store)
    assert read_items(again).equals(read_items(first))
    assert first.manifest["facts"] == {"rows": 40, "items": 40, "published_rows": 40}
    assert len(model.asked) == 40
    assert [(row.resource, row.quantity) for row in first.ledger if row.resource.startswith("tokens")] == [
        ("tokens.out", 120.0)
    ]


def test_the_key_names_everything_that_the_items_depend_on(data: Path, tmp_path: Path) -> None:
    """Scenarios 51 and 60: other rows, weights, template, part, limit or threads: another key."""
    job = BenchmarkJob(Riddles(), {"test": data})
    base = benchmark_key(job, "w", ALPACA, 1).digest
    copy = write_rows(tmp_path / "copy.jsonl")
    assert benchmark_key(BenchmarkJob(Riddles(), {"test": copy}), "w", ALPACA, 1).digest == base
    others = [
        benchmark_key(BenchmarkJob(Riddles(), {"test": write_rows(tmp_path / "o.jsonl", ROWS[1:])}), "w", ALPACA, 1),
        benchmark_key(BenchmarkJob(Riddles(), {"test": data}, sample=5), "w", ALPACA, 1),
        benchmark_key(BenchmarkJob(Riddles(), {"test": data}, max_new_tokens=5), "w", ALPACA, 1),
        benchmark_key(job, "v", ALPACA, 1),
        benchmark_key(job, "w", PLAIN, 1),
        benchmark_key(job, "w", ALPACA, 2),
    ]
    assert len({base, *(key.digest for key in others)}) == 7


def test_rows_that_changed_under_the_same_name_and_time_are_read_anew(data: Path, store: Store) -> None:
    """Scenario 23: no cache between the file and the task hands out the rows that stood there before."""
    run(BenchmarkJob(Riddles(), {"test": data}), engine(), store)
    stat = data.stat()
    changed = [{"question": row["question"].replace("What", "Whar"), "answer": row["answer"]} for row in ROWS]
    write_rows(data, changed)
    os.utime(data, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert data.stat().st_size == stat.st_size
    items = run(BenchmarkJob(Riddles(), {"test": data}), engine(changed), store)
    assert [item["prompt"] for item in items] == [row["question"] for row in changed]


def test_a_run_keeps_to_itself(
    data: Path, store: Store, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a task prints goes to stderr and nothing else shows; no random state moves; lm-eval's index is not built."""
    from lm_eval.tasks import TaskManager

    built, init = [], TaskManager.__init__

    def recorded(self: TaskManager, *args: object, **options: object) -> None:
        built.append((args, options))
        init(self, *args, **options)

    monkeypatch.setattr(TaskManager, "__init__", recorded)
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    run(BenchmarkJob(Riddles(), {"test": data}), engine(), store)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert [options["include_defaults"] for _, options in built] == [False]
    assert capsys.readouterr() == ("", "the task speaks\n" * 40)


def test_a_real_engine_serves_the_task(data: Path, store: Store) -> None:
    """A tiny untrained Llama answers, within the task's limit and cut at its stop texts, as it does when asked bare."""
    pytest.importorskip("torch")
    from selkit.models import load_model

    model = load_model("tiny:bytes?context=1024", device="cpu")
    job = BenchmarkJob(Riddles(), {"test": data}, sample=3)
    items = run(job, model, store, ALPACA)
    decoding = Decoding(max_new_tokens=20, stop=("\n", "END"))
    for item in items:
        ((answer,),) = model.generate([ALPACA.prompt(Example("0", item["prompt"]))], decoding)
        assert item["response"] == answer.text
        assert 0 < len(item["response"].encode()) <= 80


@pytest.mark.parametrize("text", ["plain", "it's 'quoted'", "two\nlines", "!function", "a !function b.c", "ü \u2028 ☃"])
def test_texts_and_functions_survive_the_yaml(text: str, tmp_path: Path) -> None:
    """A reference to a function arrives as the function, and any other text as it was."""
    import toy_benchmark
    from lm_eval.tasks._yaml_loader import load_yaml

    config = {"task": "t", "doc_to_text": text, "process_results": "!function toy_benchmark.score", "n": None}
    path = tmp_path / "task.yaml"
    path.write_text(task_yaml(config), encoding="utf-8")
    assert load_yaml(path) == config | {"process_results": toy_benchmark.score}


def test_data_is_found_by_name_or_among_the_shared_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a folder that holds it (itself or as benchmarks), or the shared data; what was named goes first."""
    own = write_rows(tmp_path / "own" / "riddles" / "rows.jsonl", ROWS[:2])
    shared = write_rows(tmp_path / "shared" / "benchmarks" / "riddles" / "rows.jsonl")
    monkeypatch.setenv("SELKIT_SHARED_DATA", str(tmp_path / "shared"))
    assert find_data(Riddles()) == {"test": shared}
    assert find_data(Riddles(), own) == {"test": own}
    assert find_data(Riddles(), tmp_path / "own") == {"test": own}
    assert find_data(Riddles(), tmp_path / "shared") == {"test": shared}
    with pytest.raises(DataError, match="elsewhere"):
        find_data(Riddles(), tmp_path / "elsewhere")


def test_missing_data_is_one_sentence_that_says_what_would_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark, the data set and the file are named."""
    monkeypatch.delenv("SELKIT_SHARED_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        find_data(Riddles())
    for named in ("'riddles'", "nobody/riddles", "riddles/rows.jsonl", "SELKIT_SHARED_DATA"):
        assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "has no rows"),
        ('{"question": "a", "answer": "b"}\n\n{"question": "a"}\n', "line 3: there is no column 'answer'"),
        ('{"question": 1, "answer": "b"}', "line 1: 'question' is not a text"),
        ('["question"]', "line 1: this is not a JSON object"),
        ('{"question": ', "line 1: this is not JSON"),
    ],
)
def test_rows_of_something_else_are_refused(text: str, clause: str, tmp_path: Path) -> None:
    """A file of other rows is refused before anything runs, by line and column."""
    path = tmp_path / "rows.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=clause) as caught:
        find_data(Riddles(), path)
    assert "nobody/riddles" in str(caught.value)


def test_a_missing_package_is_a_missing_extra(data: Path) -> None:
    """Where what the benchmark needs is not installed, the sentence has the command that installs it."""

    @dataclass
    class Needy(Riddles):
        """Needs what nobody has."""

        name = "needy"
        requires = ("lm_eval", "no_such_package_anywhere")
        extra = "selkit-eval[eval]"

    with pytest.raises(MissingExtra, match=r"no_such_package_anywhere.*pip install 'selkit-eval\[eval\]'"):
        benchmark_key(BenchmarkJob(Needy(), {"test": data}), "w", ALPACA, 1)


@pytest.fixture(params=[pytest.param("raw", marks=pytest.mark.slow), "chat"])
def asked_under(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, PromptTemplate]:
    """A tiny model, and the template it is asked under: none, or its own chat template."""
    pytest.importorskip("torch")
    from selkit.models import prompt_template, resolve

    folder = resolve("tiny:bytes?context=1024").path
    if request.param == "raw":
        return folder, RAW
    chatty = shutil.copytree(folder, tmp_path / "chatty")
    turns = "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }}\n{% endfor %}"
    (chatty / "chat_template.jinja").write_text(turns + "{% if add_generation_prompt %}[assistant] {% endif %}")
    return chatty, prompt_template("chat", str(chatty))


@pytest.mark.parametrize("benchmark", [Riddles(), Likelihoods()], ids=lambda benchmark: benchmark.name)
def test_scores_are_those_of_lm_eval_by_hand(
    benchmark: Riddles, asked_under: tuple[Path, PromptTemplate], data: Path, store: Store
) -> None:
    """The same model, rows and template through lm-eval's own engine: the same item scores, to the last bit."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from selkit.models import load_model

    folder, template = asked_under
    items = run(BenchmarkJob(benchmark, {"test": data}), load_model(str(folder), device="cpu"), store, template)
    config = benchmark.task_config() | {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}}}
    config["process_results"] = score if benchmark.name == "riddles" else None
    by_hand = lm_eval.simple_evaluate(
        HFLM(str(folder), device="cpu", dtype="float32", batch_size=1),
        tasks=[config],
        task_manager=TaskManager(include_defaults=False),
        apply_chat_template=template is not RAW,
        fewshot_as_multiturn=False,
        bootstrap_iters=0,
    )
    assert by_hand is not None
    samples = sorted(next(iter(by_hand["samples"].values())), key=lambda sample: sample["doc_id"])
    assert [item[benchmark.primary] for item in items] == [sample[benchmark.primary] for sample in samples]
    assert [item["item"] for item in items] == [sample["doc_hash"] for sample in samples]
    if benchmark.name == "likelihoods":
        assert 0 < sum(item["acc"] for item in items) < len(items)
    else:
        assert [item["response"] for item in items] == [sample["resps"][0][0] for sample in samples]


@pytest.mark.parametrize(("template", "choices"), [(RAW, {" a", " the"}), (ALPACA, {"a", "the"})])
def test_a_choice_begins_an_answer_or_goes_on_with_a_text(
    template: PromptTemplate, choices: set[str], data: Path, store: Store
) -> None:
    """The space between question and answer belongs to running text: no turn that a template opens begins with one."""
    weighed: list[Continuation] = []

    class Weighing(Replay):
        """Finds all equally likely."""

        def token_losses(self, pairs, **_):
            for pair in pairs:
                weighed.append(pair)
                yield TokenLosses(np.ones(1, np.float32), 1)

    run(BenchmarkJob(Likelihoods(), {"test": data}), Weighing({}), store, template)
    assert {pair.completion for pair in weighed} == choices
    assert {pair.prompt for pair in weighed} == {template.prompt(Example("0", row["question"])) for row in ROWS}


def test_a_killed_benchmark_goes_on_with_what_it_has(data: Path, tmp_path: Path) -> None:
    """Answers that were written are not asked for again, whole batches of them; the items are the same."""

    class Dying(Replay):
        """Dies after 25 answers."""

        def generate(self, prompts, decoding, *, seed: int = 0):
            for answer in super().generate(prompts, decoding, seed=seed):
                if len(self.asked) > 25:
                    raise KeyboardInterrupt
                yield answer

    job, store = BenchmarkJob(Riddles(), {"test": data}), Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        run(job, Dying(engine().answers), store)
    again = engine()
    items = run(job, again, store)
    assert len(again.asked) == 40 - 16
    assert items == run(job, engine(), Store(tmp_path / "other"))


def test_groups_come_apart_into_endpoints(data: Path) -> None:
    """A pooled group is one endpoint of several benchmarks; the members of another count by themselves."""

    @dataclass
    class Pooled(BenchmarkGroup):
        """Two of them as one."""

        name = "pooled"
        pooled = True

        def members(self) -> list:
            return [Riddles(), Likelihoods()]

    @dataclass
    class Outer(BenchmarkGroup):
        """A group in a group."""

        name = "outer"

        def members(self) -> list:
            return [Pooled(), Riddles()]

    found = endpoints(Outer(), data, sample=7)
    assert [(one.name, [job.benchmark.name for job in one.jobs]) for one in found] == [
        ("outer/pooled", ["riddles", "likelihoods"]),
        ("outer/riddles", ["riddles"]),
    ]
    assert {job.sample for one in found for job in one.jobs} == {7}
    assert [job.sample for one in endpoints(Riddles(), data, sample="all") for job in one.jobs] == [None]
