"""The samples that components are tried on, and the light import of the kit itself."""

from __future__ import annotations

import subprocess
import sys

from selkit.testing import awkward_comparisons, awkward_pool, sample_comparisons, sample_pool
from selkit.testing.comparisons import INJECTIONS
from selkit.testing.pools import LONG


def test_awkward_pool_is_awkward() -> None:
    """It has every kind of row that its name promises, and unique ids."""
    rows = list(awkward_pool())
    responses = [row.response for row in rows]
    assert len({row.id for row in rows}) == len(rows)
    assert "" in responses
    assert any(text and not text.strip() for text in responses)
    assert any(not row.instruction for row in rows)
    assert any(len(text) >= LONG for text in responses)
    assert any(not text.isascii() for text in responses)
    assert any(row.history for row in rows)
    texts = [(row.instruction, row.input, row.response) for row in rows]
    assert len(set(texts)) == len(texts) - 1


def test_awkward_pool_takes_the_columns_of_another() -> None:
    """A selector that reads a column of its pool finds it in the awkward one."""
    like = sample_pool()
    assert awkward_pool(like).columns == like.columns
    assert set(awkward_pool(like).column("truth").to_pylist()) == {True, False}


def test_sample_comparisons_can_be_told_apart() -> None:
    """Ids are unique, responses differ in text and length, and no text is part of another one."""
    comparisons = sample_comparisons()
    texts = [text for comparison in comparisons for text in (comparison.first, comparison.second)]
    assert len({comparison.id for comparison in comparisons}) == len(comparisons)
    assert all(len(comparison.first) != len(comparison.second) for comparison in comparisons)
    assert not any(a in b for a in texts for b in texts if a is not b)
    assert {comparison.first for comparison in awkward_comparisons()} >= set(INJECTIONS)


def test_kit_imports_neither_pytest_nor_anything_heavy() -> None:
    """`selkit plugins check` works where pytest is not installed, and at once."""
    program = (
        "import sys; from selkit.testing import check_component, awkward_pool;"
        "sys.exit(', '.join({'pytest', 'torch', 'transformers', 'datasets', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
