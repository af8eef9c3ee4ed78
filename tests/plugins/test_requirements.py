"""What a component needs is checked before it runs, with the command that installs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from selkit.api import MissingExtra, Sampler
from selkit.plugins import check_requirements, missing_requirements


@dataclass
class Plain(Sampler):
    """Needs what is there."""

    name = "plain"
    requires = ("json", "click.testing")
    inner: Sampler | None = None
    team: tuple[Sampler, ...] = ()

    def sample(self, pool: Any, k: int, ctx: Any) -> list[str]:
        """Nothing."""
        return []


@dataclass
class Heavy(Plain):
    """Needs what is not there."""

    name = "heavy"
    requires = ("json", "no_torch_here", "no.such.module")


@dataclass
class WithExtra(Heavy):
    """Needs one thing, and says how to get it."""

    name = "with-extra"
    requires = ("no_torch_here",)
    extra = "selkit-eval[train]"


def test_what_is_installed_passes() -> None:
    """Nothing is raised where everything is installed."""
    check_requirements(Plain())
    assert missing_requirements(Plain) == []


def test_what_is_missing_is_named_with_the_command() -> None:
    """The sentence names what is missing and how to install it, from the extra or from the names."""
    with pytest.raises(MissingExtra) as caught:
        check_requirements(WithExtra)
    assert str(caught.value) == (
        "selector 'with-extra' needs no_torch_here, which is not installed: pip install 'selkit-eval[train]'"
    )
    with pytest.raises(
        MissingExtra, match=r"needs no_torch_here and no\.such\.module, which are not installed: pip install no_t"
    ):
        check_requirements(Heavy())


@pytest.mark.parametrize(
    "outer", [Plain(inner=WithExtra()), Plain(team=(Plain(), WithExtra())), Plain(inner=Plain(inner=WithExtra()))]
)
def test_nested_components_are_checked(outer: Plain) -> None:
    """A component that is a parameter has needs of its own."""
    with pytest.raises(MissingExtra, match="'with-extra' needs"):
        check_requirements(outer)
