"""Which stored results a selection was made with: their cost is charged to it, and they stay as long as it does."""

from __future__ import annotations

from collections.abc import Iterable

from selkit.store import Artifact, Store

_NAMED = ("scores", "uses", "judgement")
"""Facts of manifests that name other results: of a selection, of a scoring pass, of the mark of a judging."""


def used_by(store: Store, keys: Iterable[str]) -> list[str]:
    """Digests of the results that those of ``keys`` used, and that these used in turn; without ``keys`` themselves."""
    given = list(keys)
    found: dict[str, None] = {}
    waiting = [one for key in given for one in _named(store.get(key))]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            waiting += _named(store.get(one))
    return list(found)


def _named(artifact: Artifact | None) -> list[str]:
    if artifact is None:
        return []
    named = [artifact.facts.get(name, ()) for name in _NAMED]
    return [str(one) for part in named for one in ([part] if isinstance(part, str) else part)]
