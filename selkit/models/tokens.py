"""Tokenizers without their models: the tokenizers library alone, no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from selkit.api import DataError
from selkit.models.refs import resolve
from selkit.store import digest_file

if TYPE_CHECKING:
    import tokenizers

_TEXTS = 1024


@dataclass(frozen=True)
class FastTokenizer:
    """The tokenizer of a model folder."""

    ref: str
    digest: str
    tokenizer: tokenizers.Tokenizer

    def count(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """Tokens of each text, special tokens not counted, shape (len(texts),)."""
        listed = list(texts)
        counts: list[int] = []
        for start in range(0, len(listed), _TEXTS):
            encodings = self.tokenizer.encode_batch(listed[start : start + _TEXTS], add_special_tokens=False)
            counts += [len(encoding) for encoding in encodings]
        return np.array(counts, dtype=np.int64)


@lru_cache(maxsize=8)
def load_tokenizer(ref: str) -> FastTokenizer:
    """The tokenizer of a model reference.

    Raises:
        DataError: The model has no tokenizer.json.
    """
    from tokenizers import Tokenizer

    path = resolve(ref).path / "tokenizer.json"
    if not path.is_file():
        raise DataError(f"model {ref} has no tokenizer.json: name a model with a fast tokenizer")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return FastTokenizer(ref, digest_file(path), tokenizer)
