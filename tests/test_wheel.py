"""Built wheels hold every file of their package: the environment `wheel` installs them in place of editable ones."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "selkit-eval": ROOT / "selkit",
    **{
        path.parents[1].name if path.parents[1].name != "tasks" else "selkit-tasks": path.parent
        for pattern in ("plugins/*/selkit_*/__init__.py", "judges/*/selkit_*/__init__.py", "tasks/selkit_*/__init__.py")
        for path in sorted(ROOT.glob(pattern))
    },
}
"""Distribution -> folder of its import package in this checkout."""


def built(name: str) -> Distribution:
    """The distribution, where it was installed from a built wheel."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip(f"{name} is installed as an editable package")
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_no_file_is_missing(name: str) -> None:
    """Templates, recipes, YAML and HTML too: what git tracks of the package is what is installed, byte by byte."""
    found, folder = built(name), PACKAGES[name]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = {file for file in listed.stdout.decode().split("\0") if file and (folder / file).is_file()}
    assert tracked
    files = {path.as_posix(): Path(str(found.locate_file(path))) for path in found.files or ()}
    here = {file.partition("/")[2]: path for file, path in files.items() if file.startswith(f"{folder.name}/")}
    assert tracked - here.keys() == set()
    assert [file for file in tracked if here[file].read_bytes() != (folder / file).read_bytes()] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_the_wheel_says_what_it_is(name: str) -> None:
    """Its licence or summary, its README, and, of a plugin, its entry point."""
    found = built(name)
    assert found.metadata["Summary"]
    assert found.metadata["Description-Content-Type"] == "text/markdown"
    points = [point.group for point in found.entry_points]
    assert ("console_scripts" if name == "selkit-eval" else "selkit") in points


def test_the_command_works_away_from_the_checkout(tmp_path: Path) -> None:
    """A spec is written and checked, a package is made, and every plugin is sound."""
    built("selkit-eval")
    selkit = [str(Path(sys.executable).with_name("selkit"))]

    def run(*arguments: str) -> str:
        done = subprocess.run([*selkit, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for kind in ("selector", "judge", "benchmark"):
        run("plugins", "new", kind, "mine")
    rows = json.loads(run("plugins", "--json"))
    assert [row["name"] for row in rows if row["status"] != "ok"] == []
    run("select", "planted", "-s", "longest", "-p", "unit=words", "-b", "5", "-o", "out", "--store", "store")
    assert len((tmp_path / "out" / "selection.jsonl").read_text("utf-8").splitlines()) == 5
    assert "quickstart" in run("recipes")
    assert "random" in run("run", "--dry-run", "--store", "store")
