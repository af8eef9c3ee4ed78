"""Stored embeddings: embed a set of texts once, keep the vectors, and go on where a killed computation stopped."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selkit import __version__
from selkit.api import Context, DataError, Embeddings, Pooling, UsageError
from selkit.console import get_console
from selkit.models import default_threads, load_model, resolve
from selkit.models.load import check_engine
from selkit.select.vectors import PartialVectors, write_npy
from selkit.store import Artifact, Draft, Key, Store

if TYPE_CHECKING:
    from selkit.models.hf import Embedded, HFModel

VECTORS = "vectors.npy"
ROWS = "rows.parquet"

BLOCK = 64
"""Distinct texts that a CPU embeds at once, and again after a kill; texts are sorted by length first."""

GPU_BLOCK = 2048
"""The same on other devices."""


def stored_embeddings(
    texts: Mapping[str, str], ref: str, *, pooling: Pooling, max_length: int | None, ctx: Context, store: Store
) -> tuple[Embeddings, Artifact | None]:
    """Embeddings of ``texts``: from the store, or computed now; the arguments are those of Context.embeddings.

    Equal texts are embedded once. Texts are sorted by length, longest first, and embedded block by block: blocks lie
    where they would lie without an interruption, so that a resumed computation gives the same bytes. Without texts
    nothing is computed or stored.

    Raises:
        UsageError: The pooling or the length makes no sense.
        DataError: An embedding holds NaN or infinity, or there is no such model.
    """
    if pooling not in ("mean", "last", "cls"):
        raise UsageError(f"pooling is mean, last or cls, not {pooling!r}")
    if max_length is not None and max_length < 1:
        raise UsageError(f"max_length of embeddings is a number of tokens from 1 on, not {max_length}")
    if not texts:
        return Embeddings((), np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)), None
    check_engine()
    key = embeddings_key(texts, ref, pooling, max_length, ctx.device)
    artifact = store.obtain(key, lambda draft: _Pass(texts, ref, pooling, max_length, ctx, draft).run())
    if cut := artifact.facts["truncated"]:
        limit = artifact.facts["max_tokens"]
        ctx.log(f"{ref}: {cut} of {len(texts)} texts were longer than {limit} tokens and lost their end")
    return _read(artifact, tuple(texts)), artifact


def embeddings_key(texts: Mapping[str, str], ref: str, pooling: Pooling, max_length: int | None, device: str) -> Key:
    """What embeddings depend on: ids and texts in any order, the model, pooling, length, versions and the device."""
    digest = hashlib.sha256()
    for row_id in sorted(texts):
        digest.update(json.dumps([row_id, texts[row_id]]).encode() + b"\n")
    conditions: dict[str, str | int] = {"device": device.partition(":")[0]}
    if conditions["device"] == "cpu":
        conditions["threads"] = default_threads()
    return Key(
        "embeddings",
        parameters={"pooling": pooling, "max_length": max_length},
        versions={"selkit": __version__, "torch": version("torch"), "transformers": version("transformers")},
        inputs={"model": resolve(ref).digest, "texts": digest.hexdigest()},
        conditions=conditions,
    )


@dataclass
class _Pass:
    """One computation of embeddings into a draft of the store."""

    texts: Mapping[str, str]
    ref: str
    pooling: Pooling
    max_length: int | None
    ctx: Context
    draft: Draft
    distinct: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.distinct = sorted(set(self.texts.values()), key=lambda text: (-len(text), text))
        self.size = BLOCK if self.ctx.device.startswith("cpu") else GPU_BLOCK

    def run(self) -> None:
        """Embeds what no earlier attempt embedded, then writes the finished files."""
        model = load_model(self.ref, device=self.ctx.device)
        with PartialVectors(self.draft.partial) as partial:
            if partial.rows:
                get_console().note(f"{self.ref}: {partial.rows} of {len(self.distinct)} texts are embedded already")
            rows = self._in_blocks(model, partial)
            deque(self.ctx.track(rows, total=len(self.distinct), description=f"embedding with {self.ref}"), maxlen=0)
            self._write(partial, min(self.max_length or model.context, model.context))

    def _in_blocks(self, model: HFModel, partial: PartialVectors) -> Iterator[str]:
        """Yields every distinct text, embedded by now."""
        for start in range(0, len(self.distinct), self.size):
            block = self.distinct[start : start + self.size]
            if start >= partial.rows:
                found = list(model.embedded(block, pooling=self.pooling, max_length=self.max_length))
                self._refuse_nan(block, found)
                flags = [row.truncated for row in found]
                partial.append(np.stack([row.vector for row in found]), flags, sum(row.tokens for row in found))
            yield from block

    def _refuse_nan(self, block: Sequence[str], found: Sequence[Embedded]) -> None:
        spoilt = {text for text, row in zip(block, found, strict=True) if not np.isfinite(row.vector).all()}
        if spoilt:
            first = min(row_id for row_id, text in self.texts.items() if text in spoilt)
            raise DataError(
                f"model {self.ref!r} gives {len(spoilt)} of {len(block)} texts embeddings that hold NaN or infinity, "
                f"one is that of row {first!r}: check its weights, or name another model"
            )

    def _write(self, partial: PartialVectors, max_tokens: int) -> None:
        """The vectors and flags in ascending order of the ids."""
        ids = sorted(self.texts)
        place = {text: position for position, text in enumerate(self.distinct)}
        order = np.fromiter((place[self.texts[row_id]] for row_id in ids), np.int64, len(ids))
        truncated = partial.truncated[order]
        write_npy(self.draft.directory / VECTORS, partial.vectors, order)
        pq.write_table(pa.table({"id": ids, "truncated": truncated}), self.draft.directory / ROWS)
        self.draft.spend("tokens.in", float(partial.tokens), "engine")
        self.draft.record(
            texts=len(ids),
            distinct=len(self.distinct),
            width=partial.vectors.shape[1],
            truncated=int(truncated.sum()),
            max_tokens=max_tokens,
        )


def _read(artifact: Artifact, ids: tuple[str, ...]) -> Embeddings:
    """The stored vectors in the order of ``ids``: memory-mapped where that is the order of the file."""
    vectors = np.load(artifact.file(VECTORS), mmap_mode="r")
    truncated = pq.read_table(artifact.file(ROWS), columns=["truncated"])["truncated"].to_numpy()
    place = {row_id: position for position, row_id in enumerate(sorted(ids))}
    order = np.fromiter((place[row_id] for row_id in ids), np.int64, len(ids))
    if not np.array_equal(order, np.arange(len(ids))):
        vectors, truncated = vectors[order], truncated[order]
        vectors.flags.writeable = False
    return Embeddings(ids, vectors, truncated)
