"""How much selections have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def shared_rows(selections: Mapping[str, Sequence[str]]) -> NDArray[np.int64]:
    """Number of rows that each two selections share, shape (n, n), in the order of ``selections``."""
    sets = [set(ids) for ids in selections.values()]
    return np.array([[len(a & b) for b in sets] for a in sets], dtype=np.int64).reshape(len(sets), len(sets))


def overlap_matrix(selections: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """Share of the row's selection that is also in the column's, shape (n, n); 0 for an empty selection."""
    shared = shared_rows(selections)
    sizes = np.diag(shared)
    return shared / np.maximum(sizes, 1)[:, None]


def overlap_rows(selections: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The overlap matrix as rows of text for a table: name, size, then one percentage per selection."""
    matrix = overlap_matrix(selections)
    return [
        [name, str(len(ids)), *(f"{share:.1%}" for share in matrix[i])]
        for i, (name, ids) in enumerate(selections.items())
    ]
