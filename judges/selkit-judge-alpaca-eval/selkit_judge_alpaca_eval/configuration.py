"""AlpacaEval's annotator configurations as they stand on disk, found and read without importing alpaca_eval."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selkit.api import DataError, UsageError
from selkit_judge_alpaca_eval.template import check_template

FILE = "configs.yaml"
"""The file in an annotator's folder."""


@dataclass(frozen=True)
class Annotator:
    """One annotator of a configuration.

    Attributes:
        name: Its name there.
        template: Its prompt, with placeholders.
        decoder: AlpacaEval's name for what sends its requests (``fn_completions``).
        settings: How it is asked (``completions_kwargs``).
        parser: AlpacaEval's name for what reads its answers (``fn_completion_parser``).
        whole: Whether the parser reads the whole answer with its log-probabilities, and not the text alone.
        batch_size: Examples in one prompt.
    """

    name: str
    template: str
    decoder: str
    settings: Mapping[str, Any]
    parser: str
    whole: bool
    batch_size: int


@dataclass(frozen=True)
class Configuration:
    """A file of annotators.

    Attributes:
        path: The file.
        annotators: The annotators in it: one, or a pool of several.
        digest: 16 hex digits of the SHA-256 over the file, the prompts and alpaca_eval's version.
    """

    path: Path
    annotators: tuple[Annotator, ...]
    digest: str


def installed_folder() -> Path | None:
    """The folder of the configurations that alpaca_eval brings along; None where it is not installed."""
    spec = find_spec("alpaca_eval")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "evaluators_configs"


def read_configuration(annotator: str) -> Configuration:
    """The configuration of a name that alpaca_eval knows, of a folder, or of a YAML file.

    Raises:
        UsageError: There is no such annotator.
        DataError: The file is not a configuration, or a prompt is missing or has other placeholders.
    """
    path = _find(annotator)
    content = _read(path)
    given = _mapping(content, path)
    annotators = tuple(_annotator(str(name), entry, path) for name, entry in given.items())
    parts = [content, *(one.template for one in annotators), _version()]
    return Configuration(path, annotators, hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16])


def _find(annotator: str) -> Path:
    """The file that a name or a path stands for; alpaca_eval's own names go first, as there."""
    folder = installed_folder()
    known = sorted(path.parent.name for path in folder.glob(f"*/{FILE}")) if folder else []
    given = Path(annotator).expanduser()
    if folder and annotator in known:
        return folder / annotator / FILE
    if (given / FILE).is_file():
        return (given / FILE).absolute()
    if given.is_file():
        return given.absolute()
    near = difflib.get_close_matches(annotator, known, 1)
    hint = f"did you mean {near[0]!r}" if near else f"name one that alpaca_eval brings along, or a folder with {FILE}"
    raise UsageError(f"there is no AlpacaEval annotator {annotator!r}: {hint}")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}): check it") from error


def _mapping(content: str, path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}," if place else ""
        raise DataError(f"{path}{where} is not valid YAML: mend it") from error
    if not isinstance(found, dict) or not found or not all(isinstance(entry, dict) for entry in found.values()):
        raise DataError(f"{path} is no configuration of AlpacaEval's: it should map annotators to their settings")
    return found


def _annotator(name: str, entry: Mapping[str, Any], path: Path) -> Annotator:
    settings, batch_size = entry.get("completions_kwargs") or {}, entry.get("batch_size", 1)
    if not isinstance(settings, dict) or not isinstance(batch_size, int) or batch_size < 1:
        raise DataError(f"{path}: annotator {name!r} needs a mapping completions_kwargs and a batch_size from 1 on")
    template = _template(name, entry.get("prompt_template"), path)
    check_template(template, batch_size, f"{path}: the prompt of annotator {name!r}")
    return Annotator(
        name=name,
        template=template,
        decoder=str(entry.get("fn_completions", "openai_completions")),
        settings=settings,
        parser=str(entry.get("fn_completion_parser", "regex_parser")),
        whole=entry.get("completion_key", "completions") == "completions_all",
        batch_size=batch_size,
    )


def _template(name: str, given: Any, path: Path) -> str:
    """The text of a prompt: that of the file which it names, relative to the folder above the configuration's.

    Where there is no such file alpaca_eval takes the name itself for the prompt, and goes on.
    """
    if not isinstance(given, str):
        raise DataError(f"{path}: annotator {name!r} names no prompt_template: add it")
    file = path.parents[1] / given
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        if "{output_1}" in given:
            return given
        raise DataError(
            f"{path}: the prompt of annotator {name!r} cannot be read at {file}: paths are relative to "
            f"{path.parents[1]}; write it so, or absolute"
        ) from error


def _version() -> str:
    try:
        return version("alpaca_eval")
    except PackageNotFoundError:
        return ""


def names(annotators: Sequence[Annotator]) -> str:
    """The annotators' names, for a sentence."""
    return ", ".join(one.name for one in annotators)
