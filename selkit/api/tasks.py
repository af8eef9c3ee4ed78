"""lm-eval's form of a task: YAML in which a tag stands for a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FUNCTION = "!function"
"""What begins a text that stands for a function: ``!function module.name``."""


def task_yaml(config: Mapping[str, Any]) -> str:
    """A task as lm-eval's YAML: a text ``!function module.name`` becomes a node of that tag."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes references to functions with their tag."""

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
        tag, _, function = text.partition(" ")
        return dumper.represent_scalar(tag, function) if tag == FUNCTION and function else dumper.represent_str(text)

    Dumper.add_representer(str, represent)
    return str(yaml.dump(dict(config), Dumper=Dumper, sort_keys=False, allow_unicode=True))
