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


@given(LENGTHS, st.integers(1, 200), st.floats(0, 1))
def test_pack_covers_every_row_once_within_the_limits(lengths: list[int], budget: int, waste: float) -> None:
    """Every row stands in one group; padded tokens keep to the budget and padding to its share."""
    groups = pack(lengths, budget, waste)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[index] for index in group)
        assert len(group) == 1 or longest * len(group) <= budget
        assert all(lengths[index] >= (1 - waste) * longest - 1e-9 for index in group)


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
