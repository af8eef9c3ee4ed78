"""The judges of a test set, as a spec names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selkit.judge import CANARIES
from selkit.plugins import did_you_mean

_OWN = ("name", "as", "canaries")


@dataclass(frozen=True)
class JudgeSpec:
    """One judge of a test set.

    Args:
        name: The component's name.
        label: What tables call it.
        canaries: Names of the canaries that try to fool it.
        parameters: The component's parameters.
    """

    name: str
    label: str
    canaries: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: str | Mapping[str, Any]) -> JudgeSpec:
        """The judge in an entry of a spec: a name, or a mapping.

        Raises:
            ValueError: There is no canary of a name that stands there.
        """
        entry = {"name": given} if isinstance(given, str) else given
        name = str(entry.get("name", ""))
        label = str(entry.get("as") or name).rpartition(":")[2]
        parameters = {key: value for key, value in entry.items() if key not in _OWN}
        return cls(name, label, _canaries(entry.get("canaries", False)), parameters)


def _canaries(given: Any) -> tuple[str, ...]:
    if given is None or isinstance(given, bool):
        return tuple(CANARIES) if given else ()
    names = [given] if isinstance(given, str) else given
    if isinstance(names, Sequence):
        names = ["null" if name is None else name for name in names]  # which YAML takes for none
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"canaries is true, false or a list of names, and not {given!r:.40}")
    for name in names:
        if name not in CANARIES:
            raise ValueError(
                f"there is no canary {name!r}.{did_you_mean(name, list(CANARIES))} Take some of {', '.join(CANARIES)}"
            )
    return tuple(name for name in CANARIES if name in names)
