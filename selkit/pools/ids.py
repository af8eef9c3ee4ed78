"""Row ids: the row's own unique id as text, else a digest of its text.

The digest is the first 16 hex digits of the SHA-256 of the row's text in canonical form: the UTF-8 bytes of the JSON
array ``[instruction, input, response, [[role, content], ...]]`` without spaces and with no character escaped that JSON
does not require to be. Exact duplicates get -2, -3, ... in the order of the file; nothing else depends on that order.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from selkit.pools.fields import Fields

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


def _repeated(values: pa.Array) -> pa.Array:
    counts = pc.value_counts(values)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1)).drop_null()
