"""Which rows of a pool hold a stretch of text that also stands in a test set: runs of 13 equal words.

The rule is that of GPT-3's study of contamination (Brown et al. 2020, appendix C) as lm-eval applies it: texts are
compared by their words, without case, punctuation and white space, and a run of 13 equal words is a match. GPT-3
compares shorter texts by runs of 8 and more words; here what is asked in fewer than 13 words has to be equal as a
whole, and other short texts (one-word answers, choices) are not compared.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

WORDS = 13
"""Length of a run of words that counts as a match."""

_DROPPED = re.compile(r"[^\w\s]|_")
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that no bit of a word's number is lost
_BATCH_WORDS = 1 << 20


class ItemText(NamedTuple):
    """The texts of one test item.

    Args:
        asked: What a model is asked; compared as a whole where it is short.
        others: Whatever else belongs to the item: references, choices, earlier and later turns.
    """

    asked: str
    others: tuple[str, ...] = ()


class Match(NamedTuple):
    """A row and a passage that stands in it."""

    row: str
    passage: int


@dataclass(frozen=True)
class Passages:
    """The texts of test items, ready to be looked for.

    A passage is what some items have in common: all runs of words that stand in exactly these items.

    Args:
        items: For every passage the numbers of its items.
        hashes: Hash of every run of words, ascending.
        of_hash: The passage of every hash.
        whole: The passage of every short text, by its words.
        numbers: A number from 1 for every word that comes in a run.
    """

    items: tuple[tuple[int, ...], ...]
    hashes: np.ndarray
    of_hash: np.ndarray
    whole: Mapping[str, int]
    numbers: Mapping[str, int]


def words_of(text: str) -> list[str]:
    """The words of a text: in small letters, everything but letters, digits and white space dropped."""
    return _DROPPED.sub("", text.lower()).split()


def passages_of(items: Sequence[ItemText]) -> Passages:
    """The texts of test items, ready to be looked for in pools."""
    numbers: dict[str, int] = {}
    runs: list[tuple[np.ndarray, int]] = []
    short: dict[str, set[int]] = defaultdict(set)
    for item, texts in enumerate(items):
        for place, text in enumerate((texts.asked, *texts.others)):
            words = words_of(text)
            if len(words) >= WORDS:
                runs.append((_numbered(words, numbers), item))
            elif words and place == 0:
                short[" ".join(words)].add(item)
    names: dict[tuple[int, ...], int] = {}
    hashes, of_hash = _grouped(runs, _values(numbers), names)
    whole = {text: names.setdefault(tuple(sorted(owners)), len(names)) for text, owners in short.items()}
    return Passages(tuple(names), hashes, of_hash, whole, numbers)


def matches(rows: Iterable[tuple[str, Sequence[str]]], passages: Passages) -> Iterator[Match]:
    """Every passage that stands in a row, once per row.

    Args:
        rows: Id and texts of every row; they are read once, and few are held at a time.
        passages: From :func:`passages_of`.
    """
    values = _values(passages.numbers)
    ids: list[str] = []
    numbers: list[int] = []
    ends: list[int] = []
    found: set[tuple[int, int]] = set()
    for row, texts in rows:
        for text in texts:
            words = words_of(text)
            if len(words) >= WORDS:
                numbers += [passages.numbers.get(word, 0) for word in words]
                numbers.append(0)  # no run goes from one text into the next
            elif (passage := passages.whole.get(" ".join(words))) is not None:
                found.add((len(ids), passage))
        ids.append(row)
        ends.append(len(numbers))
        if len(numbers) > _BATCH_WORDS:
            yield from _found(ids, numbers, ends, found, passages, values)
            ids, numbers, ends, found = [], [], [], set()
    yield from _found(ids, numbers, ends, found, passages, values)


def _found(
    ids: Sequence[str],
    numbers: Sequence[int],
    ends: Sequence[int],
    whole: set[tuple[int, int]],
    passages: Passages,
    values: np.ndarray,
) -> Iterator[Match]:
    """The matches of a batch of rows whose numbered words end at ``ends``; ``whole`` has those of short texts."""
    starts, hashes = _hashes(np.array(numbers, np.int64), values)
    places = np.searchsorted(passages.hashes, hashes)
    places[places == len(passages.hashes)] = 0
    hit = passages.hashes[places] == hashes if len(passages.hashes) else np.zeros(0, bool)
    rows = np.searchsorted(np.array(ends), starts[hit], side="right")
    runs = set(zip(rows.tolist(), passages.of_hash[places[hit]].tolist(), strict=True)) if hit.any() else set()
    for row, passage in sorted(whole | runs):
        yield Match(ids[row], passage)


def _numbered(words: Sequence[str], numbers: dict[str, int]) -> np.ndarray:
    return np.array([numbers.setdefault(word, len(numbers) + 1) for word in words], np.int64)


def _values(numbers: Mapping[str, int]) -> np.ndarray:
    """64 random-looking bits for every word, in the order of their numbers; those of number 0 are never used."""
    digests = (hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in numbers)
    return np.frombuffer(b"".join([bytes(8), *digests]), dtype="<u8")


def _hashes(numbers: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and hash of every run of 13 words without a 0: the sum of values times powers, modulo 2^64."""
    unknown = np.concatenate([[0], np.cumsum(numbers == 0)])
    starts = np.flatnonzero(unknown[WORDS:] == unknown[:-WORDS]) if len(numbers) >= WORDS else np.zeros(0, np.int64)
    hashes = np.zeros(len(starts), np.uint64)
    for place in range(WORDS):
        hashes += values[numbers[starts + place]] * np.uint64(pow(_MULTIPLIER, place, 1 << 64))
    return starts, hashes


def _grouped(
    runs: Sequence[tuple[np.ndarray, int]], values: np.ndarray, names: dict[tuple[int, ...], int]
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of all runs of words, ascending, with the passage of each; new passages go into ``names``."""
    hashed = [(_hashes(numbers, values)[1], item) for numbers, item in runs]
    if not hashed:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    hashes = np.concatenate([part for part, _ in hashed])
    items = np.concatenate([np.full(len(part), item) for part, item in hashed])
    order = np.lexsort((items, hashes))
    hashes, items = hashes[order], items[order]
    unique, first = np.unique(hashes, return_index=True)
    owners = (tuple(dict.fromkeys(part.tolist())) for part in np.split(items, first[1:]))
    return unique, np.array([names.setdefault(own, len(names)) for own in owners], np.int64)
