"""Packages are found from metadata alone, and the block and allow lists hold."""

from __future__ import annotations

import pytest
from fake_packages import FakePackages

from selkit.plugins.discovery import candidates
from selkit.plugins.records import Candidate


def _found(packages: FakePackages) -> dict[str, Candidate]:
    return {c.distribution: c for c in candidates() if (packages.folder / f"{c.entry_point.module}.py").exists()}


def test_finds_a_package_without_importing_it(packages: FakePackages) -> None:
    """A package whose module writes a file when imported leaves no file."""
    marker = packages.folder / "imported"
    packages.install("acme-ifd", f"open({str(marker)!r}, 'w')", entry_point="ifd", version="2.5")
    found = _found(packages)["acme-ifd"]
    assert (found.name, found.version, found.blocked) == ("ifd", "2.5", "")
    assert not marker.exists()


def test_ignores_entry_points_of_other_groups(packages: FakePackages) -> None:
    """An entry point of another program is none of ours."""
    packages.metadata("acme-other", "[pytest11]\nother = other\n")
    assert all(c.distribution != "acme-other" for c in candidates())


def test_malformed_metadata_hides_nobody_else(packages: FakePackages) -> None:
    """A package with an unreadable entry_points.txt is passed over, and the next one is found."""
    packages.metadata("acme-broken", "[selkit]\nno equals sign\n")
    packages.works("acme-good", "good")
    assert list(_found(packages)) == ["acme-good"]


def test_the_first_on_the_path_wins(packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two installations of one package, the version that Python imports is the one that is listed."""
    packages.works("acme-good", "good", version="1.0")
    front = FakePackages(packages.folder.parent / "front", monkeypatch)
    front.works("acme.good", "good", module="acme_good", version="2.0")
    versions = [c.version for c in candidates() if "good" in c.distribution]
    assert versions == ["2.0"]


@pytest.mark.parametrize("value", ["acme-ifd", "ifd", "x, Acme_IFD", "IFD"])
def test_block_list_takes_entry_points_and_packages(
    packages: FakePackages, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Either name blocks, in any spelling that pip would take, and others stay."""
    packages.works("acme-ifd", "ifd", entry_point="ifd")
    packages.works("acme-good", "good")
    monkeypatch.setenv("SELKIT_DISABLE_PLUGINS", value)
    found = _found(packages)
    assert found["acme-ifd"].blocked == "named in SELKIT_DISABLE_PLUGINS"
    assert not found["acme-good"].blocked


@pytest.mark.parametrize(
    ("value", "allowed"), [("acme-ifd", {"acme-ifd"}), ("good,ifd", {"acme-good", "acme-ifd"}), ("", set())]
)
def test_allow_list_admits_only_what_it_names(
    packages: FakePackages, monkeypatch: pytest.MonkeyPatch, value: str, allowed: set[str]
) -> None:
    """What the allow list does not name is blocked; an empty one admits nobody."""
    packages.works("acme-ifd", "ifd", entry_point="ifd")
    packages.works("acme-good", "good", entry_point="good")
    monkeypatch.setenv("SELKIT_PLUGINS", value)
    assert {name for name, c in _found(packages).items() if not c.blocked} == allowed


def test_block_beats_allow(packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package on both lists does not load."""
    packages.works("acme-ifd", "ifd")
    monkeypatch.setenv("SELKIT_PLUGINS", "acme-ifd")
    monkeypatch.setenv("SELKIT_DISABLE_PLUGINS", "acme-ifd")
    assert _found(packages)["acme-ifd"].blocked
