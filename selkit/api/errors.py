"""Every error that selkit raises on purpose, and the exit code it ends the command with.

    SelkitError                 70   selkit's own fault, where no subclass says better
    ├── WorkFailed               1   the work ran, and a cell, a check or a cap failed
    │   └── ContractViolation    1   a component broke its contract (wrong ids, wrong count, NaN guessed)
    ├── UsageError               2   unknown option, key or parameter; wrong type or choice; bad spec file
    ├── ComponentError           3   a component that cannot be had
    │   ├── UnknownComponent     3   nobody provides that name, or two do
    │   ├── PluginFailed         3   the package that provides it does not load
    │   └── MissingExtra         3   an optional dependency is not installed
    └── DataError                4   data or a model missing, empty, malformed or unwritable
        └── BudgetError          4   the budget asks for more rows than there are

The text of an error is one sentence for a person: what is wrong, why, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class SelkitError(Exception):
    """Base of all errors that are reported as one sentence rather than as a traceback."""

    exit_code: ClassVar[int] = 70


class WorkFailed(SelkitError):
    """The work ran and a cell, a check or a cap failed."""

    exit_code = 1


class ContractViolation(WorkFailed):
    """A component returned what its contract forbids."""


class UsageError(SelkitError):
    """An unknown option, key or parameter, a wrong type or choice, or a bad spec file."""

    exit_code = 2


class ComponentError(SelkitError):
    """A component that cannot be had."""

    exit_code = 3


class UnknownComponent(ComponentError):
    """Nobody provides a component of that name, or more than one package does."""


class PluginFailed(ComponentError):
    """The package that should provide the component does not load."""


class MissingExtra(ComponentError):
    """An optional dependency is not installed."""

    @classmethod
    def of(cls, what: str, extra: str, package: str = "selkit-eval") -> MissingExtra:
        """The error for ``what`` (a phrase such as 'training') that needs ``package[extra]``."""
        return cls(f"{what} needs an extra that is not installed: pip install '{package}[{extra}]'")


class DataError(SelkitError):
    """Data or a model is missing, empty, malformed, or cannot be written."""

    exit_code = 4


class BudgetError(DataError):
    """A budget asks for more rows than there are."""
