"""The key of a stored result: everything that changes it, and nothing else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from selkit.api.errors import SelkitError, UsageError
from selkit.files import digest_text
from selkit.store.secret import secret_reason

_STAGE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, eq=False)
class Key:
    """What a stored result depends on. Two keys are equal where their digests are.

    Values are what JSON can hold: text, whole and finite numbers, true, false, none, lists, and mappings from text.
    A tuple counts as a list. ``1`` and ``1.0`` differ.

    Args:
        stage: The kind of work, e.g. 'scores': ``[a-z0-9][a-z0-9._-]*``, at most 64 characters.
        component: Name of the component that does it, where one does.
        parameters: The component's parameters.
        versions: Version or code digest of whatever computes the result, by name.
        inputs: Digest of every input, by the part it plays: digests of other keys, of data, of models. Never a path.
        conditions: What else changes the result: seed, precision, threads on a CPU.
        schema: Version of what the stage writes; whoever changes that raises it.

    Raises:
        SelkitError: A value is not JSON, or the stage's name is not a name.
        UsageError: A value is a secret; those are never stored.
    """

    stage: str
    component: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    schema: int = 1

    def __post_init__(self) -> None:
        if not _STAGE.fullmatch(self.stage):
            raise SelkitError(f"{self.stage!r} cannot name a stage: use small letters, digits, '.', '_' and '-'")
        for name in ("parameters", "versions", "inputs", "conditions"):
            object.__setattr__(self, name, plain(getattr(self, name), f"{self.label}: {name}"))
        if reason := secret_reason(self.as_dict()):
            raise UsageError(f"{self.label}: {reason}; secrets are never stored: set it in the environment instead")

    @property
    def label(self) -> str:
        """Stage and component, for people."""
        return f"{self.stage}/{self.component}" if self.component else self.stage

    def as_dict(self) -> dict[str, Any]:
        """The parts of the key as they stand in a manifest."""
        return {
            "stage": self.stage,
            "stage_schema": self.schema,
            "component": self.component,
            "parameters": self.parameters,
            "versions": self.versions,
            "inputs": self.inputs,
            "conditions": self.conditions,
        }

    @classmethod
    def from_dict(cls, parts: Mapping[str, Any]) -> Key:
        """The key that :meth:`as_dict` was made of; further entries are ignored."""
        names = ("stage", "component", "parameters", "versions", "inputs", "conditions")
        return cls(**{name: parts[name] for name in names}, schema=parts["stage_schema"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the key's parts, 64 hex digits."""
        return digest_text(canonical_json(self.as_dict()))

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: names sorted, no spaces, ASCII only, floats in their shortest exact form.

    Raises:
        SelkitError: The value, or one within it, is not JSON.
    """
    return json.dumps(plain(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def plain(value: Any, where: str) -> Any:
    """A copy of ``value`` made of dict, list, str, int, float, bool and None only.

    Args:
        value: What JSON can hold; a tuple becomes a list, and subclasses of the plain types lose their class.
        where: What the value is, for the error.

    Raises:
        SelkitError: Something within is not JSON.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_name(name, where): plain(item, f"{where}.{name}") for name, item in value.items()}
    raise SelkitError(
        f"{where} is {value!r} ({type(value).__name__}), which cannot stand in a key: "
        "use text, finite numbers, true, false, none, lists, and mappings from text"
    )


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise SelkitError(f"{where} has the name {name!r} ({type(name).__name__}), but names in a key are text")
    return str.__str__(name)
