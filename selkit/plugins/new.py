"""Writes a new plugin package from the template that comes with selkit."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from selkit import __version__, api
from selkit.api import API_VERSION, DataError, UsageError
from selkit.plugins.builtin import BUILTINS
from selkit.plugins.kinds import KINDS
from selkit.plugins.validation import RESERVED

_SUFFIX = ".tmpl"
_PREFIXES = {"selector": "selkit-", "judge": "selkit-judge-", "benchmark": "selkit-benchmark-"}
_NAME = re.compile(r"[a-z](?:-?[a-z0-9]+)*")
_LONGEST = 40
_LM_EVAL = "lm-eval>=0.4.13"


@dataclass(frozen=True)
class NewPackage:
    """A package that was written.

    Args:
        folder: Where it lies.
        distribution: What it is called when it is installed.
        files: Its files, below ``folder``.
    """

    folder: Path
    distribution: str
    files: tuple[Path, ...]


def new_package(kind: str, name: str, directory: Path | str = ".") -> NewPackage:
    """Writes a package with one component that works, its conformance test, tox.ini, README and CI file.

    Args:
        kind: 'selector', 'judge' or 'benchmark'.
        name: The component's name; the package is called selkit-NAME, selkit-judge-NAME or selkit-benchmark-NAME.
        directory: The folder in which the package's own folder is made.

    Raises:
        UsageError: The name is none, or a built-in component has it.
        DataError: The folder is there already and holds something, or cannot be written.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no kind of component called {kind!r}: take {', '.join(KINDS)}")
    name = name.removeprefix(_PREFIXES[kind]).removeprefix("selkit-")
    _check_name(kind, name)
    words = _words(kind, name)
    folder = Path(directory) / words["distribution"]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already: take another name or another --dir")
    written = []
    try:
        for path, text in _files(kind, words):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error
    return NewPackage(folder, words["distribution"], tuple(written))


def checkout_of_selkit() -> Path | None:
    """The folder of the checkout that this selkit runs from; None where it is installed as a package."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or name in RESERVED:
        raise UsageError(
            f"{name!r:.80} cannot be the name of a new package: take up to {_LONGEST} small letters and digits, parted "
            "by single hyphens, the first a letter"
        )
    if name in BUILTINS[kind]:
        raise UsageError(f"selkit has a built-in {kind} called {name!r}, which would hide yours: take another name")
    distribution = f"{_PREFIXES[kind]}{name}"
    if distribution == "selkit-eval" or _is_installed(distribution):
        raise UsageError(f"there is a package {distribution} already, which yours would replace: take another name")


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _words(kind: str, name: str) -> dict[str, str]:
    """What stands for the placeholders of the template."""
    distribution = f"{_PREFIXES[kind]}{name}"
    release = ".".join(__version__.split(".")[:2])
    needed = [f"selkit-eval>={release}", *([_LM_EVAL, "datasets"] if kind == "benchmark" else [])]
    return {
        "kind": kind,
        "name": name,
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "task": f"selkit_{name.replace('-', '_')}",
        "cls": _class_name(kind, name),
        "api_version": str(API_VERSION),
        "dependencies": ", ".join(f'"{one}"' for one in needed),
        "check": f"{name} --data tests/data --whole" if kind == "benchmark" else name,
    }


def _class_name(kind: str, name: str) -> str:
    """The name in capitals, 'my-idea' as MyIdea; with the kind behind it where Python or selkit has that name."""
    cls = "".join(part.capitalize() for part in name.split("-"))
    taken = keyword.iskeyword(cls) or hasattr(builtins, cls) or cls in api.__all__ or cls == "Iterator"
    return f"{cls}{kind.capitalize()}" if taken else cls


def _files(kind: str, words: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Path and text of every file of the package."""
    for part in ("common", kind):
        root = files("selkit.plugins").joinpath("template").joinpath(part)
        for path, source in _walk(root, Path()):
            names = [_renamed(name, words) for name in path.parts]
            yield Path(*names), Template(source.read_text(encoding="utf-8")).substitute(words)


def _walk(folder: Traversable, below: Path) -> Iterator[tuple[Path, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, below / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield below / entry.name.removesuffix(_SUFFIX), entry


def _renamed(name: str, words: dict[str, str]) -> str:
    """A name of the template as the package has it; dot files stand there as 'dot-...', so that no tool obeys them."""
    name = f".{name.removeprefix('dot-')}" if name.startswith("dot-") else name
    return {"MODULE": words["module"], "NAME": words["name"]}.get(name, name)
