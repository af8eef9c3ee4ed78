"""selkit plugins new: a package that is whole, in good style, and green in its own tox environment."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
import tomllib
from importlib import util
from pathlib import Path

import pytest

from selkit import __version__, api
from selkit.__main__ import main
from selkit.api import DataError, UsageError
from selkit.plugins import KINDS, checkout_of_selkit, new_package

ROOT = Path(__file__).resolve().parents[2]

MACHINE_SECONDS = 60.0
"""What a new package may take from the template to green tests, in processor time with a warm cache of packages."""

IMPLEMENTATIONS = {"selector": "scorer.py", "judge": "judge.py", "benchmark": "task.py"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_is_whole(kind: str, tmp_path: Path) -> None:
    """Entry point, hook module, implementation, tests, tox.ini, README and CI file; no placeholder is left."""
    package = new_package(kind, "my-idea", tmp_path)
    module = package.distribution.replace("-", "_")
    names = {path.as_posix() for path in package.files}
    assert names == {
        path.relative_to(package.folder).as_posix() for path in package.folder.rglob("*") if path.is_file()
    }
    assert names >= {
        "pyproject.toml",
        "README.md",
        "tox.ini",
        "LICENSE",
        ".gitignore",
        ".github/workflows/tests.yml",
        f"{module}/__init__.py",
        f"{module}/py.typed",
        f"{module}/{IMPLEMENTATIONS[kind]}",
        "tests/test_conformance.py",
    }
    project = tomllib.loads((package.folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["selkit"] == {"my-idea": module}
    assert project["dependencies"][0] == f"selkit-eval>={'.'.join(__version__.split('.')[:2])}"
    for path in package.files:
        text = (package.folder / path).read_text("utf-8")
        assert not re.search(r"\$[a-z]|MODULE|NAME", text.replace("MODEL", "").replace("${{", "")), path


@pytest.mark.parametrize("kind", KINDS)
def test_the_implementation_is_about_twenty_lines(kind: str, tmp_path: Path) -> None:
    """The class alone, without documentation and blank lines."""
    package = new_package(kind, "my-idea", tmp_path)
    module = package.folder / package.distribution.replace("-", "_")
    tree = ast.parse((module / IMPLEMENTATIONS[kind]).read_text("utf-8"))
    (cls,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in ast.walk(cls):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            del node.body[0]
    assert len(ast.unparse(cls).splitlines()) <= 26


@pytest.mark.parametrize("name", ["my-idea", "x" * 40])
@pytest.mark.parametrize("kind", KINDS)
def test_the_package_is_in_good_style(kind: str, name: str, tmp_path: Path) -> None:
    """ruff finds nothing to mend or to lay out differently, by the settings that the package brings."""
    pytest.importorskip("ruff")
    folder = new_package(kind, name, tmp_path).folder
    for command in (
        ["check", "--no-cache"],
        ["check", "--no-cache", "--extend-select", "C4,PIE"],
        ["format", "--check"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_packages_are_typed(tmp_path: Path) -> None:
    """mypy, strict as the packages ask for it, has nothing to say of any of them.

    What selkit can do without counts as absent, as it is in the packages' own environments.
    """
    pytest.importorskip("mypy")
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]["overrides"]
    (optional,) = [part["module"] for part in overrides if part.get("follow_imports") == "skip"]
    for kind in KINDS:
        folder = new_package(kind, "my-idea", tmp_path).folder
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as project:
            project.write(f'[[tool.mypy.overrides]]\nmodule = {optional}\nfollow_imports = "skip"\n')
        command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My-Idea", "small letters"),
        ("1st", "the first a letter"),
        ("a--b", "single hyphens"),
        ("../up", "small letters"),
        ("", "small letters"),
        ("con", "cannot be the name"),
        ("x" * 41, "up to 40"),
        ("random", "built-in selector called 'random'"),
        ("eval", "there is a package selkit-eval already"),
    ],
)
def test_a_bad_name_is_refused_and_writes_nothing(name: str, words: str, tmp_path: Path) -> None:
    """In one sentence, before anything is made."""
    with pytest.raises(UsageError, match=words):
        new_package("selector", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """An empty one is used."""
    (tmp_path / "selkit-mine").mkdir()
    assert new_package("selector", "mine", tmp_path).folder == tmp_path / "selkit-mine"
    before = (tmp_path / "selkit-mine" / "README.md").read_text("utf-8")
    with pytest.raises(DataError, match="is there already"):
        new_package("selector", "mine", tmp_path)
    assert (tmp_path / "selkit-mine" / "README.md").read_text("utf-8") == before


@pytest.mark.parametrize(("name", "cls"), [("pool", "PoolSelector"), ("none", "NoneSelector"), ("my-idea", "MyIdea")])
def test_the_class_hides_no_other_name(name: str, cls: str, tmp_path: Path) -> None:
    """Python's own names and those that the module imports from selkit.api stay what they are."""
    folder = new_package("selector", name, tmp_path).folder
    assert f"class {cls}(Scorer):" in (folder / f"selkit_{name.replace('-', '_')}" / "scorer.py").read_text("utf-8")
    assert cls not in api.__all__


def test_a_prefix_is_not_doubled(tmp_path: Path) -> None:
    """Whoever gives the package's name gets that package."""
    assert new_package("judge", "selkit-judge-mine", tmp_path).distribution == "selkit-judge-mine"
    assert new_package("selector", "selkit-mine", tmp_path).distribution == "selkit-mine"


def test_the_command_lists_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths on stdout, the next steps on stderr; a second time is refused with the exit code of data."""
    command = ["plugins", "new", "judge", "mine", "--dir", str(tmp_path / "below")]
    assert main(command) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "below" / "selkit-judge-mine"
    assert str(folder / "selkit_judge_mine" / "judge.py") in out.splitlines()
    assert "pip install -e ." in err
    source = checkout_of_selkit()  # a checkout may be in no index, so the note says how tox finds it
    assert ("; or tox." if source is None else f"; or SELKIT_SOURCE={ROOT} tox.") in err
    assert main(command) == 4
    assert "take another name or another --dir" in capsys.readouterr().err
    assert main(["plugins", "new", "benchmark", "Mine", "--dir", str(tmp_path)]) == 2


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """selkit as it is shipped."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("selkit_eval-*.whl")
    return built


def _settings_of_pip() -> dict[str, str]:
    """What pip is told of indexes, as uv wants it: toxfile.py of this repository."""
    spec = util.spec_from_file_location("toxfile_of_selkit", ROOT / "toxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        spec.loader.exec_module(module)
    found: dict[str, str] = module.uv_variables(module.pip_options(module._listing()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_tox_environment_of_the_package_is_green(kind: str, wheel: Path, tmp_path: Path) -> None:
    """From the wheel's own command to green tests, in an environment that has neither torch nor this checkout."""
    pytest.importorskip("tox")
    folder = new_package(kind, "my-idea", tmp_path).folder
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SELKIT_", "TOX_", "PYTEST_", "PYTHON"))}
    environment |= _settings_of_pip() | {"SELKIT_SOURCE": str(wheel), "NO_COLOR": "1"}
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    started, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "tox", "run", "-e", version, "--workdir", str(tmp_path / "tox")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "0 failed" in done.stdout  # selkit plugins check
    assert re.search(r"\d{2} passed", done.stdout)  # pytest
    assert "found_by_name" not in done.stdout  # it is installed: the check that finds it by its name ran
    after = os.times()
    machine = after.children_user - before.children_user + after.children_system - before.children_system
    sys.stderr.write(f"{kind}: green after {time.perf_counter() - started:.1f} s, {machine:.1f} s of machine time\n")
    assert machine < MACHINE_SECONDS
