"""Which package a component comes from, and a digest of the code that its results depend on."""

from __future__ import annotations

import hashlib
import inspect
import sys
import uuid
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selkit import __version__
from selkit.api import Component
from selkit.files import digest_unchanged
from selkit.plugins.manager import manager
from selkit.plugins.parameters import nested_components
from selkit.plugins.records import HOST
from selkit.unchanging import read_once

_NO_SOURCE = uuid.uuid4().hex
"""Stands for code whose source cannot be read: results of one process must not pass for those of another."""


def provenance(component: Component | type[Component]) -> dict[str, str]:
    """The package, its version and the digest of the code of a component; goes into the keys of what is stored.

    ``code`` is the component's ``code_version`` where it has one. Otherwise it is the SHA-256 of the Python files of
    the component's top-level package (of the folder of its module for the host's own), and of those of the classes it
    derives from, selkit.api apart: the interface is versioned. The code of components that are parameters of this one
    is mixed in.
    """
    cls = component if isinstance(component, type) else type(component)
    distribution, version = _package(cls)
    code = getattr(cls, "code_version", None) or _code(cls)
    if isinstance(component, Component) and (parts := nested_components(component)):
        code = hashlib.sha256("\n".join([code, *(provenance(part)["code"] for part in parts)]).encode()).hexdigest()
    return {"distribution": distribution, "version": version, "code": code}


def _package(cls: type) -> tuple[str, str]:
    top = cls.__module__.partition(".")[0]
    if top == "selkit":
        return HOST, __version__
    return manager().owner_of(top) or (top, "unpackaged")


@read_once
def _code(cls: type) -> str:
    digest = hashlib.sha256()
    for unit in sorted({_unit(base) for base in cls.__mro__ if _counts(base)}):
        digest.update(_unit_digest(unit, cls).encode())
    return digest.hexdigest()


def _counts(base: type) -> bool:
    package = base.__module__.partition(".")[0]
    return not base.__module__.startswith("selkit.api") and package not in sys.stdlib_module_names


def _unit(cls: type) -> str:
    """The package or module whose files count as a class's code."""
    top, _, rest = cls.__module__.partition(".")
    return cls.__module__.rpartition(".")[0] if top == "selkit" and rest else top


def _unit_digest(unit: str, cls: type) -> str:
    files = sorted(_files(unit))
    if not files:
        return hashlib.sha256(_source(cls).encode()).hexdigest()
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0{digest_unchanged(path)}\n".encode())
    return digest.hexdigest()


def _files(unit: str) -> Iterable[tuple[str, Path]]:
    """The Python files of a package or module, each with its name below it."""
    module: Any = sys.modules.get(unit) or find_spec(unit)
    roots = getattr(module, "__path__", None) or getattr(module, "submodule_search_locations", None)
    if roots:
        folders = [Path(root) for root in roots]
        return [(path.relative_to(folder).as_posix(), path) for folder in folders for path in folder.rglob("*.py")]
    place = getattr(module, "__file__", None)
    return [(unit, Path(place))] if place and Path(place).suffix == ".py" and Path(place).is_file() else []


def _source(cls: type) -> str:
    """Source of a class that lies in no file, such as one typed into a notebook."""
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        return _NO_SOURCE
