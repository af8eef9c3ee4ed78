"""Adapters (PEFT folders): the base model that they name, whether the two fit, and both merged into one folder.

A merged folder is an ordinary model folder, so that every engine serves it, and its digest covers base and adapter.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

from selkit.api import DataError, MissingExtra
from selkit.models.folder import CONFIG, ModelFolder

ADAPTER_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_RECORD = "training.json"
_KINDS = ("LORA", "LOHA", "LOKR", "ADALORA", "IA3", "OFT", "BOFT", "VERA")
"""Kinds of adapters that can be merged into the weights."""

_TOKENIZER = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "chat_template.*", "*.model")
_VOCABULARY = ("vocab.*", "merges.txt")
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    if not (folder / ADAPTER_CONFIG).is_file():
        return False
    return not ((folder / CONFIG).is_file() and any(not _of_adapter(path) for path in folder.glob("*.safetensors")))


def base_of(folder: Path, ref: str) -> str:
    """Reference of the base model that an adapter names.

    Raises:
        DataError: The adapter's configuration or weights are missing or damaged, it is of a kind that cannot be merged,
            or its base is a folder that is not here.
        MissingExtra: peft is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise MissingExtra.of(f"the adapter {ref}", "train")
    config = _config(folder, ref)
    if (kind := str(config.get("peft_type"))) not in _KINDS:
        raise DataError(f"the adapter {ref} is a {kind}, which cannot be merged into weights: take {', '.join(_KINDS)}")
    if not (folder / _WEIGHTS).is_file():
        raise DataError(f"the adapter {ref} has no {_WEIGHTS}: copy it there, pickled weights are not read")
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise DataError(f"{ADAPTER_CONFIG} of {ref} names no base model: write it under base_model_name_or_path")
    return _reference(base, config.get("revision"), folder, ref)


def no_base(ref: str, base: str, error: Exception) -> DataError:
    """The error where the base model cannot be had."""
    return DataError(f"the adapter {ref} needs its base model {base!r}: {error}")


def check_fit(folder: Path, base: ModelFolder, ref: str) -> None:
    """Compares the adapter's tensors with the base's, by the headers of their files.

    Raises:
        DataError: A layer is not in the base, or has another shape there.
    """
    known = _shapes(sorted(base.path.glob("*.safetensors")), ref)
    layers = _adapted(_shapes([folder / _WEIGHTS], ref))
    leaves = {name.rpartition(".")[2] for name in known}
    for layer, sides in layers.items():
        shape = known.get(layer)
        if shape is None and (any(other in known for other in layers) or layer.rpartition(".")[2] not in leaves):
            raise DataError(
                f"the adapter {ref} does not fit its base model {base.ref!r}, which has no layer {layer!r}: name the "
                f"model that it was trained on in its {ADAPTER_CONFIG}"
            )
        if shape is not None and len(shape) == 2 and sorted(shape) != sorted(sides):
            raise DataError(
                f"the adapter {ref} does not fit its base model {base.ref!r}: layer {layer!r} is {_by(shape)} there, "
                f"{_by(sides)} in the adapter; name the model that it was trained on in its {ADAPTER_CONFIG}"
            )


def merge(folder: Path, base: ModelFolder, target: Path, ref: str) -> None:
    """Writes the base with the adapter merged into it as an ordinary model folder, in the base's own precision.

    Args:
        folder: The adapter's.
        base: The base model.
        target: An empty folder.
        ref: Reference of the adapter, for errors.

    Raises:
        DataError: They do not fit.
    """
    import torch

    from selkit.models.quiet import hush_libraries, quiet_imports

    with quiet_imports():
        from peft import PeftModel
        from transformers import AutoConfig, AutoModelForCausalLM

    hush_libraries()
    check_fit(folder, base, ref)
    try:
        config = AutoConfig.from_pretrained(base.path, trust_remote_code=False)
        options = {"dtype": torch.float32, "use_safetensors": True, "trust_remote_code": False}
        whole = AutoModelForCausalLM.from_pretrained(base.path, config=config, **options)
        # float32 while merging: in 16 bits small changes would be lost against the weights they are added to
        merged = PeftModel.from_pretrained(whole, str(folder)).merge_and_unload()
    except (ValueError, OSError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the adapter {ref} cannot be merged into its base model {base.ref!r} ({reason})") from error
    stored = getattr(config, "dtype", None)
    merged.to(stored if isinstance(stored, torch.dtype) else torch.float32).save_pretrained(target)
    _copy_others(folder, base, target)


def _copy_others(folder: Path, base: ModelFolder, target: Path) -> None:
    """The tokenizer (the adapter's own where it brings one) and the record of the training."""
    own = any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))
    for pattern in (*_TOKENIZER, *_VOCABULARY):
        for path in (folder if own else base.path).glob(pattern):
            shutil.copyfile(path, target / path.name)
    # selkit's own training keeps its adapters in a folder beside the record
    record = next((place / _RECORD for place in (folder, folder.parent) if (place / _RECORD).is_file()), None)
    if record is not None:
        shutil.copyfile(record, target / _RECORD)


def _config(folder: Path, ref: str) -> dict[str, Any]:
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{ADAPTER_CONFIG} of {ref} is damaged: copy the adapter again") from error
    if not isinstance(config, dict):
        raise DataError(f"{ADAPTER_CONFIG} of {ref} is damaged: copy the adapter again")
    return config


def _reference(base: str, revision: Any, folder: Path, ref: str) -> str:
    """What selkit calls the base: a reference as it is, a folder, or a name on the hub."""
    if base.startswith(("hub:", "pypi:", "tiny:")):
        return base
    for place in (Path(base).expanduser(), folder / base):
        if place.is_dir():
            return str(place)
    if not _HUB.fullmatch(base):
        raise DataError(
            f"the adapter {ref} needs its base model {base!r}, a folder that is not here: put it there, or write "
            f"where it is under base_model_name_or_path in {ADAPTER_CONFIG}"
        )
    return f"hub:{base}@{revision}" if isinstance(revision, str) and revision else f"hub:{base}"


def _of_adapter(path: Path) -> bool:
    return path.name.startswith("adapter_")


def _shapes(files: list[Path], ref: str) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of safetensors files, by name less ``.weight``."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        try:
            with safe_open(path, framework="np") as file:
                names = list(file.keys())
                shapes |= {name.removesuffix(".weight"): tuple(file.get_slice(name).get_shape()) for name in names}
        except (OSError, SafetensorError) as error:
            raise DataError(f"model {ref!r}: {path} is not a safetensors file; copy the model again") from error
    return shapes


def _adapted(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of every layer that has a pair of LoRA matrices; A is (r, inputs), B is (outputs, r)."""
    found = {}
    for name, first in shapes.items():
        second = shapes.get(name.replace("lora_A", "lora_B"))
        if name.endswith(".lora_A") and second is not None:
            layer = name.removesuffix(".lora_A").removeprefix("base_model.model.")
            found[layer] = (second[0], first[1])
    return found


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape))
