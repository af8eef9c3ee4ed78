"""``selkit eval -b ifeval --responses`` on the 540 rows at hand: the whole command, start-up included.

    python bench/ifeval_responses.py --data DIR [--runs 5]

DIR holds ifeval/prompts.jsonl. The responses are made up: forms that follow some instructions and break others. First
every score is compared with lm-eval's own scorer, asked directly with the same seeds, and two runs must print the same
bytes. Then the wall and processor time of the command, the median of the runs. The exit code is 1 over the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LIMIT = 15.0

FORMS = (
    "Here is my answer. It has two sentences!",
    "<<A title>>\n\n* one\n* two\n* three\n\nP.S. *Highlighted* words, and more of them, in [place] and [time].",
    '"no capital letters here, none at all. nur ein wenig deutsch dazwischen, und noch etwas mehr davon."',
    '{"answer": 1}',
    "FIRST PARAGRAPH\n***\nSECOND PARAGRAPH\n***\nTHIRD! Is there anything else I can help with?",
    "A long answer goes on for a while. " * 40,
)


def main() -> int:
    """Prints the median time; returns 1 where it is over the limit."""
    parser = argparse.ArgumentParser(description="Time selkit eval -b ifeval --responses.")
    parser.add_argument("--data", type=Path, required=True, help="folder with ifeval/prompts.jsonl")
    parser.add_argument("--runs", type=int, default=5, help="how often the command is timed")
    given = parser.parse_args()
    file = given.data / "ifeval" / "prompts.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line.strip()]
    responses = [f"{FORMS[i % len(FORMS)]} {row['prompt'] if i % 5 == 0 else ''}" for i, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "responses.jsonl"
        answers = [{"id": row["key"], "response": text} for row, text in zip(rows, responses, strict=True)]
        stored.write_text("".join(json.dumps(answer) + "\n" for answer in answers), encoding="utf-8")
        printed, _, _ = score(stored, given.data)
        assert_right(json.loads(printed), rows, responses)
        runs = [score(stored, given.data) for _ in range(given.runs)]
    assert {text for text, _, _ in runs} == {printed}, "two runs printed different bytes"
    wall, busy = (statistics.median(times) for times in ([r[1] for r in runs], [r[2] for r in runs]))
    print(f"{len(rows)} rows, the scores of lm-eval's scorer, the same bytes in {given.runs + 1} runs")
    print(f"selkit eval -b ifeval --responses: {wall:.1f} s, {busy:.1f} s of processor time (limit {LIMIT:.0f} s)")
    print("runs  " + " ".join(f"{seconds:.1f}" for _, seconds, _ in runs))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    return int(wall > LIMIT)


def score(stored: Path, data: Path) -> tuple[str, float, float]:
    """What the command prints, its wall seconds and its processor seconds."""
    selkit = Path(sysconfig.get_path("scripts")) / "selkit"
    command = [str(selkit), "eval", "-b", "ifeval", "--responses", str(stored), "--data", str(data), "--json"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def assert_right(found: dict[str, Any], rows: Sequence[dict[str, Any]], responses: Sequence[str]) -> None:
    """Every metric is that of lm-eval's scorer, which draws what it draws from the row's key."""
    from langdetect import DetectorFactory
    from lm_eval.tasks.ifeval import utils
    from selkit_tasks.punkt import ensure_punkt

    from selkit.models import models_cache

    ensure_punkt(models_cache().parent)
    DetectorFactory.seed = 0
    scores = []
    for row, response in zip(rows, responses, strict=True):
        random.seed(row["key"])
        scores.append(utils.process_results(row, [response]))
    for name, metric in found["benchmarks"]["ifeval"]["metrics"].items():
        every = [score[name] for score in scores]
        flat = [one for score in every for one in (score if isinstance(score, list) else [score])]
        expected = sum(flat) / len(flat)
        assert abs(metric["value"] - expected) < 1e-9, f"{name}: {metric['value']} is not {expected}"
        assert 0.02 < expected < 0.98, f"{name}: a score of {expected} shows nothing"


if __name__ == "__main__":
    sys.exit(main())
