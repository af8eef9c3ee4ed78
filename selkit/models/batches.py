"""How work is cut into batches: pure functions on lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def windows(items: Iterable[T], size: Callable[[T], int], budget: int) -> Iterator[list[T]]:
    """Cuts a stream into runs of neighbours whose sizes sum to at most ``budget``, or that hold one item.

    A window is what an interrupted pass does again, so it stays small and keeps the order of the stream.
    """
    window: list[T] = []
    total = 0
    for item in items:
        more = size(item)
        if window and total + more > budget:
            yield window
            window, total = [], 0
        window.append(item)
        total += more
    if window:
        yield window


def pack(lengths: Sequence[int], budget: int, waste: float) -> list[list[int]]:
    """Groups rows of similar length, longest first, for padding to the longest of each group.

    Args:
        lengths: Tokens of each row.
        budget: Most tokens of a group, padding counted; a longer row makes a group of its own.
        waste: Largest share of padding that a row may bring in, in [0, 1].

    Returns:
        Indices into ``lengths``; each index stands in exactly one group.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for index in order:
        longest = lengths[groups[-1][0]] if groups else 0
        fits = groups and longest * (len(groups[-1]) + 1) <= budget and lengths[index] >= (1 - waste) * longest
        if fits:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def common_prefix(rows: Sequence[tuple[int, ...]]) -> int:
    """Number of leading items that all rows share."""
    first, last = min(rows), max(rows)  # in lexicographic order the two that differ earliest
    for position, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            return position
    return min(len(first), len(last))
