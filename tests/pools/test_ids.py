"""Ids follow one rule, whatever order the rows come in."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selkit.api import Turn
from selkit.pools import ids as ids_module
from selkit.pools import load_pool
from selkit.pools.fields import Fields
from selkit.pools.ids import duplicates, text_digest, unique_ids

pa.array(["pandas"])  # the first array imports pandas where that is installed: longer than a property's deadline

DIGESTS = st.sampled_from(["a" * 16, "b" * 16, "c" * 16])
OWN = st.none() | st.sampled_from(["x", "y", "a" * 16, "a" * 16 + "-2", "b" * 16 + "-3", "-2"])


def test_digest_is_of_the_documented_form() -> None:
    """The digest is the first 16 hex digits of the SHA-256 of the canonical JSON array."""
    fields = Fields('Say "ü"\n', "in", "out", (Turn("user", "hi"),))
    text = '["Say \\"ü\\"\\n","in","out",[["user","hi"]]]'
    assert json.loads(text) == [fields.instruction, "in", "out", [["user", "hi"]]]
    assert text_digest(fields) == hashlib.sha256(text.encode()).hexdigest()[:16]


@given(st.lists(st.tuples(OWN, DIGESTS), max_size=12), st.randoms(use_true_random=False))
def test_ids_are_unique_and_do_not_depend_on_order(rows: list[tuple[str | None, str]], shuffle: random.Random) -> None:
    """Ids are unique; own unique ids are kept; another order gives the same set of ids to the same rows' texts."""
    ids = _ids(rows)
    assert len(set(ids)) == len(rows)
    counts = Counter(own for own, _ in rows)
    for (own, digest), row_id in zip(rows, ids, strict=True):
        if own is not None and counts[own] == 1:
            assert row_id == own
        else:
            assert row_id == digest or row_id.startswith(f"{digest}-")
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    again = _ids([rows[i] for i in order])
    of_text = Counter(zip([digest for _, digest in rows], ids, strict=True))
    assert of_text == Counter(zip([rows[i][1] for i in order], again, strict=True))


def _ids(rows: list[tuple[str | None, str]]) -> list[str]:
    own, digests = ([row[place] for row in rows] for place in (0, 1))
    ids: list[str] = unique_ids(pa.array(own, pa.string()), pa.array(digests, pa.string())).to_pylist()
    return ids


def test_duplicates_are_numbered_in_file_order() -> None:
    """Exact duplicates are numbered from 2, past numbers that a row has as its own id."""
    digest = "a" * 16
    assert _ids([(None, digest)] * 3) == [digest, f"{digest}-2", f"{digest}-3"]
    assert _ids([(None, digest), (f"{digest}-2", "b" * 16), (None, digest)]) == [digest, f"{digest}-2", f"{digest}-3"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [("r1", "r1"), (7, "7"), (0, "0"), ("007", "007"), (True, None), (1.5, None), ("", None), (" ", None)],
)
def test_what_counts_as_an_own_id(own: Any, expected: str | None, write_lines: Any) -> None:
    """Text and whole numbers are ids; what is neither is not, and such a row takes the digest of its text."""
    pool = load_pool(write_lines([{"id": own, "instruction": "a", "output": "b"}, {"instruction": "c", "output": "d"}]))
    assert pool.ids[0] == (expected or text_digest(Fields("a", "", "b")))


def test_repeated_own_ids_give_way_row_by_row(write_lines: Any) -> None:
    """Rows whose own id another row has take digests; the others keep theirs."""
    rows = [{"id": own, "instruction": f"q{i}", "output": "a"} for i, own in enumerate(["k", "twice", "twice", None])]
    pool = load_pool(write_lines(rows))
    assert pool.ids == ["k", *(text_digest(Fields(f"q{i}", "", "a")) for i in (1, 2, 3))]


@given(st.lists(st.tuples(OWN, DIGESTS), max_size=40))
def test_ids_of_a_large_pool_are_found_in_parts(rows: list[tuple[str | None, str]]) -> None:
    """The same ids, and as many duplicates, as without parts; also by a plain count."""
    digests = pa.array([digest for _, digest in rows], pa.string())
    whole = _ids(rows), duplicates(digests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids_module, "_LARGE", 1)
        assert (_ids(rows), duplicates(digests)) == whole
    assert whole[1] == len(rows) - len({digest for _, digest in rows})
