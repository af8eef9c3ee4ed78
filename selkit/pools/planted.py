"""The planted pool: small word tasks with a right answer that a program knows, some of them answered wrongly on purpose.

Nothing is downloaded and the truth is known, so that a selector, a training run, or the whole of selkit can be tried
on it: a model that learns from the clean rows gets held-out tasks right, one that learns from corrupted rows does not.
The vocabulary is closed (:data:`WORDS`, their capitals, number words, the words of the instructions and of the filler),
so a tokenizer of whole words serves. Prompts are unique; a tenth of all possible ones, told by their digest, never
stands in a pool and is what test sets are drawn from.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from selkit.api.data import Example, Pool
from selkit.api.errors import UsageError
from selkit.pools.fields import Fields
from selkit.pools.ids import text_digest

WORDS = tuple(["apple", "bird", "cloud", "door", "eagle", "fish", "garden", "house", "island", "jungle", "kite", "lamp", "moon", "nest", "ocean", "pearl"])
"""The words that tasks are about."""

FILLER = tuple(["well", "you", "see", "this", "is", "indeed", "a", "very", "good", "question", "and", "so", "on", "as", "always"])
"""The words that padding and off-topic answers are made of."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
_LENGTHS = (3, 4, 5)


@dataclass(frozen=True)
class Task:
    """One kind of word task: what it says, and the program that knows the answer."""

    instruction: str
    answer: Callable[[Sequence[str]], Sequence[str]]


TASKS = {
    "reverse": Task("Reverse the words.", lambda words: words[::-1]),
    "copy": Task("Repeat the words.", lambda words: words),
    "capitals": Task("Write the words in capitals.", lambda words: [word.upper() for word in words]),
    "swap": Task("Swap the first and the last word.", lambda words: [words[-1], *words[1:-1], words[0]]),
    "rest": Task("Leave out the first word.", lambda words: words[1:]),
    "ends": Task("Keep the first and the last word.", lambda words: [words[0], words[-1]]),
    "last": Task("Write the last word.", lambda words: words[-1:]),
    "count": Task("Count the words.", lambda words: [NUMBERS[len(words)]]),
}


def _other(words: Sequence[str], draw: random.Random) -> list[str]:
    return [draw.choice([w for w in WORDS if w != word.lower()]) for word in words]


def _shuffled(words: Sequence[str], draw: random.Random) -> list[str]:
    order = list(words)
    while order == list(words) and len(set(words)) > 1:
        draw.shuffle(order)
    return order if order != list(words) else _other(words, draw)


def _padded(words: Sequence[str], draw: random.Random) -> list[str]:
    # Padding around an answer that is wrong too: a pool in which the longest responses are bad ones.
    before = [draw.choice(FILLER) for _ in range(draw.randint(6, 9))]
    after = [draw.choice(FILLER) for _ in range(draw.randint(3, 5))]
    return [*before, *_other(words, draw), *after]


CORRUPTIONS: dict[str, Callable[[Sequence[str], random.Random], Sequence[str]]] = {
    "wrong": _other,
    "truncated": lambda words, draw: words[: len(words) // 2] or _other(words, draw),
    "shuffled": _shuffled,
    "duplicated": lambda words, draw: [*words, *words, *words],
    "off-topic": lambda words, draw: [draw.choice(FILLER) for _ in range(draw.randint(4, 7))],
    "padded": _padded,
    "empty": lambda words, draw: (),
}
"""Ways to corrupt a right answer, by name. 'empty' is left out unless asked for: readers of files drop such rows."""

KINDS = tuple(kind for kind in CORRUPTIONS if kind != "empty")
"""The kinds that a planted pool has by default, in equal parts."""

_HELD_OUT = 10
"""One prompt in this many is kept for test sets."""


def planted_pool(
    rows: int = 1000, corrupted: float = 0.5, kinds: Sequence[str] = KINDS, seed: int = 0, name: str = "planted"
) -> Pool:
    """A pool whose truth is known.

    Args:
        rows: Number of rows; no prompt comes twice.
        corrupted: Share of the rows whose response is wrong; the number of such rows is exact, rounded half up.
        kinds: How they are wrong (names of :data:`CORRUPTIONS`), in equal parts as far as they go.
        seed: Seed of everything that is drawn.
        name: What people call the pool.

    Returns:
        Rows with the further columns ``truth`` (whether the response is right), ``corruption`` (its kind, or 'none'),
        ``answer`` (the right response) and ``task``.

    Raises:
        UsageError: A share outside [0, 1], an unknown kind, or more rows than there are prompts.
    """
    _check(rows, corrupted, kinds)
    draw = random.Random(seed)
    bad = int(corrupted * rows + 0.5)
    ways = ["none"] * (rows - bad) + [kinds[i % len(kinds)] for i in range(bad)]
    draw.shuffle(ways)
    prompts = _prompts(draw, held_out=False)
    return Pool.from_examples((_example(next(prompts), way, draw) for way in ways), name=name)


def planted_prompts(count: int, seed: int = 0) -> list[Example]:
    """Prompts that no planted pool holds, each with its right answer as the response."""
    draw = random.Random(seed)
    prompts = _prompts(draw, held_out=True)
    return [_example(next(prompts), "none", draw) for _ in range(count)]


def planted_vocabulary() -> list[str]:
    """Every word that can stand in a planted prompt or response, sorted."""
    words = {*WORDS, *(word.upper() for word in WORDS), *FILLER, *NUMBERS}
    words |= {word for task in TASKS.values() for word in task.instruction.split()}
    return sorted(words)


def _check(rows: int, corrupted: float, kinds: Sequence[str]) -> None:
    if not 0 <= corrupted <= 1:
        raise UsageError(f"the corrupted share of a planted pool is {corrupted}: it must lie between 0 and 1")
    unknown = [kind for kind in kinds if kind not in CORRUPTIONS]
    if unknown or (not kinds and corrupted):
        raise UsageError(
            f"a planted pool has no corruption {unknown or kinds!r}: take some of {', '.join(CORRUPTIONS)}"
        )
    if not 1 <= rows <= MOST_ROWS:
        raise UsageError(f"a planted pool has between 1 and {MOST_ROWS} rows, not {rows}")


MOST_ROWS = 1_000_000
"""There are several million prompts; beyond this, drawing new ones gets slow."""


def _prompts(draw: random.Random, *, held_out: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Distinct (task, words), without end, from the part of all prompts that is held out or from the other."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    names = list(TASKS)
    while True:
        prompt = (draw.choice(names), tuple(draw.sample(WORDS, draw.choice(_LENGTHS))))
        digest = hashlib.sha256(repr(prompt).encode()).digest()
        if prompt not in seen and (digest[0] % _HELD_OUT == 0) == held_out:
            seen.add(prompt)
            yield prompt


def _example(prompt: tuple[str, tuple[str, ...]], way: str, draw: random.Random) -> Example:
    task, words = prompt
    right = list(TASKS[task].answer(words))
    said = right if way == "none" else list(CORRUPTIONS[way](right, draw))
    instruction, given, response = TASKS[task].instruction, " ".join(words), " ".join(said)
    extra = {"truth": way == "none", "corruption": way, "answer": " ".join(right), "task": task}
    row_id = text_digest(Fields(instruction, given, response))
    return Example(row_id, instruction, given, response, source="planted", extra=extra)
