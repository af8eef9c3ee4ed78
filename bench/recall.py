"""How much of a published subset a selector finds again, beside what chance finds.

    python bench/recall.py ALPACA [--rows N] [--model MODEL] SELECTOR:SET ...

reads alpaca-18k.jsonl, keeps the rows of its unbiased part (random-9k), or a seeded N of them, and lets each selector
choose as many rows as the set has there. A selector is a name with its parameters in brackets, e.g.
``ifd[model=tiny:bytes,pre_experience=none]:cherry-5pct``. Recall is the share of the set among the chosen rows; chance
finds a hypergeometric number of them, given with its central 95%.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNBIASED = "random-9k"


@dataclass(frozen=True)
class Question:
    """A selector, its parameters, and the published subset that it is held against."""

    selector: str
    parameters: tuple[str, ...]
    subset: str

    @classmethod
    def parse(cls, text: str) -> Question:
        """``NAME[key=value,...]:SET``."""
        left, _, subset = text.rpartition(":")
        name, _, rest = left.partition("[")
        return cls(name, tuple(rest.rstrip("]").split(",")) if rest else (), subset)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one row per question; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("alpaca", type=Path, help="alpaca-18k.jsonl")
    parser.add_argument("questions", nargs="+", type=Question.parse, metavar="SELECTOR:SET")
    parser.add_argument("--rows", type=int, help="a seeded part of the unbiased rows")
    parser.add_argument("--model", help="the base model of selectors that need one")
    given = parser.parse_args(arguments)
    rows = unbiased(given.alpaca, given.rows)
    say(f"{len(rows)} rows of {UNBIASED}; {platform.machine()}, Python {platform.python_version()}")
    say("| selector | set | budget | found | recall | by chance (95%) | seconds |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    for question in given.questions:
        say(answer(question, rows, given.model))
    return 0


def unbiased(path: Path, rows: int | None) -> list[dict[str, Any]]:
    """The rows of the unbiased part, or ``rows`` of them drawn by a fixed seed, with the sets that each is in."""
    import numpy as np

    lines = path.read_text(encoding="utf-8").split("\n")
    kept = [row for row in map(json.loads, filter(None, lines)) if UNBIASED in row["member"]]
    if rows is None or rows >= len(kept):
        return kept
    drawn = np.random.default_rng(0).choice(len(kept), size=rows, replace=False)
    return [kept[i] for i in sorted(drawn.tolist())]


def answer(question: Question, rows: list[dict[str, Any]], model: str | None) -> str:
    """A line of the table."""
    from scipy.stats import hypergeom

    from selkit.plugins import build, parse_assignments
    from selkit.select import select

    members = {str(row["id"]) for row in rows if question.subset in row["member"]}
    component = build("selector", question.selector, parse_assignments(list(question.parameters)))
    started = time.monotonic()
    chosen = set(select(pool_of(rows), component, len(members), base_model=model).ids)
    seconds = time.monotonic() - started
    found, size = len(chosen & members), len(members)
    low, high = hypergeom.interval(0.95, len(rows), size, len(chosen))
    name = question.selector + (f"[{', '.join(question.parameters)}]" if question.parameters else "")
    expected = 100 * len(chosen) / len(rows)
    interval = f"{expected:.1f}% ({100 * low / size:.1f} to {100 * high / size:.1f})"
    cells = (name, question.subset, len(chosen), found, f"{100 * found / size:.1f}%", interval, f"{seconds:.0f}")
    return f"| {' | '.join(map(str, cells))} |"


def pool_of(rows: list[dict[str, Any]]) -> Any:
    """The rows as a pool, without what they are members of."""
    from selkit.api import Example, Pool

    examples = (Example(str(r["id"]), r["instruction"], r.get("input", ""), r["output"]) for r in rows)
    return Pool.from_examples(examples, name=UNBIASED)


def say(text: str) -> None:
    """A line of the result."""
    print(text, file=sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
