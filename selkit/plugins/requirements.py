"""Are the optional packages that a component needs installed?"""

from __future__ import annotations

from importlib.util import find_spec

from selkit.api import Component, MissingExtra
from selkit.plugins.kinds import kind_of
from selkit.plugins.parameters import nested_components


def check_requirements(component: Component | type[Component]) -> None:
    """Checks, without importing anything, that all that the component and its components need is installed.

    Raises:
        MissingExtra: Something is missing; the sentence has the command that installs it.
    """
    cls = component if isinstance(component, type) else type(component)
    missing = missing_requirements(cls)
    if missing:
        install = f"'{cls.extra}'" if cls.extra else " ".join(missing)
        raise MissingExtra(
            f"{kind_of(cls)} '{cls.name}' needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            f"not installed: pip install {install}"
        )
    if isinstance(component, Component):
        for part in nested_components(component):
            check_requirements(part)


def missing_requirements(cls: type[Component]) -> list[str]:
    """The import names in ``requires`` that are not installed."""
    return [name for name in cls.requires if find_spec(name.partition(".")[0]) is None]
