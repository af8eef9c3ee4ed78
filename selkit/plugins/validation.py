"""Is what a plugin registered a component that the host can run?"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

from selkit.api import API_VERSION, Component
from selkit.plugins.kinds import KINDS, noun
from selkit.plugins.parameters import annotations_of

OLDEST_API_VERSION = 1
"""The oldest plugin interface that this host still serves."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""Names that some file systems keep for devices."""


def fault(candidate: object, kind: str) -> str:
    """Why ``candidate`` is no component of this kind, as the end of a sentence; empty where it is one."""
    base = KINDS[kind].base
    if not isinstance(candidate, type):
        return f"{KINDS[kind].hook} returned {candidate!r:.80}, which is not a class: return the class itself"
    if not issubclass(candidate, base):
        return f"class {candidate.__name__} does not derive from selkit.api.{base.__name__}"
    return name_fault(candidate) or _shape_fault(candidate) or _parameter_fault(candidate)


def name_fault(cls: type[Component]) -> str:
    """Why the class has no usable name; empty where it has one."""
    name = getattr(cls, "name", None)
    if not isinstance(name, str):
        return f"class {cls.__name__} has no name: add name = '...' to it"
    if not _NAME.fullmatch(name) or name.partition(".")[0] in RESERVED:
        return (
            f"class {cls.__name__} has the name {name!r:.80}, which is not 1 to 64 lower-case letters, digits, '.', "
            "'_' or '-' beginning with a letter or digit"
        )
    return ""


def incompatibility(cls: type[Component]) -> str:
    """Why the component was written for another version of the interface, and the remedy; empty where it fits."""
    needed = cls.api_version
    if needed > API_VERSION:
        return (
            f"it needs version {needed} of selkit's plugin interface and this selkit has {API_VERSION}: "
            "pip install --upgrade selkit-eval"
        )
    if needed < OLDEST_API_VERSION:
        served = f"{OLDEST_API_VERSION} to {API_VERSION}" if OLDEST_API_VERSION < API_VERSION else f"{API_VERSION}"
        return (
            f"it was written for version {needed} of selkit's plugin interface and this selkit serves {served}: "
            "upgrade the plugin"
        )
    return ""


def _shape_fault(cls: type[Component]) -> str:
    if not isinstance(cls.api_version, int):
        return f"class {cls.__name__} has the api_version {cls.api_version!r:.80}, which is not a whole number"
    if "__dataclass_fields__" not in vars(cls):
        return f"class {cls.__name__} is not a dataclass: put @dataclass above it"
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"{noun(cls)} class {cls.__name__} does not define {missing}"
    return ""


def _parameter_fault(cls: type[Component]) -> str:
    try:
        known = annotations_of(cls)
    except Exception as error:  # whatever evaluating a stranger's annotations raises
        return (
            f"a parameter of class {cls.__name__} has a type that cannot be read ({error}): "
            "import the types of parameters outside TYPE_CHECKING"
        )
    untyped = [field.name for field in fields(cls) if field.name not in known]  # type: ignore[arg-type]
    return f"parameters of class {cls.__name__} have no type: {', '.join(untyped)}" if untyped else ""
