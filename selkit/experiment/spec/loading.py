"""Specs from YAML files; what is wrong with one is said in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from selkit.api import DataError, UsageError
from selkit.experiment.spec.overrides import merged, with_overrides
from selkit.experiment.spec.sentences import sentence_of
from selkit.experiment.spec.spec import Spec, listed


def load_spec(path: Path, overrides: Sequence[str] = ()) -> Spec:
    """The spec in a YAML file, with the files that it includes.

    ``include`` names one file or several, relative to the file in which it stands: each lays its keys over those of
    the ones before, and the file its own over all of them.

    Args:
        path: The file.
        overrides: ``KEY.PATH=VALUE`` assignments, see :func:`selkit.experiment.spec.overrides.with_overrides`.

    Raises:
        UsageError: No such file, not YAML, files that include each other, a key that does not exist (with the nearest
            one that does), a bad value.
    """
    if not path.is_file():
        raise UsageError(f"there is no spec {path}: write one with `selkit init -o {path}`")
    return parse_spec(with_overrides(_read(path, ()), overrides), str(path))


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The keys of a file and of what it includes; ``above`` are the files on the way to it."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path} does not hold a spec: it must be a mapping with name, pools, model, selectors, ...")
    found: dict[str, Any] = {}
    for name in listed(raw.pop("include", [])):
        found = merged(found, _included(path, name, (*above, path.resolve())))
    return merged(found, raw)


def _included(path: Path, name: Any, above: tuple[Path, ...]) -> dict[str, Any]:
    if not isinstance(name, str):
        raise UsageError(f"{path}: include names files, not {name!r}")
    other = path.parent / name
    if other.resolve() in above:
        circle = [*above[above.index(other.resolve()) :], other.resolve()]
        raise UsageError(f"{path}: files include each other in a circle ({' includes '.join(o.name for o in circle)})")
    if not other.is_file():
        raise UsageError(f"{path}: there is no file {other} to include; it is looked for beside {path.name}")
    return _read(other, above)


def parse_spec(raw: Mapping[str, Any], where: str = "the spec") -> Spec:
    """A spec from plain data; ``where`` names it in errors."""
    try:
        return Spec.model_validate(dict(raw))
    except ValidationError as error:
        raise UsageError(f"{where}: {sentence_of(error)}") from error
    except (UsageError, DataError) as error:
        raise UsageError(f"{where}: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags, and without a key that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuses a mapping in which a key comes twice."""
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)
