"""Finding components: built-ins first, others on a miss, and a sentence for every way to fail."""

from __future__ import annotations

import sys

import pytest
from fake_packages import FakePackages

from selkit.api import ComponentError, PluginFailed, UnknownComponent
from selkit.plugins import KINDS, PluginManager
from selkit.plugins.builtin import BUILTINS

BROKEN = "raise RuntimeError('no licence')"


def _refusal(plugins: PluginManager, name: str, kind: str = "selector") -> ComponentError:
    with pytest.raises(ComponentError) as caught:
        plugins.find(kind, name)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_built_ins_is_true(kind: str) -> None:
    """Every built-in is where the table says, has the name it says, and is fit to run."""
    from selkit.plugins.validation import fault, incompatibility

    for name in BUILTINS[kind]:
        cls = PluginManager().find(kind, name)
        assert cls.name == name
        assert fault(cls, kind) == incompatibility(cls) == ""


def test_a_built_in_needs_no_other_package(packages: FakePackages) -> None:
    """Finding and building a built-in imports no third-party package."""
    packages.install("acme-bad", "import sys; sys.acme_was_imported = True")
    plugins = packages.manager()
    plugins.find("selector", "random")
    plugins.build("selector", "longest", {"unit": "words"})
    assert plugins.kinds_of("random") == ["selector"]
    assert not hasattr(sys, "acme_was_imported")


def test_another_package_is_found_by_name(packages: FakePackages) -> None:
    """A component of an installed package is found under its name and under 'distribution:name'."""
    packages.works("acme-good", "good")
    plugins = packages.manager()
    assert plugins.find("selector", "good").__module__ == "acme_good"
    assert plugins.find("selector", "Acme.Good:good") is plugins.find("selector", "good")


def test_distribution_and_name_load_that_package_alone(packages: FakePackages) -> None:
    """Asking for one package's component leaves the others unimported."""
    packages.works("acme-good", "good")
    packages.install("acme-bad", "import sys; sys.acme_was_imported = True")
    packages.manager().find("selector", "acme-good:good")
    assert not hasattr(sys, "acme_was_imported")


def test_a_collision_names_both_and_the_way_out(packages: FakePackages) -> None:
    """Two packages with one name: the error names both, and the full name picks one."""
    packages.works("acme-one", "twin", version="1.2", entry_point="alpha")
    packages.works("acme-two", "twin", entry_point="beta")
    plugins = packages.manager()
    told = str(_refusal(plugins, "twin"))
    assert "acme-one 1.2 and acme-two 0.1" in told
    assert "'acme-one:twin' or 'acme-two:twin'" in told
    assert plugins.find("selector", "acme-two:twin").__module__ == "acme_two"
    rows = {row.distribution: row for row in plugins.installed() if row.name == "twin"}
    assert {row.status for row in rows.values()} == {"ok"}
    assert "acme-two 0.1 offers the name 'twin' too: ask for 'acme-one:twin'" in rows["acme-one"].reason


def test_the_bare_name_of_a_built_in_stays_its_own(packages: FakePackages) -> None:
    """A package that offers 'random' takes nothing from the built-in, is told so, and is reached by its full name."""
    packages.works("acme-random", "random")
    plugins = packages.manager()
    assert plugins.find("selector", "random").__module__ == "selkit.plugins.builtin.random"
    assert plugins.find("selector", "selkit-eval:random") is plugins.find("selector", "random")
    assert plugins.find("selector", "acme-random:random").__module__ == "acme_random"
    (row,) = [row for row in plugins.installed() if row.distribution == "acme-random"]
    assert row.reason == "the name 'random' means the built-in selector: ask for 'acme-random:random'"


def test_an_unknown_name_gets_the_nearest_and_who_failed(packages: FakePackages) -> None:
    """The refusal has a suggestion and names the packages that might have provided it."""
    packages.works("acme-good", "good-one")
    packages.install("acme-bad", BROKEN)
    error = _refusal(packages.manager(), "goodone")
    assert isinstance(error, UnknownComponent)
    assert "No selector named 'goodone'. Did you mean 'good-one'?" in str(error)
    assert "acme-bad 0.1 (RuntimeError: no licence)" in str(error)
    assert "See: selkit plugins" in str(error)


def test_asking_for_what_failed_says_why(packages: FakePackages) -> None:
    """The name of a failed package's entry point leads to its reason rather than to 'unknown'."""
    packages.install("acme-bad", BROKEN, entry_point="licensed")
    error = _refusal(packages.manager(), "licensed")
    assert isinstance(error, PluginFailed)
    assert str(error) == "selector 'licensed' cannot be used: acme-bad 0.1 does not load: RuntimeError: no licence"


def test_asking_for_an_incompatible_one_has_the_remedy(packages: FakePackages) -> None:
    """A component for a newer interface is refused with the command that helps."""
    path = packages.works("acme-new", "new")
    path.write_text(path.read_text().replace("floor: int = 3", "api_version = 99"))
    error = _refusal(packages.manager(), "new")
    assert isinstance(error, PluginFailed)
    assert "version 99" in str(error)
    assert "pip install --upgrade selkit-eval" in str(error)


@pytest.mark.parametrize("name", ["ifd", "acme-ifd:ifd"])
def test_asking_for_a_blocked_one_says_so(packages: FakePackages, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A blocked package is not imported, and the refusal names the variable."""
    packages.install("acme-ifd", "import sys; sys.acme_was_imported = True", entry_point="ifd")
    monkeypatch.setenv("SELKIT_DISABLE_PLUGINS", "ifd")
    plugins = packages.manager()
    assert "blocked, because it is named in SELKIT_DISABLE_PLUGINS" in str(_refusal(plugins, name))
    (row,) = [row for row in plugins.installed() if row.distribution == "acme-ifd"]
    assert (row.status, row.reason, row.import_ms) == ("blocked", "named in SELKIT_DISABLE_PLUGINS", None)
    assert not hasattr(sys, "acme_was_imported")


def test_the_block_list_leaves_built_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-ins belong to the host and cannot be blocked."""
    monkeypatch.setenv("SELKIT_DISABLE_PLUGINS", "random,selkit-eval")
    monkeypatch.setenv("SELKIT_PLUGINS", "")
    assert PluginManager().find("selector", "random").name == "random"


def test_another_kind_is_named() -> None:
    """Asking for a selector by a judge's name says what it is."""
    assert "'reference' is a judge, not a selector" in str(_refusal(PluginManager(), "reference"))


def test_an_unknown_package_gets_the_nearest(packages: FakePackages) -> None:
    """'distribution:name' with a mistyped distribution is refused with the nearest one."""
    packages.works("acme-good", "good")
    assert "Did you mean 'acme-good'?" in str(_refusal(packages.manager(), "acme-god:good"))


def test_kinds_of_lists_every_kind(packages: FakePackages) -> None:
    """A name that stands for a selector and a judge is found under both kinds."""
    path = packages.works("acme-both", "both")
    path.write_text(
        path.read_text()
        + "\nfrom selkit.api import PairwiseJudge\n@dataclass\nclass Judge(PairwiseJudge):\n    name = 'both'\n"
        "    def compare(self, comparisons, ctx): return []\n@hookimpl\ndef selkit_judges(): return [Judge]\n"
    )
    plugins = packages.manager()
    assert plugins.kinds_of("both") == plugins.kinds_of("acme-both:both") == ["selector", "judge"]
    with pytest.raises(UnknownComponent, match=r"No component named 'bth'. Did you mean 'both'\?"):
        plugins.kinds_of("bth")


def test_rows_tell_where_a_component_comes_from(packages: FakePackages) -> None:
    """A row has the package, version, module and first line of the documentation."""
    packages.works("acme-good", "good", version="3.1", entry_point="entry")
    (row,) = [row for row in packages.manager().installed() if row.name == "good"]
    assert (row.distribution, row.version, row.entry_point) == ("acme-good", "3.1", "entry")
    assert (row.module, row.summary) == ("acme_good", "Counts words.")
