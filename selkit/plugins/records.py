"""What the plugin host knows of each package and component."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Literal

from selkit.api import Component

HOST = "selkit-eval"
"""The distribution of the host and of the built-in components."""

Status = Literal["ok", "failed", "blocked", "incompatible"]


@dataclass(frozen=True)
class Candidate:
    """An entry point of the group ``selkit``, known from metadata alone; ``blocked`` says why it must not load."""

    entry_point: EntryPoint
    distribution: str
    version: str
    blocked: str = ""

    @property
    def name(self) -> str:
        """Name of the entry point."""
        return self.entry_point.name

    @property
    def label(self) -> str:
        """The package as messages name it: 'selkit-ifd 0.1.0'."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Provided:
    """A component class that a package provides."""

    kind: str
    cls: type[Component]
    candidate: Candidate


@dataclass(frozen=True)
class LoadFailure:
    """Something that a package should provide and does not.

    ``name`` is the component's, or the entry point's where not even that is known; ``kind`` is None where the package
    failed before it said what it provides.
    """

    name: str
    distribution: str
    version: str
    error: str
    kind: str | None = None
    entry_point: str = ""
    status: Status = "failed"

    @property
    def label(self) -> str:
        """The package as messages name it."""
        return f"{self.distribution} {self.version}"


@dataclass
class Loaded:
    """What came of loading one entry point; ``import_ms`` is the time it took in milliseconds."""

    candidate: Candidate
    provided: list[Provided] = field(default_factory=list)
    failures: list[LoadFailure] = field(default_factory=list)
    import_ms: float = 0.0


@dataclass(frozen=True)
class PluginInfo:
    """One row of ``selkit plugins``.

    Args:
        name: The component's name; the entry point's where the package did not get as far as naming it.
        kind: 'selector', 'judge' or 'benchmark'.
        kind_certain: False where the kind is a guess from the name of a package that was not loaded.
        distribution: The package that provides it.
        version: That package's version.
        status: 'ok', 'failed', 'blocked' or 'incompatible'.
        reason: Why it is not ok, or what else there is to know.
        module: Where the class is defined.
        summary: First line of its documentation.
        entry_point: Name of the package's entry point; empty for built-ins.
        import_ms: Time that importing it took, in milliseconds; None where it was not imported.
    """

    name: str
    kind: str
    kind_certain: bool
    distribution: str
    version: str
    status: Status
    reason: str = ""
    module: str = ""
    summary: str = ""
    entry_point: str = ""
    import_ms: float | None = None
