"""Did you mean."""

from __future__ import annotations

import pytest

from selkit.plugins import did_you_mean


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("idf", " Did you mean 'ifd'?"),
        ("max-overlap", " Did you mean 'max_overlap'?"),
        ("LONGEST", " Did you mean 'longest'?"),
    ],
)
def test_names_the_nearest(word: str, expected: str) -> None:
    """Swapped letters, hyphens for underscores and capitals all lead to the known word."""
    assert did_you_mean(word, ["ifd", "max_overlap", "longest"]) == expected


def test_says_nothing_of_the_far() -> None:
    """A word that is near none of the known ones gets no suggestion."""
    assert did_you_mean("quantile", ["ifd", "random"]) == ""
