"""The planted pool: small word tasks with a right answer that a program knows; some are answered wrongly on purpose.

Nothing is downloaded and the truth is known, so that a selector, a training run, or the whole of selkit can be tried
on it: a model that learns from the clean rows gets held-out tasks right, one that learns from corrupted rows does not.
Clean answers are short and most kinds of corruption make them longer, so that 'longest' is a bad idea here.

The vocabulary is closed (see :func:`planted_vocabulary`), so a tokenizer of whole words serves. Prompts are unique; a
tenth of all possible ones, told by their digest, never stands in a pool and is what test sets are drawn from. Every
draw takes what has the smallest SHA-256 of seed and prompt, so that it is the same everywhere.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import cycle, permutations
from math import perm
from typing import NamedTuple

import pyarrow as pa

from selkit.api.data import CORE_SCHEMA, Example, Pool
from selkit.api.errors import UsageError
from selkit.pools.fields import Fields
from selkit.pools.ids import text_digest

WORDS = ("apple", "bird", "cloud", "door", "eagle", "fish", "garden", "house", "island", "lamp", "moon", "river")
"""The words that tasks are about."""

FILLER = ("well", "you", "see", "this", "is", "indeed", "very", "good", "question", "and", "so", "on", "as", "always")
"""The words that padding and off-topic answers are made of."""

HELD_OUT = 10
"""One prompt in so many is kept for test sets."""

_LENGTHS = (3, 4, 5, 6)  # words in a task; the shortest that gives enough prompts, since short ones are learnt sooner
_SPARE = 0.55  # share of all prompts that a pool uses at most, so that another seed has other rows

Words = Sequence[str]


@dataclass(frozen=True)
class Task:
    """One kind of word task: what it says, and the program that knows the answer."""

    instruction: str
    answer: Callable[[Words], Words]


TASKS = {
    "reverse": Task("Reverse the words.", lambda words: words[::-1]),
    "copy": Task("Repeat the words.", lambda words: words),
    "capitals": Task("Write the words in capitals.", lambda words: [word.upper() for word in words]),
    "swap": Task("Swap the first and the last word.", lambda words: [words[-1], *words[1:-1], words[0]]),
    "rest": Task("Leave out the first word.", lambda words: words[1:]),
    "last": Task("Write the last word.", lambda words: words[-1:]),
}
"""The tasks by name."""


def _wrong(answer: Words, rng: random.Random) -> Words:
    return rng.sample([word for word in WORDS if word not in answer], len(answer))


def _truncated(answer: Words, rng: random.Random) -> Words:
    return answer[: rng.randrange(1, len(answer))] if len(answer) > 1 else answer


def _shuffled(answer: Words, rng: random.Random) -> Words:
    orders = [order for order in permutations(answer) if list(order) != list(answer)]
    return rng.choice(orders) if orders else answer


def _empty(answer: Words, rng: random.Random) -> Words:
    return ()


def _duplicated(answer: Words, rng: random.Random) -> Words:
    return list(answer) * (1 + -(-4 // len(answer)))


def _off_topic(answer: Words, rng: random.Random) -> Words:
    return [rng.choice(FILLER + WORDS) for _ in range(rng.randrange(8, 13))]


def _padded(answer: Words, rng: random.Random) -> Words:
    return [*answer, *(rng.choice(FILLER) for _ in range(rng.randrange(8, 15)))]


CORRUPTIONS: dict[str, Callable[[Words, random.Random], Words]] = {
    "wrong-answer": _wrong,
    "truncated": _truncated,
    "shuffled": _shuffled,
    "empty": _empty,
    "duplicated": _duplicated,
    "off-topic": _off_topic,
    "padded": _padded,
}
"""What is done to the right answer, by kind. One that changes nothing, as shuffling a single word, is not applied."""

KINDS = tuple(kind for kind in CORRUPTIONS if kind != "empty")
"""Every kind but 'empty', which no pool that is read from a file contains."""


class _Prompt(NamedTuple):
    task: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{TASKS[self.task].instruction} {' '.join(self.words)}"

    def answer(self) -> Words:
        return TASKS[self.task].answer(self.words)


def planted_pool(
    rows: int = 1000,
    corrupted: float | Mapping[str, float] = 0.5,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
    name: str = "planted",
) -> Pool:
    """A pool whose truth is known.

    Args:
        rows: How many rows.
        corrupted: The share of rows with a corrupted response, in [0, 1]; rounded to whole rows. Or such a share for
            each kind, ``{'padded': 0.2, 'empty': 0.1}``, and then ``kinds`` says nothing.
        kinds: Kinds of corruption, from :data:`CORRUPTIONS`, which the corrupted rows take in turn; a row that a kind
            does not change takes the next one that does.
        seed: Another seed gives other rows.
        name: What people call the pool.

    Returns:
        A pool with the further columns ``truth`` (whether the response is the right answer), ``corruption`` (its kind,
        or 'none'), ``answer`` (the right answer) and ``task``.

    Raises:
        UsageError: More rows than there are prompts, or an option that makes no sense.
    """
    shares = dict(corrupted) if isinstance(corrupted, Mapping) else None
    for share in [corrupted] if shares is None else shares.values():
        _check(rows, share, kinds if shares is None else list(shares), seed)
    _check(rows, corrupted if shares is None else sum(shares.values()), kinds, seed)
    counts = Counter({kind: round(rows * share) for kind, share in (shares or {}).items()})
    prompts = _smallest(rows, seed, _length_for(rows), held_out=False)
    wanted = counts.total() if isinstance(corrupted, Mapping) else round(rows * corrupted)
    bad = nsmallest(min(wanted, rows), prompts, key=lambda prompt: _digest("corrupt", seed, prompt))
    done = dict(_corrupt(bad, kinds, seed) if shares is None else _corrupt_by_share(bad, counts, seed))
    return _pool([(prompt, *done.get(prompt, (prompt.answer(), "none"))) for prompt in prompts], name)


def planted_prompts(count: int, seed: int = 0, *, words: int = _LENGTHS[0]) -> list[Example]:
    """Prompts that stand in no planted pool, each with its right answer as the response.

    Args:
        count: How many.
        seed: Another seed gives other prompts.
        words: Words in a task: 3 as in pools of up to 4,000 rows; larger ones need longer tasks.

    Raises:
        UsageError: There are not so many.
    """
    _check(count, 0.0, KINDS, seed)
    prompts = _smallest(count, seed, words, held_out=True)
    return list(_pool([(prompt, prompt.answer(), "none") for prompt in prompts], "planted"))


def planted_vocabulary() -> list[str]:
    """Every word and mark that occurs in planted pools and test sets, sorted."""
    said = " ".join(task.instruction for task in TASKS.values()).replace(".", " .").split()
    return sorted({*WORDS, *(word.upper() for word in WORDS), *FILLER, *said})


def _check(rows: int, corrupted: object, kinds: Sequence[str], seed: int) -> None:
    if not _is_whole(rows) or rows < 1:
        raise UsageError(f"rows: {rows!r} is no number of rows of at least 1")
    if not _is_whole(seed):
        raise UsageError(f"seed: {seed!r} is no whole number")
    if not isinstance(corrupted, (int, float)) or isinstance(corrupted, bool) or not 0 <= corrupted <= 1:
        raise UsageError(f"corrupted: {corrupted!r} is no share between 0 and 1")
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(CORRUPTIONS):
        raise UsageError(f"kinds: {kinds!r} is no list of kinds of corruption; there are {', '.join(CORRUPTIONS)}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _digest(purpose: str, seed: int, prompt: _Prompt) -> bytes:
    return hashlib.sha256(f"{purpose}\x00{seed}\x00{prompt.text}".encode()).digest()


def _is_held_out(prompt: _Prompt) -> bool:
    return int.from_bytes(hashlib.sha256(prompt.text.encode()).digest()[:8]) % HELD_OUT == 0


def _all_prompts(length: int) -> Iterator[_Prompt]:
    return (_Prompt(task, words) for task in TASKS for words in permutations(WORDS, length))


def _smallest(count: int, seed: int, length: int, *, held_out: bool) -> list[_Prompt]:
    known = (prompt for prompt in _all_prompts(length) if _is_held_out(prompt) == held_out)
    found = nsmallest(count, known, key=lambda prompt: _digest("row", seed, prompt))
    if len(found) < count:
        raise UsageError(f"there are only {len(found)} planted prompts of {length} words, not {count}: ask for fewer")
    return found


def _length_for(rows: int) -> int:
    for length in _LENGTHS:
        if rows <= _SPARE * perm(len(WORDS), length) * len(TASKS):
            return length
    raise UsageError(f"a planted pool cannot have {rows} rows, there are not so many word tasks: ask for fewer")


def _corrupt(
    prompts: Sequence[_Prompt], kinds: Sequence[str], seed: int
) -> Iterator[tuple[_Prompt, tuple[Words, str]]]:
    turns = cycle(range(len(kinds)))
    for prompt in prompts:
        first = next(turns)
        rng = random.Random(f"{seed} {prompt.text}")
        for kind in (*kinds[first:], *kinds[:first], "wrong-answer"):
            words = CORRUPTIONS[kind](prompt.answer(), rng)
            if list(words) != list(prompt.answer()):
                yield prompt, (words, kind)
                break


def _corrupt_by_share(
    prompts: Sequence[_Prompt], counts: Counter[str], seed: int
) -> Iterator[tuple[_Prompt, tuple[Words, str]]]:
    """So many rows of each kind; short answers choose first, as some kinds do not change them."""
    left = Counter(counts)
    for prompt in sorted(prompts, key=lambda prompt: len(prompt.answer())):
        rng = random.Random(f"{seed} {prompt.text}")
        for kind in (*(kind for kind, count in left.most_common() if count), "wrong-answer"):
            words = CORRUPTIONS[kind](prompt.answer(), rng)
            if list(words) != list(prompt.answer()):
                left[kind] -= 1
                yield prompt, (words, kind)
                break


def _pool(rows: Sequence[tuple[_Prompt, Words, str]], name: str) -> Pool:
    fields = [Fields(TASKS[p.task].instruction, " ".join(p.words), " ".join(said)) for p, said, _ in rows]
    ids = pa.array([text_digest(field) for field in fields], pa.string())  # prompts are unique, so these are
    instruction, input_, response, history = zip(*fields, strict=True)
    core = (ids, instruction, input_, response, [list(turns) for turns in history], ["planted"] * len(rows))
    table = pa.table(dict(zip(CORE_SCHEMA.names, core, strict=True)), schema=CORE_SCHEMA)
    further = {
        "truth": [kind == "none" for *_, kind in rows],
        "corruption": [kind for *_, kind in rows],
        "answer": [" ".join(prompt.answer()) for prompt, *_ in rows],
        "task": [prompt.task for prompt, *_ in rows],
    }
    for column, values in further.items():
        table = table.append_column(column, pa.array(values))
    return Pool(table, name=name)
