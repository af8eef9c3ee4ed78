"""Row ids: the row's own unique id as text, else a digest of its text.

The digest is the first 16 hex digits of the SHA-256 of the row's text in canonical form: the UTF-8 bytes of the JSON
array ``[instruction, input, response, [[role, content], ...]]`` without spaces and with no character escaped that JSON
does not require to be. Exact duplicates get -2, -3, ... in the order of the file; nothing else depends on that order.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from selkit.pools.fields import Fields

_LARGE = 1_000_000
_PARTS = 16  # a power of two

_canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def text_digest(fields: Fields) -> str:
    """16 hex digits over the text of a row, as the module describes."""
    return hashlib.sha256(_canonical(fields).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def unique_ids(own: pa.Array, digests: pa.Array) -> pa.Array:
    """Ids that are unique in a pool.

    Args:
        own: Each row's own id as text, null where it has none.
        digests: Each row's :func:`text_digest`.

    Returns:
        The own id where no other row has it, else the digest, with -2, -3, ... where that is taken.
    """
    unique = pc.fill_null(pc.invert(pc.is_in(own, value_set=_repeated(own))), False)
    kept = pc.and_(unique, pc.is_valid(own))
    ids = pc.if_else(kept, own, digests)
    again = _repeated(ids)
    if len(again) == 0:
        return ids
    own_kept = own.filter(kept)
    taken = set(own_kept.filter(pc.match_substring_regex(own_kept, r"^[0-9a-f]{16}(-[0-9]+)?$")).to_pylist())
    places = pc.indices_nonzero(pc.and_(pc.is_in(ids, value_set=again), pc.invert(kept)))
    return _with_suffixes(ids, places, taken)


def _with_suffixes(ids: pa.Array, places: pa.Array, taken: set[str]) -> pa.Array:
    copies: Counter[str] = Counter()
    renamed = []
    for digest in ids.take(places).to_pylist():
        copies[digest] += 1
        while (name := _numbered(digest, copies[digest])) in taken:
            copies[digest] += 1
        renamed.append(name)
    mask = pc.is_in(pa.array(range(len(ids)), places.type), value_set=places)
    return pc.replace_with_mask(ids, mask, pa.array(renamed, pa.string()))


def _numbered(digest: str, number: int) -> str:
    return digest if number == 1 else f"{digest}-{number}"


def duplicates(values: pa.Array) -> int:
    """How many of the values stand before a later one that is the same."""
    return len(values) - sum(len(pc.unique(part)) for part in _parts(values))


def _repeated(values: pa.Array) -> pa.Array:
    found = []
    for part in _parts(values):
        counts = pc.value_counts(part)
        found.append(counts.field("values").filter(pc.greater(counts.field("counts"), 1)).drop_null())
    return pa.concat_arrays(found)


def _parts(values: pa.Array) -> Iterator[pa.Array]:
    """The values in parts of which no two share a value: the hash table of ten million ids would take a gigabyte."""
    if len(values) < _LARGE:
        yield values
        return
    last = pc.utf8_slice_codeunits(values, -1).dictionary_encode().indices.fill_null(0)
    for remainder in range(_PARTS):
        yield values.filter(pc.equal(pc.bit_wise_and(last, _PARTS - 1), remainder))
