"""What selectors, judges and benchmarks have in common: a name and typed parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from selkit.api.deprecation import Deprecation

API_VERSION = 1
"""Version of the interface in :mod:`selkit.api`; raised when a plugin written for an older one may break."""


class Component:
    """Base of everything a plugin provides.

    Subclasses are dataclasses. Their fields are the parameters: ``-p key=value`` on the command line, keys in YAML,
    entries of the manifest, rows of the documentation. A field may itself be a component.

    Attributes:
        name: What people type to get the component: ``[a-z0-9][a-z0-9._-]*``.
        api_version: The version of the interface that the component was written for.
        requires: Packages (import names) that must be installed before the component can run.
        extra: How to install them, e.g. ``'selkit-eval[train]'``.
        citation: BibTeX entries of what the component implements: they go into the bibliography of reports.
        models: Names of the parameters that hold a model reference (see :meth:`model_parameters`).
        deprecated: Parameters that are going, each with since when and what to use: who gives one is told so.
    """

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    models: ClassVar[tuple[str, ...]] = ()
    deprecated: ClassVar[Mapping[str, Deprecation]] = {}

    def model_parameters(self) -> tuple[str, ...]:
        """Names of the parameters that hold a model reference under the present settings.

        The host fills those that are None with the experiment's base model, checks before any work starts that the
        models are there, and puts the digests of their weights into the keys of what it stores.
        """
        return self.models

    def trainings(self) -> tuple[tuple[str | Mapping[str, Any], str | None], ...]:
        """What the component has trained (:meth:`Context.train`) under the present settings: recipes and base models.

        The base model is None where it is the experiment's. The host checks before any work starts that the trainings
        can run, and puts what the recipes say into the keys of what it stores. Other trainings are refused.
        """
        return ()

    def parameters(self) -> dict[str, Any]:
        """The parameters as they go into keys and manifests; a component becomes ``{'name': ..., **parameters}``."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return {"name": value.name, **value.parameters()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
