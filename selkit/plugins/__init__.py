"""The plugin host: finds components by name, built-in or from other packages, and builds them from parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from selkit.api import BaseBenchmark, BaseSelector, Component, PairwiseJudge
from selkit.plugins.build import parse_assignments
from selkit.plugins.kinds import KINDS
from selkit.plugins.manager import PluginManager, manager
from selkit.plugins.new import NewPackage, checkout_of_selkit, new_package
from selkit.plugins.parameters import Parameter, parameters_of, summary
from selkit.plugins.provenance import provenance
from selkit.plugins.records import PluginInfo
from selkit.plugins.requirements import check_requirements, missing_requirements
from selkit.plugins.suggest import did_you_mean

__all__ = [
    "KINDS",
    "NewPackage",
    "Parameter",
    "PluginInfo",
    "PluginManager",
    "build",
    "check_requirements",
    "checkout_of_selkit",
    "did_you_mean",
    "find",
    "installed",
    "manager",
    "missing_requirements",
    "new_package",
    "parameters_of",
    "parse_assignments",
    "provenance",
    "summary",
]


def find(kind: str, name: str) -> type[Component]:
    """The class of a component; see :meth:`PluginManager.find`."""
    return manager().find(kind, name)


@overload
def build(kind: Literal["selector"], name: str, parameters: Mapping[str, Any] | None = None) -> BaseSelector: ...
@overload
def build(kind: Literal["judge"], name: str, parameters: Mapping[str, Any] | None = None) -> PairwiseJudge: ...
@overload
def build(kind: Literal["benchmark"], name: str, parameters: Mapping[str, Any] | None = None) -> BaseBenchmark: ...
@overload
def build(kind: str, name: str, parameters: Mapping[str, Any] | None = None) -> Component: ...
def build(kind: str, name: str, parameters: Mapping[str, Any] | None = None) -> Component:
    """A component with these parameters.

    Args:
        kind: 'selector', 'judge' or 'benchmark'.
        name: Its name, or 'distribution:name'.
        parameters: Values by name; texts, as the command line has them, are read as the parameter's type. A parameter
            that is a component itself takes its name, or a mapping of ``name`` and parameters.

    Raises:
        UnknownComponent: Nobody provides it, several packages do, or its package is blocked.
        PluginFailed: The package that should provide it does not load.
        UsageError: A parameter is unknown, missing, or of the wrong type or choice.
    """
    return manager().build(kind, name, parameters or {})


def installed() -> list[PluginInfo]:
    """Every component and every package that should provide one, with its state; imports all of them."""
    return manager().installed()
