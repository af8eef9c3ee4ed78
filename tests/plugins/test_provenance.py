"""Where a component comes from, and a digest that changes exactly when its code does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest
from fake_packages import SCORER, FakePackages

from selkit import __version__
from selkit.plugins import find, provenance


def _package(packages: FakePackages) -> None:
    """A package of two modules, of which the second has the work in it."""
    packages.metadata("acme-two", "[selkit]\ntwo = acme_two\n", "4.2")
    folder = packages.folder / "acme_two"
    folder.mkdir()
    (folder / "__init__.py").write_text(SCORER.format(name="two"))
    (folder / "work.py").write_text("FACTOR = 1\n")
    (folder / "notes.txt").write_text("nothing")


def test_built_ins_belong_to_the_host() -> None:
    """A built-in has the host's distribution and version; instance and class say the same."""
    cls = find("selector", "random")
    found = provenance(cls)
    assert (found["distribution"], found["version"], len(found["code"])) == ("selkit-eval", __version__, 64)
    assert provenance(cls()) == found


def test_the_digest_covers_the_whole_package(packages: FakePackages) -> None:
    """Scenarios 21 and 22: a change in any Python file of the package changes the digest; one in a text file does
    not."""
    _package(packages)
    cls = packages.manager().find("selector", "two")
    first = provenance(cls)
    assert (first["distribution"], first["version"]) == ("acme-two", "4.2")
    (packages.folder / "acme_two" / "notes.txt").write_text("something")
    assert provenance(cls) == first
    (packages.folder / "acme_two" / "work.py").write_text("FACTOR = 2\n")
    assert provenance(cls)["code"] != first["code"]
    (packages.folder / "acme_two" / "work.py").rename(packages.folder / "acme_two" / "labour.py")
    renamed = provenance(cls)["code"]
    (packages.folder / "acme_two" / "labour.py").write_text("FACTOR = 1\n")
    assert len({first["code"], renamed, provenance(cls)["code"]}) == 3


def test_the_digest_does_not_depend_on_the_place(packages: FakePackages) -> None:
    """The same package installed in another folder has the same digest: scores can be shared."""
    _package(packages)
    first = provenance(packages.manager().find("selector", "two"))
    moved = packages.folder / "moved"
    moved.mkdir()
    (packages.folder / "acme_two").rename(moved / "acme_two")
    packages.forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(moved))
        assert provenance(packages.manager().find("selector", "two")) == first


def test_an_imported_class_needs_no_plugin_host(packages: FakePackages) -> None:
    """A class that a notebook imports itself has the provenance that the command line sees."""
    packages.works("acme-good", "good", version="1.5")
    from acme_good import Overlap  # type: ignore[import-not-found]

    by_hand = provenance(Overlap(floor=2))
    assert by_hand == provenance(packages.manager().find("selector", "good"))
    assert (by_hand["distribution"], by_hand["version"]) == ("acme-good", "1.5")


def test_what_a_class_derives_from_counts(packages: FakePackages) -> None:
    """A component that builds on another package's class changes when that package does."""
    packages.works("acme-base", "base")
    path = packages.install(
        "acme-heir",
        "from dataclasses import dataclass\nfrom acme_base import Overlap\n"
        "@dataclass\nclass Heir(Overlap):\n    name = 'heir'\n"
        "from selkit.api import hookimpl\n@hookimpl\ndef selkit_selectors(): return [Heir]\n",
    )
    cls = packages.manager().find("selector", "heir")
    first = provenance(cls)["code"]
    base = path.with_name("acme_base.py")
    base.write_text(base.read_text() + "# changed\n")
    assert provenance(cls)["code"] != first


def test_the_code_of_nested_components_counts(packages: FakePackages) -> None:
    """Scenarios 21 and 22: a component that holds another one's changes with it, and with which one it holds."""
    source = SCORER.format(name="holder").replace("floor: int = 3", "inner: Scorer | None = None")
    packages.install("acme-holder", source)
    path = packages.works("acme-good", "good")
    plugins = packages.manager()
    alone, held = plugins.build("selector", "holder", {}), plugins.build("selector", "holder", {"inner": "good"})
    assert provenance(alone) == provenance(type(alone))
    first = provenance(held)["code"]
    assert first != provenance(alone)["code"]
    path.write_text(path.read_text() + "# changed\n")
    assert provenance(held)["code"] != first


def test_code_version_stands_in_for_the_digest() -> None:
    """An author who declares a code version is taken at their word."""

    @dataclass
    class Promised:
        """Declares its version."""

        name = "promised"
        code_version: ClassVar[str] = "2024-a"

    assert provenance(Promised)["code"] == "2024-a"  # type: ignore[arg-type]


def test_code_without_source_never_passes_for_other_code() -> None:
    """A class typed at a prompt has a digest that no other process has: its scores are not found again."""
    script = (
        "from selkit.plugins import provenance; space = {'__name__': 'nowhere_at_all'}; "
        "exec('class Typed: pass', space); print(*provenance(space['Typed']).values())"
    )
    said = [subprocess.check_output([sys.executable, "-c", script], text=True).split() for _ in range(2)]
    assert [words[:2] for words in said] == [["nowhere_at_all", "unpackaged"]] * 2
    assert said[0][2] != said[1][2]
