"""Whatever a plugin does wrong, it is named with its reason and everybody else works."""

from __future__ import annotations

import sys

import pytest
from fake_packages import SCORER, FakePackages

from selkit.plugins import PluginInfo

PREAMBLE = """
from __future__ import annotations
from dataclasses import dataclass
from selkit.api import API_VERSION, Judgement, PairwiseJudge, Sampler, Scorer, hookimpl
"""


def _selectors(returned: str, body: str = "") -> str:
    return f"{PREAMBLE}\n{body}\n@hookimpl\ndef selkit_selectors():\n    return {returned}\n"


def _scorer(body: str = "name = 'mine'", decorator: str = "@dataclass", rest: str = "") -> str:
    return f"{decorator}\nclass Mine(Scorer):\n    {body}\n    def score(self, pool, ctx): return []\n{rest}"


FAULTS = {
    "raises at import": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "exits at import": ("import sys; sys.exit(3)", "it called sys.exit(3)"),
    "has bad syntax": ("def broken(:", "SyntaxError: invalid syntax"),
    "needs what is absent": ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    "breaks its own message": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "Odd: <exception str() failed>",
    ),
    "has no hook": ("x = 1", "it implements no hook of selkit"),
    "mistypes a hook": (
        f"{PREAMBLE}\n@hookimpl\ndef selkit_selector(): return []",
        "selkit has no hook 'selkit_selector'. Did you mean 'selkit_selectors'?",
    ),
    "wraps a hook": (f"{PREAMBLE}\n@hookimpl(wrapper=True)\ndef selkit_selectors(): yield", "it wraps a hook"),
    "raises in its hook": (
        f"{PREAMBLE}\n@hookimpl\ndef selkit_selectors(): raise KeyError('k')",
        "selkit_selectors failed: KeyError: 'k'",
    ),
    "exits in its hook": (
        f"{PREAMBLE}\nimport sys\n@hookimpl\ndef selkit_selectors(): sys.exit()",
        "selkit_selectors failed: it called sys.exit(None)",
    ),
    "returns None": (_selectors("None"), "selkit_selectors failed: TypeError"),
    "returns nothing": (_selectors("[]"), "its hooks returned no component"),
    "returns an instance": (_selectors("[Mine()]", _scorer()), "is not a class: return the class itself"),
    "returns another class": (_selectors("[dict]"), "class dict does not derive from selkit.api.BaseSelector"),
    "returns another kind": (
        _selectors(
            "[Judge]",
            "@dataclass\nclass Judge(PairwiseJudge):\n    name = 'j'\n    def compare(self, c, ctx): return []",
        ),
        "class Judge does not derive from selkit.api.BaseSelector",
    ),
    "has no name": (_selectors("[Mine]", _scorer("pass")), "class Mine has no name"),
    "has a path for a name": (_selectors("[Mine]", _scorer("name = '../up'")), "class Mine has the name '../up'"),
    "has a reserved name": (_selectors("[Mine]", _scorer("name = 'nul'")), "class Mine has the name 'nul'"),
    "has a number for a name": (_selectors("[Mine]", _scorer("name = 7")), "class Mine has no name"),
    "forgets the decorator": (_selectors("[Mine]", _scorer(decorator="")), "class Mine is not a dataclass"),
    "forgets the method": (
        _selectors("[Mine]", "@dataclass\nclass Mine(Scorer):\n    name = 'mine'\n"),
        "scorer class Mine does not define score",
    ),
    "hides a type": (
        _selectors("[Mine]", _scorer("name = 'mine'\n    x: Missing = 1")),
        "name 'Missing' is not defined",
    ),
    "has an odd api_version": (
        _selectors("[Mine]", _scorer("name = 'mine'\n    api_version = '1'")),
        "not a whole number",
    ),
    "has a hostile class": (
        _selectors(
            "[Mine]",
            "class Meta(type(Scorer)):\n    @property\n    def api_version(cls): raise OSError('no')\n"
            "@dataclass\nclass Mine(Scorer, metaclass=Meta):\n    name = 'mine'\n"
            "    def score(self, pool, ctx): return []",
        ),
        "OSError: no",
    ),
    "names one component twice": (
        _selectors("[Mine, Other]", _scorer(rest="@dataclass\nclass Other(Mine): pass\n")),
        "the package provides two selectors named 'mine'",
    ),
}


def _rows(packages: FakePackages, distribution: str = "acme-bad") -> list[PluginInfo]:
    return [row for row in packages.manager().installed() if row.distribution == distribution]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_stops_nobody(packages: FakePackages, fault: str) -> None:
    """The bad package is listed as failed with its reason, and the good one beside it works."""
    source, reason = FAULTS[fault]
    packages.install("acme-bad", source)
    packages.works("acme-good", "good")
    failed = [row for row in _rows(packages) if row.status == "failed"]
    assert len(failed) == 1
    assert reason in failed[0].reason
    assert "\n" not in failed[0].reason
    assert [row.status for row in _rows(packages, "acme-good")] == ["ok"]


def test_a_good_class_survives_a_bad_one_beside_it(packages: FakePackages) -> None:
    """A package may have one component that works and one that does not."""
    packages.install("acme-bad", _selectors("[Mine, dict]", _scorer()))
    assert sorted((row.name, row.status) for row in _rows(packages)) == [("acme-bad", "failed"), ("mine", "ok")]


def test_a_good_hook_survives_a_bad_one_beside_it(packages: FakePackages) -> None:
    """A hook that raises leaves the package's other hooks alone, and its own kind is known."""
    packages.install(
        "acme-bad", _selectors("[Mine]", _scorer()) + "\n@hookimpl\ndef selkit_judges(): raise OSError('x')\n"
    )
    rows = {row.kind: row for row in _rows(packages)}
    assert (rows["selector"].status, rows["selector"].name) == ("ok", "mine")
    assert (rows["judge"].status, rows["judge"].kind_certain) == ("failed", True)


def test_a_class_returned_twice_counts_once(packages: FakePackages) -> None:
    """The same class from two lines of a hook is one component."""
    packages.install("acme-bad", _selectors("[Mine, Mine]", _scorer()))
    assert [(row.name, row.status) for row in _rows(packages)] == [("mine", "ok")]


def test_hooks_may_yield(packages: FakePackages) -> None:
    """A hook may be a generator; what it yielded before it raised is not half-registered."""
    packages.install("acme-good", SCORER.format(name="good").replace("return [Overlap]", "yield Overlap"))
    assert [row.status for row in _rows(packages, "acme-good")] == ["ok"]


@pytest.mark.parametrize(
    ("version", "remedy"), [("API_VERSION + 1", "pip install --upgrade selkit-eval"), ("0", "upgrade the plugin")]
)
def test_another_interface_version_is_incompatible(packages: FakePackages, version: str, remedy: str) -> None:
    """A component written for a newer or a retired interface says so, with the remedy."""
    packages.install("acme-bad", _selectors("[Mine]", _scorer(f"name = 'mine'\n    api_version = {version}")))
    (row,) = _rows(packages)
    assert (row.name, row.kind, row.status) == ("mine", "selector", "incompatible")
    assert remedy in row.reason


@pytest.mark.parametrize(
    "line",
    [
        "from selkit.api import NotYetInvented",
        "import selkit.not_yet_invented",
        f"{PREAMBLE}\n@hookimpl\ndef selkit_selectors(not_yet_invented): return []",
    ],
    ids=["name", "module", "argument of a hook"],
)
def test_what_the_host_lacks_is_incompatible(packages: FakePackages, line: str) -> None:
    """A package that asks for what this selkit does not have is incompatible rather than broken."""
    packages.install("acme-bad", line)
    (row,) = _rows(packages)
    assert row.status == "incompatible"
    assert "upgrade selkit-eval or the plugin" in row.reason


def test_prints_of_a_plugin_go_to_stderr(packages: FakePackages, capsys: pytest.CaptureFixture[str]) -> None:
    """A package that prints when it is imported does not spoil the result on stdout."""
    packages.install(
        "acme-good",
        "print('hello from import')" + SCORER.format(name="good").replace("from __future__ import annotations\n", ""),
    )
    assert [row.status for row in _rows(packages, "acme-good")] == ["ok"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "hello from import" in printed.err


def test_two_entry_points_of_one_module(packages: FakePackages) -> None:
    """A module that two entry points name is registered once, and the other is told."""
    packages.works("acme-good", "good", module="shared_module")
    packages.metadata("acme-more", "[selkit]\nmore = shared_module\n")
    (row,) = _rows(packages, "acme-more")
    assert row.status == "failed"
    assert "another entry point names too" in row.reason


def test_a_malformed_entry_point_is_a_fault(packages: FakePackages) -> None:
    """An entry point that is no module name is listed as failed."""
    packages.metadata("acme-bad", "[selkit]\nbad = not a module!\n")
    assert [row.status for row in _rows(packages)] == ["failed"]


@pytest.mark.parametrize(
    ("distribution", "kind"),
    [
        ("acme-judge-x", "judge"),
        ("acme-tasks", "benchmark"),
        ("acme-bench", "benchmark"),
        ("acme-prejudge", "selector"),
    ],
)
def test_the_kind_of_what_did_not_load_is_a_marked_guess(packages: FakePackages, distribution: str, kind: str) -> None:
    """The kind of a package that did not load is guessed from its name and marked as a guess."""
    packages.install(distribution, "raise OSError")
    (row,) = _rows(packages, distribution)
    assert (row.kind, row.kind_certain) == (kind, False)


def test_authors_can_have_the_exception(packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SELKIT_RAISE_PLUGIN_ERRORS the plugin's own exception comes through."""
    packages.install("acme-bad", "raise RuntimeError('mine')")
    monkeypatch.setenv("SELKIT_RAISE_PLUGIN_ERRORS", "1")
    with pytest.raises(RuntimeError, match="mine"):
        packages.manager().installed()


def test_each_package_is_imported_once(packages: FakePackages) -> None:
    """Listing twice imports once, and a failed package is not tried again."""
    packages.install("acme-bad", "import sys; sys.acme_count = getattr(sys, 'acme_count', 0) + 1; raise OSError")
    plugins = packages.manager()
    plugins.installed()
    plugins.installed()
    assert sys.__dict__.pop("acme_count") == 1


def test_import_times_are_measured(packages: FakePackages) -> None:
    """The time of a slow import is charged to the package that is slow."""
    packages.install(
        "acme-slow",
        "import time; time.sleep(0.15)\n"
        + SCORER.format(name="slow").replace("from __future__ import annotations\n", ""),
    )
    packages.works("acme-good", "good")
    spent = {row.distribution: row.import_ms or 0 for row in packages.manager().installed()}
    assert spent["acme-slow"] >= 150
    assert spent["acme-good"] < spent["acme-slow"]
