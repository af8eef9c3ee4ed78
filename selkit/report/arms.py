"""What selkit's own arms do, as the rest of a sentence that begins with the arm's name."""

from __future__ import annotations

ARMS = {
    "random": "draws rows uniformly at random without replacement",
    "random-low-overlap": (
        "draws at random and draws again while too much of it is in another arm's selection, so it is no uniform sample"
    ),
    "strict-random": "draws uniformly from the rows that no other selector chose",
    "length-matched-random": "draws at random with as many rows of every length as another selection has",
    "full": "trains on the whole pool, whatever the budget",
    "longest": "takes the rows with the longest responses",
    "shortest": "takes the rows with the shortest responses",
    "subset": "is a selection that was given as a file, whatever the budget",
    "column": "takes the top rows by a number that came with the pool",
    "oracle": (
        "knows which responses of the planted pool are right and draws from these rows, which no selector of real data "
        "can do"
    ),
}
"""What the selectors that come with selkit do, by their names."""
