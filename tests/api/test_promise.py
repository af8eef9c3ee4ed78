"""What selkit.api promises: the names that it exports, how a name goes, and versions that do not fit."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from fake_packages import SCORER, FakePackages

import selkit
from selkit import api
from selkit.api.deprecation import DEPRECATED, Deprecation, warn_if_deprecated
from selkit.plugins.validation import OLDEST_API_VERSION

EXPORTS = Path(__file__).with_name("exports.txt")


def test_the_exports_are_those_that_were_promised() -> None:
    """A name that is added belongs into exports.txt and the changelog; one that is taken away breaks plugins."""
    promised = EXPORTS.read_text("utf-8").split()
    assert promised == sorted(promised)
    assert sorted(set(promised) - set(api.__all__)) == [], "deprecate a name for two minor versions before it goes"
    assert sorted(set(api.__all__) - set(promised)) == [], "a new name is a promise: add it to tests/api/exports.txt"


def test_every_export_is_there() -> None:
    """Each can be imported, and dir() names it."""
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert set(api.__all__) <= set(dir(api))


def test_a_deprecated_name_warns_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It still works; the warning says since when, until when and what to use, and points at the user's line."""
    monkeypatch.setitem(DEPRECATED, "Turns", Deprecation("0.4", "use Turn"))
    monkeypatch.delitem(vars(api), "Turns", raising=False)
    with pytest.warns(
        DeprecationWarning, match=r"selkit\.api\.Turns is .* since selkit 0\.4 and goes in 0\.6: use Turn"
    ) as seen:
        from selkit.api import Turns
    assert Turns is not None
    assert seen[0].filename == __file__


def test_other_names_do_not_warn() -> None:
    """Silence is the rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_deprecated("Turn", {"Turns": Deprecation("0.4", "use Turn")})


@pytest.mark.parametrize(
    ("version", "overdue"), [("0.4.0", False), ("0.5.9", False), ("0.6.0", True), ("1.0.0", True), ("0.6.0.dev1", True)]
)
def test_a_deprecation_lasts_two_minor_versions(version: str, overdue: bool) -> None:
    """What begins to warn in 0.4 works in 0.4 and 0.5, and is gone in 0.6."""
    going = Deprecation("0.4", "use something else")
    assert (going.gone_in, going.overdue(version)) == ("0.6", overdue)


def test_nothing_has_outstayed_its_deprecation() -> None:
    """A release that reaches the version named in a warning takes the name away."""
    assert [name for name, going in DEPRECATED.items() if going.overdue(selkit.__version__)] == []
    assert set(DEPRECATED) <= set(api.__all__)


@pytest.mark.parametrize(
    ("needed", "words"),
    [(api.API_VERSION + 1, "pip install --upgrade selkit-eval"), (OLDEST_API_VERSION - 1, "upgrade the plugin")],
)
def test_a_version_that_does_not_fit_is_listed_with_the_remedy(packages: FakePackages, needed: int, words: str) -> None:
    """Too new and too old are both incompatible, not failed, and the reason says what to do."""
    packages.install("acme-new", SCORER.format(name="new").replace("floor: int = 3", f"api_version = {needed}"))
    (row,) = [row for row in packages.manager().installed() if row.distribution == "acme-new"]
    assert row.status == "incompatible"
    assert words in row.reason


def test_a_hook_that_takes_fewer_arguments_keeps_working() -> None:
    """Hooks grow by arguments: an implementation names the ones that it wants (pluggy's own rule, held here)."""
    import pluggy

    class NewerSpecs:
        @pluggy.HookspecMarker("selkit")
        def selkit_selectors(self, added_later: object) -> list[type]:  # type: ignore[empty-body]
            """The hook as a later version might have it."""

    class Older:
        @api.hookimpl
        def selkit_selectors(self) -> list[type]:
            return [int]

    hooks = pluggy.PluginManager("selkit")
    hooks.add_hookspecs(NewerSpecs)
    hooks.register(Older())
    hooks.check_pending()
    assert hooks.hook.selkit_selectors(added_later=1) == [[int]]
