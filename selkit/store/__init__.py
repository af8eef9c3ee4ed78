"""The content-addressed store: keys, manifests, atomic writes, leases, the cost ledger."""

from selkit.files import (
    atomic_open,
    atomic_write_bytes,
    atomic_write_text,
    cache_folder,
    digest_file,
    digest_text,
)
from selkit.store.artifact import Artifact, Draft
from selkit.store.collect import Collected
from selkit.store.jsonl import JsonlWriter, append_jsonl, iter_jsonl, read_jsonl
from selkit.store.keys import Key, canonical_json
from selkit.store.ledger import LedgerRow, totals
from selkit.store.measure import measured_since
from selkit.store.secret import redact, redact_text
from selkit.store.store import Store
from selkit.store.versions import package_version

__all__ = [
    "Artifact",
    "Collected",
    "Draft",
    "JsonlWriter",
    "Key",
    "LedgerRow",
    "Store",
    "append_jsonl",
    "atomic_open",
    "atomic_write_bytes",
    "atomic_write_text",
    "cache_folder",
    "canonical_json",
    "digest_file",
    "digest_text",
    "iter_jsonl",
    "measured_since",
    "package_version",
    "read_jsonl",
    "redact",
    "redact_text",
    "totals",
]
