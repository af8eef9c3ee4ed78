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


def pack(lengths: Sequence[int], budget: int, overhead: int) -> list[list[int]]:
    """Groups rows of similar length, longest first, so that the passes over the groups cost least.

    A pass over rows padded to the longest costs rows x longest tokens and ``overhead``; among the ways to cut the
    sorted rows into groups this finds the cheapest (dynamic programming over the end of the last group).

    Args:
        lengths: Tokens of each row.
        budget: Most tokens of a group, padding counted; a longer row makes a group of its own.
        overhead: What a pass costs besides its tokens, in tokens.

    Returns:
        Indices into ``lengths``; each index stands in exactly one group.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    costs, starts = [0], [0]
    for end in range(1, len(order) + 1):
        start, cost = end - 1, costs[end - 1] + overhead + lengths[order[end - 1]]
        for first in range(end - 2, -1, -1):
            tokens = lengths[order[first]] * (end - first)
            if tokens > budget:
                break  # groups that begin earlier are larger still
            if costs[first] + overhead + tokens < cost:
                start, cost = first, costs[first] + overhead + tokens
        costs.append(cost)
        starts.append(start)
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(order[starts[end] : end])
        end = starts[end]
    return groups[::-1]


def alike(openings: Sequence[tuple[int, ...]], overhead: int) -> list[list[int]]:
    """Groups rows of the same opening where computing it once saves more than a pass costs; the rest is one group.

    Without the latter every prompt that has no template would make a batch by itself.

    Args:
        openings: The first tokens of each row, empty for a row that shares nothing.
        overhead: What a pass costs besides its tokens, in tokens.

    Returns:
        Indices into ``openings``; each index stands in exactly one group.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for index, opening in enumerate(openings):
        places.setdefault(opening, []).append(index)
    worth = [members for opening, members in places.items() if (len(members) - 1) * len(opening) > overhead]
    apart = {index for members in worth for index in members}
    rest = [index for index in range(len(openings)) if index not in apart]
    return [*worth, rest] if rest else worth


def common_prefix(rows: Sequence[tuple[int, ...]]) -> int:
    """Number of leading items that all rows share."""
    first, last = min(rows), max(rows)  # in lexicographic order the two that differ earliest
    for position, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            return position
    return min(len(first), len(last))
