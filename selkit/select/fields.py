"""What each field of a selection's manifest.json means, in words; docs/reference/formats.md is written from it.

The tests hold these names against the manifests that ``selkit select`` writes.
"""

from __future__ import annotations

from selkit.store.fields import FIELDS as STORED

FIELDS = {
    **{name: text for name, text in STORED.items() if name not in ("stage_schema", "conditions")},
    "pool": "Name, rows, fingerprint and turns of the pool.",
    "budget": "As it was asked for.",
    "seed": "As it was asked for.",
    "stored": "Keys of the stored results that the selection used, such as the scores.",
}
"""The manifest beside selection.jsonl."""

FACTS = {
    "pool_rows": "Rows of the pool.",
    "budget": "Rows asked for; null for a selector with a size of its own.",
    "selected": "Rows chosen.",
    "shortfall": "Why there are fewer than asked for, else null.",
    "notes": "What the selector said of its choice.",
}
"""The ``facts`` of every selection; a selector adds its own."""

SCORER_FACTS = {
    "scored": "Rows with a score.",
    "excluded": "Rows that the method leaves out, counted by reason.",
    "failed": "Rows that could not be scored, counted by reason.",
    "truncated": "Rows that were cut to be scored.",
    "scores": "Key of the scores in the store.",
    "ties_at_cut": "Rows with the score of the last chosen one, it included; 0 where all of them were chosen.",
}
"""What the facts of a scorer's selection have beside these."""
