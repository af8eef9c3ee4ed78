"""What selkit.api promises: the names that it exports, how a name goes, and versions that do not fit."""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path

import pluggy
import pytest
from fake_packages import SCORER, FakePackages

import selkit
from selkit import api
from selkit.api.deprecation import DEPRECATED, Deprecation, Going, warn_if_deprecated
from selkit.plugins import PluginManager, find, parameters_of, specs
from selkit.plugins.builtin import BUILTINS
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


class NewerSpecs:
    """The hooks as a later version might have them: with a new argument, going, with an argument that is going."""

    spec = pluggy.HookspecMarker("selkit")

    @spec
    def selkit_selectors(self, added_later: object) -> list[type]:  # type: ignore[empty-body]
        """With an argument that today's hook does not have."""

    @spec(warn_on_impl=Going("hook selkit_judges", Deprecation("0.4", "implement selkit_verdicts")))
    def selkit_judges(self) -> list[type]:  # type: ignore[empty-body]
        """A hook that is going."""

    @spec(warn_on_impl_args={"old": Going("argument old of selkit_benchmarks", Deprecation("0.4", "take new"))})
    def selkit_benchmarks(self, old: object, new: object) -> list[type]:  # type: ignore[empty-body]
        """A hook with an argument that is going."""


ADDED = {"selkit_selectors": {"added_later": "news"}, "selkit_benchmarks": {"old": "o", "new": "n"}}
HOOK = "\n@hookimpl\ndef {hook}({arguments}):\n    import sys\n    sys.acme_told = [{arguments}]\n    return []\n"


@pytest.fixture
def acme_alone(packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> FakePackages:
    """None but the packages of the test: those of this repository are not written for hooks of a later version."""
    monkeypatch.setenv("SELKIT_PLUGINS", "acme-older,acme-newer,acme-mine")
    return packages


def _newer() -> PluginManager:
    return PluginManager(hookspecs=NewerSpecs, arguments=ADDED)


def test_a_plugin_of_today_works_when_a_hook_gets_an_argument(acme_alone: FakePackages) -> None:
    """Through selkit's own manager, with hooks of a later version: the older one takes nothing, the newer is told."""
    acme_alone.works("acme-older", "older")
    source = SCORER.format(name="newer").replace("selkit_selectors()", "selkit_selectors(added_later)")
    acme_alone.install("acme-newer", source.replace("return [Overlap]", "Overlap.told = added_later; return [Overlap]"))
    plugins = _newer()
    rows = {row.distribution: row for row in plugins.installed()}
    assert (rows["acme-older"].status, rows["acme-newer"].status) == ("ok", "ok")
    assert plugins.find("selector", "older").name == "older"
    assert plugins.find("selector", "newer").told == "news"  # type: ignore[attr-defined]


def test_a_newer_plugin_is_incompatible_with_the_hooks_of_today(acme_alone: FakePackages) -> None:
    """An argument that this selkit's hook does not have is named, and nothing else is stopped."""
    source = SCORER.format(name="newer").replace("selkit_selectors()", "selkit_selectors(added_later)")
    acme_alone.install("acme-newer", source)
    acme_alone.works("acme-older", "older")
    rows = {row.distribution: row for row in acme_alone.manager().installed()}
    assert rows["acme-older"].status == "ok"
    assert (rows["acme-newer"].status, "added_later" in rows["acme-newer"].reason) == ("incompatible", True)
    assert "upgrade selkit-eval or the plugin" in rows["acme-newer"].reason


@pytest.mark.parametrize(
    ("hook", "arguments", "words"),
    [
        (
            "selkit_judges",
            "",
            r"hook selkit_judges is .* since selkit 0\.4 and goes in 0\.6: implement selkit_verdicts",
        ),
        ("selkit_benchmarks", "old", r"argument old of selkit_benchmarks is .* goes in 0\.6: take new"),
    ],
)
def test_a_hook_or_an_argument_that_is_going_warns_and_works(
    acme_alone: FakePackages, hook: str, arguments: str, words: str
) -> None:
    """The warning points at the plugin's own file; who does not use it is not warned."""
    source = SCORER.format(name="mine") + HOOK.format(hook=hook, arguments=arguments)
    acme_alone.install("acme-mine", source)
    with pytest.warns(Going, match=words) as seen:
        rows = [row for row in _newer().installed() if row.distribution == "acme-mine"]
    assert [row.status for row in rows] == ["ok"]
    assert "acme" in seen[0].filename
    assert sys.__dict__.pop("acme_told") == ([ADDED[hook][arguments]] if arguments else [])


def test_who_uses_nothing_that_is_going_is_not_warned(acme_alone: FakePackages) -> None:
    """The hook whose older argument is going, implemented with the newer one."""
    acme_alone.install("acme-mine", SCORER.format(name="mine") + HOOK.format(hook="selkit_benchmarks", arguments="new"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", Going)
        rows = [row for row in _newer().installed() if row.distribution == "acme-mine"]
    assert [row.status for row in rows] == ["ok"]
    assert sys.__dict__.pop("acme_told") == ["n"]


def test_a_parameter_that_is_going_is_noted_and_works(
    packages: FakePackages, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who gives it is told once on stderr, who does not is not, and its documentation says so."""
    going = "    deprecated = {'floor': Deprecation('0.4', 'leave it out')}\n    floor: int = 3"
    source = SCORER.format(name="mine").replace("    floor: int = 3", going)
    packages.install("acme-mine", source.replace("import Scorer", "import Deprecation, Scorer"))
    plugins = packages.manager()
    assert plugins.build("selector", "mine", {}).parameters() == {"floor": 3}
    assert capsys.readouterr().err == ""
    built = [plugins.build("selector", "mine", {"floor": "4"}) for _ in range(2)]
    assert [one.parameters() for one in built] == [{"floor": 4}] * 2
    told = "is deprecated since acme_mine 0.4 and goes in 0.6: leave it out"
    err = capsys.readouterr().err
    assert err.count(f"parameter 'floor' of selector 'mine' {told}") == 1
    assert parameters_of(type(built[0]))["floor"].help == f"The least that counts. It {told}."


def test_the_hooks_get_what_their_specifications_say() -> None:
    """The host hands over each argument of each hook, and no hook or parameter has outstayed its deprecation."""
    own = {name: hook for name, hook in vars(specs).items() if name.startswith("selkit_")}
    assert {name: set(inspect.signature(hook).parameters) for name, hook in own.items()} == {
        name: set(specs.ARGUMENTS.get(name, {})) for name in own
    }
    marks = [hook.selkit_spec for hook in own.values()]
    warned = [mark["warn_on_impl"] for mark in marks]
    warned += [warning for mark in marks for warning in (mark["warn_on_impl_args"] or {}).values()]
    classes = [find(kind, name) for kind, names in BUILTINS.items() for name in names]
    deprecated = [one for cls in classes for one in cls.deprecated.values()]
    goings = [warning.going for warning in warned if warning is not None] + deprecated
    assert [going for going in goings if going.overdue(selkit.__version__)] == []
