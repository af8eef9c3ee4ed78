"""How much of a published subset a selector finds again, beside what chance finds.

    python bench/recall.py ALPACA [--rows N] [--model MODEL] SELECTOR:SET ...

reads alpaca-18k.jsonl, keeps the rows of its unbiased part (random-9k), or a seeded N of them, and lets each selector
choose as many rows as the set has there. A selector is a name with its parameters in brackets, e.g.
``ifd[model=tiny:bytes,pre_experience=none]:cherry-5pct``. Recall is the share of the set among the chosen rows; a
choice of k of N rows by chance finds a hypergeometric number of them, k/N on average, given with its central 95% and
with the probability that it finds at least as many. Below each line stand, for comparison, the recalls of the other
published sets by the same choice. Scores and trained models are stored (--store, else $SELKIT_STORE): a second run
repeats nothing, and one that was killed goes on.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selkit.api import CORE_SCHEMA, BaseSelector, Pool, UsageError
from selkit.experiment.selection.training import ComponentTraining
from selkit.plugins import build, parse_assignments
from selkit.pools import load_pool
from selkit.select import select
from selkit.store import Store

UNBIASED = "random-9k"
COMPARISON = "(comparison)"
COLUMNS = ("selector", "set", "in it", "chosen", "found", "recall", "by chance (95%)", "p", "seconds")


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

    @property
    def label(self) -> str:
        """What the table calls the selector."""
        return self.selector + (f"[{', '.join(self.parameters)}]" if self.parameters else "")

    def build(self) -> BaseSelector:
        """The selector. Raises UsageError where it cannot be."""
        component = build("selector", self.selector, parse_assignments(list(self.parameters)))
        if not isinstance(component, BaseSelector):
            raise UsageError(f"{self.selector!r} is not a selector")
        return component


@dataclass(frozen=True)
class Choice:
    """What a selector chose, and what that took."""

    ids: frozenset[str]
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alpaca", type=Path, help="alpaca-18k.jsonl")
    parser.add_argument("questions", nargs="+", type=Question.parse, metavar="SELECTOR:SET")
    parser.add_argument("--rows", type=int, help="a seeded part of the unbiased rows")
    parser.add_argument("--model", help="the base model of selectors that need one")
    parser.add_argument("--store", type=Path, help="where scores and models are kept")
    given = parser.parse_args(arguments)
    selectors = [question.build() for question in given.questions]
    pool, sets = unbiased(given.alpaca, given.rows)
    for question in given.questions:
        if question.subset not in sets:
            raise UsageError(f"no row is of {question.subset!r}: there are {', '.join(sets)}")
    say(f"{len(pool)} rows of {UNBIASED}; base model {given.model}; {platform.machine()}, {platform.python_version()}")
    say(row(COLUMNS))
    say(row(["---"] * len(COLUMNS)))
    for question, selector in zip(given.questions, selectors, strict=True):
        choice = choose(selector, pool, len(sets[question.subset]), given.model, Store(given.store))
        for line in lines(question, choice, sets, len(pool)):
            say(row(line))
    return 0


def unbiased(path: Path, rows: int | None) -> tuple[Pool, dict[str, frozenset[str]]]:
    """The rows of the unbiased part, or ``rows`` of them drawn by a fixed seed, and the sets' ids among them.

    The pool does not say what a row is a member of, so that no selector can see it.
    """
    pool = load_pool(str(path))
    member = dict(zip(pool.ids, pool.column("member").to_pylist(), strict=True))
    ids = sorted(row_id for row_id, names in member.items() if UNBIASED in names)
    if rows is not None and rows < len(ids):
        ids = sorted(np.random.default_rng(0).choice(np.asarray(ids, object), size=rows, replace=False).tolist())
    names = sorted({name for row_id in ids for name in member[row_id]} - {UNBIASED})
    sets = {name: frozenset(row_id for row_id in ids if name in member[row_id]) for name in names}
    return Pool(pool.take(ids).table.select(CORE_SCHEMA.names), name=UNBIASED), sets


def choose(selector: BaseSelector, pool: Pool, rows: int, model: str | None, store: Store) -> Choice:
    """The selector's choice; where it cannot fill the budget, the reason goes to stderr."""
    started = time.monotonic()
    result = select(pool, selector, rows, base_model=model, store=store, training=ComponentTraining(store))
    if result.selection.shortfall:
        print(f"{len(result.ids)} of {rows} rows: {result.selection.shortfall}", file=sys.stderr)
    return Choice(frozenset(result.ids), time.monotonic() - started)


def lines(question: Question, choice: Choice, sets: Mapping[str, frozenset[str]], rows: int) -> list[list[str]]:
    """The question's line, then one for each other set."""
    others = [name for name in sets if name != question.subset]
    first = line(question.label, question.subset, choice, sets[question.subset], rows)
    return [first, *(line(COMPARISON, name, choice, sets[name], rows) for name in others)]


def line(label: str, name: str, choice: Choice, ids: frozenset[str], rows: int) -> list[str]:
    """A line of the table: a choice against a set."""
    chosen, found, size = len(choice.ids), len(choice.ids & ids), len(ids)
    low, high, p = chance(rows, size, chosen, found)
    interval = f"{100 * chosen / rows:.1f}% ({100 * low / size:.1f} to {100 * high / size:.1f})"
    numbers = [str(size), str(chosen), str(found), f"{100 * found / size:.1f}%", interval, f"{p:.2g}"]
    return [label, name, *numbers, "" if label == COMPARISON else f"{choice.seconds:.0f}"]


def chance(rows: int, size: int, chosen: int, found: int) -> tuple[float, float, float]:
    """The central 95% of what a random choice finds of a set, and the probability that it finds at least ``found``."""
    from scipy.stats import hypergeom

    law = hypergeom(rows, size, chosen)
    low, high = law.interval(0.95)
    return float(low), float(high), float(law.sf(found - 1))


def row(cells: Sequence[str]) -> str:
    """A line of a markdown table."""
    return f"| {' | '.join(cells)} |"


def say(text: str) -> None:
    """A line of the result."""
    print(text, file=sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
