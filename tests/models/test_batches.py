"""How work is cut into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selkit.models.batches import common_prefix, pack, windows

LENGTHS = st.lists(st.integers(0, 60), max_size=40)


@given(LENGTHS, st.integers(1, 100))
def test_windows_keep_the_stream_and_the_budget(sizes: list[int], budget: int) -> None:
    """Windows put one after the other give the stream, and only a single item may exceed the budget."""
    cut = list(windows(sizes, lambda size: size, budget))
    assert [size for window in cut for size in window] == sizes
    assert all(sum(window) <= budget or len(window) == 1 for window in cut)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 50))
def test_pack_covers_every_row_once_within_the_budget(lengths: list[int], budget: int, overhead: int) -> None:
    """Every row stands in one group, longest first, and padded tokens keep to the budget."""
    groups = pack(lengths, budget, overhead)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[index] for index in group) * len(group) <= budget
        assert lengths[group[0]] == max(lengths[index] for index in group)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7), st.integers(30, 200), st.integers(0, 50))
def test_pack_is_the_cheapest_way_to_cut(lengths: list[int], budget: int, overhead: int) -> None:
    """No way of cutting the sorted rows, of all there are, costs less."""
    ordered = sorted(lengths, reverse=True)

    def cost(sizes: list[list[int]]) -> float:
        fits = all(len(group) == 1 or group[0] * len(group) <= budget for group in sizes)
        return sum(overhead + group[0] * len(group) for group in sizes) if fits else float("inf")

    every = []
    for cuts in range(2 ** (len(ordered) - 1)):
        ends = [i + 1 for i in range(len(ordered) - 1) if cuts >> i & 1] + [len(ordered)]
        every.append(cost([ordered[a:b] for a, b in zip([0, *ends], ends, strict=False)]))
    found = [[lengths[index] for index in group] for group in pack(lengths, budget, overhead)]
    assert cost(found) == min(every)


def test_windows_read_no_further_than_they_must() -> None:
    """The first window is out before the stream ends, so that results appear as they come."""
    seen = []

    def stream():  # type: ignore[no-untyped-def]
        for number in range(100):
            seen.append(number)
            yield 10

    next(iter(windows(stream(), lambda size: size, 30)))
    assert len(seen) == 4


@given(st.lists(st.lists(st.integers(0, 2), max_size=6).map(tuple), min_size=1, max_size=6))
def test_common_prefix_is_the_longest(rows: list[tuple[int, ...]]) -> None:
    """All rows agree up to it, and not all agree one further."""
    shared = common_prefix(rows)
    assert len({row[:shared] for row in rows}) == 1
    assert any(len(row) == shared for row in rows) or len({row[: shared + 1] for row in rows}) > 1
