"""What is read once while many keys are computed."""

from __future__ import annotations

from selkit.unchanging import read_once, unchanging

calls: list[tuple[int, ...]] = []


@read_once
def double(number: int, *, plus: int = 0) -> int:
    """Twice the number; notes that it was called."""
    calls.append((number, plus))
    return 2 * number + plus


def test_outside_of_the_block_every_call_counts_and_inside_each_is_made_once() -> None:
    """Other arguments are other calls; a block within a block goes on with what is known; after it nothing is."""
    calls.clear()
    assert [double(1), double(1)] == [2, 2]
    assert calls == [(1, 0), (1, 0)]
    with unchanging():
        assert [double(1), double(1), double(1, plus=3), double(2)] == [2, 2, 5, 4]
        with unchanging():
            assert double(2) == 4
    assert calls[2:] == [(1, 0), (1, 3), (2, 0)]
    assert double(2) == 4
    assert calls[-2:] == [(2, 0), (2, 0)]
