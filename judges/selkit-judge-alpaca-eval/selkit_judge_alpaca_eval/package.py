"""The package alpaca_eval: how it is imported and held quiet, and the parts of it that are used.

alpaca_eval 0.6.6 imports ``pkg_resources``, which setuptools 82 and later do not have, reads a ``.env`` file into the
environment, sets the level of the root logger, and logs raw answers and settings, keys among them. None of that gets
out of here.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from selkit.api import DataError, MissingExtra
from selkit_judge_alpaca_eval.configuration import Configuration

_STUB = "pkg_resources"
_NO_DOTENV = "PYTHON_DOTENV_DISABLED"


class Single(Protocol):
    """What is used of alpaca_eval's ``SingleAnnotator``."""

    completion_key: str
    completions_kwargs: Mapping[str, Any]

    def fn_completions(self, prompts: list[str], **settings: Any) -> Mapping[str, list[Any]]:
        """Completions of prompts, with what they cost."""

    def fn_completion_parser(self, completion: Any) -> list[Any]:
        """The annotations in a completion."""


def annotators_of(configuration: Configuration, seed: int) -> Mapping[str, Single]:
    """alpaca_eval's own annotators of a configuration, by name.

    Its cache of annotations is off, and selkit decides the order of the responses and the pace.

    Raises:
        DataError: alpaca_eval does not take the configuration.
        MissingExtra: What an annotator asks through is not installed.
    """
    return _annotators(configuration.path, configuration.digest, seed)


@lru_cache(maxsize=4)
def _annotators(path: Path, digest: str, seed: int) -> Mapping[str, Single]:
    """As :func:`annotators_of`; another digest is another configuration at the same place."""
    annotators = imported().annotators
    try:
        with quiet():
            pool = annotators.PairwiseAnnotator(
                annotators_config=str(path), seed=seed, caching_path=None, is_avoid_reannotations=False
            )
    except ImportError as error:
        raise MissingExtra(
            f"the annotator {path.parent.name} needs the package {error.name}, which is not installed: "
            f"pip install {error.name}"
        ) from None
    except Exception as error:  # alpaca_eval checks little; whatever it trips over, the configuration is at fault
        raise DataError(f"alpaca_eval does not take {path} ({type(error).__name__}: {error}): mend it") from None
    found: Mapping[str, Single] = pool.annotators
    return found


def turns_of(template: str) -> list[tuple[str, str]]:
    """The turns of a template in ChatML, as alpaca_eval splits it: role and text."""
    return [(turn["role"], turn["content"]) for turn in imported().utils.prompt_to_chatml(template)]


def drawn(instruction: str, seed: int, names: list[str]) -> str:
    """The annotator of a pool that alpaca_eval draws for an instruction."""
    return random.Random(f"annotator{instruction}{seed}").choices(names, k=1)[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that is logged at the root, as alpaca_eval does, is shown or makes a handler."""
    root = logging.getLogger()
    level, handler = root.level, logging.NullHandler()
    root.addHandler(handler)
    root.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def imported() -> ModuleType:
    """The package, imported so that nothing else in the process notices."""
    if "alpaca_eval" not in sys.modules:
        with quiet(), _pkg_resources(), _no_dotenv():
            import_module("alpaca_eval.annotators")
    return sys.modules["alpaca_eval"]


@contextmanager
def _pkg_resources() -> Iterator[None]:
    """The two functions that alpaca_eval takes from ``pkg_resources``, while it is imported."""
    if _STUB in sys.modules:
        yield
        return
    from packaging.version import parse

    stub: Any = ModuleType(_STUB)
    stub.parse_version = parse
    stub.get_distribution = importlib.metadata.distribution
    sys.modules[_STUB] = stub
    try:
        yield
    finally:
        del sys.modules[_STUB]


@contextmanager
def _no_dotenv() -> Iterator[None]:
    """Keeps alpaca_eval from reading a ``.env`` file into the environment, where selkit's own settings stand too."""
    before = os.environ.get(_NO_DOTENV)
    os.environ[_NO_DOTENV] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_DOTENV]
        else:
            os.environ[_NO_DOTENV] = before
